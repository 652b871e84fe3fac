/* eval.c: moco knn and moco embed: features of a trained encoder. */
#include "engine/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"

static void print_knn(double top1, int k, double t, const char *feature,
                      const struct score_sets *sets, int json)
{
    if (json)
        printf("{\"top1\":%.4f,\"k\":%d,\"t\":%.9g,\"feature\":\"%s\",\"n_train\":%zu,"
               "\"n_test\":%zu}\n", top1, k, t, feature, sets->train.n, sets->test.n);
    else
        printf("kNN top-1 %.2f %% (k %d, t %g, %s, %zu -> %zu images)\n", top1, k, t, feature,
               sets->train.n, sets->test.n);
}

static int knn(const char *weights, const char *train, const char *test, const char *feature,
               int k, double t, const struct moco_simd *simd, int json)
{
    struct probe probe;
    double top1 = 0.0;
    int rc = probe_open(&probe, weights, train, test, feature, simd);
    if (!rc)
        rc = score_run(&top1, &probe.sets, probe.with, &probe.policy, k, t, simd);
    if (!rc)
        print_knn(top1, k, t, probe.feature, &probe.sets, json);
    probe_close(&probe);
    return rc;
}

int command_knn(int argc, char **argv)
{
    const char *train = NULL, *test = NULL, *feature = NULL, *cap = NULL, *weights;
    int k = 200, threads = 0, json = 0;
    double t = 0.1;
    struct moco_simd simd;
    const struct option options[] = {
        {"--train", OPTION_TEXT, &train}, {"--test", OPTION_TEXT, &test},
        {"--feature", OPTION_TEXT, &feature}, {"--knn-k", OPTION_INT, &k},
        {"--knn-t", OPTION_DOUBLE, &t}, {"--threads", OPTION_INT, &threads},
        {"--simd", OPTION_TEXT, &cap}, {"--json", OPTION_SWITCH, &json},
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &weights, 1);
    if (rc)
        return rc;
    if (!train || !test)
        return cli_usage("moco knn needs --train DATA and --test DATA");
    if (k < 1 || !(t > 0.0))
        return cli_usage("--knn-k and --knn-t must be above 0");
    if (cli_machine(&simd, threads, cap) ||
        knn(weights, train, test, feature, k, t, &simd, json))
        return cli_failed();
    return EXIT_DONE;
}

/* NPY version 1: magic, header length, a Python dictionary padded to 64 bytes, the rows. */
static int write_rows(FILE *f, const float *x, size_t n, size_t D)
{
    char text[118], header[128];
    snprintf(text, sizeof text,
             "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", n, D);
    snprintf(header, sizeof header, "%-117s\n", text);
    return fwrite("\x93NUMPY\1\0\x76\0", 1, 10, f) == 10 && fwrite(header, 1, 118, f) == 118 &&
           fwrite(x, D * sizeof *x, n, f) == n && !fflush(f) && !fsync(fileno(f));
}

static int npy_write(const char *path, const float *x, size_t n, size_t D)
{
    char temporary[1200];
    snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    FILE *f = fopen(temporary, "wb");
    if (!f)
        return error_set(MOCO_EIO, "creating %s: %s", temporary, strerror(errno));
    int whole = write_rows(f, x, n, D);
    whole = !fclose(f) && whole;
    if (whole && !rename(temporary, path))
        return MOCO_OK;
    int rc = error_set(MOCO_EIO, "writing %s: %s", path, strerror(errno));
    remove(temporary);
    return rc;
}

static int embed_file(const char *weights, const char *data, const char *out, const char *feature,
                      int raw, const struct moco_simd *simd, int json)
{
    struct model model = {0};
    struct source *source = NULL;
    struct embed embed = {.simd = simd, .raw = raw};
    float *x = NULL;
    size_t D = 0;
    int rc = embed_feature_named(&embed.feature, feature);
    if (!rc)
        rc = model_open(&model, weights, simd);
    if (!rc)
        rc = source_open(&source, data);
    if (rc)
        goto fail;
    cli_note(source);
    embed.net = model.net;
    embed.encoder = &model.encoder;
    D = embed_dim(model.net, embed.feature);
    x = malloc((source->count + 1) * D * sizeof *x);
    rc = x ? embed_source(x, &embed, source, NULL, source->count, &model.policy)
           : error_memory("features", source->count * D * sizeof *x);
    if (!rc)
        rc = npy_write(out, x, source->count, D);
    if (!rc && json)
        printf("{\"rows\":%zu,\"columns\":%zu,\"feature\":\"%s\"}\n", source->count, D, feature);
fail:
    free(x);
    source_close(&source);
    model_close(&model);
    return rc;
}

int command_embed(int argc, char **argv)
{
    const char *out = NULL, *feature = "backbone", *cap = NULL, *words[2];
    int threads = 0, raw = 0, json = 0;
    struct moco_simd simd;
    const struct option options[] = {
        {"-o", OPTION_TEXT, &out}, {"--feature", OPTION_TEXT, &feature},
        {"--raw", OPTION_SWITCH, &raw}, {"--threads", OPTION_INT, &threads},
        {"--simd", OPTION_TEXT, &cap}, {"--json", OPTION_SWITCH, &json},
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, words, 2);
    if (rc)
        return rc;
    if (!out)
        return cli_usage("moco embed needs -o X.npy");
    if (cli_machine(&simd, threads, cap) ||
        embed_file(words[0], words[1], out, feature, raw, &simd, json))
        return cli_failed();
    return EXIT_DONE;
}
