/* test_events.c: what TensorBoard reads. The file is taken apart by a reader of its own, whose
 * checksums come from a table and are held to the published check value; a file that is opened
 * again keeps as many events as it is told to, and none behind a damaged one; a run that was
 * stopped and resumed has an event for each row of its log. */
#define _GNU_SOURCE /* files.h */
#include "engine/run/events.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/train.h"
#include "tests/check.h"
#include "tests/files.h"

static struct moco_simd simd;

/* ---- a reader ---- */

enum { EVENTS = 16, VALUES = 12 };

struct event {
    double time;
    unsigned long step;
    int values;
    char tags[VALUES][32];
    float numbers[VALUES];
};

static struct event events[EVENTS];
static char version[32];

static uint32_t crc32c(const unsigned char *data, size_t size)
{
    static uint32_t table[256];
    uint32_t crc = 0xffffffffu;
    for (uint32_t i = 0; i < 256 && !table[255]; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78u : table[i] >> 1;
    }
    for (size_t i = 0; i < size; i++)
        crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    return crc ^ 0xffffffffu;
}

static int sum_fits(const unsigned char *data, size_t size, const unsigned char *sum)
{
    uint32_t wanted, crc = crc32c(data, size);
    memcpy(&wanted, sum, sizeof wanted);
    wanted -= 0xa282ead8u;
    return (wanted >> 17 | wanted << 15) == crc;
}

static unsigned long varint(const unsigned char **at)
{
    unsigned long value = 0;
    int shift = 0;
    for (; **at & 128; (*at)++, shift += 7)
        value |= (unsigned long)(**at & 127) << shift;
    return value | (unsigned long)*(*at)++ << shift;
}

static void read_value(struct event *e, const unsigned char *at, const unsigned char *end)
{
    int i = e->values++;
    CHECK(i < VALUES && *at == 0x0a);
    at++;
    size_t length = varint(&at);
    snprintf(e->tags[i], sizeof e->tags[i], "%.*s", (int)length, (const char *)at);
    at += length;
    CHECK(*at == 0x15 && end - at == 5);
    memcpy(&e->numbers[i], at + 1, 4);
}

static void read_event(struct event *e, const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        int key = *at++;
        size_t length;
        switch (key) {
        case 0x09:
            memcpy(&e->time, at, 8);
            at += 8;
            break;
        case 0x10:
            e->step = varint(&at);
            break;
        case 0x1a:
            length = varint(&at);
            snprintf(version, sizeof version, "%.*s", (int)length, (const char *)at);
            at += length;
            break;
        case 0x2a: /* of the summary only its length; its values have a key each */
            length = varint(&at);
            CHECK(at + length == end);
            break;
        case 0x0a:
            length = varint(&at);
            read_value(e, at, at + length);
            at += length;
            break;
        default:
            CHECK_MSG(0, "key %#x", (unsigned)key);
            return;
        }
    }
}

/* Into `events`; how many there are, that of the version left out. -1: a record is no record. */
static int read_file(const char *name)
{
    unsigned char *bytes;
    size_t size = get(&bytes, name), place = 0;
    int n = 0;
    memset(events, 0, sizeof events);
    version[0] = '\0';
    while (place < size && n <= EVENTS) {
        uint64_t length;
        memcpy(&length, bytes + place, 8);
        if (place + 16 + length > size || !sum_fits(bytes + place, 8, bytes + place + 8) ||
            !sum_fits(bytes + place + 12, length, bytes + place + 12 + length))
            break;
        read_event(&events[n > 0 ? n - 1 : 0], bytes + place + 12, bytes + place + 12 + length);
        place += 16 + length;
        n++;
    }
    free(bytes);
    return place == size ? n - (n > 0) : -1;
}

static float number_of(const struct event *e, const char *tag)
{
    for (int i = 0; i < e->values; i++)
        if (!strcmp(e->tags[i], tag))
            return e->numbers[i];
    return NAN;
}

/* ---- one file ---- */

static const struct log_row rows[3] = {
    { 0, 0, NAN, 5.5, NAN, NAN, NAN, NAN, NAN, 0, 12.5, NAN },
    { 1, 300, 4.25, 5.5, 0.125, 0.03, 512, 1, 3, 1, NAN, NAN },
    { 2, 70000000000, 3.5, 5.5, 0.25, 0.015, 256, 2, 5, 1, 50, 75 },
};

static void write_rows(size_t keep, int first, int count)
{
    struct events e;
    CHECK_MSG(!events_open(&e, at("tfevents"), keep), "%s", error_text());
    for (int i = first; i < first + count; i++)
        CHECK_MSG(!events_append(&e, &rows[i], 1000.5 + i), "%s", error_text());
    events_close(&e);
    events_close(&e);
}

static void content(void)
{
    CHECK(crc32c((const unsigned char *)"123456789", 9) == 0xe3069283u);
    write_rows(0, 0, 3);
    CHECK(read_file("tfevents") == 3 && !strcmp(version, "brain.Event:2"));
    CHECK(events[0].step == 0 && events[0].values == 3 && events[0].time == 1000.5);
    CHECK(number_of(&events[0], "test/knn") == 12.5f);
    CHECK(number_of(&events[0], "train/guess") == 5.5f);
    CHECK(events[1].step == 300 && events[1].values == 8 && events[1].time == 1001.5);
    CHECK(number_of(&events[1], "train/loss") == 4.25f);
    CHECK(number_of(&events[1], "train/lr") == 0.03f);
    CHECK(number_of(&events[1], "train/top1") == 0.125f);
    CHECK(isnan(number_of(&events[1], "test/knn")));
    CHECK(number_of(&events[1], "speed/images_per_s") == 512);
    CHECK(number_of(&events[1], "speed/data_s") == 1);
    CHECK(number_of(&events[1], "speed/compute_s") == 3);
    CHECK(events[2].step == 70000000000 && events[2].values == 10);
    CHECK(number_of(&events[2], "test/accuracy") == 75);
    CHECK(number_of(&events[2], "test/knn") == 50);
    CHECK(number_of(&events[2], "train/queue_fill") == 1);
}

static void kept(void)
{
    unsigned char *bytes;
    write_rows(2, 2, 1);
    CHECK(read_file("tfevents") == 3 && events[1].step == 300 && events[2].step == 70000000000);
    write_rows(1, 2, 1);
    CHECK(read_file("tfevents") == 2 && events[1].step == 70000000000);
    write_rows(9, 1, 1);
    CHECK(read_file("tfevents") == 3 && events[2].step == 300);
    size_t size = get(&bytes, "tfevents");
    put("tfevents", bytes, size - 3);
    write_rows(3, 0, 0);
    CHECK_MSG(read_file("tfevents") == 2, "%d events", read_file("tfevents"));
    bytes[60] ^= 4; /* in the first event */
    put("tfevents", bytes, size);
    write_rows(3, 1, 1);
    CHECK(read_file("tfevents") == 1 && events[0].step == 300);
    free(bytes);
    write_rows(0, 0, 1);
    CHECK(read_file("tfevents") == 1 && events[0].step == 0);
    struct events e;
    CHECK(events_open(&e, at("none/tfevents"), 0) == MOCO_EIO && strstr(error_text(), "none/"));
}

/* ---- a run ---- */

static int stop_at, steps;

static void progress(void *user, const struct train_progress *p)
{
    (void)user;
    steps += !p->epoch_done;
}

static int stop(void *user)
{
    (void)user;
    return steps == stop_at;
}

static int train(int after, const char *resume)
{
    static const char *const settings[][2] = {
        { "width", "8" }, { "side", "16" }, { "batch-size", "16" }, { "moco-k", "64" },
        { "moco-dim", "16" }, { "bn-splits", "1" }, { "epochs", "3" }, { "knn-every", "1" },
        { "checkpoint-every", "4" },
    };
    const struct train_hooks hooks = { .progress = progress, .stop = stop };
    struct config config;
    config_default(&config);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK(!config_set(&config, settings[i][0], settings[i][1], FROM_FLAG));
    snprintf(config.value.data, sizeof config.value.data, "%s", "synthetic:n=64,side=16");
    CHECK(!config_set(&config, "out", at("run"), FROM_FLAG));
    CHECK(!config_set(&config, "resume", resume, FROM_FLAG));
    stop_at = after, steps = 0;
    return train_run(&config, &simd, &hooks);
}

static void resumed(void)
{
    static const unsigned long wanted[] = { 0, 4, 8, 12 };
    CHECK_MSG(train(6, "0") == TRAIN_INTERRUPTED, "%s", error_text());
    CHECK(read_file("run/" EVENTS_FILE) == 2);
    CHECK_MSG(train(2, "1") == TRAIN_INTERRUPTED, "%s", error_text()); /* the epoch is full */
    CHECK_MSG(train(-1, "1") == MOCO_OK, "%s", error_text());
    CHECK(read_file("run/" EVENTS_FILE) == 4);
    for (int i = 0; i < 4; i++)
        CHECK_MSG(events[i].step == wanted[i], "event %d: step %lu", i, events[i].step);
    for (int i = 1; i < 4; i++)
        CHECK(events[i].time >= events[i - 1].time && number_of(&events[i], "train/loss") > 0);
}

int main(void)
{
    omp_set_num_threads(1);
    if (moco_simd_init(&simd, NULL) || files_begin())
        return 1;
    content();
    kept();
    resumed();
    files_end();
    return check_summary("events");
}
