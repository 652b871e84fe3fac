/* pack_write.c: from any source to a packed file; see pack.h.
 *
 * Threads read, scale and convert images side by side; each appends its own in the order of the
 * source, so the file does not depend on their number. Where reading fails the image is left out,
 * its sentence kept; where writing fails all ends. */
#define _GNU_SOURCE
#include "engine/data/pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/base/replace.h"
#include "engine/data/raw.h"
#include "engine/data/shrink.h"

struct writer {
    const struct source *source;
    const struct pack_options *options;
    struct pack_report *report;
    struct replace file;
    uint64_t at;           /* bytes written */
    unsigned char *index;  /* (source->count, PACK_ENTRY) */
    char *texts;
    size_t texts_size, texts_room;
    size_t done;           /* images tried */
    int rc;                /* of the first failure that is no image's */
    char sentence[1024];   /* about it */
};

/* What a thread works with. */
struct hand {
    struct image image;
    struct shrink shrink;
    const struct image *result; /* one of the two */
    enum source_dtype dtype;
    unsigned char *numbers;
    size_t size, room;
    uint32_t sum;
    int rc;
};

/* ---- an image ---- */

static enum source_dtype dtype_of(const struct image *image, enum source_dtype data)
{
    static const enum source_dtype tried[][2] = {
        [DTYPE_U8] = { DTYPE_U8, DTYPE_U8 },    [DTYPE_U16] = { DTYPE_U8, DTYPE_U16 },
        [DTYPE_I16] = { DTYPE_I16, DTYPE_I16 }, [DTYPE_F16] = { DTYPE_F16, DTYPE_F16 },
        [DTYPE_F32] = { DTYPE_F32, DTYPE_F32 }, [DTYPE_F64] = { DTYPE_F32, DTYPE_F32 },
    };
    size_t n = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
    for (int i = 0; i < 2; i++)
        if (pack_holds(image->pixels, n, tried[data][i]))
            return tried[data][i];
    return DTYPE_F32;
}

static int convert(struct hand *hand)
{
    const struct image *image = hand->result;
    size_t n = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
    size_t size = n * raw_size(hand->dtype);
    if (size > hand->room) {
        free(hand->numbers);
        hand->numbers = malloc(size);
        hand->room = hand->numbers ? size : 0;
        if (!hand->numbers)
            return error_memory("an image to be packed", size);
    }
    hand->size = size;
    pack_numbers(hand->numbers, image->pixels, n, hand->dtype);
    hand->sum = (uint32_t)crc32_z(0, hand->numbers, size);
    return MOCO_OK;
}

static void prepare(struct hand *hand, const struct writer *w, size_t i)
{
    const struct source *source = w->source;
    hand->result = &hand->image;
    hand->rc = source->read(source, i, &hand->image);
    if (hand->rc == MOCO_OK && hand->image.channels != source->channels)
        hand->rc = error_set(MOCO_EFORMAT, "%s: image %zu has %d channels, not %d", source->where,
                             i, hand->image.channels, source->channels);
    if (hand->rc != MOCO_OK)
        return;
    hand->dtype = dtype_of(&hand->image, source->dtype);
    if (shrink_due(&hand->image, w->options->side)) {
        hand->rc = shrink_image(&hand->shrink, &hand->image, w->options->side);
        hand->result = &hand->shrink.image;
    }
    if (hand->rc == MOCO_OK)
        hand->rc = convert(hand);
}

static void release(struct hand *hand)
{
    image_close(&hand->image);
    shrink_close(&hand->shrink);
    free(hand->numbers);
}

/* ---- the file ---- */

static int write_bytes(struct writer *w, const void *bytes, size_t size)
{
    int rc = replace_write(&w->file, bytes, size);
    w->at += size;
    return rc;
}

static int pad(struct writer *w)
{
    static const unsigned char zeros[PACK_ALIGN];
    return write_bytes(w, zeros, (size_t)(-w->at & (PACK_ALIGN - 1)));
}

/* *place: where the text begins. */
static int add_text(struct writer *w, uint32_t *place, const char *text)
{
    size_t size = strlen(text) + 1;
    if (w->texts_size + size > w->texts_room) {
        size_t room = 2 * (w->texts_size + size);
        char *texts = realloc(w->texts, room);
        if (!texts)
            return error_memory("the names of images", room);
        w->texts = texts;
        w->texts_room = room;
    }
    if (w->texts_size + size > UINT32_MAX - 1)
        return error_set(MOCO_EARG, "the names of images would take more than 4 GiB");
    *place = (uint32_t)w->texts_size;
    memcpy(w->texts + w->texts_size, text, size);
    w->texts_size += size;
    return MOCO_OK;
}

static int append(struct writer *w, const struct hand *hand, size_t i)
{
    const struct source *source = w->source;
    const char *name = source->name ? source->name(source, i) : NULL;
    unsigned char *entry = w->index + w->report->written * PACK_ENTRY;
    uint32_t place = pack_no_name;
    int rc = pad(w);
    if (rc == MOCO_OK && name)
        rc = add_text(w, &place, name);
    raw_put(entry, w->at, 8);
    raw_put(entry + 8, (uint64_t)hand->result->height, 4);
    raw_put(entry + 12, (uint64_t)hand->result->width, 4);
    raw_put(entry + 16, (uint64_t)(int64_t)source_label(source, i), 4);
    raw_put(entry + 20, hand->sum, 4);
    raw_put(entry + 24, place, 4);
    raw_put(entry + 28, (uint64_t)hand->dtype, 4);
    if (rc == MOCO_OK)
        rc = write_bytes(w, hand->numbers, hand->size);
    w->report->written++;
    w->report->scaled += hand->result != &hand->image;
    return rc;
}

/* A sentence on an unreadable image; a failure when there are too many of them. */
static int leave_out(struct writer *w)
{
    struct pack_report *report = w->report;
    double bad = (double)(report->bad + 1), count = (double)w->source->count;
    if (report->bad < PACK_NAMED)
        snprintf(report->sentence[report->bad], PACK_SENTENCE, "%.399s", error_text());
    report->bad++;
    if (100 * bad <= w->options->max_bad * count)
        return MOCO_OK;
    return error_set(MOCO_EFORMAT, "%zu of the first %zu images cannot be read, more than --max-bad "
                     "%g %% of all %zu; the first: %s", report->bad, w->done, w->options->max_bad,
                     w->source->count, report->sentence[0]);
}

/* In the order of the source, one thread at a time. */
static void take(struct writer *w, const struct hand *hand, size_t i)
{
    int rc = w->rc;
    if (rc != MOCO_OK)
        return;
    w->done = i + 1;
    if (hand->rc == MOCO_ENOMEM)
        rc = hand->rc;
    else
        rc = hand->rc == MOCO_OK ? append(w, hand, i) : leave_out(w);
    if (rc != MOCO_OK)
        snprintf(w->sentence, sizeof w->sentence, "%s", error_text());
    __atomic_store_n(&w->rc, rc, __ATOMIC_RELAXED);
    if (rc == MOCO_OK && w->options->progress)
        w->options->progress(w->options->user, w->done, w->source->count);
}

static int write_images(struct writer *w)
{
#pragma omp parallel
    {
        struct hand hand = { 0 };
#pragma omp for ordered schedule(dynamic)
        for (size_t i = 0; i < w->source->count; i++) {
            if (__atomic_load_n(&w->rc, __ATOMIC_RELAXED) == MOCO_OK)
                prepare(&hand, w, i);
#pragma omp ordered
            take(w, &hand, i);
        }
        release(&hand);
    }
    if (w->rc == MOCO_OK && w->report->written == 0)
        return error_set(MOCO_EFORMAT, "%s: no image can be read; the first: %s", w->source->where,
                         w->report->sentence[0]);
    return w->rc == MOCO_OK ? MOCO_OK : error_set(w->rc, "%s", w->sentence);
}

static void fill_header(unsigned char *header, const struct writer *w, uint64_t index)
{
    const struct source *source = w->source;
    uint64_t bytes = w->report->written * PACK_ENTRY;
    uLong sum = crc32_z(0, w->index, bytes);
    if (w->texts_size) /* zlib takes no text at NULL for the start of a new sum */
        sum = crc32_z(sum, (unsigned char *)w->texts, w->texts_size);
    memcpy(header, PACK_MAGIC, PACK_MAGIC_SIZE);
    raw_put(header + 8, PACK_VERSION, 4);
    raw_put(header + 16, w->at, 8);
    raw_put(header + 24, w->report->written, 8);
    raw_put(header + 32, index, 8);
    raw_put(header + 40, index + bytes, 8);
    raw_put(header + 48, w->texts_size, 8);
    raw_put(header + 56, sum, 4);
    raw_put(header + 60, (uint64_t)source->channels, 4);
    raw_put(header + 64, (uint64_t)source->dtype, 4);
    raw_put(header + 68, (uint64_t)source->classes, 4);
    raw_put(header + 72, source->class_names ? (uint64_t)source->classes : 0, 4);
    raw_put(header + 76, (uint64_t)w->options->side, 4);
    raw_put(header + 12, crc32_z(0, header, PACK_HEADER), 4);
}

static int write_end(struct writer *w)
{
    unsigned char header[PACK_HEADER] = { 0 };
    int rc = pad(w);
    uint64_t index = w->at;
    if (rc == MOCO_OK)
        rc = write_bytes(w, w->index, w->report->written * PACK_ENTRY);
    if (rc == MOCO_OK)
        rc = write_bytes(w, w->texts, w->texts_size);
    if (rc != MOCO_OK)
        return rc;
    fill_header(header, w, index);
    w->report->bytes = w->at;
    if (fseek(w->file.file, 0, SEEK_SET) != 0)
        return error_set(MOCO_EIO, "writing %s: %s", w->file.part, strerror(errno));
    rc = replace_write(&w->file, header, sizeof header);
    return rc == MOCO_OK ? replace_commit(&w->file) : rc;
}

static int write_all(struct writer *w)
{
    static const unsigned char zeros[PACK_HEADER];
    uint32_t place;
    int rc = write_bytes(w, zeros, sizeof zeros);
    w->index = malloc(w->source->count * PACK_ENTRY);
    if (!w->index)
        return error_memory("the index of a packed file", w->source->count * PACK_ENTRY);
    for (int c = 0; rc == MOCO_OK && w->source->class_names && c < w->source->classes; c++)
        rc = add_text(w, &place, w->source->class_names[c]);
    if (rc == MOCO_OK)
        rc = write_images(w);
    return rc == MOCO_OK ? write_end(w) : rc;
}

/* What is there must be a packed file. */
static int may_replace(const char *path)
{
    char head[PACK_MAGIC_SIZE] = { 0 };
    struct stat info;
    if (stat(path, &info) != 0)
        return errno == ENOENT ? MOCO_OK : error_set(MOCO_EIO, "writing %s: %s", path,
                                                     strerror(errno));
    FILE *file = S_ISREG(info.st_mode) ? fopen(path, "rb") : NULL;
    size_t got = file ? fread(head, 1, sizeof head, file) : 0;
    if (file)
        fclose(file);
    if (got == sizeof head && !memcmp(head, PACK_MAGIC, sizeof head))
        return MOCO_OK;
    return error_set(MOCO_EIO, "%s exists and is no packed file, so it is not replaced; give "
                     "another name or remove it", path);
}

int pack_write(struct pack_report *report, const char *path, const struct source *source,
               const struct pack_options *options)
{
    struct writer w = { .source = source, .options = options, .report = report };
    *report = (struct pack_report){ 0 };
    int rc = may_replace(path);
    if (rc == MOCO_OK)
        rc = replace_open(&w.file, path);
    if (rc != MOCO_OK)
        return rc;
    rc = write_all(&w);
    replace_abort(&w.file); /* does nothing to a file that is in its place */
    free(w.index);
    free(w.texts);
    return rc;
}
