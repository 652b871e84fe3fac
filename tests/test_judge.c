/* test_judge: evaluation during a run can not spoil it. A run that is stopped in any of its
 * evaluations has saved what was to be judged and, resumed, ends like one that was left alone; an
 * evaluation that fails leaves an empty cell and the run goes on; what can be known of the sets is
 * refused before the first step; a checkpoint that is asked for is taken and the run goes on. */
#define _GNU_SOURCE /* files.h */
#include "engine/run/train.h"

#include <math.h>

#include "engine/run/log.h"
#include "engine/run/saved/safetensors.h"
#include "simd/simd.h"
#include "tests/files.h"

typedef const char *const pairs[][2];

enum { EPOCHS = 3, STEPS = 3 };

static struct moco_simd simd;
static struct plot {
    int waits, stop_at;    /* calls of waiting(); where to stop, 0: nowhere */
    int steps, save_at;    /* the same of steps and a checkpoint on the way */
    int remove_after;      /* steps after which the test set is gone */
    int stopped, saved;    /* saved: a checkpoint stood on the disk one step later */
    char said[4000];
} plot;

static void progress(void *user, const struct train_progress *p)
{
    (void)user;
    if (p->epoch_done)
        return;
    plot.steps++;
    if (plot.save_at && plot.steps == plot.save_at + 1)
        plot.saved = access(at("saves/checkpoint.safetensors"), F_OK) == 0;
    if (plot.remove_after && plot.steps == plot.remove_after)
        CHECK(rename(at("test"), at("away")) == 0);
}

static void waiting(void *user, const char *what, const char *unit, size_t done, size_t count)
{
    (void)user;
    CHECK_MSG(what[0] && unit[0] && done < count, "%s: %zu of %zu", what, done, count);
    if (++plot.waits == plot.stop_at)
        plot.stopped = 1;
}

static int stop(void *user)
{
    (void)user;
    if (plot.stopped)
        return TRAIN_STOP;
    return plot.save_at && plot.steps == plot.save_at ? TRAIN_SAVE : TRAIN_GO;
}

static void notice(void *user, const char *sentence)
{
    size_t used = strlen(plot.said);
    (void)user;
    snprintf(plot.said + used, sizeof plot.said - used, "%s\n", sentence);
}

static int train(const char *out, const char *data, const struct plot *how, pairs more)
{
    static pairs usual = {
        { "width", "8" }, { "side", "8" }, { "batch-size", "16" }, { "moco-k", "16" },
        { "moco-dim", "16" }, { "bn-splits", "1" }, { "epochs", "3" }, { "threads", "1" },
        { "workers", "1" }, { "knn-every", "1" }, { "knn-k", "5" }, { "resume", "1" },
        { NULL, NULL },
    };
    struct config config;
    const struct train_hooks hooks = { .progress = progress, .stop = stop, .waiting = waiting,
                                       .notice = notice };
    plot = *how;
    config_default(&config);
    snprintf(config.value.data, sizeof config.value.data, "%s", data);
    for (int i = 0; usual[i][0]; i++)
        CHECK(!config_set(&config, usual[i][0], usual[i][1], FROM_FILE));
    for (int i = 0; more[i][0]; i++)
        CHECK_MSG(!config_set(&config, more[i][0], more[i][1], FROM_FLAG), "%s", error_text());
    CHECK(!config_set(&config, "out", at(out), FROM_FLAG));
    return train_run(&config, &simd, &hooks);
}

#define DATA "synthetic:n=48,classes=4,side=8,seed=3"
static const struct plot alone;
static pairs none = { { NULL, NULL } };

static void same_file(const char *a, const char *b, int wait)
{
    unsigned char *x, *y;
    size_t n = get(&x, a), m = get(&y, b);
    CHECK_MSG(n > 0 && n == m && !memcmp(x, y, n), "%s differs after a stop at %d", b, wait);
    free(x);
    free(y);
}

/* All but times and rates, which are the clock's. */
static void same_rows(const char *a, const char *b)
{
    struct log_row *x = NULL, *y = NULL;
    size_t n = 0, m = 0;
    CHECK(!log_read(&x, &n, at(a)) && !log_read(&y, &m, at(b)));
    CHECK_MSG(n == m && n == EPOCHS + 1, "%zu and %zu rows", n, m);
    for (size_t i = 0; i < n && i < m; i++)
        CHECK(x[i].epoch == y[i].epoch && x[i].step == y[i].step && x[i].knn == y[i].knn &&
              !memcmp(&x[i].loss, &y[i].loss, sizeof x[i].loss) && !isnan(y[i].knn));
    free(x);
    free(y);
}

static uint64_t step_of(const char *name)
{
    struct st_file *file;
    uint64_t step = 0;
    if (safetensors_open(&file, at(name)))
        return 0;
    const char *text = safetensors_meta(file, "step");
    step = text ? strtoull(text, NULL, 10) : 0;
    safetensors_close(&file);
    return step;
}

/* Stopped in each piece of each evaluation, of epoch 0 too. */
static void test_stops(void)
{
    CHECK(train("whole", DATA, &alone, none) == MOCO_OK);
    int waits = plot.waits;
    CHECK_MSG(waits >= 3 * (EPOCHS + 1), "%d pieces of evaluations", waits);
    for (int wait = 1; wait <= waits; wait += 3) {
        char log[40], checkpoint[60], weights[60], out[20];
        snprintf(out, sizeof out, "stopped-%d", wait);
        snprintf(log, sizeof log, "%s/log.csv", out);
        snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.safetensors", out);
        snprintf(weights, sizeof weights, "%s/weights.safetensors", out);
        CHECK(train(out, DATA, &(struct plot){ .stop_at = wait }, none) == TRAIN_INTERRUPTED);
        CHECK_MSG(step_of(checkpoint) == (uint64_t)plot.steps, "%d steps, saved %llu", plot.steps,
                  (unsigned long long)step_of(checkpoint));
        CHECK_MSG(train(out, DATA, &alone, none) == MOCO_OK, "%s", error_text());
        same_file("whole/checkpoint.safetensors", checkpoint, wait);
        same_file("whole/weights.safetensors", weights, wait);
        same_rows("whole/log.csv", log);
    }
}

/* Filling is no step: there is nothing to save, and a run that begins anew is the same. */
static void test_fill(void)
{
    static pairs fill = { { "fill-first", "1" }, { "knn-every", "0" }, { NULL, NULL } };
    CHECK(train("filled", DATA, &alone, fill) == MOCO_OK);
    CHECK(train("fills", DATA, &(struct plot){ .stop_at = 1 }, fill) == TRAIN_INTERRUPTED);
    CHECK(plot.steps == 0 && access(at("fills/checkpoint.safetensors"), F_OK));
    CHECK(train("fills", DATA, &alone, fill) == MOCO_OK);
    same_file("filled/weights.safetensors", "fills/weights.safetensors", 1);
}

static void test_save(void)
{
    CHECK(train("saves", DATA, &(struct plot){ .save_at = 2 }, none) == MOCO_OK);
    CHECK_MSG(plot.saved && strstr(plot.said, "step 2 is saved"), "%s", plot.said);
    same_file("whole/checkpoint.safetensors", "saves/checkpoint.safetensors", 0);
}

/* ---- sets that fail ---- */

/* Two class folders of PPMs. */
static void put_set(const char *name)
{
    char path[60];
    mkdir(at(name), 0777);
    for (int i = 0; i < 12; i++) {
        unsigned char bytes[16 + 8 * 8 * 3];
        size_t n = (size_t)snprintf((char *)bytes, 16, "P6\n8 8\n255\n");
        const char *class = i % 2 ? "square" : "disc"; /* as the generated ones are called */
        snprintf(path, sizeof path, "%s/%s", name, class);
        mkdir(at(path), 0777);
        snprintf(path, sizeof path, "%s/%s/%d.ppm", name, class, i);
        for (int j = 0; j < 64 * 3; j++)
            bytes[n++] = (unsigned char)(i % 2 * 100 + i + j % 7);
        put(path, bytes, n);
    }
}

static void test_gone(void)
{
    char test[300];
    snprintf(test, sizeof test, "folder:%s", at("test"));
    pairs sets = { { "knn-train", DATA }, { "knn-test", test }, { NULL, NULL } };
    put_set("test");
    CHECK_MSG(train("gone", DATA, &(struct plot){ .remove_after = STEPS + 1 }, sets) == MOCO_OK,
              "%s", error_text());
    CHECK_MSG(strstr(plot.said, "no kNN of epoch 2") && strstr(plot.said, "no kNN of epoch 3"),
              "%s", plot.said);
    CHECK(access(at("gone/weights.safetensors"), F_OK) == 0);
    struct log_row *rows;
    size_t n;
    CHECK(!log_read(&rows, &n, at("gone/log.csv")) && n == EPOCHS + 1);
    for (size_t i = 0; i < n; i++)
        CHECK_MSG(isnan(rows[i].knn) == (i > 1), "row %zu: kNN %g", i, rows[i].knn);
    free(rows);
    CHECK(rename(at("away"), at("test")) == 0);
}

/* x: (10, channels, 8, 8), with labels. */
static void refused(const float *x, int channels, const char *part)
{
    char test[700], shape[40];
    const int64_t labels[10] = { 0, 1, 0, 1, 0, 1, 0, 1, 0, 1 };
    snprintf(shape, sizeof shape, "10, %d, 8, 8", channels);
    snprintf(test, sizeof test, "npy:%s,%s", at("x.npy"), at("y.npy"));
    pairs sets = { { "knn-train", DATA }, { "knn-test", test }, { NULL, NULL } };
    put_npy("x.npy", "<f4", shape, x, (size_t)(10 * channels * 64) * sizeof *x);
    put_npy("y.npy", "<i8", "10", labels, sizeof labels);
    CHECK(train("refused", DATA, &alone, sets) < 0 && plot.steps == 0);
    CHECK_MSG(strstr(error_text(), part), "no '%s' in '%s'", part, error_text());
    CHECK_MSG(access(at("refused"), F_OK) != 0, "a folder is made for a run that is refused");
}

static void test_refused(void)
{
    static float x[10 * 3 * 64];
    refused(x, 2, "channels");
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = i % 64 == 3 ? NAN : 0.5f;
    refused(x, 3, "tried can be read");
}

int main(void)
{
    if (files_begin() || moco_simd_init(&simd, NULL))
        return 1;
    test_stops();
    test_fill();
    test_save();
    test_gone();
    test_refused();
    files_end();
    return check_summary("judge");
}
