/* source_hdf5.c: images of an HDF5 file, read one by one.
 *
 * FILE[:IMAGES[,LABELS]][:nhwc][:views]: IMAGES is a dataset (N, H, W), (N, C, H, W) or with
 * :nhwc (N, H, W, C), with :views a T behind N, of u8, u16, i16, f16, f32 or f64 in either byte
 * order, contiguous or in chunks with any filter that the library knows; or a group of datasets
 * that are one image each (each.h). LABELS is one of N whole numbers. Names are paths in the file,
 * behind links too; choose.h says what is taken when they are missing. What MATLAB wrote (7.3) is
 * turned round (numbers.h).
 *
 * Memory holds an image and a cache of chunks (at most 64 MiB), whatever the size of the dataset: a
 * chunk of many images is unpacked for each of them, so data for training is best written with one
 * image a chunk. Virtual datasets and those whose numbers lie in other files are refused. Open
 * files that you trust: sizes are checked, but the library is not safe against hostile ones. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/hdf5/one.h"
#include "engine/data/format/hdf5/state.h"

enum { FILES_KEPT = 8 }; /* that links lead to */

static herr_t read_slab(void *buffer, const struct hdf5 *state, size_t index)
{
    hsize_t start[HDF5_DIMS_MAX] = { 0 }, count[HDF5_DIMS_MAX];
    int n = hdf5_axis(&state->numbers, state->rank, 0);
    int t = hdf5_axis(&state->numbers, state->rank, 1);
    size_t views = state->numbers.axes.views ? (size_t)state->size[t] : 1;
    memcpy(count, state->size, sizeof count);
    start[n] = index / views;
    count[n] = 1;
    if (state->numbers.axes.views) {
        start[t] = index % views;
        count[t] = 1;
    }
    hid_t from = H5Dget_space(state->dataset), to = H5Screate_simple(state->rank, count, NULL);
    herr_t status = from >= 0 && to >= 0 ? 0 : -1;
    if (status >= 0)
        status = H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, count, NULL);
    if (status >= 0)
        status = H5Dread(state->dataset, state->numbers.type, to, from, H5P_DEFAULT, buffer);
    if (from >= 0)
        H5Sclose(from);
    if (to >= 0)
        H5Sclose(to);
    return status;
}

/* ---- reading ---- */

static int read_of_one(struct image *out, unsigned char **bytes, const struct source *source,
                       size_t index)
{
    const struct hdf5 *state = source->state;
    int rc = image_resize(out, source->channels, source->height, source->width);
    size_t n = (size_t)source->channels * (size_t)source->height * (size_t)source->width;
    *bytes = rc == MOCO_OK ? malloc(n * raw_size(state->numbers.dtype)) : NULL;
    if (rc == MOCO_OK && !*bytes)
        rc = error_memory("an image of HDF5", n * raw_size(state->numbers.dtype));
    if (rc == MOCO_OK && read_slab(*bytes, state, index) < 0)
        rc = hdf5_refuse(source->where, "an image");
    return rc;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    const struct hdf5 *state = source->state;
    struct hdf5_numbers numbers = state->numbers;
    struct hdf5_quiet quiet;
    unsigned char *bytes = NULL;
    hdf5_begin(&quiet);
    int rc = state->each.n ? hdf5_one_read(out, &bytes, source, state->file,
                                           state->each.names[index], &numbers)
                           : read_of_one(out, &bytes, source, index);
    rc = hdf5_end(&quiet, rc, source->where);
    if (rc == MOCO_OK)
        rc = hdf5_planes(out, bytes, &numbers);
    free(bytes);
    return rc;
}

static const char *name_of(const struct source *source, size_t index)
{
    const struct hdf5 *state = source->state;
    return state->each.n ? state->each.names[index] : NULL;
}

/* ---- opening ---- */

static int open_file(struct source *source, const char *names, const char *path)
{
    struct hdf5 *state = source->state;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 14, 0) || (H5_VERSION_GE(1, 10, 7) && H5_VERSION_LE(1, 11, 0))
    H5Pset_file_locking(access, 1, 1); /* no failure where the file system cannot lock */
#endif
    H5Pset_elink_file_cache_size(access, FILES_KEPT);
    do { /* the library repeats reads that a signal interrupts, not this */
        errno = 0;
        state->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    } while (state->file < 0 && errno == EINTR);
    H5Pclose(access);
    return state->file < 0 ? hdf5_refuse(path, "the file") : hdf5_take(source, names, path);
}

static void close_hdf5(struct source *source)
{
    struct hdf5 *state = source->state;
    struct hdf5_quiet quiet;
    hdf5_begin(&quiet);
    if (state->dataset >= 0)
        H5Dclose(state->dataset);
    if (state->file >= 0)
        H5Fclose(state->file);
    (void)hdf5_end(&quiet, MOCO_ENOMEM, source->where); /* nobody hears it */
    hdf5_each_close(&state->each);
    free(state);
}

int source_open_hdf5(struct source *source, const char *path)
{
    char file[RAW_PATH], names[RAW_PATH], whole[RAW_PATH];
    struct hdf5_quiet quiet;
    struct hdf5 *state = source->state = calloc(1, sizeof *state);
    if (!state)
        return error_memory("HDF5", sizeof *state);
    state->file = state->dataset = -1;
    source->close = close_hdf5;
    source->read = read_image;
    source->name = name_of;
    snprintf(whole, sizeof whole, "%s", path);
    raw_cut_axes(whole, &state->numbers.axes);
    raw_split_colon(file, names, whole);
    snprintf(source->where, sizeof source->where, "%s", file);
    int rc = raw_check_file(file);
    if (rc != MOCO_OK)
        return rc;
    hdf5_begin(&quiet);
    rc = hdf5_end(&quiet, open_file(source, names, file), file);
    source->decode_bytes = raw_size(state->numbers.dtype);
    return rc;
}
