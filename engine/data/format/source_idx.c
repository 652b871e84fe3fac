/* source_idx.c: IDX files as of MNIST, plain or gzip.
 *
 * IMAGES[,LABELS]: bytes 0 0 type dimensions, then each size as 32-bit big-endian, then the
 * numbers, big-endian, in C order. Images are (N, H, W) or (N, C, H, W) of u8, i16, f32 or f64;
 * labels (N) of any integer type. Without LABELS, those of "…images-idx3…" are looked for in
 * "…labels-idx1…" beside it. A header is believed only when the file can hold what it says:
 * deflate shrinks at most 1032 times. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/data/format/gunzip.h"
#include "engine/data/format/raw.h"

enum { DIMS_MAX = 4, DEFLATE_RATIO = 1032, PIECE = 1 << 24 };
enum { IDX_U8 = 8, IDX_I8 = 9, IDX_I16 = 11, IDX_I32 = 12, IDX_F32 = 13, IDX_F64 = 14 };
#define IDX_BYTES_MAX ((uint64_t)1 << 32)

struct idx {
    int type, dims;
    size_t size[DIMS_MAX];
    size_t bytes;
    unsigned char *data; /* owned */
};

static size_t type_size(int type)
{
    static const unsigned char sizes[] = {
        [IDX_U8] = 1, [IDX_I8] = 1, [IDX_I16] = 2, [IDX_I32] = 4, [IDX_F32] = 4, [IDX_F64] = 8,
    };
    return type >= 0 && type <= IDX_F64 ? sizes[type] : 0;
}

/* Exactly `bytes` bytes, or a sentence. */
static int read_bytes(gzFile file, unsigned char *out, size_t bytes, const char *path)
{
    for (size_t at = 0; at < bytes;) {
        int code = 0, got = gzread(file, out + at, bytes - at < PIECE ? (unsigned)(bytes - at)
                                                                      : (unsigned)PIECE);
        int system = errno;
        const char *text = got < 0 ? gzerror(file, &code) : "";
        if (got < 0 && (code == Z_ERRNO || code == Z_MEM_ERROR))
            return gunzip_explain(file, system, path);
        if (got < 0)
            return error_set(MOCO_EFORMAT, "%s: %s; the file is damaged", path, text);
        if (got == 0)
            return error_set(MOCO_EFORMAT, "%s: the content ends %zu bytes early; the file is "
                             "truncated", path, bytes - at);
        at += (size_t)got;
    }
    return MOCO_OK;
}

static int read_header(gzFile file, struct idx *idx, const char *path)
{
    unsigned char head[4 + 4 * DIMS_MAX];
    int rc = read_bytes(file, head, 4, path);
    if (rc != MOCO_OK)
        return rc;
    idx->type = head[2];
    idx->dims = head[3];
    if (head[0] || head[1] || !type_size(idx->type) || idx->dims < 1 || idx->dims > DIMS_MAX)
        return error_set(MOCO_EFORMAT, "%s: the first bytes %02x %02x %02x %02x are no IDX magic "
                         "(00 00, a type 08 to 0e, 1 to 4 dimensions)", path, head[0], head[1],
                         head[2], head[3]);
    rc = read_bytes(file, head, 4 * (size_t)idx->dims, path);
    for (int i = 0; i < idx->dims && rc == MOCO_OK; i++) {
        const unsigned char *at = head + 4 * i;
        idx->size[i] = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    }
    return rc;
}

static int check_size(struct idx *idx, const char *path)
{
    size_t bytes = type_size(idx->type);
    int overflow = 0;
    for (int i = 0; i < idx->dims; i++)
        overflow |= __builtin_mul_overflow(bytes, idx->size[i], &bytes);
    uint64_t file = raw_file_size(path);
    if (overflow || bytes > IDX_BYTES_MAX || bytes / DEFLATE_RATIO > file)
        return error_set(MOCO_EFORMAT, "%s: the header promises more numbers than a file of %llu "
                         "bytes (or moco: 4 GiB) can hold; it is damaged", path,
                         (unsigned long long)file);
    if (bytes == 0)
        return error_set(MOCO_EFORMAT, "%s: a size in the header is 0", path);
    idx->bytes = bytes;
    return MOCO_OK;
}

static int read_data(gzFile file, struct idx *idx, const char *path)
{
    unsigned char extra;
    int more;
    idx->data = malloc(idx->bytes);
    if (!idx->data)
        return error_memory(path, idx->bytes);
    int rc = read_bytes(file, idx->data, idx->bytes, path);
    if (rc != MOCO_OK || (more = gzread(file, &extra, 1)) == 0)
        return rc;
    int system = errno, code = Z_OK;
    gzerror(file, &code);
    if (more < 0 && (code == Z_ERRNO || code == Z_MEM_ERROR))
        return gunzip_explain(file, system, path);
    return error_set(MOCO_EFORMAT, "%s: content goes on behind the %zu bytes that the header "
                         "promises, or its checksum is wrong; the file is damaged", path,
                         idx->bytes);
}

/* errno is EINTR behind a failure of which a signal is the cause; zlib can not go on then. */
static int read_file(struct idx *idx, const char *path)
{
    errno = 0;
    gzFile file = gzopen(path, "rb");
    if (!file)
        return error_system("opening", path, errno ? errno : ENOMEM);
    int rc = read_header(file, idx, path);
    if (rc == MOCO_OK)
        rc = check_size(idx, path);
    if (rc == MOCO_OK)
        rc = read_data(file, idx, path);
    int number = errno;
    gzclose(file);
    errno = number;
    return rc;
}

static int idx_read(struct idx *idx, const char *path)
{
    int rc;
    while ((rc = read_file(idx, path)) == MOCO_EIO && errno == EINTR) {
        free(idx->data);
        idx->data = NULL;
    }
    return rc;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    const struct idx *idx = source->state;
    size_t n = (size_t)source->channels * (size_t)source->height * (size_t)source->width;
    int rc = image_resize(out, source->channels, source->height, source->width);
    if (rc == MOCO_OK)
        raw_floats(out->pixels, idx->data + index * n * raw_size(source->dtype), n, 1,
                   source->dtype, 1);
    return rc;
}

static void close_idx(struct source *source)
{
    struct idx *idx = source->state;
    free(idx->data);
    free(idx);
}

static int take_images(struct source *source, const struct idx *idx, const char *path)
{
    static const int dtypes[] = { [IDX_U8] = DTYPE_U8 + 1, [IDX_I16] = DTYPE_I16 + 1,
                                  [IDX_F32] = DTYPE_F32 + 1, [IDX_F64] = DTYPE_F64 + 1 };
    if (!dtypes[idx->type])
        return error_set(MOCO_EUNSUPPORTED, "%s: type %02x; images of types 08 (u8), 0b (i16), 0d "
                         "(f32) and 0e (f64) are read", path, (unsigned)idx->type);
    if (idx->dims < 3)
        return error_set(MOCO_EFORMAT, "%s: %d dimensions; images have 3 (N, H, W) or 4 "
                         "(N, C, H, W)", path, idx->dims);
    for (int i = 1; i < idx->dims; i++)
        if (idx->size[i] > RAW_NUMBERS_MAX)
            return error_set(MOCO_EFORMAT, "%s: size %zu of dimension %d is too large", path,
                             idx->size[i], i);
    source->dtype = (enum source_dtype)(dtypes[idx->type] - 1);
    source->count = idx->size[0];
    source->channels = idx->dims == 4 ? (int)idx->size[1] : 1;
    source->height = (int)idx->size[idx->dims - 2];
    source->width = (int)idx->size[idx->dims - 1];
    if (raw_bytes(source) != idx->bytes)
        return error_set(MOCO_EFORMAT, "%s: images of %d x %d x %d are too large", path,
                         source->channels, source->height, source->width);
    return MOCO_OK;
}

static int64_t label_at(const struct idx *idx, size_t i)
{
    const unsigned char *at = idx->data + i * type_size(idx->type);
    switch (idx->type) {
    case IDX_I8:
        return (int8_t)at[0];
    case IDX_I16:
        return (int16_t)(at[0] << 8 | at[1]);
    case IDX_I32:
        return (int32_t)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
                         at[3]);
    default:
        return at[0];
    }
}

static int convert_labels(struct source *source, const struct idx *idx, const char *path)
{
    int rc = MOCO_OK;
    if (idx->dims != 1 || idx->type > IDX_I32)
        return error_set(MOCO_EFORMAT, "%s: labels need 1 dimension of integers; here are %d of "
                         "type %02x", path, idx->dims, (unsigned)idx->type);
    if (idx->size[0] != source->count)
        return error_set(MOCO_EFORMAT, "%s: %zu labels for %zu images", path, idx->size[0],
                         source->count);
    int32_t *labels = malloc(source->count * sizeof *labels);
    if (!labels)
        return error_memory("labels", source->count * sizeof *labels);
    for (size_t i = 0; i < source->count && rc == MOCO_OK; i++) {
        rc = raw_check_label(label_at(idx, i), i, path);
        labels[i] = (int32_t)label_at(idx, i);
    }
    if (rc == MOCO_OK)
        raw_take_labels(source, labels);
    else
        free(labels);
    return rc;
}

/* "…images-idx3…" becomes "…labels-idx1…" when there is such a file. */
static void find_sibling(char *labels, const char *images)
{
    static const char from[] = "images-idx3-ubyte", to[] = "labels-idx1-ubyte";
    const char *slash = strrchr(images, '/'), *hit = strstr(slash ? slash : images, from);
    if (!hit)
        return;
    strcpy(labels, images);
    memcpy(labels + (hit - images), to, sizeof to - 1);
    if (access(labels, F_OK) != 0 && errno == ENOENT)
        labels[0] = '\0';
}

int source_open_idx(struct source *source, const char *path)
{
    char images[RAW_PATH], labels[RAW_PATH];
    struct idx label_idx = { 0 }, *idx = source->state = calloc(1, sizeof *idx);
    if (!idx)
        return error_memory("IDX", sizeof *idx);
    source->close = close_idx;
    source->read = read_image;
    int rc = raw_split(images, labels, path);
    if (rc == MOCO_OK)
        rc = idx_read(idx, images);
    if (rc == MOCO_OK)
        rc = take_images(source, idx, images);
    if (rc != MOCO_OK)
        return rc;
    if (!labels[0])
        find_sibling(labels, images);
    if (!labels[0])
        return MOCO_OK;
    rc = idx_read(&label_idx, labels);
    if (rc == MOCO_OK)
        rc = convert_labels(source, &label_idx, labels);
    free(label_idx.data);
    return rc;
}
