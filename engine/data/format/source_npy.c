/* source_npy.c: NumPy's .npy files, mapped.
 *
 * X.npy[,Y.npy][:nhwc][:views]: X is (N, H, W), (N, C, H, W) or, with :nhwc, (N, H, W, C), with
 * :views a T behind N, of u1, u2, i2, f2, f4 or f8; Y is (N) of any integer type. npy.c knows the
 * arrays. An .npz file is handed over to source_npz.c. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/npy.h"
#include "engine/data/format/raw.h"

struct npy_file {
    struct npy npy; /* first: npy_read_image() finds it here */
    struct mapping file;
};

static void close_npy(struct source *source)
{
    struct npy_file *state = source->state;
    mapping_close(&state->file);
    free(state);
}

static int npy_open(struct npy_file *out, const char *path)
{
    int rc = mapping_open(&out->file, path);
    return rc == MOCO_OK ? npy_parse(&out->npy, out->file.bytes, out->file.size, path) : rc;
}

static int is_npz(const char *spec)
{
    char path[RAW_PATH], rest[RAW_PATH];
    unsigned char head[4] = { 0 };
    raw_split_colon(path, rest, spec);
    FILE *file = fopen(path, "rb");
    size_t got = file ? fread(head, 1, 4, file) : 0;
    if (file)
        fclose(file);
    return got == 4 && !memcmp(head, "PK\3\4", 4);
}

int source_open_npy(struct source *source, const char *path)
{
    char images[RAW_PATH], labels[RAW_PATH], whole[RAW_PATH];
    struct npy_file label_file = { 0 }, *state;
    if (is_npz(path))
        return source_open_npz(source, path);
    state = source->state = calloc(1, sizeof *state);
    if (!state)
        return error_memory("npy", sizeof *state);
    source->close = close_npy;
    source->read = npy_read_image;
    source->mapped = 1;
    snprintf(whole, sizeof whole, "%s", path);
    raw_cut_axes(whole, &state->npy.axes);
    int rc = raw_split(images, labels, whole);
    if (rc != MOCO_OK)
        return rc;
    raw_cut_axes(images, &state->npy.axes); /* X.npy:nhwc,Y.npy is as clear */
    rc = npy_open(state, images);
    if (rc == MOCO_OK)
        rc = npy_take_images(source, &state->npy, images);
    if (rc != MOCO_OK || !labels[0])
        return rc;
    rc = npy_open(&label_file, labels);
    if (rc == MOCO_OK)
        rc = npy_take_labels(source, &label_file.npy, labels);
    mapping_close(&label_file.file);
    return rc;
}
