/* metrics.c: moco metrics: what an encoder's features say about themselves, without labels. */
#include "engine/cli/cli.h"
#include "engine/cli/wait.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/watch.h"
#include "engine/data/missing.h"
#include "engine/eval/metrics.h"

/* Views as the encoder was trained on; those of the defaults where the file does not say. */
static int views_of(struct policy *out, const struct model *model)
{
    struct config config;
    const char *recipe = safetensors_meta(model->file, "recipe");
    config_default(&config);
    int rc = recipe ? config_read_text(&config, recipe, safetensors_path(model->file)) : MOCO_OK;
    if (!rc && !recipe)
        fprintf(stderr, "moco: %s does not say on which views it was trained; the defaults' are "
                        "taken\n", safetensors_path(model->file));
    if (!rc)
        rc = config_set(&config, "mean", "0", FROM_FLAG); /* the model's replace them below */
    if (!rc)
        rc = config_set(&config, "std", "1", FROM_FLAG);
    if (!rc)
        rc = config_policy(out, &config.value, model->policy.channels);
    out->side = model->policy.side;
    for (int c = 0; c < model->policy.channels && !rc; c++) {
        out->mean[c] = model->policy.mean[c];
        out->std[c] = model->policy.std[c];
    }
    return rc;
}

static void print(const struct metrics *m, size_t n, size_t D, const char *feature,
                  const struct source *source, int json)
{
    double sphere = 1.0 / sqrt((double)D);
    if (json) {
        printf("{\"alignment\":");
        json_put_number(stdout, "%.6f", m->alignment);
        cli_json_number("uniformity", "%.6f", m->uniformity);
        cli_json_number("deviation", "%.6f", m->deviation);
        cli_json_number("deviation_min", "%.6f", m->least);
        cli_json_number("deviation_sphere", "%.6f", sphere);
        cli_json_number("pretext_top1", "%.4f", m->top1);
        printf(",\"images\":%zu,\"columns\":%zu,\"feature\":\"%s\"", n, D, feature);
        cli_json_account(&source->account, "");
        printf("}\n");
    } else {
        printf("alignment     %8.4f   mean squared distance of two views of an image\n"
               "uniformity    %8.4f   log mean exp(-2 d^2) over pairs of images; 0: all the same\n"
               "deviation     %8.4f   of a column; least %.4f, spread over the sphere %.4f\n"
               "pretext top-1 %8.2f %% one of %zu images told by its other view (%s)\n",
               m->alignment, m->uniformity, m->deviation, m->least, sphere, m->top1, n, feature);
    }
}

/* Images that could not be read when the first of their views was due. */
static int leave_out(float *x, size_t *index, size_t *n, size_t D, const struct embed_bad *bad)
{
    size_t all = *n;
    if (!bad->count)
        return MOCO_OK;
    fprintf(stderr, "moco: %zu of %zu images could not be read, the measures are without them; the "
                    "first: %s\n", bad->count, all, bad->why);
    embed_pack(x, D * sizeof *x, all, bad);
    *n = embed_pack(index, sizeof *index, all, bad);
    return *n < 2 ? error_set(MOCO_EFORMAT, "fewer than two images can be read; the first that "
                              "cannot: %s", bad->why) : MOCO_OK;
}

/* x: (2, *n, D) of *n images spread over the set, of which those that can be read remain. */
static int embed_pairs(float *x, const struct embed *embed, const struct source *source, size_t *n,
                       size_t D, const struct policy *views, uint64_t seed)
{
    size_t *index = malloc(*n * sizeof *index);
    struct embed_bad *bad = calloc(1, sizeof *bad);
    unsigned char *marks = calloc(*n + 1, 1);
    struct embed tolerant = *embed;
    struct view_draw draw = {.seed = seed};
    int rc = index && bad && marks ? MOCO_OK : error_memory("the list of images", *n);
    for (size_t i = 0; i < *n && !rc; i++)
        index[i] = i * source->count / *n;
    tolerant.bad = bad;
    watch_part("metrics", "views", 0, 2 * *n);
    if (!rc) {
        bad->at = marks;
        rc = embed_views(x, &tolerant, source, index, *n, views, &draw);
    }
    if (!rc)
        rc = leave_out(x, index, n, D, bad);
    draw.which = 1;
    watch_part("metrics", "views", *n, 2 * *n);
    if (!rc)
        rc = embed_views(x + *n * D, embed, source, index, *n, views, &draw);
    free(index);
    free(bad);
    free(marks);
    return rc;
}

static int measure(const struct model *model, const struct source *source, struct embed *embed,
                   const char *feature, size_t n, uint64_t seed, int json)
{
    struct metrics metrics;
    struct policy views;
    size_t D = embed_dim(model->net, embed->feature);
    n = n < source->count ? n : source->count;
    float *x = malloc((2 * n * D + 1) * sizeof *x);
    int rc = x ? views_of(&views, model) : error_memory("features", 2 * n * D * sizeof *x);
    cli_wait_begin();
    if (!rc)
        rc = embed_pairs(x, embed, source, &n, D, &views, seed);
    if (!rc)
        rc = metrics_of_views(&metrics, x, x + n * D, n, D, embed->simd);
    cli_wait_end();
    if (!rc)
        cli_missing(source);
    if (!rc)
        print(&metrics, n, D, feature, source, json);
    free(x);
    return rc;
}

int command_metrics(int argc, char **argv)
{
    const char *feature = NULL, *cap = NULL, *words[2];
    int images = 2000, seed = 1, threads = 0, json = 0;
    double max_missing = 0.0;
    struct moco_simd simd;
    struct model model = {0};
    struct source *source = NULL;
    const struct option options[] = {
        {"--feature", OPTION_TEXT, &feature, NULL,
         "what is measured: `head` or `backbone`; the head where "
         "there is one"},
        {"--images", OPTION_INT, &images, NULL, "images of which two views are made, at most"},
        {"--seed", OPTION_INT, &seed, NULL, "of the choice of images and of their views"},
        CLI_MISSING(max_missing),
        CLI_COMMON(threads, cap, json),
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, words, 2);
    if (rc)
        return rc;
    if (images < 2)
        return cli_usage("--images must be at least 2");
    if (cli_check_missing(max_missing))
        return EXIT_USAGE;
    struct embed embed = {.simd = &simd};
    rc = cli_machine(&simd, threads, cap);
    if (!rc)
        rc = model_open(&model, words[0], &simd);
    if (!rc && !feature)
        feature = model.info.net.head == HEAD_NONE ? "backbone" : "head";
    if (!rc)
        rc = embed_feature_named(&embed.feature, feature);
    if (!rc)
        rc = model_check_feature(&model, feature);
    if (!rc)
        rc = source_open(&source, words[1]);
    embed.net = model.net;
    embed.encoder = &model.encoder;
    if (!rc) {
        missing_allow(source, max_missing);
        cli_note(source, 0);
        rc = model_see(&model.policy, source);
    }
    if (!rc)
        rc = measure(&model, source, &embed, feature, (size_t)images, (uint64_t)seed, json);
    source_close(&source);
    model_close(&model);
    return rc ? cli_failed() : EXIT_DONE;
}
