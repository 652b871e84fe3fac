/* one.h: a dataset that is one image. */
#ifndef MOCO_ENGINE_DATA_FORMAT_HDF5_ONE_H
#define MOCO_ENGINE_DATA_FORMAT_HDF5_ONE_H

#include "engine/data/format/hdf5/numbers.h"

/* Adds it to the source, if its numbers can be read at all. */
int hdf5_one_add(struct source *source, hid_t file, const char *name, struct hdf5_numbers *numbers);

/* out gets its size, *bytes, for free(), its numbers in the order of the file, and *numbers what
 * the dataset declares missing. */
int hdf5_one_read(struct image *out, unsigned char **bytes, const struct source *source, hid_t file,
                  const char *name, struct hdf5_numbers *numbers);

#endif
