/* test_hdf5_missing.c: _FillValue and missing_value of HDF5 datasets, as netCDF has them:
 * of one dataset in any type and order of axes, of one an image, and what such an attribute cannot
 * mean. */
#define _GNU_SOURCE
#include <stdint.h>

#include "tests/files.h"

#ifdef MOCO_HDF5
#define H5_USE_110_API
#include <hdf5.h>

#include "engine/data/missing.h"

enum { N = 3, C = 2, H = 4, W = 5, ALL = N * C * H * W, IMAGE = C * H * W };

static void attach(hid_t set, const char *name, hid_t type, int n, const double *values)
{
    hsize_t size = (hsize_t)n;
    hid_t space = n == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &size, NULL);
    hid_t attribute = H5Acreate2(set, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_DOUBLE, values) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
}

/* Number i is i. */
static hid_t add(hid_t file, const char *name, hid_t type, int rank, const hsize_t *size)
{
    double values[ALL];
    for (int i = 0; i < ALL; i++)
        values[i] = i;
    hid_t space = H5Screate_simple(rank, size, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(set >= 0 && H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Sclose(space);
    return set;
}

static hid_t make(const char *name)
{
    return H5Fcreate(at(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
}

/* Pixel `gap` of image `index` is missing, and no other number. */
static void one_gap(const struct source *source, size_t index, int gap)
{
    struct image image = { 0 };
    CHECK_MSG(source && !source->read(source, index, &image), "%s", error_text());
    CHECK_MSG(image.missing == (gap >= 0), "%zu are missing", image.missing);
    for (int i = 0; image.pixels && i < image.channels * H * W; i++)
        CHECK_MSG(!isnan(image.pixels[i]) == (i != gap), "pixel %d: %g", i,
                  (double)image.pixels[i]);
    image_close(&image);
}

static void test_types(void)
{
    const hid_t types[] = { H5T_STD_U8LE, H5T_STD_U16BE, H5T_STD_I16LE, H5T_IEEE_F32BE,
                            H5T_IEEE_F64LE };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (int last = 0; last < 2; last++) {
            hid_t file = make("fill.h5");
            hid_t set = add(file, "x", types[i], 4, last ? (hsize_t[]){ N, H, W, C }
                                                         : (hsize_t[]){ N, C, H, W });
            attach(set, last ? "missing_value" : "_FillValue", types[i], 1,
                   (double[]){ IMAGE + 7 });
            H5Dclose(set);
            H5Fclose(file);
            struct source *source = must_open(spec_of("hdf5", "fill.h5", last ? ":nhwc" : ""));
            one_gap(source, 0, -1);
            one_gap(source, 1, last ? H * W + 3 : 7); /* 7 is channel 1 of pixel 3 */
            CHECK(source && !strcmp(source->declared, last ? "missing_value 47" : "_FillValue 47"));
            source_close(&source);
        }
}

/* Of each dataset its own; a text is none. */
static void test_each(void)
{
    char name[8];
    hid_t file = make("each.h5");
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "i%d", i);
        hid_t set = add(file, name, H5T_IEEE_F32LE, 2, (hsize_t[]){ H, W });
        if (i < 3)
            attach(set, "_FillValue", H5T_IEEE_F32LE, 1, (double[]){ 5 + i });
        H5Dclose(set);
    }
    H5Fclose(file);
    struct source *source = must_open(spec_of("hdf5", "each.h5", ":/"));
    for (int i = 0; i < 4; i++)
        one_gap(source, (size_t)i, i < 3 ? 5 + i : -1);
    CHECK(source && !strcmp(source->declared, "_FillValue 5 and others"));
    source_close(&source);
}

static void test_odd(void)
{
    struct image image = { 0 };
    hid_t text = H5Tcopy(H5T_C_S1), file = make("odd.h5");
    hid_t set = add(file, "x", H5T_IEEE_F32LE, 4, (hsize_t[]){ N, C, H, W });
    hid_t space = H5Screate(H5S_SCALAR);
    H5Tset_size(text, 4);
    H5Aclose(H5Acreate2(set, "_FillValue", text, space, H5P_DEFAULT, H5P_DEFAULT));
    attach(set, "missing_value", H5T_NATIVE_DOUBLE, 2, (double[]){ 3, 1e300 });
    H5Sclose(space);
    H5Tclose(text);
    H5Dclose(set);
    H5Fclose(file);
    struct source *source = must_open(at("odd.h5"));
    one_gap(source, 0, 3);
    CHECK(source && strstr(source->note, "the attribute _FillValue is not one to 4 numbers"));
    source_close(&source);
    file = make("nan.h5");
    set = add(file, "x", H5T_IEEE_F32LE, 4, (hsize_t[]){ N, C, H, W });
    attach(set, "_FillValue", H5T_IEEE_F32LE, 1, (double[]){ NAN });
    double values[ALL] = { 0 };
    values[2] = NAN, values[IMAGE] = INFINITY;
    CHECK(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Fclose(file);
    source = must_open(at("nan.h5"));
    one_gap(source, 0, 2);
    CHECK(source && source->read(source, 1, &image) == MOCO_ENOTFINITE);
    image_close(&image);
    source_close(&source);
}

int main(void)
{
    if (files_begin())
        return 1;
    test_types();
    test_each();
    test_odd();
    files_end();
    return check_summary("hdf5_missing");
}
#else
int main(void)
{
    puts("hdf5_missing: built without libhdf5");
    return 77;
}
#endif
