/* dataset.h: what source_hdf5.c asks of the library about the datasets of a file.
 *
 * The library is not made for threads: all of this, and every other call, stands between
 * hdf5_begin() and hdf5_end(). */
#ifndef MOCO_ENGINE_DATA_FORMAT_HDF5_DATASET_H
#define MOCO_ENGINE_DATA_FORMAT_HDF5_DATASET_H

#define H5_USE_110_API
#include <stddef.h>
#include <stdint.h>

#include <hdf5.h>

enum { HDF5_DIMS_MAX = 5, HDF5_TEXT = 256 };

/* The library prints its errors unless told not to; who else uses it keeps what was set. */
struct hdf5_quiet {
    H5E_auto2_t print;
    void *data;
};

void hdf5_begin(struct hdf5_quiet *quiet);

/* Returns the rc of what was done since, or the sentence for memory or files that this process
 * lacked meanwhile, whatever the library made of it. */
int hdf5_end(const struct hdf5_quiet *quiet, int rc, const char *path);

/* The sentence for what cannot be read, with the library's own message. */
int hdf5_refuse(const char *path, const char *what);

/* What can be told of a dataset. */
struct hdf5_shape {
    int rank; /* 0: unreadable, a single value, or more than HDF5_DIMS_MAX */
    hsize_t size[HDF5_DIMS_MAX], most[HDF5_DIMS_MAX]; /* most: what size may grow to */
    H5T_class_t class;
    size_t bytes;
    int is_signed;
    int matlab;      /* written by MATLAB, whose sizes stand in the reverse order */
    const char *why; /* it holds no numbers to train on: what it is; NULL otherwise */
};

/* 1 if it could be told: of an open dataset; of one by its name, else rank becomes 0. */
int hdf5_describe(struct hdf5_shape *out, hid_t dataset);
void hdf5_describe_named(struct hdf5_shape *out, hid_t file, const char *name);

/* The bytes of a chunk, 0 without chunks. Numbers that lie in other files and those behind a filter
 * that the library lacks are refused. */
int hdf5_check_layout(hsize_t *chunk, hid_t dataset, const struct hdf5_shape *shape,
                      const char *path);

/* The file can hold the numbers that the shape promises. */
int hdf5_check_size(hid_t dataset, hsize_t chunk, uint64_t bytes, const char *path);

#endif
