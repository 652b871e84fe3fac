/* numbers.c: see numbers.h. */
#define _GNU_SOURCE
#include "engine/data/format/hdf5/numbers.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

int hdf5_take_type(struct hdf5_numbers *out, enum source_dtype *dtype,
                   const struct hdf5_shape *shape, const char *path)
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
    out->matlab = shape->matlab;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].class == shape->class && rows[i].bytes == shape->bytes &&
            rows[i].is_signed == shape->is_signed) {
            *dtype = rows[i].dtype;
            out->dtype = rows[i].memory;
            out->type = rows[i].type;
            return MOCO_OK;
        }
    return error_set(MOCO_EUNSUPPORTED, "%s: images of %s numbers of %zu bytes are not read; "
                     "convert to u8, u16, i16, f16, f32 or f64", path,
                     shape->class == H5T_FLOAT ? "floating-point"
                     : shape->is_signed        ? "signed"
                                               : "unsigned", shape->bytes);
}

int hdf5_axis(const struct hdf5_numbers *numbers, int rank, int t)
{
    return numbers->matlab && numbers->axes.nhwc ? rank - 1 - t : t;
}

int hdf5_sizes(size_t *sizes, const struct hdf5_numbers *numbers, const struct hdf5_shape *shape,
               int of_each)
{
    int before = of_each ? 0 : 1 + (numbers->axes.views != 0), rank = shape->rank, n = 0;
    int turned = numbers->matlab && numbers->axes.nhwc && !of_each;
    int from = turned ? 0 : before; /* the image's sizes in the file */
    if (of_each)
        sizes[n++] = 1;
    for (int t = 0; t < before && t < rank; t++)
        sizes[n++] = (size_t)shape->size[hdf5_axis(numbers, rank, t)];
    for (int i = 0; i < rank - before; i++)
        sizes[n++] = (size_t)shape->size[from + i];
    if (numbers->matlab && rank - before >= 2) {
        size_t height = sizes[n - 1];
        sizes[n - 1] = sizes[n - 2];
        sizes[n - 2] = height;
    }
    return n;
}

/* raw_floats(), and then what is missing among them. */
static void take_floats(struct image *out, float *dst, const unsigned char *src, size_t n,
                        size_t step, const struct hdf5_numbers *numbers)
{
    int big = raw_machine_big();
    raw_floats(dst, src, n, step, numbers->dtype, big);
    out->missing += nodata_mark(dst, src, n, step, numbers->dtype, big, &numbers->nodata);
}

/* Columns of the file become rows. */
static int turn_planes(struct image *out, const unsigned char *src,
                       const struct hdf5_numbers *numbers)
{
    size_t height = (size_t)out->height, width = (size_t)out->width;
    size_t size = raw_size(numbers->dtype);
    float *column = malloc(height * sizeof *column);
    if (!column)
        return error_memory("a column of an image", height * sizeof *column);
    for (size_t c = 0; c < (size_t)out->channels; c++)
        for (size_t x = 0; x < width; x++) {
            take_floats(out, column, src + (c * width + x) * height * size, height, 1, numbers);
            for (size_t y = 0; y < height; y++)
                out->pixels[(c * height + y) * width + x] = column[y];
        }
    free(column);
    return MOCO_OK;
}

int hdf5_planes(struct image *out, const unsigned char *src, const struct hdf5_numbers *numbers)
{
    size_t plane = (size_t)out->height * (size_t)out->width, channels = (size_t)out->channels;
    size_t size = raw_size(numbers->dtype);
    if (numbers->matlab)
        return turn_planes(out, src, numbers);
    if (!numbers->axes.nhwc)
        take_floats(out, out->pixels, src, channels * plane, 1, numbers);
    for (size_t c = 0; numbers->axes.nhwc && c < channels; c++)
        take_floats(out, out->pixels + c * plane, src + c * size, plane, channels, numbers);
    return MOCO_OK;
}
