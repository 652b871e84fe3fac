/* test_resolve.c: settings that follow from the number of images, the batch and the pixels. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/source.h"
#include "engine/run/train.h"
#include "tests/check.h"

static int sets(struct config *config, const char *name, const char *text, enum origin origin)
{
    return config_set(config, name, text, origin) == MOCO_OK;
}

/* Defaults, then `flags` (name, text, ..., NULL), on that many small images. */
static void resolve(struct config *c, int images, const char *const *flags)
{
    char spec[64];
    struct source *source;
    config_default(c);
    for (; flags && *flags; flags += 2)
        CHECK(!strcmp(flags[0], "preset") ? config_preset(c, flags[1]) == MOCO_OK
                                          : sets(c, flags[0], flags[1], FROM_FLAG));
    snprintf(spec, sizeof spec, "synthetic:n=%d,classes=2,side=8,seed=1", images);
    CHECK_MSG(source_open(&source, spec) == MOCO_OK, "%s", error_text());
    CHECK_MSG(train_resolve(c, source, NULL) == MOCO_OK, "%d images: %s", images, error_text());
    source_close(&source);
}

static void test_sizes(void)
{
    struct config c;
    const struct run_config *v = &c.value;
    const char *reasons = c.reasons;
    resolve(&c, 50000, NULL);
    CHECK(v->batch == 512 && v->queue == 4096 && v->bn_splits == 8 && v->shuffle_bn);
    CHECK(v->lr == 0.06 && v->m == 0.99 && !reasons[0]);
    resolve(&c, 1215, NULL);
    CHECK(v->batch == 64 && v->queue == 512 && v->bn_splits == 1 && !v->shuffle_bn && v->m == 0.99);
    CHECK(v->lr == 0.06);
    CHECK_MSG(strstr(reasons, "batch-size 64 (18 steps") &&
              strstr(reasons, "moco-k 512 (at most half"), "%s", reasons);
    resolve(&c, 20, NULL);
    CHECK(v->batch == 16 && v->queue == 16 && v->bn_splits == 1 && !v->shuffle_bn);
    resolve(&c, 200000, NULL);
    CHECK(v->batch == 512 && v->queue == 65536 && v->m == 0.999 && strstr(reasons, "moco-m 0.999"));
}

static void test_sizes_given(void)
{
    static const char *const batch[] = { "batch-size", "128", NULL };
    static const char *const parts[] = { "batch-size", "128", "accumulate", "4", NULL };
    static const char *const both[] = { "symmetric", "on", NULL };
    static const char *const all[] = { "batch-size", "16", "moco-k", "4096", "lr", "0.5",
                                       "bn-splits", "8", NULL };
    static const char *const demo[] = { "preset", "cifar-demo", NULL };
    struct config c;
    const struct run_config *v = &c.value;
    const char *reasons = c.reasons;
    resolve(&c, 1215, batch);
    CHECK(v->batch == 128 && v->bn_splits == 2 && v->shuffle_bn);
    CHECK(v->lr == 0.06 && v->queue == 512);
    CHECK(!strstr(reasons, "batch-size 128 ("));
    resolve(&c, 1215, parts);
    CHECK(v->bn_splits == 1 && !v->shuffle_bn);
    resolve(&c, 40, both);
    CHECK(v->batch == 32 && v->queue == 64);
    resolve(&c, 5000, all);
    CHECK(v->batch == 16 && v->queue == 4096 && v->lr == 0.5 && v->bn_splits == 8 && !reasons[0]);
    resolve(&c, 5000, demo);
    CHECK(v->batch == 512 && v->queue == 4096 && v->lr == 0.06 && v->bn_splits == 8 && !reasons[0]);
}

/* The rate follows optimiser and batch, with the reason; a flag's and a preset's stay. */
static void test_rate(void)
{
    static const struct {
        const char *flags[7];
        double lr;
        const char *reason;
    } cases[] = {
        { { "batch-size", "512" }, 0.06, NULL },
        { { "batch-size", "64" }, 0.06, "lr 0.06 (0.03 for a batch of 256, that of 512" },
        { { "batch-size", "1024" }, 0.12, "lr 0.12 (0.03 for a batch of 256)" },
        { { "batch-size", "512", "optimizer", "adamw" }, 3e-4, "lr 0.0003 (1.5e-4 for a batch" },
        { { "batch-size", "64", "optimizer", "lars" }, 0.075, "lr 0.075 (0.3 for a batch" },
        { { "batch-size", "64", "lr", "0.4" }, 0.4, NULL },
        { { "optimizer", "adamw", "lr", "0.06" }, 0.06, NULL },
        { { "preset", "instdisc-cifar", "batch-size", "64" }, 0.03, NULL },
    };
    struct config c;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        resolve(&c, 5000, cases[i].flags);
        CHECK_MSG(fabs(c.value.lr - cases[i].lr) < 1e-12, "case %zu: lr %g", i, c.value.lr);
        CHECK_MSG(cases[i].reason ? strstr(c.reasons, cases[i].reason) != NULL
                                  : !strstr(c.reasons, "lr "), "case %zu: %s", i, c.reasons);
    }
}

/* Notices of views: three channels that may be no colours, numbers that jitter cuts. */
static void count_notice(void *user, const char *sentence)
{
    int *seen = user;
    seen[0] += strstr(sentence, "taken for colours") != NULL;
    seen[1] += strstr(sentence, "100 % of the numbers of ") != NULL;
}

static float shown; /* every number of an image */

static int read_shown(const struct source *source, size_t index, struct image *out)
{
    (void)index;
    int rc = image_resize(out, source->channels, source->height, source->width);
    for (int i = 0; !rc && i < source->channels * source->height * source->width; i++)
        out->pixels[i] = shown;
    return rc;
}

/* Three channels of a detector look like colours to nobody but the defaults, and kelvin are no
 * brightness. */
static void test_measurements(void)
{
    static const struct {
        enum source_dtype dtype;
        const char *name, *text;
        float value;
        int colours, cut;
    } cases[] = {
        { DTYPE_U16, "flip", "0", 0.5f, 1, 0 },
        { DTYPE_U8, "flip", "0", 0.5f, 0, 0 },
        { DTYPE_F32, "jitter", "0", 280.0f, 1, 0 },
        { DTYPE_F32, "per-channel", "on", 1.0f, 0, 0 },
        { DTYPE_F32, "per-channel", "on", 280.0f, 0, 1 },
        { DTYPE_F32, "per-channel", "on", 1.02f, 0, 0 }, /* what resampling may leave */
        { DTYPE_I16, "flip", "0", -5.0f, 1, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct source source = { .count = 9, .channels = 3, .height = 16, .width = 16,
                                 .dtype = cases[i].dtype, .read = read_shown };
        struct config c;
        int seen[2] = { 0 };
        struct train_hooks hooks = { .user = seen, .notice = count_notice };
        shown = cases[i].value;
        config_default(&c);
        CHECK(sets(&c, "mean", "0.5", FROM_FLAG) && sets(&c, "std", "0.5", FROM_FLAG));
        CHECK(sets(&c, cases[i].name, cases[i].text, FROM_FLAG));
        CHECK_MSG(views_resolve(&c, &source, &hooks) == MOCO_OK, "%s", error_text());
        CHECK_MSG(seen[0] == cases[i].colours && seen[1] == cases[i].cut,
                  "case %zu: %d and %d notices", i, seen[0], seen[1]);
    }
}

int main(void)
{
    test_sizes();
    test_sizes_given();
    test_rate();
    test_measurements();
    return check_summary("resolve");
}
