/* test_state: what lies beside a checkpoint and does not belong to it any more: rows of log.csv
 * that were deleted or cut, images that are others under the same names. It is told, and the run
 * goes on. */
#define _GNU_SOURCE /* files.h */
#include <fcntl.h>

#include "engine/data/digest.h"
#include "engine/run/events.h"
#include "engine/run/log.h"
#include "engine/run/train.h"
#include "simd/simd.h"
#include "tests/files.h"

enum { EPOCHS = 8, STEPS = 2 };

static struct moco_simd simd;
static char said[4000];
static int steps, stop_after;

static void progress(void *user, const struct train_progress *p)
{
    (void)user;
    steps += !p->epoch_done;
}

static int stop(void *user)
{
    (void)user;
    return stop_after && steps >= stop_after ? TRAIN_STOP : TRAIN_GO;
}

static void notice(void *user, const char *sentence)
{
    size_t used = strlen(said);
    (void)user;
    snprintf(said + used, sizeof said - used, "%s\n", sentence);
}

/* Trains on a folder until so many steps are made; 0: to the end. */
static int train(const char *out, int after)
{
    static const char *const usual[][2] = {
        { "width", "4" }, { "side", "8" }, { "batch-size", "8" }, { "moco-k", "8" },
        { "moco-dim", "8" }, { "bn-splits", "1" }, { "epochs", "8" }, { "threads", "1" },
        { "workers", "1" }, { "resume", "1" },
    };
    const struct train_hooks hooks = { .progress = progress, .stop = stop, .notice = notice };
    struct config config;
    config_default(&config);
    snprintf(config.value.data, sizeof config.value.data, "folder:%s", at("set"));
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        CHECK(!config_set(&config, usual[i][0], usual[i][1], FROM_FILE));
    CHECK(!config_set(&config, "out", at(out), FROM_FLAG));
    said[0] = '\0';
    steps = 0;
    stop_after = after;
    int rc = train_run(&config, &simd, &hooks);
    CHECK_MSG(rc == (after ? TRAIN_INTERRUPTED : MOCO_OK), "code %d: %s", rc, error_text());
    return rc;
}

static void put_image(const char *name, int level)
{
    unsigned char bytes[11 + 8 * 8 * 3];
    memcpy(bytes, "P6\n8 8\n255\n", 11);
    for (int j = 0; j < 8 * 8 * 3; j++)
        bytes[11 + j] = (unsigned char)(level + j % 7);
    put(name, bytes, sizeof bytes);
}

static void put_set(void)
{
    char name[40];
    mkdir(at("set"), 0777);
    mkdir(at("set/a"), 0777);
    mkdir(at("set/b"), 0777);
    for (int i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "set/%c/%d.ppm", "ab"[i % 2], i);
        put_image(name, 10 * i);
    }
}

/* part NULL: nothing but what the data are. */
static void tells(const char *part)
{
    static const char usual[] = "16 images, 2 classes, 3 channels\n";
    CHECK_MSG(part ? strstr(said, part) != NULL : !strcmp(said, usual), "no '%s' in '%s'",
              part ? part : "", said);
}

/* ---- log.csv ---- */

/* The epochs of a log's rows, "1 2 3", whose lines must all be whole. */
static void rows_are(const char *out, const char *wanted)
{
    char name[60], found[200] = "", header[200];
    struct log_row *rows;
    size_t count, lines = 0;
    snprintf(name, sizeof name, "%s/log.csv", out);
    CHECK(!log_read(&rows, &count, at(name)));
    for (size_t i = 0; i < count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%d", i ? " " : "",
                 rows[i].epoch);
    free(rows);
    CHECK_MSG(!strcmp(found, wanted), "rows of epochs %s, not %s", found, wanted);
    FILE *file = fopen(at(name), "r");
    CHECK(file && fgets(header, sizeof header, file) && !strncmp(header, "epoch,step,", 11));
    for (int c; file && (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    if (file)
        fclose(file);
    CHECK_MSG(lines == count, "%zu lines, %zu rows", lines, count);
}

static void cut_log(const char *out, size_t keep)
{
    char name[60];
    unsigned char *bytes;
    snprintf(name, sizeof name, "%s/log.csv", out);
    size_t size = get(&bytes, name);
    CHECK(size > keep);
    put(name, bytes, keep);
    free(bytes);
}

/* Where the row of an epoch begins. */
static size_t row_at(const char *out, int epoch)
{
    char name[60], begin[20];
    unsigned char *bytes;
    snprintf(name, sizeof name, "%s/log.csv", out);
    snprintf(begin, sizeof begin, "\n%d,", epoch);
    size_t size = get(&bytes, name);
    char *found = memmem(bytes, size, begin, strlen(begin));
    CHECK(found);
    size_t place = found ? (size_t)(found + 1 - (char *)bytes) : 0;
    free(bytes);
    return place;
}

static void test_log(void)
{
    train("kept", 3 * STEPS + 1);
    tells("kept has no checkpoint: the run starts afresh");
    train("kept", 0);
    tells(NULL);
    rows_are("kept", "1 2 3 4 5 6 7 8");

    train("deleted", 3 * STEPS + 1);
    CHECK(remove(at("deleted/log.csv")) == 0);
    train("deleted", 0);
    tells("has no row of epochs 1-3, which the run has done");
    rows_are("deleted", "4 5 6 7 8");

    /* Inside the row of epoch 3, which goes, and at the end of that of epoch 2. */
    train("cut", 3 * STEPS + 1);
    cut_log("cut", row_at("cut", 3) + 20);
    train("cut", 2 * STEPS);
    tells("no row of epoch 3, which");
    cut_log("cut", row_at("cut", 2) - 1);
    train("cut", 0);
    tells("no row of epochs 1-5, which");
    rows_are("cut", "6 7 8");
    train("cut", 0);
    tells("no row of epochs 1-5, which");
}

/* ---- other images ---- */

static struct digest files_now(void)
{
    struct digest digest = { "", "", "", "" };
    struct source *source = must_open(spec_of("folder", "set", ""));
    if (source)
        digest_files(&digest, source);
    source_close(&source);
    return digest;
}

static void differs(const struct digest *then, const char *wanted)
{
    struct digest now = files_now();
    const char *what = digest_difference(then, &now);
    CHECK_MSG(wanted ? what && strstr(what, wanted) : !what, "%s, not %s", what ? what : "nothing",
              wanted ? wanted : "nothing");
}

static void set_time(const char *name, long seconds)
{
    const struct timespec times[2] = { { seconds, 5 }, { seconds, 5 } };
    CHECK(utimensat(AT_FDCWD, at(name), times, 0) == 0);
}

static void test_files(void)
{
    struct digest then = files_now(), none = { "", "", "", "" };
    differs(&then, NULL);
    differs(&none, NULL);
    set_time("set/a/2.ppm", 1000);
    differs(&then, "times");
    then = files_now();
    set_time("set/a/2.ppm", 1001);
    differs(&then, "times");
    set_time("set/a/2.ppm", 1000);
    differs(&then, NULL);
    CHECK(rename(at("set/a/2.ppm"), at("set/a/20.ppm")) == 0);
    differs(&then, "names");
    CHECK(rename(at("set/a/20.ppm"), at("set/b/2.ppm")) == 0);
    differs(&then, "names");
    CHECK(rename(at("set/b/2.ppm"), at("set/a/2.ppm")) == 0);
    FILE *file = fopen(at("set/a/2.ppm"), "ab");
    CHECK(file && fputc('\n', file) == '\n' && fclose(file) == 0);
    set_time("set/a/2.ppm", 1000);
    differs(&then, "sizes");
}

/* Two files of arrays. */
static void test_arrays(void)
{
    struct digest a, b;
    const float x[4 * 4] = { 0 };
    const int64_t y[4] = { 0, 1, 0, 1 }, z[4] = { 0, 1, 1, 1 };
    char spec[700];
    put_npy("x.npy", "<f4", "4, 2, 2", x, sizeof x);
    put_npy("y.npy", "<i8", "4", y, sizeof y);
    snprintf(spec, sizeof spec, "npy:%s,%s", at("x.npy"), at("y.npy"));
    struct source *source = must_open(spec);
    digest_files(&a, source);
    set_time("y.npy", 1000);
    digest_files(&b, source);
    CHECK(digest_difference(&a, &b) && !strcmp(digest_difference(&a, &b), "times"));
    set_time("x.npy", 1000);
    digest_files(&a, source);
    CHECK(digest_difference(&b, &a) && !strcmp(digest_difference(&b, &a), "times"));
    source_close(&source);
    put_npy("y.npy", "<i8", "4", z, sizeof z);
    source = must_open(spec);
    digest_files(&b, source);
    CHECK(digest_difference(&a, &b) && strstr(digest_difference(&a, &b), "labels"));
    source_close(&source);
}

static void test_other(void)
{
    train("other", 3);
    put_image("set/b/3.ppm", 77);
    set_time("set/b/3.ppm", 5000);
    train("other", 3);
    tells("other times than those on which the run in");
    CHECK(rename(at("set/b/3.ppm"), at("set/b/33.ppm")) == 0);
    train("other", 0);
    tells("their names, labels or number differ");
}

int main(void)
{
    if (files_begin() || moco_simd_init(&simd, NULL))
        return 1;
    put_set();
    test_log();
    test_files();
    test_arrays();
    test_other();
    files_end();
    return check_summary("state");
}
