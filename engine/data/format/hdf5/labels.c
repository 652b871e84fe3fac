/* labels.c: see labels.h. */
#define _GNU_SOURCE
#include "engine/data/format/hdf5/labels.h"

#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/data/format/raw.h"

int hdf5_is_column(size_t *count, const struct hdf5_shape *shape)
{
    *count = shape->rank ? (size_t)shape->size[0] : 0;
    if (shape->rank == 2 && shape->size[0] == 1)
        *count = (size_t)shape->size[1];
    return shape->rank == 1 || (shape->rank == 2 && (shape->size[0] == 1 || shape->size[1] == 1));
}

/* One of the two, 8 bytes a number. */
union number {
    int64_t whole;
    double real;
};

static int read_numbers(int32_t *labels, hid_t dataset, size_t n, int floats, const char *path)
{
    union number *wide = malloc(n * sizeof *wide + 1);
    int rc = wide ? MOCO_OK : error_memory("labels", n * sizeof *wide);
    hid_t type = floats ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
    if (wide && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, wide) < 0)
        rc = hdf5_refuse(path, "the labels");
    for (size_t i = 0; i < n && rc == MOCO_OK; i++) {
        int64_t label = wide[i].whole;
        rc = floats ? raw_whole_label(&label, wide[i].real, i, path)
                    : raw_check_label(label, i, path);
        labels[i] = (int32_t)label;
    }
    free(wide);
    return rc;
}

static int take(struct source *source, const struct hdf5_shape *shape, hid_t dataset,
                const char *path)
{
    hsize_t chunk;
    size_t n;
    int column = hdf5_is_column(&n, shape), floats = shape->class == H5T_FLOAT;
    size_t each = n == source->count ? 1 : source_views(source);
    int numbers = !shape->why && (floats || shape->class == H5T_INTEGER);
    if (!column || !numbers || n * each != source->count)
        return error_set(MOCO_EFORMAT, "%s: labels need %zu whole numbers in 1 dimension; here are "
                         "%zu %s in %d", path, source_samples(source), n,
                         numbers ? "numbers" : "other values", shape->rank);
    int rc = hdf5_check_layout(&chunk, dataset, shape, path);
    if (rc == MOCO_OK)
        rc = hdf5_check_size(dataset, chunk, n * shape->bytes, path);
    int32_t *labels = rc == MOCO_OK ? malloc(source->count * sizeof *labels + 1) : NULL;
    if (rc == MOCO_OK && !labels)
        rc = error_memory("labels", source->count * sizeof *labels);
    if (rc == MOCO_OK)
        rc = read_numbers(labels, dataset, n, floats, path);
    for (size_t i = source->count; rc == MOCO_OK && each > 1 && i-- > 0;)
        labels[i] = labels[i / each]; /* from the back, where nothing is needed any more */
    if (rc == MOCO_OK)
        raw_take_labels(source, labels);
    else
        free(labels);
    return rc;
}

int hdf5_labels(struct source *source, int *floats, hid_t file, const char *name, const char *path)
{
    struct hdf5_shape shape = { .rank = 0 };
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    *floats = 0;
    if (dataset < 0)
        return hdf5_refuse(path, name);
    int rc = hdf5_describe(&shape, dataset) ? take(source, &shape, dataset, path)
                                            : hdf5_refuse(path, name);
    *floats = shape.rank && shape.class == H5T_FLOAT;
    H5Dclose(dataset);
    return rc;
}
