/* events.c: see events.h.
 *
 * A TFRecord is the length (u64), a checksum of it, the bytes, a checksum of them; numbers are
 * little-endian, checksums are CRC-32C, turned and shifted by a constant so that sums of sums stay
 * apart. The bytes are a protocol buffer (event.proto and summary.proto of TensorFlow):
 *   Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
 *   Summary { repeated Value value = 1; }   Value { string tag = 1; float simple_value = 2; } */
#include "engine/run/events.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/again.h"
#include "engine/base/error.h"

enum { HEAD = 12, SUM = 4, RECORD_MAX = 1 << 16 };

/* A field's number and how it is written: key = 8 number + wire type. */
enum { VARINT = 0, EIGHT_BYTES = 1, LENGTH = 2, FOUR_BYTES = 5 };
enum { WALL_TIME = 1, STEP = 2, FILE_VERSION = 3, SUMMARY = 5, VALUE = 1, TAG = 1, SIMPLE = 2 };

struct bytes {
    unsigned char at[1024];
    size_t size;
};

static int failed(const struct events *events, const char *verb)
{
    return error_set(MOCO_EIO, "%s %s: %s", verb, events->path, strerror(errno));
}

/* ---- bytes ---- */

static void put_little(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_little(const unsigned char *from, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

/* CRC-32C (Castagnoli), bit by bit: a record is a few hundred bytes an epoch. */
static uint32_t checksum(const unsigned char *data, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void add_varint(struct bytes *b, uint64_t value)
{
    for (; value > 127; value >>= 7)
        b->at[b->size++] = (unsigned char)(value | 128);
    b->at[b->size++] = (unsigned char)value;
}

static void add_key(struct bytes *b, int field, int wire)
{
    b->at[b->size++] = (unsigned char)(field << 3 | wire);
}

static void add_bytes(struct bytes *b, int field, const void *data, size_t size)
{
    add_key(b, field, LENGTH);
    add_varint(b, size);
    memcpy(b->at + b->size, data, size);
    b->size += size;
}

static void add_double(struct bytes *b, int field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    add_key(b, field, EIGHT_BYTES);
    put_little(b->at + b->size, bits, 8);
    b->size += 8;
}

/* A scalar of a summary; none for NAN. */
static void add_value(struct bytes *summary, const char *tag, double value)
{
    struct bytes b = { .size = 0 };
    float number = (float)value;
    uint32_t bits;
    if (isnan(value))
        return;
    memcpy(&bits, &number, sizeof bits);
    add_bytes(&b, TAG, tag, strlen(tag));
    add_key(&b, SIMPLE, FOUR_BYTES);
    put_little(b.at + b.size, bits, 4);
    b.size += 4;
    add_bytes(summary, VALUE, b.at, b.size);
}

/* ---- records ---- */

static int append(struct events *events, const struct bytes *event)
{
    unsigned char record[HEAD + sizeof event->at + SUM];
    size_t size = HEAD + event->size + SUM;
    put_little(record, event->size, 8);
    put_little(record + 8, checksum(record, 8), SUM);
    memcpy(record + HEAD, event->at, event->size);
    put_little(record + HEAD + event->size, checksum(event->at, event->size), SUM);
    return write_again(events->fd, record, size) ? failed(events, "writing") : MOCO_OK;
}

/* The length of the whole record at `place`; 0 when there is none. */
static off_t record_length(const struct events *events, off_t place)
{
    static const size_t ends = SUM;
    unsigned char head[HEAD], data[RECORD_MAX + SUM];
    if (pread(events->fd, head, HEAD, place) != HEAD ||
        get_little(head + 8, SUM) != checksum(head, 8))
        return 0;
    uint64_t size = get_little(head, 8);
    if (size > RECORD_MAX ||
        pread(events->fd, data, size + ends, place + HEAD) != (ssize_t)(size + ends) ||
        get_little(data + size, SUM) != checksum(data, size))
        return 0;
    return (off_t)(HEAD + size + ends);
}

/* The first record names the version and is no event of ours. */
static int begin(struct events *events, double time)
{
    static const char version[] = "brain.Event:2";
    struct bytes event = { .size = 0 };
    add_double(&event, WALL_TIME, time);
    add_bytes(&event, FILE_VERSION, version, strlen(version));
    return append(events, &event);
}

int events_open(struct events *events, const char *path, size_t keep)
{
    off_t place = 0, length = 1;
    snprintf(events->path, sizeof events->path, "%s", path);
    events->fd = open_again(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (events->fd < 0)
        return failed(events, "opening");
    for (size_t i = 0; i <= keep && keep && length; i++) {
        length = record_length(events, place);
        place += length;
    }
    if (!ftruncate_again(events->fd, place))
        return MOCO_OK;
    int rc = failed(events, "cutting");
    events_close(events);
    return rc;
}

int events_append(struct events *events, const struct log_row *row, double time)
{
    const struct {
        const char *tag;
        double value;
    } values[] = {
        { "train/loss", row->loss }, { "train/guess", row->ln_k1 }, { "train/top1", row->top1 },
        { "train/lr", row->lr }, { "train/queue_fill", row->queue_fill },
        { "speed/images_per_s", row->img_s }, { "speed/data_s", row->data_s },
        { "speed/compute_s", row->compute_s }, { "test/knn", row->knn },
        { "test/accuracy", row->accuracy },
    };
    struct bytes event = { .size = 0 }, summary = { .size = 0 };
    int rc = lseek(events->fd, 0, SEEK_END) ? MOCO_OK : begin(events, time);
    add_double(&event, WALL_TIME, time);
    add_key(&event, STEP, VARINT);
    add_varint(&event, row->step);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        add_value(&summary, values[i].tag, values[i].value);
    add_bytes(&event, SUMMARY, summary.at, summary.size);
    return rc ? rc : append(events, &event);
}

void events_close(struct events *events)
{
    if (events->fd >= 0)
        close(events->fd);
    events->fd = -1;
}
