/* test_bad: runs on folders in which files can not be read: one without a header, one that is cut
 * off. Each is warned about once and replaced by an image that depends on seed, epoch and index, so
 * neither the number of workers nor a stop and a resumption changes a byte; more than --max-bad of
 * them end the run in its first epoch; kNN and statistics are made without them. */
#define _GNU_SOURCE
#include "engine/run/train.h"
#include "simd/simd.h"
#include "tests/files.h"

enum { CLASSES = 2, EACH = 24, IMAGES = CLASSES * EACH, SIDE = 8, STEPS = IMAGES / 16 };
enum { HEADLESS = 5, CUT = 30 }; /* which are bad */

static struct moco_simd simd;

static void image_name(char *out, size_t size, int i)
{
    snprintf(out, size, "set/%c/%02d.%s", 'a' + i / EACH, i, i == CUT ? "tga" : "ppm");
}

/* A TGA in runs: the header and half of the pixels. */
static void put_cut(const char *name)
{
    const unsigned char bytes[] = { 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, SIDE, 0, SIDE, 0, 24, 0,
                                    0x80 + 31, 9, 9, 9 };
    put(name, bytes, sizeof bytes);
}

static void put_image(int i)
{
    char name[64];
    unsigned char bytes[11 + 3 * SIDE * SIDE] = "P6\n8 8\n255\n";
    image_name(name, sizeof name, i);
    for (int p = 0; p < 3 * SIDE * SIDE; p++)
        bytes[11 + p] = (unsigned char)(i * 37 + p * (i % 5 + 1) + 100 * (i / EACH));
    put(name, bytes, i == HEADLESS ? 4 : sizeof bytes);
    if (i == CUT)
        put_cut(name);
}

/* ---- runs ---- */

struct record {
    int steps, stop_after;
    int shrink, changed;           /* image 0 becomes smaller after the first step; notices of it */
    int warned[2], epochs, ends, knn; /* notices about each file, the epochs, the run, kNN */
};

static void notice(void *user, const char *sentence)
{
    struct record *r = user;
    int single = strstr(sentence, "others take its place") != NULL;
    r->warned[0] += single && strstr(sentence, "a/05.ppm");
    r->warned[1] += single && strstr(sentence, "b/30.tga");
    r->changed += single && strstr(sentence, "a/00.ppm is not what it was") != NULL;
    r->epochs += !strncmp(sentence, "epoch ", 6) && strstr(sentence, ": 2 of 48 images could not");
    r->ends += strstr(sentence, "images could not be read: a/05.ppm, b/30.tga") != NULL;
    r->knn += strstr(sentence, "kNN is without them") != NULL;
}

static void progress(void *user, const struct train_progress *p)
{
    struct record *r = user;
    r->steps += !p->epoch_done;
    if (r->shrink && r->steps == 1)
        put("set/a/00.ppm", "P6\n1 1\n255\nabc", 14);
}

static int stop(void *user)
{
    const struct record *r = user;
    return r->stop_after && r->steps == r->stop_after;
}

static const char *queue = "16", *fill_first = "0"; /* of the runs that follow */

static int train(struct record *r, const char *out, const char *workers, const char *max_bad)
{
    const char *const settings[][2] = {
        { "width", "8" }, { "side", "8" }, { "batch-size", "16" }, { "moco-k", queue },
        { "fill-first", fill_first },
        { "moco-dim", "16" }, { "bn-splits", "2" }, { "epochs", "3" }, { "knn-every", "1" },
        { "threads", "1" }, { "workers", workers }, { "max-bad", max_bad }, { "out", at(out) },
        { "resume", "1" }, { "seed", "4" },
    };
    struct config config;
    struct train_hooks hooks = { .user = r, .progress = progress, .notice = notice, .stop = stop };
    config_default(&config);
    snprintf(config.value.data, sizeof config.value.data, "%s", at("set"));
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK_MSG(config_set(&config, settings[i][0], settings[i][1], FROM_FLAG) == MOCO_OK,
                  "%s", error_text());
    return train_run(&config, &simd, &hooks);
}

static void same(const char *run)
{
    static const char *const files[] = { "weights.safetensors", "checkpoint.safetensors" };
    char name[128];
    for (int i = 0; i < 2; i++) {
        unsigned char *a, *b = NULL;
        snprintf(name, sizeof name, "whole/%s", files[i]);
        size_t size = get(&a, name);
        snprintf(name, sizeof name, "%s/%s", run, files[i]);
        CHECK_MSG(size > 0 && get(&b, name) == size && !memcmp(a, b, size), "%s differs", name);
        free(a), free(b);
    }
}

static void test_run(void)
{
    struct record r = { 0 };
    CHECK_MSG(train(&r, "whole", "0", "0.05") == MOCO_OK, "%s", error_text());
    CHECK(r.steps == 3 * STEPS);
    CHECK_MSG(r.warned[0] == 1 && r.warned[1] == 1, "%d and %d warnings", r.warned[0],
              r.warned[1]);
    CHECK_MSG(r.epochs == 3 && r.ends == 1 && r.knn == 1, "%d epochs, %d ends, %d of kNN",
              r.epochs, r.ends, r.knn);
    r = (struct record){ 0 };
    CHECK(train(&r, "workers", "3", "0.05") == MOCO_OK);
    same("workers");
    for (int after = 1; after < 3 * STEPS; after += 4) {
        char run[32];
        snprintf(run, sizeof run, "stopped-%d", after);
        r = (struct record){ .stop_after = after };
        CHECK(train(&r, run, "2", "0.05") == TRAIN_INTERRUPTED);
        r.stop_after = 0;
        CHECK(train(&r, run, "1", "0.05") == MOCO_OK);
        same(run);
    }
}

/* The count of the epoch goes on where it was interrupted. */
static void test_limit(void)
{
    static const char sentence[] = "2 of 48 images in one epoch could not be read, more than "
                                   "--max-bad 0.03 allows; the last: ";
    struct record r = { 0 };
    CHECK(train(&r, "none", "2", "0") == MOCO_EFORMAT && r.steps < STEPS);
    CHECK_MSG(!strncmp(error_text(), "1 of 48 images", 14), "%s", error_text());
    r = (struct record){ 0 };
    CHECK(train(&r, "limit", "0", "0.03") == MOCO_EFORMAT);
    CHECK_MSG(!strncmp(error_text(), sentence, strlen(sentence)), "%s", error_text());
    int last = r.steps;
    CHECK_MSG(last > 0 && last < STEPS, "stopped after %d steps", last);
    r = (struct record){ .stop_after = last };
    CHECK(train(&r, "again", "2", "0.03") == TRAIN_INTERRUPTED);
    r.stop_after = 0;
    CHECK(train(&r, "again", "2", "0.03") == MOCO_EFORMAT && r.steps == last);
    CHECK_MSG(!strncmp(error_text(), sentence, strlen(sentence)), "%s", error_text());
}

/* Filling a queue that is longer than the set meets the bad images several times; no epoch does. */
static void test_fill(void)
{
    struct record r = { 0 };
    queue = "120", fill_first = "1";
    CHECK_MSG(train(&r, "filled", "0", "0.05") == MOCO_OK, "%s", error_text());
    CHECK(r.warned[0] == 1 && r.warned[1] == 1);
    CHECK_MSG(r.epochs == 3, "%d epochs with two bad images", r.epochs);
    CHECK(train(&r, "unfilled", "0", "0.03") == MOCO_EFORMAT);
    queue = "16", fill_first = "0";
}

/* A file that went bad after the start neither stops a resumed run nor moves its normalisation. */
static void test_later(void)
{
    struct record r = { .stop_after = 1 };
    CHECK(train(&r, "later", "0", "0.5") == TRAIN_INTERRUPTED);
    put("set/a/00.ppm", "gone", 4);
    r.stop_after = 0;
    CHECK_MSG(train(&r, "later", "0", "0.5") == MOCO_OK, "%s", error_text());
    put_image(0);
}

/* A file that becomes a smaller image during a run is replaced as one that became unreadable. */
static void test_smaller(void)
{
    struct record r = { .shrink = 1 };
    CHECK_MSG(train(&r, "smaller", "0", "0.5") == MOCO_OK, "%s", error_text());
    CHECK_MSG(r.changed == 1, "%d notices of a file that changed", r.changed);
    put_image(0);
}

static void test_statistics(void)
{
    float mean[3], std[3], less[3], less_std[3];
    struct source *source = must_open(at("set"));
    CHECK(source && source->count == IMAGES);
    CHECK(source && source_statistics(source, mean, std, IMAGES) == MOCO_OK);
    source_close(&source);
    remove(at("set/a/05.ppm")), remove(at("set/b/30.tga"));
    source = must_open(at("set"));
    CHECK(source && source->count == IMAGES - 2 && !source->note[0]);
    CHECK(source && source_statistics(source, less, less_std, IMAGES) == MOCO_OK);
    for (int c = 0; c < 3; c++) /* places are rounded, so an image may be asked for twice */
        CHECK(fabsf(mean[c] - less[c]) < 0.02f && fabsf(std[c] - less_std[c]) < 0.02f);
    source_close(&source);
}

int main(void)
{
    if (files_begin() || moco_simd_init(&simd, NULL))
        return 1;
    mkdir(at("set"), 0777), mkdir(at("set/a"), 0777), mkdir(at("set/b"), 0777);
    for (int i = 0; i < IMAGES; i++)
        put_image(i);
    test_run();
    test_limit();
    test_fill();
    test_later();
    test_smaller();
    test_statistics();
    files_end();
    return check_summary("bad");
}
