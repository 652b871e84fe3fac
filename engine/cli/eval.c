/* eval.c: moco knn and moco embed: features of a trained encoder, or of none but the pixels. */
#include "engine/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/eval/score.h"
#include "engine/run/train.h"

/* What moco knn is asked for. */
struct knn_job {
    const char *weights, *train, *test, *feature; /* test NULL: train in fifths */
    int k, side, json;                            /* side 0: of the images */
    double t;
};

/* Images that vote on one: of fifths, the fewest. */
static size_t votes(const struct score_sets *sets)
{
    return sets->test.n ? sets->train.n : sets->train.n - (sets->train.n + 4) / 5;
}

static void print_knn(double top1, const struct knn_job *job, const struct score_sets *sets)
{
    size_t all = sets->train.n, judged = sets->test.n ? sets->test.n : all;
    if (job->json)
        printf("{\"top1\":%.4f,\"k\":%d,\"t\":%.9g,\"feature\":\"%s\",\"n_train\":%zu,"
               "\"n_test\":%zu}\n", top1, job->k, job->t, job->feature, votes(sets), judged);
    else if (sets->test.n)
        printf("kNN top-1 %.2f %% (k %d, t %g, %s, %zu -> %zu images)\n", top1, job->k, job->t,
               job->feature, all, judged);
    else
        printf("kNN top-1 %.2f %% (k %d, t %g, %s, each fifth of %zu images by the others)\n",
               top1, job->k, job->t, job->feature, all);
}

/* Evaluation views of the pixels themselves: a run's default size, mean and deviation of train. */
static int pixel_policy(struct policy *policy, const struct source *source, int side)
{
    struct config config;
    char text[16];
    config_default(&config);
    snprintf(text, sizeof text, "%d", side);
    int rc = side ? config_set(&config, "side", text, FROM_FLAG) : MOCO_OK;
    if (!rc)
        rc = views_resolve(&config, source, NULL);
    return rc ? rc : config_policy(policy, &config.value, source->channels);
}

/* The encoder in embed, or none of it for pixels; policy of its views. */
static int open_features(struct embed **embed, struct model *model, const struct knn_job *job,
                         const struct source *train, const struct moco_simd *simd)
{
    if (!strcmp(job->weights, "pixels")) {
        *embed = NULL;
        return pixel_policy(&model->policy, train, job->side);
    }
    if (job->side)
        return error_set(MOCO_EARG, "--side is for pixels: an encoder has a side of its own");
    int rc = embed_feature_named(&(*embed)->feature, job->feature);
    if (!rc)
        rc = model_open(model, job->weights, simd);
    (*embed)->net = model->net;
    (*embed)->encoder = &model->encoder;
    return rc;
}

static int knn(struct knn_job *job, const struct moco_simd *simd)
{
    struct model model = {0};
    struct score_sets sets = {0};
    struct embed encoder = {.simd = simd}, *embed = &encoder;
    double top1 = 0.0;
    int rc = score_open(&sets, job->train, job->test);
    if (!rc)
        rc = open_features(&embed, &model, job, sets.train.source, simd);
    if (!rc)
        cli_note(sets.train.source);
    if (!rc && job->test)
        cli_note(sets.test.source);
    if (!rc && (size_t)job->k > votes(&sets))
        fprintf(stderr, "moco: all of the %zu images vote where k is %d; a smaller --knn-k asks "
                        "the nearest\n", votes(&sets), job->k);
    if (!rc)
        rc = score_run(&top1, &sets, embed, &model.policy, job->k, job->t, simd);
    if (!embed)
        job->feature = "pixels";
    if (!rc)
        print_knn(top1, job, &sets);
    score_close(&sets);
    model_close(&model);
    return rc;
}

int command_knn(int argc, char **argv)
{
    struct knn_job job = {.feature = "backbone", .k = 200, .t = 0.1};
    const char *cap = NULL;
    int threads = 0;
    struct moco_simd simd;
    const struct option options[] = {
        {"--train", OPTION_TEXT, &job.train}, {"--test", OPTION_TEXT, &job.test},
        {"--feature", OPTION_TEXT, &job.feature}, {"--knn-k", OPTION_INT, &job.k},
        {"--knn-t", OPTION_DOUBLE, &job.t}, {"--side", OPTION_INT, &job.side},
        {"--threads", OPTION_INT, &threads}, {"--simd", OPTION_TEXT, &cap},
        {"--json", OPTION_SWITCH, &job.json},
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &job.weights, 1);
    if (rc)
        return rc;
    if (!job.train)
        return cli_usage("moco knn needs --train DATA, and --test DATA unless each fifth of "
                         "--train is to be classified by the others");
    if (job.k < 1 || !(job.t > 0.0))
        return cli_usage("--knn-k and --knn-t must be above 0");
    if (cli_machine(&simd, threads, cap) || knn(&job, &simd))
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
                      const struct moco_simd *simd, int json)
{
    struct model model = {0};
    struct source *source = NULL;
    struct embed embed = {.simd = simd};
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
    int threads = 0, json = 0;
    struct moco_simd simd;
    const struct option options[] = {
        {"-o", OPTION_TEXT, &out}, {"--feature", OPTION_TEXT, &feature},
        {"--threads", OPTION_INT, &threads}, {"--simd", OPTION_TEXT, &cap},
        {"--json", OPTION_SWITCH, &json},
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, words, 2);
    if (rc)
        return rc;
    if (!out)
        return cli_usage("moco embed needs -o X.npy");
    if (cli_machine(&simd, threads, cap) ||
        embed_file(words[0], words[1], out, feature, &simd, json))
        return cli_failed();
    return EXIT_DONE;
}
