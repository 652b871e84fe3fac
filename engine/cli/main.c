/* main.c: the command table of `moco`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/cli/cli.h"
#include "include/moco.h"

static const struct command {
    const char *name, *arguments, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"train", "DATA --out RUN [--preset cifar-demo] [SETTINGS] [--resume]",
     "train an encoder (moco train --help lists all settings)", command_train},
    {"bench", "DATA [SETTINGS of train]",
     "how fast, how long and how large a run of these settings will be", command_bench},
    {"compare", "DATA --study NAME --out DIR [--seeds 3] [--epochs N | --minutes M] [SETTINGS of "
                "train]",
     "train the rows of a study and compare them: mechanisms, momentum, sharing, queue,\n      "
     "temperature, sampling or proximal; the same command goes on after an interruption",
     command_compare},
    {"knn", "WEIGHTS|pixels --train DATA [--test DATA] [--feature backbone|head|pixels]\n"
            "      [--knn-k 200 --knn-t .1 --side N]",
     "k-nearest-neighbour accuracy of its features; without --test of each fifth by the others",
     command_knn},
    {"linear", "WEIGHTS|pixels --train DATA [--test DATA] [--feature backbone|head|pixels]\n"
               "      [--side N] [--l2 X] [--protocol solver|moco] [--lr 30 --epochs 100]\n"
               "      [--seed 1] [--per-class]",
     "accuracy of a linear classifier on its features, the encoder frozen", command_linear},
    {"finetune", "WEIGHTS --train DATA --test DATA [--fraction .01] [--from-scratch]\n"
                 "      [--epochs E --batch-size 64 --lr .02 --wd .0001 --seed 1]",
     "train it further with few labels, and judge it", command_finetune},
    {"metrics", "WEIGHTS DATA [--feature head|backbone] [--images 2000] [--seed 1]",
     "alignment, uniformity and spread of its features; no labels needed", command_metrics},
    {"embed", "WEIGHTS DATA -o X.npy [--ids X.csv] [--feature backbone|head] [--raw]",
     "write the features of images, one row an image, of unit length unless --raw, and a table of\n"
     "      which images they are", command_embed},
    {"info", "[FILE]", "this machine and build, or what is in a file", command_info},
    {"data", "DATA [--test DATA2] [-o SHEET.png] [--list 10 --count 24] | "
             "DATA --pack FILE [--side N --max-bad .01]",
     "what is in a data set and what is wrong with it, alone and beside its test set; or the set "
     "as one\n      file for fast epochs, its larger images scaled to a shorter side of N",
     command_data},
    {"views", "DATA -o SHEET.png [--count 8 --views 2 --show R,G,B] [SETTINGS of train]",
     "a contact sheet of images and their views", command_views},
    {"export", "RUN|CHECKPOINT -o W.safetensors", "write the query network alone", command_export},
    {"demo", "[DATA]", "train on images for about two minutes and judge the features",
     command_demo},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static int help(FILE *out)
{
    fprintf(out, "moco %s: contrastive training of image encoders on CPUs\n\n", moco_version());
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  moco %s %s\n      %s\n", commands[i].name, commands[i].arguments,
                commands[i].summary);
    fprintf(out, "\nDATA: a path, or cifar10:DIR[:test]  cifar100:DIR[:test]  "
                 "idx:IMAGES[,LABELS]\n      folder:DIR[:alpha=drop|keep]  "
                 "npy:X.npy[,Y.npy]  npz:X.npz[:IMAGES[,LABELS]]\n      "
                 "tiff:FILE-OR-DIR[:pages=images|channels|views]  "
                 "hdf5:FILE[:IMAGES[,LABELS]]\n      "
                 "fits:FILE-OR-DIR[:HDU][:pages=images|channels|views]  packed:FILE\n      "
                 "synthetic:[n=4000,classes=8,side=32,seed=1,split=train]"
                 "\n      :nhwc behind npy, npz, hdf5: channels are last; :views: axis 1 holds "
                 "images of one sample\nEvery command takes --threads N, --simd "
                 "ref|avx2|avx512|neon and --json.\n");
    return out == stdout ? EXIT_DONE : EXIT_USAGE;
}

static int is(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* gcc's OpenMP threads spin for milliseconds where they wait. On cores that others use too, this
 * made a step 10 to 20 times slower (26 images/s beside a busy process, 187 after a short spin and
 * a sleep, at 5 % of the speed on idle cores). The library reads the variable before main(), so
 * moco starts itself once more with it; who sets a policy keeps it. clang's library spins for
 * 200 ms, reads another variable, and counts in milliseconds. */
static void wait_politely(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME"))
        return;
    if (setenv("GOMP_SPINCOUNT", "1000", 1) == 0 && setenv("KMP_BLOCKTIME", "0", 1) == 0)
        execv("/proc/self/exe", argv); /* if that fails, this process goes on as it is */
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return help(stderr);
    if (is(argv[1], "help", "--help") || is(argv[1], "-h", "-h"))
        return help(stdout);
    if (is(argv[1], "version", "--version")) {
        printf("moco %s\n", moco_version());
        return EXIT_DONE;
    }
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name))
            continue;
        if (argc > 2 && is(argv[2], "--help", "-h")) {
            printf("moco %s %s\n  %s\n", commands[i].name, commands[i].arguments,
                   commands[i].summary);
            if (commands[i].run == command_train || commands[i].run == command_bench ||
                commands[i].run == command_views || commands[i].run == command_compare)
                train_help();
            return EXIT_DONE;
        }
        wait_politely(argv);
        return commands[i].run(argc - 2, argv + 2);
    }
    return cli_usage("command '%s' is not known", argv[1]);
}
