/* dataset.c: see dataset.h.
 *
 * Sizes are checked here, but the library itself is not safe against hostile files: 1.10.8 reads
 * past its buffers where a packed chunk turns out shorter than it should be. */
#define _GNU_SOURCE
#include "engine/data/format/hdf5/dataset.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/raw.h"

enum { DEFLATE_RATIO = 1032, CHUNK_BYTES_MAX = 1 << 30, WORD = 32 };

/* ---- the library ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int lacking; /* errno of a shortage since hdf5_begin(); under the lock */

/* Comes behind each call that fails, also where what it asks for is then taken for absent. */
static herr_t keep_shortage(hid_t stack, void *user)
{
    (void)stack, (void)user;
    if (!lacking && error_is_shortage(errno))
        lacking = errno;
    return 0;
}

void hdf5_begin(struct hdf5_quiet *quiet)
{
    pthread_mutex_lock(&lock);
    H5Eget_auto2(H5E_DEFAULT, &quiet->print, &quiet->data);
    H5Eset_auto2(H5E_DEFAULT, keep_shortage, NULL);
    lacking = errno = 0;
}

int hdf5_end(const struct hdf5_quiet *quiet, int rc, const char *path)
{
    int number = lacking;
    H5Eset_auto2(H5E_DEFAULT, quiet->print, quiet->data);
    pthread_mutex_unlock(&lock);
    return number && rc != MOCO_ENOMEM ? error_system("reading", path, number) : rc;
}

/* The innermost of the library's messages comes first. */
static herr_t keep_first(unsigned n, const H5E_error2_t *error, void *user)
{
    (void)n;
    snprintf(user, HDF5_TEXT, "%s", error->desc ? error->desc : "no reason given");
    return 1;
}

int hdf5_refuse(const char *path, const char *what)
{
    char text[HDF5_TEXT] = "no reason given";
    if (errno == EIO)
        return error_system("reading", path, errno);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, text);
    return error_set(MOCO_EFORMAT, "%s: %s cannot be read (%s); the file is truncated, damaged or "
                     "no HDF5", path, what, text);
}

/* ---- MATLAB ---- */

/* What MATLAB calls the type of an array: 1 if the dataset says so. */
static int matlab_class(char *out, hid_t dataset)
{
    out[0] = '\0';
    if (H5Aexists(dataset, "MATLAB_class") <= 0)
        return 0;
    hid_t attribute = H5Aopen(dataset, "MATLAB_class", H5P_DEFAULT);
    hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    size_t size = type >= 0 ? H5Tget_size(type) : 0;
    char *text = NULL;
    if (size && H5Tis_variable_str(type) > 0) {
        if (H5Aread(attribute, type, &text) >= 0 && text)
            snprintf(out, WORD, "%s", text);
        H5free_memory(text);
    } else if (size && size < WORD && H5Aread(attribute, type, out) >= 0) {
        out[size] = '\0';
    }
    if (type >= 0)
        H5Tclose(type);
    if (attribute >= 0)
        H5Aclose(attribute);
    return 1;
}

/* Numbers have classes like uint8, int16, single, double. */
static const char *matlab_why(const char *class, hid_t dataset)
{
    if (H5Aexists(dataset, "MATLAB_empty") > 0)
        return "an empty array of MATLAB";
    if (!strcmp(class, "cell"))
        return "a cell array of MATLAB, of which no images are taken: write cat(4, c{:}) instead "
               "of the cell array c";
    if (!strcmp(class, "logical"))
        return "logical in MATLAB: write single(x) instead";
    if (!strcmp(class, "char"))
        return "text of MATLAB";
    return NULL;
}

/* ---- datasets ---- */

/* What it is, where it is no array of numbers. */
static const char *why_not(H5T_class_t class)
{
    switch (class) {
    case H5T_INTEGER:
    case H5T_FLOAT:
        return NULL;
    case H5T_ENUM:
        return "boolean or of named values: convert to u8 or f32";
    case H5T_COMPOUND:
        return "a table of records or complex numbers: write the images as an array of plain "
               "numbers";
    case H5T_VLEN:
        return "of rows of different lengths, as encoded files are stored: decode them to arrays, "
               "or write them as files into folders";
    case H5T_REFERENCE:
        return "of references to other datasets";
    case H5T_STRING:
        return "text";
    default:
        return "of a type that is no number";
    }
}

static void describe_type(struct hdf5_shape *out, hid_t dataset, hid_t type)
{
    char class[WORD];
    out->class = H5Tget_class(type);
    out->bytes = H5Tget_size(type);
    out->is_signed = out->class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
    out->matlab = matlab_class(class, dataset);
    out->why = out->matlab ? matlab_why(class, dataset) : NULL;
    if (!out->why)
        out->why = why_not(out->class);
}

int hdf5_describe(struct hdf5_shape *out, hid_t dataset)
{
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    int ok = type >= 0 && rank >= 1 && rank <= HDF5_DIMS_MAX;
    if (ok)
        ok = H5Sget_simple_extent_dims(space, out->size, out->most) == rank;
    if (ok) {
        out->rank = rank;
        describe_type(out, dataset, type);
    }
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return ok;
}

void hdf5_describe_named(struct hdf5_shape *out, hid_t file, const char *name)
{
    *out = (struct hdf5_shape){ .rank = 0 };
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0)
        return;
    hdf5_describe(out, dataset);
    H5Dclose(dataset);
}

/* ---- where numbers lie ---- */

/* A filter may stand in an optional place and still have packed every chunk. */
static int check_filters(hid_t plan, const char *path)
{
    static const struct {
        H5Z_filter_t id;
        const char *name;
    } known[] = {
        { 305, "LZO" },        { 307, "bzip2" },    { 32000, "lzf" },   { 32001, "blosc" },
        { 32004, "lz4" },      { 32008, "bitshuffle" }, { 32013, "zfp" }, { 32015, "zstd" },
        { 32017, "sz" },       { 32018, "fcidecomp" }, { 32024, "sz3" }, { 32026, "blosc2" },
        { H5Z_FILTER_SZIP, "szip" }, { H5Z_FILTER_DEFLATE, "gzip" },
    };
    int n = H5Pget_nfilters(plan);
    for (int i = 0; i < n; i++) {
        char name[WORD] = "";
        size_t values = 0;
        unsigned flags;
        H5Z_filter_t id = H5Pget_filter2(plan, (unsigned)i, &flags, &values, NULL, sizeof name,
                                         name, NULL);
        if (id < 0 || H5Zfilter_avail(id) > 0)
            continue;
        name[sizeof name - 1] = '\0';
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (known[k].id == id)
                snprintf(name, sizeof name, "%s", known[k].name);
        return error_set(MOCO_EUNSUPPORTED, "%s: the numbers are packed by the HDF5 filter %s "
                         "(%d), which this HDF5 library has not: install its plugin and set "
                         "HDF5_PLUGIN_PATH to the plugin's folder, or write the file anew with "
                         "gzip", path, name[0] ? name : "without a name", (int)id);
    }
    return MOCO_OK;
}

static int check_chunk(hsize_t *chunk, hid_t plan, const struct hdf5_shape *shape,
                       const char *path)
{
    hsize_t size[HDF5_DIMS_MAX] = { 0 }, bytes = shape->bytes;
    int rank = H5Pget_chunk(plan, HDF5_DIMS_MAX, size);
    for (int i = 0; i < rank && i < HDF5_DIMS_MAX; i++)
        if (__builtin_mul_overflow(bytes, size[i], &bytes) || bytes > CHUNK_BYTES_MAX)
            return error_set(MOCO_EUNSUPPORTED, "%s: a chunk of the dataset is larger than 1 GiB; "
                             "write one image a chunk", path);
    /* The library believes chunks of other sizes when it reads, though it does not write them. */
    for (int i = 0; i < rank && i < HDF5_DIMS_MAX; i++)
        if (size[i] == 0 || (shape->most[i] != H5S_UNLIMITED && size[i] > shape->most[i]))
            return error_set(MOCO_EFORMAT, "%s: chunks are larger than the dataset; the file is "
                             "damaged", path);
    *chunk = bytes;
    return rank == shape->rank ? MOCO_OK : hdf5_refuse(path, "the size of chunks");
}

int hdf5_check_layout(hsize_t *chunk, hid_t dataset, const struct hdf5_shape *shape,
                      const char *path)
{
    hid_t plan = H5Dget_create_plist(dataset);
    *chunk = 0;
    if (plan < 0)
        return hdf5_refuse(path, "the layout of the dataset");
    H5D_layout_t layout = H5Pget_layout(plan);
    int elsewhere = layout == H5D_VIRTUAL || H5Pget_external_count(plan) != 0;
    int rc = elsewhere ? error_set(MOCO_EUNSUPPORTED, "%s: the numbers of the dataset lie in other "
                                   "files; copy them into one (h5repack -l CONTI)", path)
                       : check_filters(plan, path);
    if (rc == MOCO_OK && layout == H5D_CHUNKED)
        rc = check_chunk(chunk, plan, shape, path);
    H5Pclose(plan);
    return rc;
}

int hdf5_check_size(hid_t dataset, hsize_t chunk, uint64_t bytes, const char *path)
{
    char name[RAW_PATH] = ""; /* a link may have led to another file */
    H5Fget_name(dataset, name, sizeof name);
    uint64_t file = raw_file_size(name[0] ? name : path);
    uint64_t stored = H5Dget_storage_size(dataset);
    if (chunk ? bytes / DEFLATE_RATIO > file : stored < bytes || bytes > file)
        return error_set(MOCO_EFORMAT, "%s: the dataset promises %llu bytes of numbers, more than "
                         "are stored in a file of %llu; it is truncated, damaged or was not filled",
                         path, (unsigned long long)bytes, (unsigned long long)file);
    return MOCO_OK;
}
