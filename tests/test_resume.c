/* test_resume: a run that is stopped right after any of its steps and resumed gives the bytes of
 * one that ran through, with whole batches, micro-batches, and every method. Every step of two
 * epochs is a stop, so the last step of an epoch (whose end, kNN and log row are still to come) and
 * the last of the run are among them. */
#include "engine/run/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/run/events.h"
#include "simd/simd.h"
#include "tests/check.h"

enum { EPOCHS = 2, STEPS = 3, BYTES = 1 << 24 };

static const char *const files[] = { "weights.safetensors", "checkpoint.safetensors" };
static char folder[64];
static struct moco_simd simd;
static const char *more[4][2]; /* further settings of the runs being made */
static const char *knn_every = "1";
static int may_fail;

struct stopper {
    int after, seen; /* steps of this process */
};

static void progress(void *user, const struct train_progress *p)
{
    struct stopper *s = user;
    s->seen += !p->epoch_done;
}

static int stop(void *user)
{
    const struct stopper *s = user;
    return s->after > 0 && s->seen >= s->after;
}

static int train(const char *out, int after)
{
    static const char *const settings[][2] = {
        { "width", "8" }, { "side", "8" }, { "batch-size", "16" }, { "moco-k", "16" },
        { "moco-dim", "16" }, { "bn-splits", "2" }, { "negatives", "20" }, { "moco-mlp-dim", "24" },
        { "epochs", "2" }, { "threads", "1" }, { "workers", "1" },
    };
    struct config config;
    char path[128];
    struct stopper stopper = { .after = after };
    struct train_hooks hooks = { .user = &stopper, .progress = progress, .stop = stop };
    config_default(&config);
    strcpy(config.value.data, "synthetic:n=48,classes=4,side=8,seed=3");
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK_MSG(config_set(&config, settings[i][0], settings[i][1], FROM_FLAG) == MOCO_OK,
                  "%s", error_text());
    for (size_t i = 0; i < 4 && more[i][0]; i++)
        CHECK_MSG(config_set(&config, more[i][0], more[i][1], FROM_FLAG) == MOCO_OK, "%s",
                  error_text());
    config_set(&config, "knn-every", knn_every, FROM_FLAG);
    snprintf(path, sizeof path, "%s/%s", folder, out);
    config_set(&config, "out", path, FROM_FLAG);
    config_set(&config, "resume", "1", FROM_FLAG);
    int rc = train_run(&config, &simd, &hooks);
    CHECK_MSG(rc >= 0 || may_fail, "stopped after %d: %s", after, error_text());
    return rc;
}

static size_t read_all(char *bytes, const char *run, const char *file)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s/%s", folder, run, file);
    FILE *f = fopen(path, "rb");
    size_t size = f ? fread(bytes, 1, BYTES, f) : 0;
    if (f)
        fclose(f);
    return size;
}

static void forget(const char *run)
{
    static const char *const all[] = { "weights.safetensors", "checkpoint.safetensors", "log.csv",
                                       "config.json", EVENTS_FILE };
    char path[160];
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", folder, run, all[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/%s", folder, run);
    CHECK_MSG(rmdir(path) == 0, "%s: a file is left", run);
}

static void same(const char *run, int after)
{
    char *a = malloc(BYTES), *b = malloc(BYTES);
    for (int i = 0; a && b && i < 2; i++) {
        size_t size = read_all(a, "whole", files[i]);
        CHECK(size > 0 && size < BYTES);
        CHECK_MSG(read_all(b, run, files[i]) == size && memcmp(a, b, size) == 0,
                  "%s differs after a stop at step %d", files[i], after);
    }
    free(a);
    free(b);
}

/* The rows of log.csv that belong to epochs; times differ, so only their number counts. */
static int rows(const char *run)
{
    char *bytes = calloc(BYTES + 1, 1);
    int count = 0;
    if (!bytes)
        return -1;
    read_all(bytes, run, "log.csv");
    for (char *p = bytes; (p = strchr(p, '\n')); p++)
        count++;
    free(bytes);
    return count;
}

static void test_stops(void)
{
    CHECK(train("whole", 0) == MOCO_OK);
    for (int after = 1; after <= EPOCHS * STEPS; after++) {
        CHECK(train("stopped", after) == TRAIN_INTERRUPTED);
        CHECK(train("stopped", 0) == MOCO_OK);
        same("stopped", after);
        CHECK(rows("stopped") == rows("whole"));
        forget("stopped");
    }
    for (int i = 0; i < EPOCHS * STEPS; i++)
        CHECK(train("steps", 1) == TRAIN_INTERRUPTED);
    CHECK(train("steps", 0) == MOCO_OK);
    same("steps", 1);
    forget("steps");
    forget("whole");
}

/* Every method, optimiser and kind of key encoder, stopped once in each epoch. */
static void test_methods(void)
{
    static const char *const variants[][4][2] = {
        { { "method", "memory-bank" } },
        { { "method", "memory-bank" }, { "sampled", "1" }, { "accumulate", "2" } },
        { { "method", "memory-bank" }, { "full-softmax", "1" }, { "proximal", "0.5" } },
        { { "method", "memory-bank" }, { "nce-z", "running" }, { "consistency", "0.5" } },
        { { "method", "parametric" } },
        { { "method", "margin" }, { "pairs-by-label", "1" } },
        { { "method", "moco-v3" }, { "optimizer", "lars" }, { "moco-m-cos", "1" } },
        { { "method", "end-to-end" }, { "key-encoder", "separate:resnet34" },
          { "optimizer", "adamw" } },
        { { "method", "semi-supervised" }, { "labels-fraction", "0.3" }, { "consistency", "1" } },
        { { "method", "semi-supervised" }, { "labels-fraction", "0.3" },
          { "labels-per-batch", "3" } },
        { { "method", "semi-supervised" }, { "labels-fraction", "0.01" } }, /* some batches: none */
        { { "method", "margin" }, { "pairs-by-label", "1" }, { "labels-fraction", "0.5" },
          { "labels-per-batch", "5" } },
        { { "key-encoder", "partial:layer2" }, { "fill-first", "1" }, { "symmetric", "1" },
          { "moco-k", "32" } },
        { { "key-encoder", "shared" }, { "consistency", "0.5" } },
    };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        memcpy(more, variants[i], sizeof more);
        CHECK(train("whole", 0) == MOCO_OK);
        CHECK(train("stopped", 2) == TRAIN_INTERRUPTED);
        CHECK(train("stopped", 2) == TRAIN_INTERRUPTED);
        CHECK(train("stopped", 0) == MOCO_OK);
        same("stopped", 4);
        forget("stopped");
        forget("whole");
    }
}

/* Of a finished run somebody kept weights and log: the same run is complete, another is refused;
 * neither touches them. */
static void test_weights_alone(void)
{
    char path[160], *a = malloc(BYTES), *b = malloc(BYTES);
    CHECK(train("kept", 0) == MOCO_OK);
    snprintf(path, sizeof path, "%s/kept/checkpoint.safetensors", folder);
    CHECK(unlink(path) == 0);
    size_t size = a && b ? read_all(a, "kept", "log.csv") : 0;
    may_fail = 1;
    for (int round = 0; round < 2; round++) {
        more[0][0] = "seed", more[0][1] = round ? "5" : "1";
        CHECK(train("kept", 0) == (round ? MOCO_EARG : MOCO_OK));
        CHECK(size > 0 && read_all(b, "kept", "log.csv") == size && !memcmp(a, b, size));
        CHECK(access(path, F_OK) != 0);
    }
    CHECK_MSG(strstr(error_text(), "weights.safetensors was made with seed 1"), "%s", error_text());
    may_fail = 0;
    more[0][0] = NULL;
    forget("kept");
    free(a);
    free(b);
}

int main(void)
{
    char *dir = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/moco-resume-XXXXXX", dir ? dir : "/tmp");
    if (!mkdtemp(folder) || moco_simd_init(&simd, NULL))
        return 1;
    test_stops();
    test_weights_alone();
    more[0][0] = "accumulate", more[0][1] = "4";
    test_stops();
    knn_every = "0";
    test_methods();
    CHECK(rmdir(folder) == 0);
    return check_summary("resume");
}
