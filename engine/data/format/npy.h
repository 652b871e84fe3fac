/* npy.h: NumPy's arrays in memory, as they stand in .npy files and in the members of .npz files.
 *
 * In: the bytes of one array with its header. Out: images, read as the source asks for them, and
 * labels. The bytes stay the caller's. */
#ifndef MOCO_ENGINE_DATA_FORMAT_NPY_H
#define MOCO_ENGINE_DATA_FORMAT_NPY_H

#include "engine/data/format/raw.h"

enum { NPY_DIMS_MAX = 5, NPY_HEADER_MAX = 4096 };

struct npy {
    const unsigned char *data; /* borrowed */
    size_t data_bytes;
    char type;                 /* 'u', 'i', 'f' */
    int type_size;
    int dims;
    size_t size[NPY_DIMS_MAX];
    struct raw_axes axes;      /* the caller's */
};

/* Fills type and sizes from the first `size` bytes; the numbers need not be there. */
int npy_header(struct npy *npy, const unsigned char *bytes, size_t size, const char *path);

/* The same for a whole array, whose numbers must be exactly those that the header promises. */
int npy_parse(struct npy *npy, const unsigned char *bytes, size_t size, const char *path);

/* Number of images, their size and dtype, as raw_take_shape() says. */
int npy_take_images(struct source *source, const struct npy *npy, const char *path);

/* Labels of the source's images or samples: (N), (N, 1) or (1, N) of any integer type, or of floats
 * that are whole. */
int npy_take_labels(struct source *source, const struct npy *npy, const char *path);

/* 1 where all sizes but one are 1; *count is that one then, else the first. */
int npy_is_column(size_t *count, const struct npy *npy);

/* source->read where source->state is a struct npy, or begins with one. */
int npy_read_image(const struct source *source, size_t index, struct image *out);

#endif
