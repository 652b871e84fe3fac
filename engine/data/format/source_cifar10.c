/* source_cifar10.c: CIFAR-10's binary version.
 *
 * DIR[:train|:test]: data_batch_1.bin to data_batch_9.bin (those that exist, in this order) or
 * test_batch.bin. A file is records of 3073 bytes: the label 0..9, then planes red, green, blue of
 * 32 x 32. batches.meta.txt holds a class name a line. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/data/format/raw.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, RECORD = 1 + PIXELS, FILES = 9, CLASSES = 10 };

struct cifar10 {
    struct mapping files[FILES];
    size_t used;
};

static const unsigned char *record(const struct cifar10 *state, size_t index)
{
    size_t f = 0;
    while (index >= state->files[f].size / RECORD)
        index -= state->files[f++].size / RECORD;
    return state->files[f].bytes + index * RECORD;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    int rc = image_resize(out, 3, SIDE, SIDE);
    if (rc == MOCO_OK)
        raw_floats(out->pixels, record(source->state, index) + 1, PIXELS, 1, DTYPE_U8, 0);
    return rc;
}

static void close_files(struct source *source)
{
    struct cifar10 *state = source->state;
    for (size_t i = 0; i < FILES; i++)
        mapping_close(&state->files[i]);
    free(state);
}

static int check_file(const struct mapping *file, const char *path)
{
    if (file->size == 0 || file->size % RECORD != 0)
        return error_set(MOCO_EFORMAT, "%s: %zu bytes are no multiple of %d (1 label and 3072 "
                         "pixels); the file is truncated or not CIFAR-10 binary", path, file->size,
                         RECORD);
    for (size_t at = 0; at < file->size; at += RECORD)
        if (file->bytes[at] >= CLASSES)
            return error_set(MOCO_EFORMAT, "%s: label %d at byte %zu; CIFAR-10 has 0 to 9, so the "
                             "file is damaged or of another set", path, file->bytes[at], at);
    return MOCO_OK;
}

static int add_file(struct source *source, const char *path)
{
    struct cifar10 *state = source->state;
    struct mapping *file = &state->files[state->used];
    int rc = mapping_open(file, path);
    if (rc == MOCO_OK)
        rc = check_file(file, path);
    if (rc != MOCO_OK)
        return rc;
    state->used++;
    source->count += file->size / RECORD;
    return MOCO_OK;
}

static int add_files(struct source *source, const char *dir, int test)
{
    char path[RAW_PATH + 32];
    int rc = MOCO_OK;
    for (int i = 1; i <= (test ? 1 : FILES) && rc == MOCO_OK; i++) {
        if (test)
            snprintf(path, sizeof path, "%s/test_batch.bin", dir);
        else
            snprintf(path, sizeof path, "%s/data_batch_%d.bin", dir, i);
        if (test || access(path, F_OK) == 0)
            rc = add_file(source, path);
    }
    if (rc == MOCO_OK && source->count == 0)
        rc = error_set(MOCO_EIO, "%s holds no data_batch_1.bin; give the directory of CIFAR-10's "
                       "binary version (cifar-10-batches-bin)", dir);
    return rc;
}

static int take_labels(struct source *source)
{
    int32_t *labels = malloc(source->count * sizeof *labels);
    if (!labels)
        return error_memory("labels", source->count * sizeof *labels);
    for (size_t i = 0; i < source->count; i++)
        labels[i] = *record(source->state, i);
    raw_take_labels(source, labels);
    return MOCO_OK;
}

int source_open_cifar10(struct source *source, const char *path)
{
    char dir[RAW_PATH];
    snprintf(dir, sizeof dir, "%s", path);
    int test = raw_cut_suffix(dir, ":test");
    if (!test)
        raw_cut_suffix(dir, ":train");
    source->state = calloc(1, sizeof(struct cifar10));
    if (!source->state)
        return error_memory("CIFAR-10", sizeof(struct cifar10));
    source->close = close_files;
    source->read = read_image;
    source->channels = 3;
    source->height = source->width = SIDE;
    source->dtype = DTYPE_U8;
    int rc = add_files(source, dir, test);
    if (rc == MOCO_OK)
        rc = take_labels(source);
    return rc == MOCO_OK ? raw_names_file(source, dir, "batches.meta.txt", CLASSES) : rc;
}
