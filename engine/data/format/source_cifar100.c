/* source_cifar100.c: CIFAR-100's binary version.
 *
 * DIR[:train|:test]: train.bin or test.bin. A file is records of 3074 bytes: the coarse label
 * 0..19, the fine label 0..99, then planes red, green, blue of 32 x 32. The fine label is the
 * label, and fine_label_names.txt holds a class name a line. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/data/format/raw.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, RECORD = 2 + PIXELS, COARSE = 20, CLASSES = 100 };

static int read_image(const struct source *source, size_t index, struct image *out)
{
    const struct mapping *file = source->state;
    int rc = image_resize(out, 3, SIDE, SIDE);
    if (rc == MOCO_OK)
        raw_floats(out->pixels, file->bytes + index * RECORD + 2, PIXELS, 1, DTYPE_U8, 0);
    return rc;
}

static void close_file(struct source *source)
{
    mapping_close(source->state);
    free(source->state);
}

static int check_file(const struct mapping *file, const char *path)
{
    if (file->size == 0 || file->size % RECORD != 0)
        return error_set(MOCO_EFORMAT, "%s: %zu bytes are no multiple of %d (2 labels and 3072 "
                         "pixels); the file is truncated or not CIFAR-100 binary", path,
                         file->size, RECORD);
    for (size_t at = 0; at < file->size; at += RECORD)
        if (file->bytes[at] >= COARSE || file->bytes[at + 1] >= CLASSES)
            return error_set(MOCO_EFORMAT, "%s: labels %d and %d at byte %zu; CIFAR-100 has 0 to "
                             "19 and 0 to 99, so the file is damaged or of another set", path,
                             file->bytes[at], file->bytes[at + 1], at);
    return MOCO_OK;
}

static int take_labels(struct source *source)
{
    const struct mapping *file = source->state;
    int32_t *labels = malloc(source->count * sizeof *labels);
    if (!labels)
        return error_memory("labels", source->count * sizeof *labels);
    for (size_t i = 0; i < source->count; i++)
        labels[i] = file->bytes[i * RECORD + 1];
    raw_take_labels(source, labels);
    return MOCO_OK;
}

int source_open_cifar100(struct source *source, const char *path)
{
    char dir[RAW_PATH], name[RAW_PATH + 32];
    struct mapping *file = source->state = calloc(1, sizeof *file);
    if (!file)
        return error_memory("CIFAR-100", sizeof *file);
    source->close = close_file;
    source->read = read_image;
    snprintf(dir, sizeof dir, "%s", path);
    int test = raw_cut_suffix(dir, ":test");
    if (!test)
        raw_cut_suffix(dir, ":train");
    snprintf(name, sizeof name, "%s/%s", dir, test ? "test.bin" : "train.bin");
    int rc = mapping_open(file, name);
    if (rc == MOCO_OK)
        rc = check_file(file, name);
    if (rc != MOCO_OK)
        return rc;
    source->count = file->size / RECORD;
    source->channels = 3;
    source->height = source->width = SIDE;
    source->dtype = DTYPE_U8;
    rc = take_labels(source);
    return rc == MOCO_OK ? raw_names_file(source, dir, "fine_label_names.txt", CLASSES) : rc;
}
