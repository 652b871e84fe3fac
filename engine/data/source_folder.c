/* source_folder.c: a folder of image files.
 *
 * DIR: files jpg jpeg png bmp ppm pgm tga (any case), found and labelled as tree.h says. Alpha is
 * dropped; a set of grey images has 1 channel, any other 3. 16-bit PNGs keep their 16 bits. Files
 * are opened once for their headers, then again for every read. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <stb_image.h>

#include "engine/base/error.h"
#include "engine/data/raw.h"
#include "engine/data/tree.h"

enum { PIXELS_MAX = 100000000, FILE_MAX = 1 << 29 };

/* ---- headers ---- */

static int refuse(const char *path)
{
    const char *why = stbi_failure_reason();
    return error_set(MOCO_EFORMAT, "%s: not a readable image (%s); repair or remove it", path,
                     why ? why : "unknown");
}

static int check_pixels(const char *path, int width, int height)
{
    if (width > 0 && height > 0 && (int64_t)width * height <= PIXELS_MAX)
        return MOCO_OK;
    return error_set(MOCO_EFORMAT, "%s: %d x %d pixels; at most 100 megapixels are decoded", path,
                     width, height);
}

struct header {
    int width, height, channels, deep;
};

static int read_header(struct header *out, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(MOCO_EIO, "opening %s: %s", path, strerror(errno));
    int ok = stbi_info_from_file(file, &out->width, &out->height, &out->channels);
    out->deep = ok && stbi_is_16_bit_from_file(file);
    fclose(file);
    return ok ? check_pixels(path, out->width, out->height) : refuse(path);
}

static int scan_headers(struct source *source)
{
    char path[PATH_MAX];
    struct header header;
    source->channels = 1;
    source->dtype = DTYPE_U8;
    for (size_t i = 0; i < source->count; i++) {
        tree_path(path, source->state, i);
        int rc = read_header(&header, path);
        if (rc != MOCO_OK)
            return rc;
        source->channels = header.channels >= 3 ? 3 : source->channels;
        source->dtype = header.deep ? DTYPE_U16 : source->dtype;
        size_t pixels = (size_t)header.width * (size_t)header.height;
        source->pixels_max = pixels > source->pixels_max ? pixels : source->pixels_max;
        source->width = i == 0 || source->width == header.width ? header.width : 0;
        source->height = i == 0 || source->height == header.height ? header.height : 0;
    }
    return MOCO_OK;
}

/* ---- reading ---- */

/* *out: the file's bytes, for free(). */
static int load_file(unsigned char **out, int *size, const char *path)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    *out = NULL;
    if (!file || fstat(fileno(file), &info) != 0)
        goto fail;
    errno = EFBIG;
    if (info.st_size <= 0 || info.st_size > FILE_MAX)
        goto fail;
    *out = malloc((size_t)info.st_size);
    errno = EIO;
    if (!*out || fread(*out, 1, (size_t)info.st_size, file) != (size_t)info.st_size)
        goto fail;
    *size = (int)info.st_size;
    fclose(file);
    return MOCO_OK;
fail:
    free(*out);
    *out = NULL;
    if (file)
        fclose(file);
    return error_set(MOCO_EIO, "reading %s: %s", path, strerror(errno));
}

/* (height, width, channels) numbers to planes. */
static int to_planes(struct image *out, const void *data, int channels, int height, int width,
                     enum source_dtype dtype)
{
    const uint16_t one = 1;
    unsigned char low;
    size_t plane = (size_t)height * (size_t)width, size = raw_size(dtype);
    int rc = image_resize(out, channels, height, width);
    memcpy(&low, &one, 1); /* stb gives 16 bits in the machine's byte order */
    for (size_t c = 0; c < (size_t)channels && rc == MOCO_OK; c++)
        raw_floats(out->pixels + c * plane, (const unsigned char *)data + c * size, plane,
                   (size_t)channels, dtype, !low);
    return rc;
}

static int decode(struct image *out, const unsigned char *bytes, int size, int channels,
                  const char *path)
{
    int width, height, own;
    if (!stbi_info_from_memory(bytes, size, &width, &height, &own))
        return refuse(path);
    int rc = check_pixels(path, width, height);
    if (rc != MOCO_OK)
        return rc;
    int deep = stbi_is_16_bit_from_memory(bytes, size);
    void *data = deep ? (void *)stbi_load_16_from_memory(bytes, size, &width, &height, &own,
                                                         channels)
                      : (void *)stbi_load_from_memory(bytes, size, &width, &height, &own, channels);
    if (!data)
        return refuse(path);
    rc = to_planes(out, data, channels, height, width, deep ? DTYPE_U16 : DTYPE_U8);
    stbi_image_free(data);
    return rc;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    char path[PATH_MAX];
    unsigned char *bytes;
    int size = 0;
    tree_path(path, source->state, index);
    int rc = load_file(&bytes, &size, path);
    if (rc == MOCO_OK)
        rc = decode(out, bytes, size, source->channels, path);
    free(bytes);
    return rc;
}

static const char *name_of(const struct source *source, size_t index)
{
    const struct tree *tree = source->state;
    return tree->names[index];
}

static void close_folder(struct source *source)
{
    tree_close(source->state);
    free(source->state);
}

int source_open_folder(struct source *source, const char *path)
{
    struct tree *tree = source->state = calloc(1, sizeof *tree);
    int32_t *labels;
    if (!tree)
        return error_memory("a folder", sizeof *tree);
    source->close = close_folder;
    source->read = read_image;
    source->name = name_of;
    int rc = tree_open(tree, path, TREE_IMAGE);
    if (rc == MOCO_OK && tree->count == 0)
        rc = error_set(MOCO_EFORMAT, "the folder %s holds no jpg, jpeg, png, bmp, ppm, pgm or tga "
                       "file%s%s", path, tree->seen[TREE_TIFF] ? "; tiff:DIR reads its TIFFs" : "",
                       tree->seen[TREE_FITS] ? "; fits:DIR reads its FITS files" : "");
    if (rc != MOCO_OK)
        return rc;
    tree_note(source, tree);
    source->count = tree->count;
    rc = scan_headers(source);
    source->decode_bytes = 2 * raw_size(source->dtype); /* stb's image, and its converted copy */
    if (rc == MOCO_OK)
        rc = tree_labels(&labels, source, tree);
    if (rc == MOCO_OK)
        raw_take_labels(source, labels);
    return rc;
}
