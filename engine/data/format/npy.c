/* npy.c: NumPy's arrays in memory; see npy.h.
 *
 * An array is the magic, a version, the length of the header, the header (a Python dict of descr,
 * fortran_order, shape), then the numbers. Only little-endian C order is read; anything else is
 * refused with what to do in NumPy. */
#define _GNU_SOURCE
#include "engine/data/format/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/raw.h"

/* ---- header ---- */

/* What follows `'key':` in the header, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(header, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    return *at == ':' ? at + 1 + strspn(at + 1, " ") : NULL;
}

/* Of "'<c8', 'fortran_order'..." what is within quotes; of a list its beginning. */
static int type_length(const char *at)
{
    size_t length = *at == '\'' ? 2 + strcspn(at + 1, "'") : strlen(at);
    return length < 12 ? (int)length : 12;
}

static int parse_descr(struct npy *npy, const char *at, const char *path)
{
    char quote = 0, order = 0, end = 0;
    int n = at ? sscanf(at, "%c%c%c%1d%c", &quote, &order, &npy->type, &npy->type_size, &end) : 0;
    if (npy->type == 'O')
        return error_set(MOCO_EUNSUPPORTED, "%s: Python objects, no numbers; where they are images "
                         "of one size, save np.stack(list(x)) instead", path);
    if (at && *at == '[')
        return error_set(MOCO_EUNSUPPORTED, "%s: an array of records; save one of its fields, "
                         "x['name'], instead", path);
    if (npy->type == 'c')
        return error_set(MOCO_EUNSUPPORTED, "%s: complex numbers; save np.stack([x.real, x.imag], "
                         "1).astype('<f4') instead", path);
    if (n != 5 || quote != '\'' || end != '\'' || !strchr("uif", npy->type))
        return error_set(MOCO_EUNSUPPORTED, "%s: numbers of type %.*s are not read; convert with "
                         "x.astype('<f4') or to an integer type", path, at ? type_length(at) : 6,
                         at ? at : "(none)");
    if (order == '>' && npy->type_size > 1)
        return error_set(MOCO_EUNSUPPORTED, "%s: the numbers are big-endian ('>%c%d'); convert "
                         "with x.astype('<%c%d')", path, npy->type, npy->type_size, npy->type,
                         npy->type_size);
    if (!strchr("<|>=", order) || (npy->type_size & (npy->type_size - 1)) || !npy->type_size)
        return error_set(MOCO_EFORMAT, "%s: the type %.6s is unknown", path, at);
    return MOCO_OK;
}

static int parse_shape(struct npy *npy, const char *at, const char *path)
{
    if (!at || *at++ != '(')
        return error_set(MOCO_EFORMAT, "%s: the header has no shape; the file is damaged", path);
    for (npy->dims = 0; *at && *at != ')'; npy->dims++) {
        char *end;
        if (npy->dims == NPY_DIMS_MAX)
            return error_set(MOCO_EFORMAT, "%s: more than %d dimensions", path, NPY_DIMS_MAX);
        at += strspn(at, " ");
        if (*at < '0' || *at > '9')
            return error_set(MOCO_EFORMAT, "%s: the shape %.20s is no list of sizes", path, at);
        npy->size[npy->dims] = strtoull(at, &end, 10);
        at = end + strspn(end, " L");
        at += *at == ',';
        at += strspn(at, " ");
    }
    return *at == ')' ? MOCO_OK : error_set(MOCO_EFORMAT, "%s: the shape does not end", path);
}

static int parse_header(struct npy *npy, const char *header, const char *path)
{
    const char *order = value_of(header, "fortran_order");
    int rc = parse_descr(npy, value_of(header, "descr"), path);
    if (rc != MOCO_OK)
        return rc;
    if (!order || (strncmp(order, "False", 5) != 0 && strncmp(order, "True", 4) != 0))
        return error_set(MOCO_EFORMAT, "%s: fortran_order is neither True nor False; the header is "
                         "damaged", path);
    if (*order == 'T')
        return error_set(MOCO_EUNSUPPORTED, "%s: the array is in Fortran order; save "
                         "np.ascontiguousarray(x) instead", path);
    return parse_shape(npy, value_of(header, "shape"), path);
}

static int check_size(const struct npy *npy, const char *path)
{
    size_t bytes = (size_t)npy->type_size;
    for (int i = 0; i < npy->dims; i++)
        if (__builtin_mul_overflow(bytes, npy->size[i], &bytes))
            return error_set(MOCO_EFORMAT, "%s: the shape in the header is too large", path);
    if (bytes != npy->data_bytes)
        return error_set(MOCO_EFORMAT, "%s: the header promises %zu bytes of numbers, the file "
                         "has %zu; it is truncated or damaged", path, bytes, npy->data_bytes);
    return MOCO_OK;
}

int npy_header(struct npy *npy, const unsigned char *bytes, size_t size, const char *path)
{
    char header[NPY_HEADER_MAX + 1];
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3)
        return error_set(MOCO_EFORMAT, "%s does not start like an .npy file of version 1 to 3",
                         path);
    size_t start = bytes[6] == 1 ? 10 : 12, length = bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > NPY_HEADER_MAX || length > size - start)
        return error_set(MOCO_EFORMAT, "%s: a header of %zu bytes is longer than the file or than "
                         "%d bytes", path, length, NPY_HEADER_MAX);
    memcpy(header, bytes + start, length);
    header[length] = '\0';
    npy->data = bytes + start + length;
    npy->data_bytes = size - start - length;
    return parse_header(npy, header, path);
}

int npy_parse(struct npy *npy, const unsigned char *bytes, size_t size, const char *path)
{
    int rc = npy_header(npy, bytes, size, path);
    return rc == MOCO_OK ? check_size(npy, path) : rc;
}

/* ---- images ---- */

int npy_read_image(const struct source *source, size_t index, struct image *out)
{
    const struct npy *npy = source->state;
    size_t plane = (size_t)source->height * (size_t)source->width;
    size_t channels = (size_t)source->channels, size = raw_size(source->dtype);
    const unsigned char *at = npy->data + index * channels * plane * size;
    int rc = image_resize(out, source->channels, source->height, source->width);
    if (rc != MOCO_OK)
        return rc;
    if (!npy->axes.nhwc)
        raw_floats(out->pixels, at, channels * plane, 1, source->dtype, 0);
    for (size_t c = 0; npy->axes.nhwc && c < channels; c++)
        raw_floats(out->pixels + c * plane, at + c * size, plane, channels, source->dtype, 0);
    return MOCO_OK;
}

static int take_dtype(struct source *source, const struct npy *npy, const char *path)
{
    static const struct {
        char type;
        int size;
        enum source_dtype dtype;
    } rows[] = { { 'u', 1, DTYPE_U8 },  { 'u', 2, DTYPE_U16 }, { 'i', 2, DTYPE_I16 },
                 { 'f', 2, DTYPE_F16 }, { 'f', 4, DTYPE_F32 }, { 'f', 8, DTYPE_F64 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == npy->type && rows[i].size == npy->type_size) {
            source->dtype = rows[i].dtype;
            return MOCO_OK;
        }
    return error_set(MOCO_EUNSUPPORTED, "%s: images of type %c%d are not read; convert to u1, u2, "
                     "i2, f2, f4 or f8", path, npy->type, npy->type_size);
}

int npy_take_images(struct source *source, const struct npy *npy, const char *path)
{
    int rc = take_dtype(source, npy, path);
    if (rc != MOCO_OK)
        return rc;
    rc = raw_take_shape(source, npy->size, npy->dims, &npy->axes, path);
    if (rc != MOCO_OK)
        return rc;
    if (raw_bytes(source) != npy->data_bytes)
        return error_set(MOCO_EFORMAT, "%s: images of %d x %d x %d are too large", path,
                         source->channels, source->height, source->width);
    return MOCO_OK;
}

/* ---- labels ---- */

static int64_t integer_at(const struct npy *npy, size_t i)
{
    size_t size = (size_t)npy->type_size, width = 8 * size;
    uint64_t value = raw_get(npy->data + i * size, size);
    if (npy->type == 'i' && width < 64 && value >> (width - 1))
        value |= ~(uint64_t)0 << width;
    if (npy->type == 'u' && value > INT64_MAX) /* would turn negative */
        value = INT64_MAX;
    return (int64_t)value;
}

static double float_at(const struct npy *npy, size_t i)
{
    const unsigned char *at = npy->data + i * (size_t)npy->type_size;
    float single;
    double value;
    uint64_t word = raw_get(at, (size_t)npy->type_size);
    if (npy->type_size == 8) {
        memcpy(&value, &word, sizeof value);
        return value;
    }
    raw_floats(&single, at, 1, 1, npy->type_size == 2 ? DTYPE_F16 : DTYPE_F32, 0);
    return (double)single;
}

static int label_at(int64_t *label, const struct npy *npy, size_t i, const char *path)
{
    if (npy->type == 'f')
        return raw_whole_label(label, float_at(npy, i), i, path);
    *label = integer_at(npy, i);
    return raw_check_label(*label, i, path);
}

int npy_is_column(size_t *count, const struct npy *npy)
{
    *count = npy->dims ? npy->size[0] : 1;
    if (npy->dims == 2 && npy->size[0] == 1)
        *count = npy->size[1];
    return npy->dims == 1 || (npy->dims == 2 && (npy->size[0] == 1 || npy->size[1] == 1));
}

int npy_take_labels(struct source *source, const struct npy *npy, const char *path)
{
    int rc = MOCO_OK;
    size_t n, column = (size_t)npy_is_column(&n, npy);
    size_t each = n == source->count ? 1 : source_views(source);
    if (!column || n * each != source->count)
        return error_set(MOCO_EFORMAT, "%s: labels need %zu whole numbers in 1 dimension; here are "
                         "%zu of type %c%d in %d", path, source_samples(source),
                         npy->dims ? npy->size[0] : (size_t)1, npy->type, npy->type_size,
                         npy->dims);
    int32_t *labels = malloc(source->count * sizeof *labels + 1);
    if (!labels)
        return error_memory("labels", source->count * sizeof *labels);
    for (size_t i = 0; i < source->count && rc == MOCO_OK; i++) {
        int64_t label;
        rc = label_at(&label, npy, i / each, path);
        labels[i] = (int32_t)label;
    }
    if (rc == MOCO_OK)
        raw_take_labels(source, labels);
    else
        free(labels);
    return rc;
}
