/* demo.c: moco demo: what contrastive training brings, in about two minutes on two cores.
 *
 * Trains a narrow ResNet-18 on generated images (or on DATA) and prints the kNN accuracy of its
 * features beside raw pixels and the same network with random weights. */
#include "engine/cli/cli.h"
#include "engine/cli/show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/watch.h"
#include "engine/eval/score.h"
#include "engine/run/events.h"

static const char generated[] = "synthetic:n=4000,classes=8,side=32,seed=1,split=train";
static const char generated_test[] = "synthetic:n=1000,classes=8,side=32,seed=1,split=test";

struct choice {
    const char *name, *value;
};

static const struct choice common[] = {
    {"width", "16"}, {"batch-size", "64"}, {"moco-k", "256"}, {"moco-m", "0.95"}, {"lr", "0.06"},
    {"bn-splits", "1"}, {"crop-min", "0.4"}, {"epochs", "20"}, {"side", "32"},
};

/* Colour and background tell the generated images apart at once; without colour their shape has
 * to. Measured: 46 % kNN after 16 epochs in grey, 17 % (below raw pixels) in colour. */
static const struct choice in_grey[] = {
    {"grey", "1"}, {"hue", "0"}, {"saturation", "0"}, {"brightness", "0.6"}, {"contrast", "0.6"},
    {"jitter", "1"},
};

static int set_all(struct config *config, const struct choice *choices, size_t count)
{
    int rc = MOCO_OK;
    for (size_t i = 0; i < count && !rc; i++)
        rc = config_set(config, choices[i].name, choices[i].value, FROM_PRESET);
    return rc;
}

static int configure(struct config *config, const char *data, const char *out)
{
    config_default(config);
    struct run_config *c = &config->value;
    snprintf(c->data, sizeof c->data, "%s", data ? data : generated);
    snprintf(c->out, sizeof c->out, "%s", out);
    int rc = set_all(config, common, sizeof common / sizeof *common);
    if (!rc && !data)
        rc = set_all(config, in_grey, sizeof in_grey / sizeof *in_grey);
    return rc;
}

static int open_sets(struct score_sets *sets, struct source **source, const char *data)
{
    if (!data)
        return score_open(sets, generated, generated_test, NULL);
    int rc = source_open(source, data);
    return rc ? rc : score_split(sets, *source);
}

/* top1: trained, random weights, raw pixels. */
static int judge(double top1[3], struct model *model, struct score_sets *sets,
                 const struct run_config *c, const struct moco_simd *simd)
{
    struct encoder fresh = {0};
    struct embed embed = {.net = model->net, .encoder = &model->encoder, .simd = simd};
    int rc = score_run(&top1[0], sets, &embed, &model->policy, c->knn_k, c->knn_t, simd);
    if (!rc)
        rc = encoder_open(&fresh, model->net, 0, NULL);
    if (rc)
        return rc;
    encoder_init(&fresh, model->net, c->seed);
    embed.encoder = &fresh;
    rc = score_run(&top1[1], sets, &embed, &model->policy, c->knn_k, c->knn_t, simd);
    if (!rc)
        rc = score_run(&top1[2], sets, NULL, &model->policy, c->knn_k, c->knn_t, simd);
    encoder_close(&fresh);
    return rc;
}

static int print_scores(const char *data, const struct config *config,
                        const struct moco_simd *simd)
{
    struct model model = {0};
    struct score_sets sets = {0};
    struct source *source = NULL;
    double top1[3];
    int rc = model_open(&model, config->value.out, simd);
    if (!rc)
        rc = open_sets(&sets, &source, data);
    if (!rc)
        rc = judge(top1, &model, &sets, &config->value, simd);
    if (!rc)
        printf("kNN of raw pixels:      %6.2f %%\nkNN of random weights:  %6.2f %%\n"
               "kNN after training:     %6.2f %%\n", top1[2], top1[1], top1[0]);
    score_close(&sets);
    source_close(&source);
    model_close(&model);
    return rc;
}

/* The signals are still those of training. */
static int show_scores(const char *data, const struct config *config,
                       const struct moco_simd *simd)
{
    struct wait wait = {0};
    const struct watch watch = {&wait, wait_show, show_asked};
    watch_begin(&watch);
    int rc = print_scores(data, config, simd);
    watch_begin(NULL);
    wait_clear(&wait);
    if (rc == WATCH_STOPPED)
        fprintf(stderr, "moco: interrupted; nothing is kept\n");
    return rc == WATCH_STOPPED ? show_interrupted() : rc ? cli_failed() : EXIT_DONE;
}

/* The run folder of a demo is only a means. */
static void remove_run(const char *folder)
{
    static const char *const names[] = {"config.json", "log.csv", EVENTS_FILE,
                                        "checkpoint.safetensors", "weights.safetensors"};
    char path[400];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

int command_demo(int argc, char **argv)
{
    const char *cap = NULL, *data = NULL, *tmp = getenv("TMPDIR");
    int threads = 0, json = 0;
    char folder[256];
    struct moco_simd simd;
    struct config config;
    const struct option options[] = {CLI_COMMON(threads, cap, json)};
    int rc = cli_parse_may(argc, argv, options, sizeof options / sizeof *options, &data);
    if (rc)
        return rc;
    snprintf(folder, sizeof folder, "%.200s/moco-demo-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (cli_machine(&simd, threads, cap) || configure(&config, data, folder))
        return cli_failed();
    if (!mkdtemp(folder)) {
        error_set(MOCO_EIO, "creating a folder like %s failed; set TMPDIR", folder);
        return cli_failed();
    }
    snprintf(config.value.out, sizeof config.value.out, "%s", folder);
    config.value.json = json;
    rc = show_train(&config, &simd, 0);
    if (!rc)
        rc = show_scores(data, &config, &simd);
    remove_run(folder);
    return rc;
}
