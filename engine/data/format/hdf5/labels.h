/* labels.h: a dataset of labels: one whole number an image or sample, in one row or column. */
#ifndef MOCO_ENGINE_DATA_FORMAT_HDF5_LABELS_H
#define MOCO_ENGINE_DATA_FORMAT_HDF5_LABELS_H

#include "engine/data/format/hdf5/dataset.h"
#include "engine/data/source.h"

/* 1 where all sizes but one are 1; *count is that one then, else the first. */
int hdf5_is_column(size_t *count, const struct hdf5_shape *shape);

/* *floats: they are no integers, so a failure may mean that they are no labels. */
int hdf5_labels(struct source *source, int *floats, hid_t file, const char *name, const char *path);

#endif
