/* hdf5_dataset.c: see hdf5_dataset.h.
 *
 * Sizes are checked here, but the library itself is not safe against hostile files: 1.10.8 reads
 * past its buffers where a packed chunk turns out shorter than it should be. */
#define _GNU_SOURCE
#include "engine/data/format/hdf5_dataset.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/data/format/raw.h"

enum { ARRAYS_MAX = 1 << 16, DEFLATE_RATIO = 1032, CHUNK_BYTES_MAX = 1 << 30 };

/* ---- the library ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void hdf5_begin(struct hdf5_quiet *quiet)
{
    pthread_mutex_lock(&lock);
    H5Eget_auto2(H5E_DEFAULT, &quiet->print, &quiet->data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void hdf5_end(const struct hdf5_quiet *quiet)
{
    H5Eset_auto2(H5E_DEFAULT, quiet->print, quiet->data);
    pthread_mutex_unlock(&lock);
}

/* The innermost of the library's messages comes first. */
static herr_t keep_first(unsigned n, const H5E_error2_t *error, void *user)
{
    (void)n;
    snprintf(user, HDF5_NAME, "%s", error->desc ? error->desc : "no reason given");
    return 1;
}

int hdf5_refuse(const char *path, const char *what)
{
    char text[HDF5_NAME] = "no reason given";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, text);
    return error_set(MOCO_EFORMAT, "%s: %s cannot be read (%s); the file is truncated, damaged or "
                     "no HDF5", path, what, text);
}

/* ---- datasets ---- */

int hdf5_describe(struct hdf5_shape *out, hid_t dataset)
{
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    int ok = type >= 0 && rank >= 1 && rank <= HDF5_DIMS_MAX;
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

void hdf5_describe_named(struct hdf5_shape *out, hid_t file, const char *name)
{
    *out = (struct hdf5_shape){ .rank = 0 };
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0)
        return;
    hdf5_describe(out, dataset);
    H5Dclose(dataset);
}

int hdf5_check_layout(hsize_t *chunk, hid_t dataset, const struct hdf5_shape *shape,
                      const char *path)
{
    hsize_t size[HDF5_DIMS_MAX] = { 0 }, bytes = shape->bytes;
    hid_t plan = H5Dget_create_plist(dataset);
    *chunk = 0;
    if (plan < 0)
        return hdf5_refuse(path, "the layout of the dataset");
    H5D_layout_t layout = H5Pget_layout(plan);
    int elsewhere = layout == H5D_VIRTUAL || H5Pget_external_count(plan) != 0;
    int rank = layout == H5D_CHUNKED ? H5Pget_chunk(plan, HDF5_DIMS_MAX, size) : 0;
    H5Pclose(plan);
    if (elsewhere)
        return error_set(MOCO_EUNSUPPORTED, "%s: the numbers of the dataset lie in other files; "
                         "copy them into one (h5repack)", path);
    if (layout != H5D_CHUNKED)
        return MOCO_OK;
    for (int i = 0; i < rank && i < HDF5_DIMS_MAX; i++)
        if (__builtin_mul_overflow(bytes, size[i], &bytes) || bytes > CHUNK_BYTES_MAX)
            return error_set(MOCO_EUNSUPPORTED, "%s: a chunk of the dataset is larger than 1 GiB; "
                             "write one image a chunk", path);
    /* The library believes chunks of other sizes when it reads, though it does not write them. */
    for (int i = 0; i < rank && i < HDF5_DIMS_MAX; i++)
        if (size[i] == 0 || (shape->most[i] != H5S_UNLIMITED && size[i] > shape->most[i]))
            return error_set(MOCO_EFORMAT, "%s: chunks are larger than the dataset; the file is "
                             "damaged", path);
    *chunk = bytes;
    return rank == shape->rank ? MOCO_OK : hdf5_refuse(path, "the size of chunks");
}

int hdf5_check_size(hid_t dataset, hsize_t chunk, uint64_t bytes, const char *path)
{
    uint64_t file = raw_file_size(path);
    uint64_t stored = H5Dget_storage_size(dataset);
    if (chunk ? bytes / DEFLATE_RATIO > file : stored < bytes || bytes > file)
        return error_set(MOCO_EFORMAT, "%s: the dataset promises %llu bytes of numbers, more than "
                         "are stored in a file of %llu; it is truncated, damaged or was not filled",
                         path, (unsigned long long)bytes, (unsigned long long)file);
    return MOCO_OK;
}

/* ---- names ---- */

static herr_t list_one(hid_t object, const char *name, const H5O_info_t *info, void *user)
{
    struct hdf5_names *listing = user;
    (void)object;
    if (info->type != H5O_TYPE_DATASET || strlen(name) >= HDF5_NAME)
        return 0;
    if (listing->n == ARRAYS_MAX)
        return 1;
    void *names = array_grow(listing->names, &listing->capacity, listing->n, HDF5_NAME,
                             "names of datasets");
    listing->failed = !names;
    if (!names)
        return 1;
    listing->names = names;
    strcpy(listing->names[listing->n++], name);
    return 0;
}

int hdf5_list(struct hdf5_names *out, hid_t file, const char *path)
{
    *out = (struct hdf5_names){ .names = NULL };
    herr_t status = H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, list_one, out);
    if (out->failed)
        return MOCO_ENOMEM;
    if (status < 0)
        return hdf5_refuse(path, "the list of datasets");
    return status == 0 ? MOCO_OK : error_set(MOCO_EFORMAT, "%s holds more than %d datasets", path,
                                             ARRAYS_MAX);
}
