/* one.c: see one.h. */
#define _GNU_SOURCE
#include "engine/data/format/hdf5/one.h"

#include <stdlib.h>

#include "engine/base/error.h"

struct sizes {
    int channels, height, width;
};

/* noted: the source that gets a note where they look odd, or NULL. */
static int take_sizes(struct sizes *out, struct source *noted, const struct hdf5_numbers *numbers,
                      const struct hdf5_shape *shape, const char *path, const char *name)
{
    size_t size[HDF5_DIMS_MAX + 1]; /* (1, [C,] H, W) or with :nhwc (1, H, W, C) */
    int rank = shape->rank == 2 || shape->rank == 3 ? hdf5_sizes(size, numbers, shape, 1) : 0;
    int last = numbers->axes.nhwc && !numbers->matlab && rank == 4, rows = last ? 1 : rank - 2;
    for (int i = 0; i < rank; i++)
        if (size[i] < 1 || size[i] > RAW_NUMBERS_MAX)
            rank = 0;
    if (!rank)
        return error_set(MOCO_EFORMAT, "%s: %.100s has not the sizes of an image", path, name);
    if (noted && rank == 4 && !numbers->matlab)
        raw_note_order(noted, size + 1, numbers->axes.nhwc, name);
    *out = (struct sizes){ rank == 3 ? 1 : (int)size[last ? 3 : 1], (int)size[rows],
                           (int)size[rows + 1] };
    return MOCO_OK;
}

int hdf5_one_add(struct source *source, hid_t file, const char *name, struct hdf5_numbers *numbers)
{
    struct hdf5_shape shape = { .rank = 0 };
    struct sizes sizes = { 0 };
    enum source_dtype dtype = DTYPE_U8;
    hsize_t chunk;
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0)
        return hdf5_refuse(source->where, name);
    int rc = hdf5_describe(&shape, dataset) ? hdf5_take_type(numbers, &dtype, &shape, source->where)
                                            : hdf5_refuse(source->where, name);
    if (rc == MOCO_OK)
        rc = take_sizes(&sizes, source->count ? NULL : source, numbers, &shape, source->where,
                        name);
    if (rc == MOCO_OK)
        rc = hdf5_check_layout(&chunk, dataset, &shape, source->where);
    if (rc == MOCO_OK)
        hdf5_nodata_take(&numbers->nodata, source, dataset, numbers->dtype);
    H5Dclose(dataset);
    if (rc != MOCO_OK)
        return rc;
    return raw_add_image(source, sizes.channels, sizes.height, sizes.width, dtype, source->where);
}

static int read_open(struct image *out, unsigned char **bytes, const struct source *source,
                     hid_t dataset, const char *name, const struct hdf5_numbers *numbers)
{
    struct hdf5_shape shape = { .rank = 0 };
    struct sizes sizes = { 0 };
    hsize_t chunk = 0;
    if (!hdf5_describe(&shape, dataset))
        return hdf5_refuse(source->where, name);
    int rc = take_sizes(&sizes, NULL, numbers, &shape, source->where, name);
    uint64_t plane = (uint64_t)sizes.height * (uint64_t)sizes.width;
    if (rc == MOCO_OK && (sizes.channels != source->channels || shape.matlab != numbers->matlab ||
                          plane > source->pixels_max))
        rc = error_set(MOCO_EFORMAT, "%s: %.100s is not what it was when the data was opened",
                       source->where, name);
    if (rc == MOCO_OK)
        rc = hdf5_check_layout(&chunk, dataset, &shape, source->where);
    size_t n = (size_t)plane * (size_t)sizes.channels;
    if (rc == MOCO_OK)
        rc = hdf5_check_size(dataset, chunk, n * shape.bytes, source->where);
    if (rc == MOCO_OK)
        rc = image_resize(out, sizes.channels, sizes.height, sizes.width);
    if (rc == MOCO_OK && !(*bytes = malloc(n * raw_size(numbers->dtype))))
        rc = error_memory("an image of HDF5", n * raw_size(numbers->dtype));
    if (rc == MOCO_OK &&
        H5Dread(dataset, numbers->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *bytes) < 0)
        rc = hdf5_refuse(source->where, name);
    return rc;
}

int hdf5_one_read(struct image *out, unsigned char **bytes, const struct source *source, hid_t file,
                  const char *name, struct hdf5_numbers *numbers)
{
    *bytes = NULL;
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0)
        return hdf5_refuse(source->where, name);
    int rc = read_open(out, bytes, source, dataset, name, numbers);
    hdf5_nodata(&numbers->nodata, dataset, numbers->dtype);
    H5Dclose(dataset);
    return rc;
}
