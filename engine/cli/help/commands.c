/* commands.c: the commands of `moco` and the ways to name data. The words before an option in
 * `arguments` are what completion offers; everything else is for people. */
#include "engine/cli/help/help.h"

#include <string.h>

const struct command commands[] = {
    {"train", "DATA --out RUN [--preset cifar-demo] [SETTINGS] [--resume]",
     "train an encoder (moco train --help lists all settings)", command_train,
     "Trains on the images of DATA without their labels and keeps everything in the folder RUN: "
     "`weights.safetensors` (loads into torchvision), `checkpoint.safetensors`, `config.json` "
     "(every setting and where it came from), `log.csv` and the same for TensorBoard.\n"
     "A flag beats `--config`, which beats `--preset`, which beats what follows from the data: "
     "side and stem from the size of the images, mean and deviation from their pixels, batch, "
     "BatchNorm groups, queue and momentum from their number. What is on, `--no-`NAME turns off.\n"
     "With `--init` training starts from weights, moco's or of others (torchvision, timm, official "
     "MoCo), so a run that has ended goes on for more epochs: architecture, width and stem follow "
     "from them; the head is taken where it has the run's shapes, and a first convolution for "
     "other channels is summed or repeated.\n"
     "Interrupted (Ctrl-C, SIGTERM, SIGHUP, a closed pipe) it saves and ends, on SIGUSR1 it saves "
     "and goes on; after that, a crash or a reboot the same command with `--resume` goes on, to "
     "the same bytes as if nothing had happened. The settings may come from the run's own "
     "`config.json` instead, from any folder: paths in a file of settings start at the file's own. "
     "What is to be judged is saved before; an evaluation that fails is told, and the run goes "
     "on.\n",
     "moco train folder:DIR --out run\n"
     "moco train folder:DIR --out run --resume\n"
     "moco train --config run/config.json --resume\n"
     "moco train folder:DIR --out more --init run --epochs 100\n"
     "moco train cifar10:DIR:train --preset cifar-demo --out run\n"
     "moco train npy:X.npy --out run --jitter 0 --grey 0\n"},
    {"bench", "DATA [SETTINGS of train]",
     "how fast, how long and how large a run of these settings will be", command_bench,
     "Runs a few steps and measures them; writes nothing.\n",
     "moco bench folder:DIR --epochs 100\n"},
    {"compare", "DATA --study NAME --out DIR [--seeds 3] [--epochs N | --minutes M] [SETTINGS of "
                "train]",
     "train the rows of a study and compare them: mechanisms, momentum, sharing, queue, "
     "temperature, sampling, proximal or labels; the same command goes on after an interruption",
     command_compare,
     "Trains each row of the study under one budget with several seeds, and writes `study.md`, "
     "`study.csv` and `study.svg` into DIR after each run. With `--minutes` steps are timed first "
     "and turned into epochs.\n",
     "moco compare folder:DIR --study temperature --out study --minutes 10\n"},
    {"knn", "WEIGHTS|pixels --train DATA [--test DATA] [--feature backbone|head|pixels] "
            "[--knn-k 200 --knn-t .1 --side N]",
     "k-nearest-neighbour accuracy of an encoder's features; without --test of each fifth by the "
     "others",
     command_knn,
     "WEIGHTS is a run folder, its weights or a checkpoint; `pixels` in its place compares the "
     "images themselves, which is what features have to beat.\n",
     "moco knn run --train npy:X.npy,Y.npy --test npy:X2.npy,Y2.npy\n"
     "moco knn pixels --train npy:X.npy,Y.npy\n"},
    {"linear", "WEIGHTS|pixels --train DATA [--test DATA] [--feature backbone|head|pixels] "
               "[--side N] [--l2 X] [--protocol solver|moco] [--lr 30 --epochs 100] "
               "[--seed 1] [--per-class]",
     "accuracy of a linear classifier on the features of a frozen encoder", command_linear,
     "Logistic regression on the features, by L-BFGS to its minimum or by the paper's protocol of "
     "stochastic gradient descent. Without `--test` every fifth image of `--train` is the test "
     "set.\n",
     "moco linear run --train npy:X.npy,Y.npy --test npy:X2.npy,Y2.npy\n"},
    {"finetune", "WEIGHTS --train DATA --test DATA [--fraction .01] [--from-scratch] "
                 "[--epochs E --batch-size 64 --lr .02 --wd .0001 --seed 1]",
     "train an encoder further with few labels, and judge it", command_finetune,
     "Trains the whole encoder and a new classifier on a fraction of the labels. With "
     "`--from-scratch` random weights start in the encoder's place: the difference is what the "
     "pretraining brought.\n",
     "moco finetune run --train npy:X.npy,Y.npy --test npy:X2.npy,Y2.npy --fraction .01\n"},
    {"metrics", "WEIGHTS DATA [--feature head|backbone] [--images 2000] [--seed 1]",
     "alignment, uniformity and spread of an encoder's features; no labels needed", command_metrics,
     "Makes two views of each image and measures how close their features are, how evenly all "
     "features cover the sphere, and in what share of cases a view finds its other one.\n",
     "moco metrics run folder:DIR\n"},
    {"embed", "WEIGHTS DATA -o X.npy [--ids X.csv] [--feature backbone|head] [--raw]",
     "write the features of images, one row an image; of unit length unless --raw, with a table of "
     "which images they are", command_embed,
     "Images that cannot be read get no row; the table says which image each row is.\n",
     "moco embed run folder:DIR -o features.npy\n"},
    {"info", "[FILE]", "this machine and build, or what is in a file", command_info,
     "Without FILE: version, processor, kernels in use and what caps them, oneDNN, threads. With a "
     "run folder, weights or a checkpoint: the encoder, and how it was made.\n",
     "moco info\n"
     "moco info run/weights.safetensors\n"},
    {"data", "DATA [--test DATA2] [-o SHEET.png] [--list 10 --count 24] | "
             "DATA --pack FILE [--side N --max-bad .01]",
     "what is in a data set and what is wrong with it; alone, or beside its test set; or the set "
     "as one file for fast epochs, its larger images scaled to a shorter side of N",
     command_data,
     "Looks at every image: what cannot be read, is cut off, damaged, constant, there twice or of "
     "an odd size; with `--test` also which images are in both sets.\n",
     "moco data folder:DIR -o sheet.png\n"
     "moco data folder:DIR --test folder:DIR2\n"
     "moco data folder:DIR --pack set.pack --side 256\n"},
    {"views", "DATA -o SHEET.png [--count 8 --views 2 --show R,G,B] [SETTINGS of train]",
     "a contact sheet of images and their views", command_views, NULL,
     "moco views folder:DIR -o sheet.png\n"},
    {"report", "RUN [-o REPORT.html]", "a run as one page: figures, curves, settings",
     command_report,
     "Works while the run is under way, too. The page fetches nothing from elsewhere; "
     "`RUN/report.html` when no file is named.\n",
     "moco report run\n"},
    {"export", "RUN|CHECKPOINT -o W.safetensors", "write the query network alone", command_export,
     "The file has torchvision's names and layout.\n",
     "moco export run -o weights.safetensors\n"},
    {"demo", "[DATA]", "train on images for about two minutes and judge the features",
     command_demo,
     "Without DATA on generated images. Prints the kNN accuracy of raw pixels, of random weights "
     "and of what was learned; leaves nothing behind.\n",
     "moco demo\n"},
    {0},
};

const struct data_form data_forms[] = {
    {"cifar10:DIR[:test]", "CIFAR-10's binary files"},
    {"cifar100:DIR[:test]", "CIFAR-100's binary files"},
    {"idx:IMAGES[,LABELS]", "IDX files, as MNIST's; behind gzip too"},
    {"folder:DIR[:alpha=drop|keep]",
     "JPEG, PNG, BMP, PNM and TGA files below a folder; its subfolders are the classes"},
    {"npy:X.npy[,Y.npy]",
     "an array (N, C, H, W) or (N, H, W), and its labels: whole numbers from 0, -1 for none"},
    {"npz:X.npz[:IMAGES[,LABELS]]", "the same from a NumPy archive, by the arrays' names"},
    {"tiff:FILE-OR-DIR[:pages=images|channels|views]",
     "TIFF of any number of channels, subfolders are the classes; what the pages of a file are"},
    {"hdf5:FILE[:IMAGES[,LABELS]]",
     "datasets of an HDF5 or MATLAB 7.3 file; IMAGES may be a group of one dataset an image"},
    {"fits:FILE-OR-DIR[:HDU][:pages=images|channels|views]",
     "FITS images and cubes, .fz and .gz too; all HDUs of one size"},
    {"packed:FILE", "a set that moco data --pack wrote"},
    {"synthetic:[n=4000,classes=8,side=32,seed=1,split=train]", "generated shapes"},
    {0},
};

const struct command *command_named(const char *name)
{
    for (const struct command *command = commands; command->name; command++)
        if (!strcmp(command->name, name))
            return command;
    return NULL;
}

void help_operands(char *out, size_t size, const struct command *command)
{
    size_t used = 0;
    const char *text = command->arguments;
    while (*text && used + 2 < size) {
        const char *word = text + strspn(text, "[");
        if (*word == '-' || !strncmp(word, "SETTINGS", 8))
            break;
        for (; *word && *word != ' ' && used + 2 < size; word++)
            if (*word != ']')
                out[used++] = *word;
        text = *word ? word + 1 : word;
        out[used++] = ' ';
    }
    out[used - (used > 0)] = '\0';
}

void help_kinds(void)
{
    for (const struct data_form *data = data_forms; data->form; data++)
        printf("%s%.*s:", data == data_forms ? "" : " ", (int)strcspn(data->form, ":"), data->form);
}
