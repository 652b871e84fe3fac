/* source_hdf5.c: a dataset of an HDF5 file, read image by image.
 *
 * FILE[:IMAGES[,LABELS]][:nhwc][:views]: IMAGES is a dataset (N, H, W), (N, C, H, W) or with
 * :nhwc (N, H, W, C), with :views a T behind N, of u8, u16, i16, f16, f32 or f64 in either byte
 * order, contiguous or in chunks with any filter that the library knows; LABELS one of (N) or
 * (N, 1) integers. Names are paths in the file; choose.h says what is taken when they are missing.
 *
 * Memory holds an image and a cache of chunks (at most 64 MiB), whatever the size of the dataset: a
 * chunk of many images is unpacked for each of them, so data for training is best written with one
 * image a chunk. The library is not made for threads: a lock goes round every call. Virtual
 * datasets and those whose numbers lie in other files are refused. Sizes are checked here, but the
 * library itself is not safe against hostile files: 1.10.8 reads past its buffers where a packed
 * chunk turns out shorter than it should be. Open files that you trust. */
#define _GNU_SOURCE
#define H5_USE_110_API
#include "engine/data/source.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <hdf5.h>

#include "engine/base/error.h"
#include "engine/data/format/choose.h"
#include "engine/data/format/raw.h"

enum { DIMS_MAX = 5, ARRAYS_MAX = 1 << 16, NAME_BYTES = 256, DEFLATE_RATIO = 1032 };
enum { CACHE_MIN = 1 << 20, CACHE_MAX = 1 << 26, CHUNK_BYTES_MAX = 1 << 30 };

struct hdf5 {
    hid_t file, dataset, type; /* type: of the numbers in memory */
    enum source_dtype dtype;   /* the same for raw_floats() */
    struct raw_axes axes;
    int rank;
    hsize_t size[DIMS_MAX];
};

/* What can be told of a dataset. */
struct shape {
    int rank; /* 0: unreadable, or more than DIMS_MAX */
    hsize_t size[DIMS_MAX], most[DIMS_MAX]; /* most: what size may grow to */
    H5T_class_t class;
    size_t bytes;
    int is_signed;
};

/* ---- the library ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The library prints its errors unless told not to; who else uses it keeps what was set. */
struct quiet {
    H5E_auto2_t print;
    void *data;
};

static void begin(struct quiet *quiet)
{
    pthread_mutex_lock(&lock);
    H5Eget_auto2(H5E_DEFAULT, &quiet->print, &quiet->data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void end(const struct quiet *quiet)
{
    H5Eset_auto2(H5E_DEFAULT, quiet->print, quiet->data);
    pthread_mutex_unlock(&lock);
}

/* The innermost of the library's messages comes first. */
static herr_t keep_first(unsigned n, const H5E_error2_t *error, void *user)
{
    (void)n;
    snprintf(user, NAME_BYTES, "%s", error->desc ? error->desc : "no reason given");
    return 1;
}

static int refuse(const char *path, const char *what)
{
    char text[NAME_BYTES] = "no reason given";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, text);
    return error_set(MOCO_EFORMAT, "%s: %s cannot be read (%s); the file is truncated, damaged or "
                     "no HDF5", path, what, text);
}

/* ---- datasets ---- */

struct listing {
    char (*names)[NAME_BYTES];
    size_t n, capacity;
    int failed;
};

static herr_t list_one(hid_t object, const char *name, const H5O_info_t *info, void *user)
{
    struct listing *listing = user;
    (void)object;
    if (info->type != H5O_TYPE_DATASET || strlen(name) >= NAME_BYTES)
        return 0;
    if (listing->n == ARRAYS_MAX)
        return 1;
    if (listing->n == listing->capacity) {
        size_t more = listing->capacity ? 2 * listing->capacity : 16;
        void *names = realloc(listing->names, more * sizeof *listing->names);
        if (!names) {
            listing->failed = 1;
            return 1;
        }
        listing->names = names;
        listing->capacity = more;
    }
    strcpy(listing->names[listing->n++], name);
    return 0;
}

static int describe_open(struct shape *out, hid_t dataset)
{
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    int ok = type >= 0 && rank >= 1 && rank <= DIMS_MAX;
    if (ok)
        ok = H5Sget_simple_extent_dims(space, out->size, out->most) == rank;
    if (ok) {
        out->rank = rank;
        out->class = H5Tget_class(type);
        out->bytes = H5Tget_size(type);
        out->is_signed = out->class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
    }
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return ok;
}

static void describe(struct shape *out, hid_t file, const char *name)
{
    *out = (struct shape){ .rank = 0 };
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0)
        return;
    describe_open(out, dataset);
    H5Dclose(dataset);
}

static void to_candidate(struct candidate *out, const struct shape *shape, const char *name)
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

/* The bytes of a chunk, 0 without chunks; numbers that lie elsewhere are refused. */
static int check_layout(hsize_t *chunk, hid_t dataset, const struct shape *shape, const char *path)
{
    hsize_t size[DIMS_MAX] = { 0 }, bytes = shape->bytes;
    hid_t plan = H5Dget_create_plist(dataset);
    *chunk = 0;
    if (plan < 0)
        return refuse(path, "the layout of the dataset");
    H5D_layout_t layout = H5Pget_layout(plan);
    int elsewhere = layout == H5D_VIRTUAL || H5Pget_external_count(plan) != 0;
    int rank = layout == H5D_CHUNKED ? H5Pget_chunk(plan, DIMS_MAX, size) : 0;
    H5Pclose(plan);
    if (elsewhere)
        return error_set(MOCO_EUNSUPPORTED, "%s: the numbers of the dataset lie in other files; "
                         "copy them into one (h5repack)", path);
    if (layout != H5D_CHUNKED)
        return MOCO_OK;
    for (int i = 0; i < rank && i < DIMS_MAX; i++)
        if (__builtin_mul_overflow(bytes, size[i], &bytes) || bytes > CHUNK_BYTES_MAX)
            return error_set(MOCO_EUNSUPPORTED, "%s: a chunk of the dataset is larger than 1 GiB; "
                             "write one image a chunk", path);
    /* The library believes chunks of other sizes when it reads, though it does not write them. */
    for (int i = 0; i < rank && i < DIMS_MAX; i++)
        if (size[i] == 0 || (shape->most[i] != H5S_UNLIMITED && size[i] > shape->most[i]))
            return error_set(MOCO_EFORMAT, "%s: chunks are larger than the dataset; the file is "
                             "damaged", path);
    *chunk = bytes;
    return rank == shape->rank ? MOCO_OK : refuse(path, "the size of chunks");
}

/* The file can hold the numbers that the shape promises. */
static int check_size(hid_t dataset, hsize_t chunk, uint64_t bytes, const char *path)
{
    struct stat info = { 0 };
    uint64_t file = stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
    uint64_t stored = H5Dget_storage_size(dataset);
    if (chunk ? bytes / DEFLATE_RATIO > file : stored < bytes || bytes > file)
        return error_set(MOCO_EFORMAT, "%s: the dataset promises %llu bytes of numbers, more than "
                         "are stored in a file of %llu; it is truncated, damaged or was not filled",
                         path, (unsigned long long)bytes, (unsigned long long)file);
    return MOCO_OK;
}

/* ---- images ---- */

static int take_dtype(struct source *source, struct hdf5 *state, const struct shape *shape,
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

static int take_images(struct source *source, const struct shape *shape, const char *path)
{
    struct hdf5 *state = source->state;
    size_t size[DIMS_MAX];
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
    return state->dataset >= 0 ? MOCO_OK : refuse(path, name);
}

static int open_images(struct source *source, const char *name, const char *path)
{
    struct hdf5 *state = source->state;
    struct shape shape = { .rank = 0 };
    hsize_t chunk;
    state->dataset = H5Dopen2(state->file, name, H5P_DEFAULT);
    if (state->dataset < 0 || !describe_open(&shape, state->dataset))
        return refuse(path, name);
    int rc = take_dtype(source, state, &shape, path);
    if (rc == MOCO_OK)
        rc = take_images(source, &shape, path);
    if (rc == MOCO_OK)
        rc = check_layout(&chunk, state->dataset, &shape, path);
    if (rc == MOCO_OK)
        rc = check_size(state->dataset, chunk, raw_bytes(source), path);
    return rc == MOCO_OK ? open_cached(state, name, chunk, path) : rc;
}

static herr_t read_one(void *buffer, const struct hdf5 *state, size_t index)
{
    hsize_t start[DIMS_MAX] = { index }, count[DIMS_MAX];
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
    const uint16_t one = 1;
    unsigned char low;
    size_t plane = (size_t)out->height * (size_t)out->width, channels = (size_t)out->channels;
    size_t size = raw_size(state->dtype);
    memcpy(&low, &one, 1);
    if (!state->axes.nhwc)
        raw_floats(out->pixels, numbers, channels * plane, 1, state->dtype, !low);
    for (size_t c = 0; state->axes.nhwc && c < channels; c++)
        raw_floats(out->pixels + c * plane, numbers + c * size, plane, channels, state->dtype,
                   !low);
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    const struct hdf5 *state = source->state;
    size_t n = (size_t)source->channels * (size_t)source->height * (size_t)source->width;
    struct quiet quiet;
    int rc = image_resize(out, source->channels, source->height, source->width);
    if (rc != MOCO_OK)
        return rc;
    unsigned char *numbers = malloc(n * raw_size(state->dtype));
    if (!numbers)
        return error_memory("an image of HDF5", n * raw_size(state->dtype));
    begin(&quiet);
    if (read_one(numbers, state, index) < 0)
        rc = refuse(source->where, "an image");
    end(&quiet);
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
        rc = refuse(path, "the labels");
    for (size_t i = 0; i < n && rc == MOCO_OK; i++) {
        rc = raw_check_label(wide[i], i, path);
        labels[i] = (int32_t)wide[i];
    }
    free(wide);
    return rc;
}

static int take_labels(struct source *source, const struct shape *shape, hid_t dataset,
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
    int rc = check_layout(&chunk, dataset, shape, path);
    if (rc == MOCO_OK)
        rc = check_size(dataset, chunk, n * shape->bytes, path);
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
    struct shape shape = { .rank = 0 };
    hid_t dataset = H5Dopen2(state->file, name, H5P_DEFAULT);
    if (dataset < 0)
        return refuse(path, name);
    int rc = describe_open(&shape, dataset) ? take_labels(source, &shape, dataset, path)
                                            : refuse(path, name);
    H5Dclose(dataset);
    return rc;
}

/* ---- opening ---- */

static int open_named(struct source *source, const struct listing *listing, const char *names,
                      const char *path)
{
    struct hdf5 *state = source->state;
    struct shape shape;
    size_t images, labels, n = listing->n;
    struct candidate *all = calloc(n + 1, sizeof *all);
    if (!all)
        return error_memory("the datasets of a file", n * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        describe(&shape, state->file, listing->names[i]);
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
    struct listing listing = { .names = NULL };
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 14, 0) || (H5_VERSION_GE(1, 10, 7) && H5_VERSION_LE(1, 11, 0))
    H5Pset_file_locking(access, 1, 1); /* no failure where the file system cannot lock */
#endif
    state->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (state->file < 0)
        return refuse(path, "the file");
    herr_t status = H5Ovisit(state->file, H5_INDEX_NAME, H5_ITER_INC, list_one, &listing);
    int rc = MOCO_OK;
    if (listing.failed)
        rc = error_memory("names of datasets", 2 * listing.n * NAME_BYTES);
    else if (status < 0)
        rc = refuse(path, "the list of datasets");
    else if (status > 0)
        rc = error_set(MOCO_EFORMAT, "%s holds more than %d datasets", path, ARRAYS_MAX);
    if (rc == MOCO_OK)
        rc = open_named(source, &listing, names, path);
    free(listing.names);
    return rc;
}

static void close_hdf5(struct source *source)
{
    struct hdf5 *state = source->state;
    struct quiet quiet;
    begin(&quiet);
    if (state->dataset >= 0)
        H5Dclose(state->dataset);
    if (state->file >= 0)
        H5Fclose(state->file);
    end(&quiet);
    free(state);
}

int source_open_hdf5(struct source *source, const char *path)
{
    char file[RAW_PATH], names[RAW_PATH], whole[RAW_PATH];
    struct stat info;
    struct quiet quiet;
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
    if (stat(file, &info) != 0)
        return error_set(MOCO_EIO, "opening %s: %s", file, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return error_set(MOCO_EIO, "opening %s: it is no file", file);
    begin(&quiet);
    int rc = open_file(source, names[0] == '/' ? names + 1 : names, file);
    end(&quiet);
    source->decode_bytes = raw_size(state->dtype);
    return rc;
}
