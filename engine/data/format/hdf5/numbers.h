/* numbers.h: an image's numbers from a dataset, in whatever order its axes are.
 *
 * MATLAB writes the sizes of an array in reverse: what is H x W x C x N there stands in the file as
 * (N, C, W, H), each plane with rows and columns exchanged. With :nhwc its array is
 * N x H x W x C. */
#ifndef MOCO_ENGINE_DATA_FORMAT_HDF5_NUMBERS_H
#define MOCO_ENGINE_DATA_FORMAT_HDF5_NUMBERS_H

#include "engine/data/format/hdf5/nodata.h"
#include "engine/data/format/raw.h"

struct hdf5_numbers {
    hid_t type;              /* in memory */
    enum source_dtype dtype; /* the same for raw_floats() */
    int matlab;
    struct raw_axes axes;
    struct nodata nodata;    /* what is declared missing */
};

/* dtype: of the file, or a sentence. */
int hdf5_take_type(struct hdf5_numbers *out, enum source_dtype *dtype,
                   const struct hdf5_shape *shape, const char *path);

/* sizes: (N, [T,] [C,] H, W) or with :nhwc of others than MATLAB (N, [T,] H, W, C), as
 * raw_take_shape() wants them. of_each: the dataset is one image, without an N. The rank is
 * returned. */
int hdf5_sizes(size_t *sizes, const struct hdf5_numbers *numbers, const struct hdf5_shape *shape,
               int of_each);

/* The axes of N and T. */
int hdf5_axis(const struct hdf5_numbers *numbers, int rank, int t);

/* out: image of its size already. src: numbers of one image in the order of the file. Those that
 * are declared missing become NaN and are counted. */
int hdf5_planes(struct image *out, const unsigned char *src, const struct hdf5_numbers *numbers);

#endif
