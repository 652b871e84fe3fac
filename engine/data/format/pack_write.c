/* pack_write.c: from any source to a packed file; see pack.h.
 *
 * Threads read, scale and convert a block of images; then these are written in the order of the
 * source, so the file does not depend on the number of threads. Where reading fails the image is
 * left out, and others of its sample with it, its sentence kept; where writing fails all ends. */
#define _GNU_SOURCE
#include "engine/data/format/pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/base/replace.h"
#include "engine/data/format/raw.h"
#include "engine/data/view/shrink.h"

struct writer {
    const struct source *source;
    const struct pack_options *options;
    struct pack_report *report;
    struct replace file;
    uint64_t at;           /* bytes written */
    unsigned char *index;  /* (source->count, PACK_ENTRY) */
    char *texts;
    size_t texts_size, texts_room;
    int gaps; /* some number is missing */
};

/* An image on its way from a thread to the file. */
struct slot {
    int rc;
    char sentence[PACK_SENTENCE]; /* when rc says so */
    int height, width, scaled;
    enum source_dtype dtype;
    unsigned char *numbers; /* owned */
    size_t size, room;
    uint32_t sum;
    uint32_t gaps; /* of the entry's type: what is missing */
};

/* What a thread works with. */
struct hand {
    struct image image;
    struct shrink shrink;
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
        if (pack_holds(image->pixels, n, tried[data][i], image->missing != 0))
            return tried[data][i];
    return DTYPE_F32;
}

/* Numbers in the place of those that are missing, in a wider type where all are taken. */
static int convert_gaps(struct slot *slot, const struct image *image, size_t n)
{
    uint32_t number = 0;
    int integers = slot->dtype <= DTYPE_I16;
    if (integers && !pack_gaps(slot->numbers, &number, image->pixels, n, slot->dtype)) {
        slot->dtype = DTYPE_F32;
        return 0;
    }
    slot->gaps = PACK_GAPS | number << 16;
    return 1;
}

static int convert(struct slot *slot, const struct image *image)
{
    size_t n = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
    slot->size = n * raw_size(slot->dtype);
    if (slot->size > slot->room) {
        free(slot->numbers);
        slot->numbers = malloc(slot->size);
        slot->room = slot->numbers ? slot->size : 0;
        if (!slot->numbers)
            return error_memory("an image to be packed", slot->size);
    }
    slot->height = image->height;
    slot->width = image->width;
    pack_numbers(slot->numbers, image->pixels, n, slot->dtype);
    slot->gaps = 0;
    if (image->missing && !convert_gaps(slot, image, n))
        return convert(slot, image);
    slot->sum = (uint32_t)crc32_z(0, slot->numbers, slot->size);
    return MOCO_OK;
}

static int fill(struct slot *slot, struct hand *hand, const struct writer *w, size_t i)
{
    const struct source *source = w->source;
    int rc = source->read(source, i, &hand->image);
    if (rc == MOCO_OK && hand->image.channels != source->channels)
        rc = error_set(MOCO_EFORMAT, "%s: image %zu has %d channels, not %d", source->where, i,
                       hand->image.channels, source->channels);
    if (rc != MOCO_OK)
        return rc;
    slot->dtype = dtype_of(&hand->image, source->dtype);
    slot->scaled = shrink_due(&hand->image, w->options->side);
    if (slot->scaled)
        rc = shrink_image(&hand->shrink, &hand->image, w->options->side, w->options->simd);
    if (rc == MOCO_OK)
        rc = convert(slot, slot->scaled ? &hand->shrink.image : &hand->image);
    return rc;
}

static void fill_block(struct slot *slots, const struct writer *w, size_t first, size_t count)
{
#pragma omp parallel
    {
        struct hand hand = { 0 };
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < count; i++) {
            slots[i].rc = fill(&slots[i], &hand, w, first + i);
            if (slots[i].rc != MOCO_OK)
                snprintf(slots[i].sentence, PACK_SENTENCE, "%.399s", error_text());
        }
        image_close(&hand.image);
        shrink_close(&hand.shrink);
    }
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

static int append(struct writer *w, const struct slot *slot, size_t i)
{
    const struct source *source = w->source;
    const char *name = source->name ? source->name(source, i) : NULL;
    unsigned char *entry = w->index + w->report->written * PACK_ENTRY;
    uint32_t place = pack_no_name;
    int rc = pad(w);
    if (rc == MOCO_OK && name)
        rc = add_text(w, &place, name);
    raw_put(entry, w->at, 8);
    raw_put(entry + 8, (uint64_t)slot->height, 4);
    raw_put(entry + 12, (uint64_t)slot->width, 4);
    raw_put(entry + 16, (uint64_t)(int64_t)source_label(source, i), 4);
    raw_put(entry + 20, slot->sum, 4);
    raw_put(entry + 24, place, 4);
    raw_put(entry + 28, (uint64_t)slot->dtype | slot->gaps, 4);
    w->gaps |= slot->gaps != 0;
    if (rc == MOCO_OK)
        rc = write_bytes(w, slot->numbers, slot->size);
    w->report->written++;
    w->report->scaled += (size_t)slot->scaled;
    return rc;
}

/* A sentence on a sample with an unreadable image; a failure when there are too many of them. */
static int leave_out(struct writer *w, const struct slot *slot, size_t sample)
{
    struct pack_report *report = w->report;
    size_t samples = source_samples(w->source);
    double bad = (double)(report->bad + 1), count = (double)samples;
    if (source_is_short(slot->rc))
        return error_set(slot->rc, "%s", slot->sentence);
    if (report->bad < PACK_NAMED)
        memcpy(report->sentence[report->bad], slot->sentence, PACK_SENTENCE);
    report->bad++;
    if (bad <= w->options->max_bad * count)
        return MOCO_OK;
    return error_set(MOCO_EFORMAT, "%zu of the first %zu %s cannot be read, more than --max-bad %g "
                     "allows of all %zu; the first: %s", report->bad, sample + 1,
                     source_views(w->source) > 1 ? "samples" : "images", w->options->max_bad,
                     samples, report->sentence[0]);
}

/* slots: those of the images of the sample. */
static int take_sample(struct writer *w, const struct slot *slots, size_t sample)
{
    size_t T = source_views(w->source);
    int rc = MOCO_OK;
    for (size_t t = 0; t < T; t++)
        if (slots[t].rc != MOCO_OK)
            return leave_out(w, &slots[t], sample);
    for (size_t t = 0; rc == MOCO_OK && t < T; t++)
        rc = append(w, &slots[t], sample * T + t);
    return rc;
}

/* block: a multiple of the images of a sample. */
static int write_images(struct writer *w, struct slot *slots, size_t block)
{
    const struct pack_options *options = w->options;
    size_t count = w->source->count, T = source_views(w->source);
    int rc = MOCO_OK;
    for (size_t i = 0; rc == MOCO_OK && i < count; i += T) {
        if (i % block == 0)
            fill_block(slots, w, i, count - i < block ? count - i : block);
        rc = take_sample(w, &slots[i % block], i / T);
        if (rc == MOCO_OK && options->progress)
            options->progress(options->user, i + T, count);
    }
    if (rc == MOCO_OK && w->report->written == 0)
        return error_set(MOCO_EFORMAT, "%s: no image can be read; the first: %s", w->source->where,
                         w->report->sentence[0]);
    return rc;
}

/* As many samples at a time as lie in some 64 MiB, or one. */
static int write_blocks(struct writer *w)
{
    enum { BLOCK_MIN = 4, BLOCK_MAX = 256, BLOCK_BYTES = 64 << 20 };
    size_t block = BLOCK_BYTES / (source_reader_bytes(w->source) + 1);
    block = block < BLOCK_MIN ? BLOCK_MIN : block > BLOCK_MAX ? BLOCK_MAX : block;
    size_t T = source_views(w->source);
    block = block > T ? block / T * T : T;
    struct slot *slots = calloc(block, sizeof *slots);
    if (!slots)
        return error_memory("images to be packed", block * sizeof *slots);
    int rc = write_images(w, slots, block);
    for (size_t i = 0; i < block; i++)
        free(slots[i].numbers);
    free(slots);
    return rc;
}

static void fill_header(unsigned char *header, const struct writer *w, uint64_t index)
{
    const struct source *source = w->source;
    uint64_t bytes = w->report->written * PACK_ENTRY;
    uLong sum = crc32_z(0, w->index, bytes);
    if (w->texts_size) /* zlib takes no text at NULL for the start of a new sum */
        sum = crc32_z(sum, (unsigned char *)w->texts, w->texts_size);
    memcpy(header, PACK_MAGIC, PACK_MAGIC_SIZE);
    raw_put(header + 8, w->gaps ? PACK_VERSION : 1, 4);
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
    raw_put(header + 80, source_views(source), 4);
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
    rc = replace_rewind(&w->file);
    if (rc == MOCO_OK)
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
        rc = write_blocks(w);
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
