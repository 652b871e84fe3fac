/* state.h: what an open HDF5 source knows, and how it comes to know it. */
#ifndef MOCO_ENGINE_DATA_FORMAT_HDF5_STATE_H
#define MOCO_ENGINE_DATA_FORMAT_HDF5_STATE_H

#include "engine/data/format/hdf5/each.h"

struct hdf5 {
    hid_t file, dataset; /* dataset: -1 where each image has one of its own */
    struct hdf5_numbers numbers;
    int rank;
    hsize_t size[HDF5_DIMS_MAX];
    struct hdf5_each each;
};

/* Chooses what is images and labels of the open file, by `names` or without, and fills the rest of
 * the state and the source. */
int hdf5_take(struct source *source, const char *names, const char *path);

#endif
