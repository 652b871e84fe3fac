/* source_hdf5.c: a dataset of an HDF5 file, read image by image.
 *
 * FILE[:IMAGES[,LABELS]][:nhwc][:views]: IMAGES is a dataset (N, H, W), (N, C, H, W) or with
 * :nhwc (N, H, W, C), with :views a T behind N, of u8, u16, i16, f16, f32 or f64 in either byte
 * order, contiguous or in chunks with any filter that the library knows; LABELS one of (N) or
 * (N, 1) integers. Names are paths in the file; choose.h says what is taken when they are missing.
 *
 * Memory holds an image and a cache of chunks (at most 64 MiB), whatever the size of the dataset: a
 * chunk of many images is unpacked for each of them, so data for training is best written with one
 * image a chunk. Virtual datasets and those whose numbers lie in other files are refused. Open
 * files that you trust: sizes are checked, but the library is not safe against hostile ones. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/choose.h"
#include "engine/data/format/hdf5_dataset.h"
#include "engine/data/format/raw.h"

enum { CACHE_MIN = 1 << 20, CACHE_MAX = 1 << 26 };

struct hdf5 {
    hid_t file, dataset, type; /* type: of the numbers in memory */
    enum source_dtype dtype;   /* the same for raw_floats() */
    struct raw_axes axes;
    int rank;
    hsize_t size[HDF5_DIMS_MAX];
};

/* ---- images ---- */

static int take_dtype(struct source *source, struct hdf5 *state, const struct hdf5_shape *shape,
                      const char *path)
{
    const struct {
        H5T_class_t class;
        int is_signed;
        size_t bytes;
        enum source_dtype dtype, memory;
        hid_t type;
    } rows[] = {
        { H5T_INTEGER, 0, 1, DTYPE_U8, DTYPE_U8, H5T_NATIVE_UINT8 },
        { H5T_INTEGER, 0, 2, DTYPE_U16, DTYPE_U16, H5T_NATIVE_UINT16 },
        { H5T_INTEGER, 1, 2, DTYPE_I16, DTYPE_I16, H5T_NATIVE_INT16 },
        { H5T_FLOAT, 0, 2, DTYPE_F16, DTYPE_F32, H5T_NATIVE_FLOAT },
        { H5T_FLOAT, 0, 4, DTYPE_F32, DTYPE_F32, H5T_NATIVE_FLOAT },
        { H5T_FLOAT, 0, 8, DTYPE_F64, DTYPE_F64, H5T_NATIVE_DOUBLE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].class == shape->class && rows[i].bytes == shape->bytes &&
            rows[i].is_signed == shape->is_signed) {
            source->dtype = rows[i].dtype;
            state->dtype = rows[i].memory;
            state->type = rows[i].type;
            return MOCO_OK;
        }
    return error_set(MOCO_EUNSUPPORTED, "%s: images of %s numbers of %zu bytes are not read; "
                     "convert to u8, u16, i16, f16, f32 or f64", path,
                     shape->class == H5T_FLOAT ? "floating-point"
                     : shape->is_signed        ? "signed"
                                               : "unsigned", shape->bytes);
}

static int take_images(struct source *source, const struct hdf5_shape *shape, const char *path)
{
    struct hdf5 *state = source->state;
    size_t size[HDF5_DIMS_MAX];
    for (int i = 0; i < shape->rank; i++)
        size[i] = (size_t)shape->size[i];
    state->rank = shape->rank;
    memcpy(state->size, shape->size, sizeof state->size);
    return raw_take_shape(source, size, shape->rank, &state->axes, path);
}

/* Opens it again with a cache for its chunks. */
static int open_cached(struct hdf5 *state, const char *name, hsize_t chunk, const char *path)
{
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    size_t cache = (size_t)(4 * chunk);
    cache = cache < CACHE_MIN ? CACHE_MIN : cache > CACHE_MAX ? CACHE_MAX : cache;
    H5Dclose(state->dataset);
    if (access >= 0 && chunk)
        H5Pset_chunk_cache(access, 521, cache, 0.75);
    state->dataset = H5Dopen2(state->file, name, access >= 0 ? access : H5P_DEFAULT);
    if (access >= 0)
        H5Pclose(access);
    return state->dataset >= 0 ? MOCO_OK : hdf5_refuse(path, name);
}

static int open_images(struct source *source, const char *name, const char *path)
{
    struct hdf5 *state = source->state;
    struct hdf5_shape shape = { .rank = 0 };
    hsize_t chunk;
    state->dataset = H5Dopen2(state->file, name, H5P_DEFAULT);
    if (state->dataset < 0 || !hdf5_describe(&shape, state->dataset))
        return hdf5_refuse(path, name);
    int rc = take_dtype(source, state, &shape, path);
    if (rc == MOCO_OK)
        rc = take_images(source, &shape, path);
    if (rc == MOCO_OK)
        rc = hdf5_check_layout(&chunk, state->dataset, &shape, path);
    if (rc == MOCO_OK)
        rc = hdf5_check_size(state->dataset, chunk, raw_bytes(source), path);
    return rc == MOCO_OK ? open_cached(state, name, chunk, path) : rc;
}

static herr_t read_one(void *buffer, const struct hdf5 *state, size_t index)
{
    hsize_t start[HDF5_DIMS_MAX] = { index }, count[HDF5_DIMS_MAX];
    memcpy(count, state->size, sizeof count);
    if (state->axes.views) {
        start[0] = index / state->size[1];
        start[1] = index % state->size[1];
        count[1] = 1;
    }
    count[0] = 1;
    hid_t from = H5Dget_space(state->dataset), to = H5Screate_simple(state->rank, count, NULL);
    herr_t status = from >= 0 && to >= 0 ? 0 : -1;
    if (status >= 0)
        status = H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, count, NULL);
    if (status >= 0)
        status = H5Dread(state->dataset, state->type, to, from, H5P_DEFAULT, buffer);
    if (from >= 0)
        H5Sclose(from);
    if (to >= 0)
        H5Sclose(to);
    return status;
}

static void to_planes(struct image *out, const unsigned char *numbers, const struct hdf5 *state)
{
    int big = raw_machine_big();
    size_t plane = (size_t)out->height * (size_t)out->width, channels = (size_t)out->channels;
    size_t size = raw_size(state->dtype);
    if (!state->axes.nhwc)
        raw_floats(out->pixels, numbers, channels * plane, 1, state->dtype, big);
    for (size_t c = 0; state->axes.nhwc && c < channels; c++)
        raw_floats(out->pixels + c * plane, numbers + c * size, plane, channels, state->dtype, big);
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    const struct hdf5 *state = source->state;
    size_t n = (size_t)source->channels * (size_t)source->height * (size_t)source->width;
    struct hdf5_quiet quiet;
    int rc = image_resize(out, source->channels, source->height, source->width);
    if (rc != MOCO_OK)
        return rc;
    unsigned char *numbers = malloc(n * raw_size(state->dtype));
    if (!numbers)
        return error_memory("an image of HDF5", n * raw_size(state->dtype));
    hdf5_begin(&quiet);
    if (read_one(numbers, state, index) < 0)
        rc = hdf5_refuse(source->where, "an image");
    hdf5_end(&quiet);
    if (rc == MOCO_OK)
        to_planes(out, numbers, state);
    free(numbers);
    return rc;
}

/* ---- labels ---- */

static int read_labels(int32_t *labels, hid_t dataset, size_t n, const char *path)
{
    int64_t *wide = malloc(n * sizeof *wide + 1);
    int rc = wide ? MOCO_OK : error_memory("labels", n * sizeof *wide);
    if (wide && H5Dread(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, wide) < 0)
        rc = hdf5_refuse(path, "the labels");
    for (size_t i = 0; i < n && rc == MOCO_OK; i++) {
        rc = raw_check_label(wide[i], i, path);
        labels[i] = (int32_t)wide[i];
    }
    free(wide);
    return rc;
}

static int take_labels(struct source *source, const struct hdf5_shape *shape, hid_t dataset,
                       const char *path)
{
    hsize_t chunk;
    int column = shape->rank == 1 || (shape->rank == 2 && shape->size[1] == 1);
    size_t n = shape->rank ? (size_t)shape->size[0] : 0;
    size_t each = n == source->count ? 1 : source_views(source);
    if (!column || shape->class != H5T_INTEGER || n * each != source->count)
        return error_set(MOCO_EFORMAT, "%s: labels need %zu integers in 1 dimension; here are %llu "
                         "%s in %d", path, source_samples(source),
                         (unsigned long long)(shape->rank ? shape->size[0] : 0),
                         shape->class == H5T_INTEGER ? "integers" : "other values", shape->rank);
    int rc = hdf5_check_layout(&chunk, dataset, shape, path);
    if (rc == MOCO_OK)
        rc = hdf5_check_size(dataset, chunk, n * shape->bytes, path);
    int32_t *labels = rc == MOCO_OK ? malloc(source->count * sizeof *labels + 1) : NULL;
    if (rc == MOCO_OK && !labels)
        rc = error_memory("labels", source->count * sizeof *labels);
    if (rc == MOCO_OK)
        rc = read_labels(labels, dataset, n, path);
    for (size_t i = source->count; rc == MOCO_OK && each > 1 && i-- > 0;)
        labels[i] = labels[i / each]; /* from the back, where nothing is needed any more */
    if (rc == MOCO_OK)
        raw_take_labels(source, labels);
    else
        free(labels);
    return rc;
}

static int open_labels(struct source *source, const char *name, const char *path)
{
    struct hdf5 *state = source->state;
    struct hdf5_shape shape = { .rank = 0 };
    hid_t dataset = H5Dopen2(state->file, name, H5P_DEFAULT);
    if (dataset < 0)
        return hdf5_refuse(path, name);
    int rc = hdf5_describe(&shape, dataset) ? take_labels(source, &shape, dataset, path)
                                            : hdf5_refuse(path, name);
    H5Dclose(dataset);
    return rc;
}

/* ---- opening ---- */

static void to_candidate(struct candidate *out, const struct hdf5_shape *shape, const char *name)
{
    int number = shape->class == H5T_INTEGER || shape->class == H5T_FLOAT;
    *out = (struct candidate){ .name = name };
    if (!shape->rank || !number)
        return;
    out->rank = shape->rank;
    out->count = (size_t)shape->size[0];
    out->column = shape->rank == 1 || (shape->rank == 2 && shape->size[1] == 1);
    out->integers = shape->class == H5T_INTEGER;
}

static int open_named(struct source *source, const struct hdf5_names *listing, const char *names,
                      const char *path)
{
    struct hdf5 *state = source->state;
    struct hdf5_shape shape;
    size_t images, labels, n = listing->n;
    struct candidate *all = calloc(n + 1, sizeof *all);
    if (!all)
        return error_memory("the datasets of a file", n * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        hdf5_describe_named(&shape, state->file, listing->names[i]);
        to_candidate(&all[i], &shape, listing->names[i]);
    }
    int rc = choose_arrays(&images, &labels, all, n, names, path);
    if (rc == MOCO_OK)
        rc = open_images(source, listing->names[images], path);
    if (rc == MOCO_OK && labels < n)
        rc = open_labels(source, listing->names[labels], path);
    if (rc == MOCO_OK)
        choose_note(source, all, n, images, labels, names, path);
    free(all);
    return rc;
}

static int open_file(struct source *source, const char *names, const char *path)
{
    struct hdf5 *state = source->state;
    struct hdf5_names listing;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 14, 0) || (H5_VERSION_GE(1, 10, 7) && H5_VERSION_LE(1, 11, 0))
    H5Pset_file_locking(access, 1, 1); /* no failure where the file system cannot lock */
#endif
    state->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (state->file < 0)
        return hdf5_refuse(path, "the file");
    int rc = hdf5_list(&listing, state->file, path);
    if (rc == MOCO_OK)
        rc = open_named(source, &listing, names, path);
    free(listing.names);
    return rc;
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
    hdf5_end(&quiet);
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
    snprintf(whole, sizeof whole, "%s", path);
    raw_cut_axes(whole, &state->axes);
    raw_split_colon(file, names, whole);
    snprintf(source->where, sizeof source->where, "%s", file);
    int rc = raw_check_file(file);
    if (rc != MOCO_OK)
        return rc;
    hdf5_begin(&quiet);
    rc = open_file(source, names[0] == '/' ? names + 1 : names, file);
    hdf5_end(&quiet);
    source->decode_bytes = raw_size(state->dtype);
    return rc;
}
