/* test_watchdog.c: runs that go wrong, each for real, and what is said about them: a loss that
 * stays that of guessing, BatchNorm that gives keys away, collapsed features, numbers that are not
 * finite in views, weights, outputs and gradients. And runs about which nothing must be said. */
#define _GNU_SOURCE /* files.h */
#include "engine/run/watchdog.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/rng.h"
#include "engine/net/report.h"
#include "engine/run/saved/safetensors.h"
#include "tests/check.h"
#include "tests/files.h"

static struct moco_simd simd;
static char said[4096];

static void notice(void *user, const char *sentence)
{
    (void)user;
    size_t used = strlen(said);
    if (!strstr(sentence, " images, 4 classes, ")) /* what the data are, which is always told */
        snprintf(said + used, sizeof said - used, "%s\n", sentence);
}

static const struct train_hooks hooks = { .notice = notice };

/* ---- runs ---- */

typedef const char *const pairs[][2];

/* Trains into folder `out`; `more` ends with NULL. Notices are in said, the result is returned. */
static int train(const char *data, const char *out, pairs more)
{
    static pairs usual = {
        { "width", "8" }, { "side", "16" }, { "batch-size", "16" }, { "moco-k", "64" },
        { "moco-dim", "32" }, { "bn-splits", "1" }, { "cos", "0" }, { "lr", "0.02" },
        { "epochs", "2" }, { "threads", "1" }, { "workers", "1" }, { NULL, NULL },
    };
    struct config config;
    config_default(&config);
    snprintf(config.value.data, sizeof config.value.data, "%s", data);
    for (int i = 0; usual[i][0]; i++)
        config_set(&config, usual[i][0], usual[i][1], FROM_FILE);
    for (int i = 0; more[i][0]; i++)
        CHECK_MSG(!config_set(&config, more[i][0], more[i][1], FROM_FLAG), "%s", error_text());
    CHECK(!config_set(&config, "out", at(out), FROM_FLAG));
    said[0] = '\0';
    return train_run(&config, &simd, &hooks);
}

static void says(int rc, const char *part)
{
    CHECK_MSG(rc == MOCO_OK, "%s", error_text());
    CHECK_MSG(part[0] ? strstr(said, part) != NULL : !said[0], "'%s' is not in '%s'", part, said);
}

static void ends(int rc, const char *part)
{
    CHECK_MSG(rc == MOCO_EDIVERGED, "code %d", rc);
    CHECK_MSG(strstr(error_text(), part) != NULL, "'%s' is not in '%s'", part, error_text());
}

#define DATA "synthetic:n=256,classes=4,side=16,seed=1"

static void put_images(const char *name, const float *x, size_t n, size_t side)
{
    char shape[64];
    snprintf(shape, sizeof shape, "%zu, 1, %zu, %zu", n, side, side);
    put_npy(name, "<f4", shape, x, n * side * side * sizeof *x);
}

/* ---- notices ---- */

/* At a high temperature all logits are nearly equal. */
static void guessing(void)
{
    says(train(DATA, "guess", (pairs){ { "moco-t", "100" }, { "epochs", "3" }, { NULL, NULL } }),
         "after 3 epochs the loss is still at 4.17");
    CHECK(strchr(said, '\n') == strrchr(said, '\n')); /* and nothing else */
}

static pairs healthy = { { "epochs", "4" }, { "knn-every", "1" }, { "knn-k", "20" },
                         { NULL, NULL } };

/* Queries and keys share their batches and those batches' statistics, the dictionary's keys do not;
 * views are so alike that nothing else is worth learning. */
static int leak(const char *out, const char *seed)
{
    return train("synthetic:n=128,classes=4,side=16,seed=1", out, (pairs){
        { "batch-size", "8" }, { "moco-k", "16" }, { "moco-t", "0.1" }, { "jitter", "0" },
        { "grey", "0" }, { "flip", "0" }, { "crop-min", "0.95" }, { "epochs", "26" },
        { "cos", "1" }, { "knn-every", "1" }, { "knn-k", "5" }, { "seed", seed }, { NULL, NULL } });
}

/* How soon it shows hangs on the roundings of who computes the convolutions. */
static void leaks(void)
{
    says(train(DATA, "healthy", healthy), "");
    int rc = leak("leak-2", "2");
    if (!rc && !said[0])
        rc = leak("leak-3", "3");
    if (!rc && !said[0])
        rc = leak("leak-4", "4");
    says(rc, "% of the queries find their key while kNN fell from");
    const char *once = strstr(said, "BatchNorm");
    CHECK(once && !strstr(once + 1, "BatchNorm"));
}

/* Notices for made-up epochs: how often kNN fell enough while nearly all keys were found. */
static int leaks_in(const double (*epochs)[2], int n)
{
    struct watchdog dog = { 0 };
    struct step step = { .count = 0 };
    said[0] = '\0';
    for (int i = 0; i < n; i++) {
        struct train_progress p = { .epoch = 10 + i, .loss = 1.0, .ln_k1 = 5.0,
                                    .top1 = epochs[i][0], .knn = epochs[i][1] };
        watchdog_epoch(&dog, &p, &step, &hooks);
    }
    int count = 0;
    for (const char *s = said; (s = strstr(s, "while kNN fell")) != NULL; s++)
        count++;
    return count;
}

static void leak_rule(void)
{
    static const double rises[][2] = { { .9995, 30 }, { .9999, 35 }, { .9999, 34 } };
    static const double found[][2] = { { .998, 50 }, { .998, 30 }, { .99, 20 } };
    static const double falls[][2] = { { .5, 50 }, { .9995, NAN }, { .9995, 47 }, { 1, 40 } };
    CHECK(leaks_in(rises, 3) == 0);
    CHECK(leaks_in(found, 3) == 0);
    CHECK(leaks_in(falls, 2) == 0);
    CHECK(leaks_in(falls, 4) == 1);
    CHECK(strstr(said, "in epoch 12 99.95 % of the queries find their key while kNN fell from "
                       "50.00 % to 47.00 %"));
}

/* The same image 64 times, and views that leave it as it is. */
static void collapse(void)
{
    float x[64 * 256];
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = sinf((float)(i % 256));
    put_images("same.npy", x, 64, 16);
    pairs same = { { "mean", "0" }, { "std", "1" }, { "jitter", "0" }, { "flip", "0" },
                   { "crop-min", "1" }, { NULL, NULL } };
    says(train(at("same.npy"), "same", same), "after epoch 1 all images have nearly the same");
    const char *once = strstr(said, "collapsed");
    CHECK(once && !strstr(once + 1, "collapsed"));
}

/* ---- numbers that are not finite ---- */

static const struct st_tensor *saved(struct st_file **file, const char *run, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", run);
    CHECK_MSG(!safetensors_open(file, at(path)), "%s", error_text());
    return *file ? safetensors_find(*file, name) : NULL;
}

/* A learning rate under which weights grow until an output overflows; the checkpoint of the step
 * before the one that failed stays, and its weights are finite. */
static void rate(void)
{
    struct st_file *file = NULL;
    pairs fast = { { "lr", "100000" }, { "checkpoint-every", "1" }, { NULL, NULL } };
    ends(train(DATA, "rate", fast), " the query encoder, the first of all, is no longer finite");
    CHECK(strstr(error_text(), "the output of ") || strstr(error_text(), "the parameter "));
    CHECK(strstr(error_text(), "the last good checkpoint is kept in"));
    const char *at_step = strstr(error_text(), "in step ");
    long failed = at_step ? strtol(at_step + 8, NULL, 10) : 0;
    const struct st_tensor *w = saved(&file, "rate", "q.layer1.0.conv1.weight");
    CHECK_MSG(failed > 1 && file && atol(safetensors_meta(file, "step")) == failed - 1, "step %ld",
              failed);
    for (size_t i = 0; w && i < 8 * 8 * 9; i++)
        CHECK(isfinite(((const float *)w->data)[i]));
    if (file)
        safetensors_close(&file);
}

/* At this temperature the loss is a number of 38 digits, and its gradient too many. */
static void gradient(void)
{
    pairs cold = { { "moco-t", "1e-38" }, { "mlp", "1" }, { NULL, NULL } };
    ends(train(DATA, "cold", cold), "the gradient of ");
    CHECK(strstr(error_text(), "there is no checkpoint yet in"));
}

static void pixel(void)
{
    static float x[64 * 256];
    struct rng rng = rng_at(7, RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)rng_normal(&rng);
    for (size_t i = 17 * 256; i < 18 * 256; i++)
        x[i] = 3e38f; /* infinite only where the deviation divides it */
    put_images("large.npy", x, 64, 16);
    pairs given = { { "mean", "0" }, { "std", "0.1" }, { "jitter", "0" }, { NULL, NULL } };
    ends(train(at("large.npy"), "large", given), "a view of image 17, the first of all,");
}

/* ---- the layer that is named ---- */

enum { B = 8, D = 16, SIDE = 8 };

static void open_step(struct step *s, enum moco_number number, enum net_head head, int width)
{
    struct step_config config = {
        .net = { .arch = "resnet18", .stem = STEM_CIFAR, .head = head, .width = width,
                 .channels = 1, .side = SIDE, .batch = B, .dim = D, .bn_splits = 1,
                 .number = number },
        .method = { .B = B, .D = D, .K = 32, .T = 0.2f, .seed = 5 },
        .kind = &method_moco, .accumulate = 1, .optimiser = { .momentum = 0.9f }, .seed = 5,
    };
    CHECK_MSG(step_open(s, &config, &simd) == MOCO_OK, "%s", error_text());
    step_init(s);
}

/* One micro-batch on noise, with `value` in a parameter of the query or of the key encoder: the
 * cause that is named. */
static void named(enum moco_number number, enum net_head head, int key, const char *name,
                  float value, const char *cause)
{
    static float x[B * SIDE * SIDE];
    struct step s;
    struct watchdog dog = { 0 };
    struct step_input in = { .x_q = x, .x_k = x, .m = 1.0f };
    struct rng rng = rng_at(8, RNG_TEST, 0, 0);
    size_t count;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)rng_normal(&rng);
    open_step(&s, number, head, 16);
    const struct tensor *tensors = net_tensors(s.net, &count);
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; !strcmp(tensors[t].name, name) && i < tensors[t].count; i++)
            (key ? &s.k : &s.q)->params[tensors[t].offset + i] = value;
    step_begin(&s);
    CHECK(step_part(&s, &in) == MOCO_OK);
    int rc = watchdog_part(&dog, &s, &in);
    CHECK_MSG(rc == (cause[0] ? MOCO_EDIVERGED : MOCO_OK) && !strcmp(dog.cause, cause),
              "%s = %g: '%s', not '%s'", name, (double)value, dog.cause, cause);
    step_close(&s);
}

/* Nothing to find in a healthy network, padded channels included. */
static void nothing(enum moco_number number, int width)
{
    static float x[B * SIDE * SIDE];
    struct step s;
    char name[64];
    struct rng rng = rng_at(9, RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)rng_normal(&rng);
    open_step(&s, number, HEAD_FC, width);
    for (int i = 0; i < 2; i++)
        CHECK_MSG(!layer_trace(name, &s.q, s.net, s.tape_q, s.raw_q, x), "width %d: %s", width,
                  name);
    step_close(&s);
}

static void names(void)
{
    static const enum moco_number both[] = { MOCO_FP32, MOCO_BF16 };
    for (int i = 0; i < 2; i++) {
        enum moco_number n = both[i];
        nothing(n, 8);
        nothing(n, 24);
        named(n, HEAD_FC, 0, "layer1.0.conv1.weight", 0.1f, "");
        named(n, HEAD_FC, 0, "layer2.1.bn1.weight", NAN,
              "the parameter layer2.1.bn1.weight of the query encoder");
        named(n, HEAD_FC, 1, "fc.bias", INFINITY, "the parameter fc.bias of the key encoder");
        named(n, HEAD_FC, 0, "conv1.weight", 2e38f, "the output of conv1 in the query encoder");
        named(n, HEAD_FC, 0, "layer3.0.bn2.bias", 3e38f,
              "the output of layer3.1.conv1 in the query encoder");
        named(n, HEAD_FC, 1, "layer2.0.downsample.0.weight", 2e38f,
              "the output of layer2.0.downsample.0 in the key encoder");
        named(n, HEAD_FC, 0, "fc.weight", 3e38f, "the output of fc in the query encoder");
    }
    named(MOCO_FP32, HEAD_MLP, 1, "fc.0.weight", 3e38f, "the output of fc in the key encoder");
}

/* The weights are looked at before a checkpoint is written. */
static void weights(void)
{
    struct step s;
    struct watchdog dog = { 0 };
    size_t count;
    open_step(&s, MOCO_FP32, HEAD_FC, 16);
    const struct tensor *last = &net_tensors(s.net, &count)[0];
    last += count - 1;
    CHECK(watchdog_weights(&dog, &s) == MOCO_OK && !dog.cause[0]);
    s.q.params[last->offset + last->count - 1] = -INFINITY;
    CHECK(watchdog_weights(&dog, &s) == MOCO_EDIVERGED);
    CHECK_MSG(!strcmp(dog.cause, "the parameter fc.bias of the query encoder"), "%s", dog.cause);
    step_close(&s);
}

int main(void)
{
    if (moco_simd_init(&simd, NULL) || files_begin())
        return 1;
    omp_set_num_threads(1); /* layers of this size are quickest so, and sums fall in one order */
    guessing();
    leak_rule();
    leaks();
    collapse();
    rate();
    gradient();
    pixel();
    names();
    weights();
    files_end();
    return check_summary("watchdog");
}
