/* source_npy.c: NumPy arrays: X.npy[,Y.npy], X of (N, C, H, W), (N, H, W), or with the suffix
 * :nhwc (N, H, W, C); u8, u16, i16, f16, f32, f64, little-endian, C order. X is mapped, so a set
 * larger than memory works; pixels become floats when they are read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/mapped.h"
#include "engine/data/source.h"

/* One array in a file. */
struct npy {
    struct mapped file;
    const unsigned char *data;
    char type[4]; /* "u1", "f4", … */
    int rank;
    size_t shape[4], item;
};

struct state {
    struct npy x, y;
    int nhwc;
    int32_t *labels;
};

/* Value of a key of the header, which is a Python dictionary as text. */
static const char *header_value(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (at)
        at = strchr(at, ':');
    return at ? at + 1 + strspn(at + 1, " ") : NULL;
}

static int bad(const char *path, const char *what)
{
    return error_set(MOCO_EFORMAT, "%s: %s", path, what);
}

static int parse_shape(struct npy *a, const char *text, const char *path)
{
    char *end;
    if (!text || *text != '(')
        return bad(path, "the NPY header has no shape");
    for (text++; *text != ')'; text = end + strspn(end, ", L")) {
        size_t n = strtoull(text, &end, 10);
        if (end == text || a->rank == 4)
            return bad(path, "images need 3 or 4 axes, labels 1");
        a->shape[a->rank++] = n;
    }
    return MOCO_OK;
}

static int parse_header(struct npy *a, const char *header, const char *path)
{
    const char *descr = header_value(header, "'descr'");
    const char *order = header_value(header, "'fortran_order'");
    if (!descr || !order)
        return bad(path, "the NPY header is damaged");
    if (strncmp(order, "False", 5))
        return bad(path, "Fortran order is not read; save it with numpy.ascontiguousarray");
    if (descr[0] != '\'' || (descr[1] != '<' && descr[1] != '|'))
        return bad(path, "only little-endian numbers are read; convert with astype");
    a->type[0] = descr[2], a->type[1] = descr[3];
    a->item = (size_t)(descr[3] - '0');
    if (descr[4] != '\'' || a->item < 1 || a->item > 8)
        return bad(path, "numbers of this type are not read: use u1, u2, i2, f2, f4 or f8");
    return parse_shape(a, header_value(header, "'shape'"), path);
}

static int npy_open(struct npy *a, const char *path)
{
    char header[4096];
    int err = mapped_open(&a->file, path);
    if (err)
        return err;
    const unsigned char *d = a->file.data;
    if (a->file.size < 12 || memcmp(d, "\x93NUMPY", 6))
        return bad(path, "this is no NPY file");
    size_t wide = d[6] > 1 ? 4 : 2, length = d[8] | (size_t)d[9] << 8, start = 8 + wide;
    if (wide == 4)
        length |= (size_t)d[10] << 16 | (size_t)d[11] << 24;
    if (length >= sizeof header || start + length > a->file.size)
        return bad(path, "the NPY header is longer than the file or than 4 KiB");
    memcpy(header, d + start, length);
    header[length] = '\0';
    err = parse_header(a, header, path);
    if (err)
        return err;
    size_t left = (a->file.size - start - length) / a->item, count = 1;
    for (int i = 0; i < a->rank; i++) {
        if (a->shape[i] == 0 || a->shape[i] > left / count)
            return error_set(MOCO_EFORMAT, "%s: the shape asks for more than the %zu values that "
                             "the file holds, or for none", path, left);
        count *= a->shape[i];
    }
    a->data = d + start + length;
    return MOCO_OK;
}

static float half_value(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    uint32_t bits = sign | (exponent + 112) << 23 | fraction << 13;
    float value;
    if (exponent == 0)
        return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    if (exponent == 31)
        bits = sign | 0x7f800000u | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static const struct {
    const char *name;
    enum source_dtype dtype;
} types[] = { { "u1", DTYPE_U8 },  { "u2", DTYPE_U16 }, { "i2", DTYPE_I16 },
              { "f2", DTYPE_F16 }, { "f4", DTYPE_F32 }, { "f8", DTYPE_F64 } };

/* Value i of an array as a pixel. */
static float pixel(const unsigned char *at, enum source_dtype dtype)
{
    uint16_t u16;
    int16_t i16;
    float f32;
    double f64;
    switch (dtype) {
    case DTYPE_U8:
        return (float)*at / 255.0f;
    case DTYPE_U16:
        memcpy(&u16, at, 2);
        return (float)u16 / 65535.0f;
    case DTYPE_I16:
        memcpy(&i16, at, 2);
        return (float)i16;
    case DTYPE_F16:
        memcpy(&u16, at, 2);
        return half_value(u16);
    case DTYPE_F32:
        memcpy(&f32, at, 4);
        return f32;
    default:
        memcpy(&f64, at, 8);
        return (float)f64;
    }
}

static int npy_read(const struct source *source, size_t index, struct image *out)
{
    const struct state *s = source->state;
    size_t C = (size_t)source->channels, HW = (size_t)source->height * (size_t)source->width;
    const unsigned char *data = s->x.data + index * C * HW * s->x.item;
    int err = image_resize(out, source->channels, source->height, source->width);

    for (size_t c = 0; c < C && !err; c++)
        for (size_t p = 0; p < HW; p++)
            out->pixels[c * HW + p] =
                pixel(data + (s->nhwc ? p * C + c : c * HW + p) * s->x.item, source->dtype);
    return err;
}

static void npy_close(struct source *source)
{
    struct state *s = source->state;
    mapped_close(&s->x.file);
    mapped_close(&s->y.file);
    free(s->labels);
    free(s);
}

static int64_t whole(const struct npy *a, size_t i)
{
    const unsigned char *at = a->data + i * a->item;
    uint64_t value = 0;
    for (size_t b = 0; b < a->item; b++)
        value |= (uint64_t)at[b] << 8 * b;
    if (a->type[0] == 'i' && a->item < 8 && value >> (8 * a->item - 1))
        value -= (uint64_t)1 << 8 * a->item;
    return (int64_t)value;
}

static int read_labels(struct source *source, struct state *s, const char *path)
{
    int err = npy_open(&s->y, path);
    if (err)
        return err;
    if ((s->y.type[0] != 'i' && s->y.type[0] != 'u') || s->y.rank != 1 ||
        s->y.shape[0] != source->count)
        return error_set(MOCO_EFORMAT, "%s: labels must be %zu whole numbers on one axis", path,
                         source->count);
    s->labels = malloc(source->count * sizeof *s->labels);
    if (!s->labels)
        return error_memory("labels", source->count * sizeof *s->labels);
    for (size_t i = 0; i < source->count; i++) {
        int64_t label = whole(&s->y, i);
        if (label < -1 || label > 1000000)
            return error_set(MOCO_EFORMAT, "%s: label %zu is %lld; labels count from 0, -1 is "
                             "unlabelled", path, i, (long long)label);
        s->labels[i] = (int32_t)label;
        if (label >= source->classes)
            source->classes = (int)label + 1;
    }
    source->labels = s->labels;
    return MOCO_OK;
}

static int describe(struct source *source, const struct state *s, const char *path)
{
    const struct npy *x = &s->x;
    size_t rows[3] = { x->shape[1], x->shape[2], x->shape[3] };
    if (x->rank != 3 && x->rank != 4)
        return bad(path, "images need the axes (N, H, W) or (N, C, H, W)");
    size_t C = x->rank == 3 ? 1 : s->nhwc ? rows[2] : rows[0];
    size_t H = x->rank == 3 || s->nhwc ? rows[0] : rows[1];
    size_t W = x->rank == 3 || s->nhwc ? rows[1] : rows[2];
    if (C > 256 || H > 32768 || W > 32768)
        return error_set(MOCO_EFORMAT, "%s: %zu channels of %zu x %zu pixels; at most 256 of "
                         "32768 x 32768 are read (are the axes in another order? see :nhwc)",
                         path, C, H, W);
    source->count = x->shape[0];
    source->channels = (int)C, source->height = (int)H, source->width = (int)W;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, x->type)) {
            source->dtype = types[i].dtype;
            return MOCO_OK;
        }
    return bad(path, "numbers of this type are not read: use u1, u2, i2, f2, f4 or f8");
}

int source_open_npy(struct source *source, const char *path)
{
    struct state *s = calloc(1, sizeof *s);
    char x[1024], *y;
    int err;

    if (!s)
        return error_memory("a data source", sizeof *s);
    source->state = s, source->close = npy_close, source->read = npy_read;
    snprintf(x, sizeof x, "%s", path);
    size_t length = strlen(x);
    if (length > 5 && !strcmp(x + length - 5, ":nhwc")) {
        s->nhwc = 1;
        x[length - 5] = '\0';
    }
    y = strchr(x, ',');
    if (y)
        *y++ = '\0';
    err = npy_open(&s->x, x);
    if (!err)
        err = describe(source, s, x);
    return err || !y ? err : read_labels(source, s, y);
}
