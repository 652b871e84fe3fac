/* source_packed.c: reading what pack_write.c writes, mapped; pack.h has the layout.
 *
 * Numbers go straight from the mapped pages to floats, of a part only its rows. An image's checksum
 * is taken when it is first read, by whichever thread comes first; a byte an image remembers it.
 * Places, sizes, types, labels and names are checked on opening, whatever the checksums say. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/data/format/nodata.h"
#include "engine/data/format/pack.h"
#include "engine/data/format/raw.h"

struct packed {
    struct mapping file;
    const unsigned char *index; /* (count, PACK_ENTRY) */
    const char *texts;
    uint64_t texts_size;
    unsigned char *sound; /* (count) 1: the checksum was right; written by several threads */
};

/* An entry of the index. */
struct entry {
    uint64_t at;
    uint32_t height, width, sum, name, dtype;
    int32_t label;
    uint32_t gaps; /* PACK_GAPS and the number above it, 0: none */
};

static struct entry entry_of(const struct packed *state, size_t i)
{
    const unsigned char *e = state->index + i * PACK_ENTRY;
    return (struct entry){ .at = raw_get(e, 8), .height = (uint32_t)raw_get(e + 8, 4),
                           .width = (uint32_t)raw_get(e + 12, 4),
                           .label = (int32_t)(uint32_t)raw_get(e + 16, 4),
                           .sum = (uint32_t)raw_get(e + 20, 4),
                           .name = (uint32_t)raw_get(e + 24, 4),
                           .dtype = (uint32_t)raw_get(e + 28, 1),
                           .gaps = (uint32_t)raw_get(e + 28, 4) & ~(uint32_t)0xff };
}

static size_t bytes_of(const struct source *source, const struct entry *entry)
{
    return (size_t)source->channels * entry->height * entry->width *
           raw_size((enum source_dtype)entry->dtype);
}

/* ---- reading ---- */

static struct nodata nodata_of(const struct entry *entry)
{
    struct nodata nodata = { .n = 0 };
    uint32_t number = entry->gaps >> 16;
    if (entry->gaps && entry->dtype > DTYPE_I16)
        nodata_add(&nodata, NAN, (enum source_dtype)entry->dtype);
    else if (entry->gaps)
        nodata_add(&nodata, entry->dtype == DTYPE_I16 ? (int16_t)number : (double)number,
                   (enum source_dtype)entry->dtype);
    return nodata;
}

static int check_sum(const struct source *source, const struct entry *entry, size_t index)
{
    const struct packed *state = source->state;
    if (__atomic_load_n(&state->sound[index], __ATOMIC_RELAXED))
        return MOCO_OK;
    uLong sum = crc32_z(0, state->file.bytes + entry->at, bytes_of(source, entry));
    if (sum != entry->sum)
        return error_set(MOCO_EDAMAGED, "%s: image %zu at byte %llu does not have the checksum in "
                         "the index; the file is damaged, pack it anew", source->where, index,
                         (unsigned long long)entry->at);
    __atomic_store_n(&state->sound[index], 1, __ATOMIC_RELAXED);
    return MOCO_OK;
}

static int check_part(const struct part *p, const struct entry *entry)
{
    if (p->top >= 0 && p->left >= 0 && p->height > 0 && p->width > 0 &&
        p->height <= (int)entry->height - p->top && p->width <= (int)entry->width - p->left)
        return MOCO_OK;
    return error_set(MOCO_EARG, "a part of %d x %d at (%d, %d) lies outside an image of %u x %u",
                     p->height, p->width, p->top, p->left, entry->height, entry->width);
}

static int read_part(const struct source *source, size_t index, struct image *out,
                     struct part *part)
{
    const struct packed *state = source->state;
    struct entry entry = entry_of(state, index);
    enum source_dtype dtype = (enum source_dtype)entry.dtype;
    int rc = check_part(part, &entry);
    if (rc == MOCO_OK)
        rc = check_sum(source, &entry, index);
    if (rc == MOCO_OK)
        rc = image_resize(out, source->channels, part->height, part->width);
    if (rc != MOCO_OK)
        return rc;
    part->divisor = 1;
    size_t width = (size_t)part->width, size = raw_size(dtype);
    struct nodata nodata = nodata_of(&entry);
    float *dst = out->pixels;
    for (size_t c = 0; c < (size_t)source->channels; c++)
        for (size_t y = 0; y < (size_t)part->height; y++, dst += width) {
            size_t row = c * entry.height + (size_t)part->top + y;
            size_t from = row * entry.width + (size_t)part->left;
            const unsigned char *src = state->file.bytes + entry.at + from * size;
            raw_floats(dst, src, width, 1, dtype, 0);
            out->missing += nodata_mark(dst, src, width, 1, dtype, 0, &nodata);
        }
    return MOCO_OK;
}

static int size_of(const struct source *source, size_t index, int *height, int *width)
{
    struct entry entry = entry_of(source->state, index);
    *height = (int)entry.height;
    *width = (int)entry.width;
    return MOCO_OK;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    struct part whole = { .divisor = 1 };
    size_of(source, index, &whole.height, &whole.width);
    return read_part(source, index, out, &whole);
}

static const char *name_of(const struct source *source, size_t index)
{
    const struct packed *state = source->state;
    uint32_t place = entry_of(state, index).name;
    return place == pack_no_name ? NULL : state->texts + place;
}

static void close_packed(struct source *source)
{
    struct packed *state = source->state;
    mapping_close(&state->file);
    free(state->sound);
    free(state);
}

/* ---- opening ---- */

static int damaged(const char *path, const char *what)
{
    return error_set(MOCO_EDAMAGED, "%s: %s; the file is damaged, pack it anew", path, what);
}

static int check_header(const struct mapping *file, const char *path)
{
    unsigned char header[PACK_HEADER];
    const unsigned char *h = file->bytes;
    if (file->size < PACK_MAGIC_SIZE || memcmp(h, PACK_MAGIC, PACK_MAGIC_SIZE) != 0)
        return error_set(MOCO_EFORMAT, "%s does not start like a packed file; moco data DATA "
                         "--pack FILE writes one", path);
    if (file->size < PACK_HEADER)
        return error_set(MOCO_ETRUNCATED, "%s: the header ends after %zu of %d bytes; the file is "
                         "truncated", path, file->size, PACK_HEADER);
    if (raw_get(h + 8, 4) < 1 || raw_get(h + 8, 4) > PACK_VERSION)
        return error_set(MOCO_EVERSION, "%s is a packed file of version %u; this moco reads "
                         "versions up to %d, pack it anew", path, (unsigned)raw_get(h + 8, 4),
                         PACK_VERSION);
    memcpy(header, h, sizeof header);
    memset(header + 12, 0, 4);
    if (crc32_z(0, header, sizeof header) != raw_get(h + 12, 4))
        return damaged(path, "the header does not have its checksum");
    uint64_t size = raw_get(h + 16, 8);
    if (file->size < size)
        return error_set(MOCO_ETRUNCATED, "%s: %zu bytes of the %llu that its header promises; the "
                         "file is truncated", path, file->size, (unsigned long long)size);
    return file->size == size ? MOCO_OK : damaged(path, "it goes on behind its end");
}

/* Where index and texts are, and that they are what was written. */
static int take_tables(struct source *source, const char *path)
{
    struct packed *state = source->state;
    const unsigned char *h = state->file.bytes;
    uint64_t size = state->file.size, count = raw_get(h + 24, 8), index = raw_get(h + 32, 8);
    uint64_t texts = raw_get(h + 40, 8), texts_size = raw_get(h + 48, 8);
    if (index > size || count > (size - index) / PACK_ENTRY || texts > size ||
        texts_size > size - texts)
        return damaged(path, "the index lies outside the file");
    uLong sum = crc32_z(0, h + index, count * PACK_ENTRY);
    if (crc32_z(sum, h + texts, texts_size) != raw_get(h + 56, 4))
        return damaged(path, "the index does not have its checksum");
    if (texts_size && h[texts + texts_size - 1] != '\0')
        return damaged(path, "the texts do not end");
    source->count = count;
    state->index = h + index;
    state->texts = (const char *)h + texts;
    state->texts_size = texts_size;
    return MOCO_OK;
}

static int take_kind(struct source *source, const char *path)
{
    const struct packed *state = source->state;
    const unsigned char *h = state->file.bytes;
    uint64_t channels = raw_get(h + 60, 4), dtype = raw_get(h + 64, 4);
    uint64_t classes = raw_get(h + 68, 4);
    if (channels < 1 || channels > PACK_NUMBERS_MAX || dtype > DTYPE_F64 ||
        classes > RAW_LABEL_MAX + 1)
        return damaged(path, "channels, type or number of classes cannot be");
    source->channels = (int)channels;
    source->dtype = (enum source_dtype)dtype;
    source->classes = (int)classes;
    if (raw_get(h + 8, 4) > 1)
        strcpy(source->declared, "so marked in the packed file");
    return MOCO_OK;
}

static int take_views(struct source *source, const char *path)
{
    const struct packed *state = source->state;
    uint64_t views = raw_get(state->file.bytes + 80, 4);
    if (views < 1 || views > INT_MAX || source->count % views)
        return damaged(path, "the number of images is no multiple of those of a sample");
    source->views = (int)views;
    return MOCO_OK;
}

static int check_entry(const struct source *source, const struct entry *entry)
{
    const struct packed *state = source->state;
    uint64_t most = PACK_NUMBERS_MAX / (uint64_t)source->channels, room = state->file.size;
    if (entry->height < 1 || entry->width < 1 || entry->height > most || entry->width > most ||
        (uint64_t)entry->height * entry->width > most || entry->dtype > DTYPE_F64)
        return 0;
    if (entry->at < PACK_HEADER || entry->at > room ||
        bytes_of(source, entry) > room - entry->at)
        return 0;
    if (entry->gaps && (!source->declared[0] || (entry->gaps & 0xff00) != PACK_GAPS ||
                        (entry->dtype != DTYPE_U16 && entry->dtype != DTYPE_I16 &&
                         entry->gaps >> 16 > (entry->dtype == DTYPE_U8 ? 0xff : 0))))
        return 0;
    if (entry->label < -1 || entry->label >= source->classes)
        return 0;
    return entry->name == pack_no_name || entry->name < state->texts_size;
}

static int take_index(struct source *source, const char *path)
{
    struct packed *state = source->state;
    int classes = source->classes;
    int32_t *labels = malloc(source->count * sizeof *labels + 1);
    state->sound = calloc(source->count + 1, 1);
    if (!labels || !state->sound) {
        free(labels);
        return error_memory(path, source->count * (sizeof *labels + 1));
    }
    for (size_t i = 0; i < source->count; i++) {
        struct entry e = entry_of(state, i);
        if (!check_entry(source, &e)) {
            free(labels);
            return error_set(MOCO_EDAMAGED, "%s: entry %zu of the index cannot be; the file is "
                             "damaged, pack it anew", path, i);
        }
        size_t pixels = (size_t)e.height * e.width;
        labels[i] = e.label;
        source->pixels_max = pixels > source->pixels_max ? pixels : source->pixels_max;
        source->height = i == 0 || source->height == (int)e.height ? (int)e.height : 0;
        source->width = i == 0 || source->width == (int)e.width ? (int)e.width : 0;
    }
    raw_take_labels(source, labels);
    source->classes = source->labels ? classes : 0; /* some may have lost all their images */
    return MOCO_OK;
}

static int take_class_names(struct source *source, const char *path)
{
    const struct packed *state = source->state;
    uint64_t n = raw_get(state->file.bytes + 72, 4), used = 0;
    if (n == 0 || !source->labels)
        return MOCO_OK;
    if (n != (uint64_t)source->classes || n > state->texts_size)
        return damaged(path, "the number of names is not that of classes");
    char **names = malloc(n * sizeof *names);
    if (!names)
        return error_memory("names of classes", n * sizeof *names);
    for (uint64_t i = 0; i < n && used < state->texts_size; i++) {
        names[i] = (char *)(uintptr_t)(state->texts + used);
        used += strlen(names[i]) + 1;
        n = used == state->texts_size && i + 1 < n ? 0 : n;
    }
    int rc = n ? raw_take_names(source, names, n) : damaged(path, "names of classes are missing");
    free(names);
    return rc;
}

int source_open_packed(struct source *source, const char *path)
{
    struct packed *state = source->state = calloc(1, sizeof *state);
    if (!state)
        return error_memory("a packed file", sizeof *state);
    source->close = close_packed;
    source->read = read_image;
    source->size = size_of;
    source->read_part = read_part;
    source->name = name_of;
    int rc = mapping_open(&state->file, path);
    if (rc == MOCO_OK)
        rc = check_header(&state->file, path);
    if (rc == MOCO_OK)
        rc = take_tables(source, path);
    if (rc == MOCO_OK)
        rc = take_kind(source, path);
    if (rc == MOCO_OK)
        rc = take_views(source, path);
    if (rc == MOCO_OK)
        rc = take_index(source, path);
    return rc == MOCO_OK ? take_class_names(source, path) : rc;
}
