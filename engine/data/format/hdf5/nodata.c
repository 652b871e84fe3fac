/* nodata.c: see nodata.h. What HDF5 itself calls a fill value says what numbers are that nobody
 * wrote, not which are missing; it is not asked. */
#define _GNU_SOURCE
#include "engine/data/format/hdf5/nodata.h"

#include <stdio.h>
#include <string.h>

static const char *const attributes[] = { "_FillValue", "missing_value" };

/* The numbers of an attribute: how many, -1 where they are none or too many. */
static int read_numbers(double *values, hid_t attribute)
{
    hid_t space = H5Aget_space(attribute), type = H5Aget_type(attribute);
    H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    hssize_t n = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    int ok = (class == H5T_INTEGER || class == H5T_FLOAT) && n >= 1 && n <= NODATA_MOST &&
             H5Aread(attribute, H5T_NATIVE_DOUBLE, values) >= 0;
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return ok ? (int)n : -1;
}

/* Of one attribute: 0 where the dataset has none. */
static int read_named(double *values, hid_t dataset, const char *name)
{
    if (H5Aexists(dataset, name) <= 0)
        return 0;
    hid_t attribute = H5Aopen(dataset, name, H5P_DEFAULT);
    int n = attribute >= 0 ? read_numbers(values, attribute) : -1;
    if (attribute >= 0)
        H5Aclose(attribute);
    return n;
}

void hdf5_nodata(struct nodata *out, hid_t dataset, enum source_dtype dtype)
{
    hdf5_nodata_take(out, NULL, dataset, dtype);
}

static void note(struct source *source, const char *name)
{
    size_t used = strlen(source->note);
    if (!strstr(source->note, name))
        snprintf(source->note + used, sizeof source->note - used, "%s%.200s: the attribute %s is "
                 "not one to %d numbers, so it declares nothing missing", used ? "; " : "",
                 source->where, name, NODATA_MOST);
}

void hdf5_nodata_take(struct nodata *out, struct source *source, hid_t dataset,
                      enum source_dtype dtype)
{
    double values[NODATA_MOST];
    char text[40];
    *out = (struct nodata){ .n = 0 };
    for (size_t a = 0; a < sizeof attributes / sizeof *attributes; a++) {
        int n = read_named(values, dataset, attributes[a]);
        for (int i = 0; i < n; i++) {
            int before = out->n;
            nodata_add(out, values[i], dtype);
            snprintf(text, sizeof text, "%.9g", values[i]);
            if (source && out->n > before)
                nodata_name(source, attributes[a], text);
        }
        if (n < 0 && source)
            note(source, attributes[a]);
    }
}
