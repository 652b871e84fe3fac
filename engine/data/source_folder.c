/* source_folder.c: a folder of image files.
 *
 * DIR: files jpg jpeg png bmp ppm pgm tga (any case), nested as deep as one likes; the first folder
 * below DIR is the class, files directly in DIR have none. Order is by names, bytewise, folder by
 * folder. Alpha is dropped; a set of grey images has 1 channel, any other 3. 16-bit PNGs keep their
 * 16 bits. Files are opened once for their headers, then again for every read. Links to folders
 * and links that lead out of DIR are skipped, hidden files too. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <stb_image.h>

#include "engine/base/error.h"
#include "engine/data/raw.h"

enum { DEPTH_MAX = 32, PIXELS_MAX = 100000000, FILE_MAX = 1 << 29 };

struct folder {
    char root[PATH_MAX]; /* as realpath() gives it */
    char **names;        /* (source->count) paths below root; owned */
    size_t capacity;
};

/* ---- finding files ---- */

static int is_image_name(const char *name)
{
    static const char *const known[] = { "jpg", "jpeg", "png", "bmp", "ppm", "pgm", "tga" };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (strcasecmp(dot + 1, known[i]) == 0)
            return 1;
    return 0;
}

static int add_name(struct source *source, const char *name)
{
    struct folder *folder = source->state;
    if (source->count == folder->capacity) {
        size_t more = folder->capacity ? 2 * folder->capacity : 256;
        char **names = realloc(folder->names, more * sizeof *names);
        if (!names)
            return error_memory("names of files", more * sizeof *names);
        folder->names = names;
        folder->capacity = more;
    }
    folder->names[source->count] = strdup(name);
    if (!folder->names[source->count])
        return error_memory("the name of a file", strlen(name) + 1);
    source->count++;
    return MOCO_OK;
}

static int inside(const struct folder *folder, const char *path)
{
    char real[PATH_MAX];
    size_t length = strlen(folder->root);
    if (!realpath(path, real) || strncmp(real, folder->root, length) != 0)
        return 0;
    return real[length] == '/' || folder->root[length - 1] == '/';
}

/* 'd' folder to walk, 'f' image to take, 0 neither. */
static char what_is(const struct folder *folder, const char *path, const char *name)
{
    struct stat info;
    if (name[0] == '.' || lstat(path, &info) != 0)
        return 0;
    if (S_ISDIR(info.st_mode))
        return 'd';
    if (!is_image_name(name))
        return 0;
    if (S_ISLNK(info.st_mode) && (!inside(folder, path) || stat(path, &info) != 0))
        return 0;
    return S_ISREG(info.st_mode) ? 'f' : 0;
}

/* out (PATH_MAX) = "a/b", or b alone when a is "". */
static int join(char *out, const char *a, const char *b)
{
    int length = snprintf(out, PATH_MAX, "%s%s%s", a, a[0] ? "/" : "", b);
    if (length >= 0 && length < PATH_MAX)
        return MOCO_OK;
    return error_set(MOCO_EIO, "a path below %.200s is longer than %d bytes", a, PATH_MAX);
}

/* `below`: path below the root, "" for the root itself. */
static int walk(struct source *source, const char *below, int depth)
{
    const struct folder *folder = source->state;
    char path[PATH_MAX], next[PATH_MAX];
    int rc = join(path, folder->root, below);
    DIR *dir = rc == MOCO_OK ? opendir(path) : NULL;
    if (!dir)
        return rc ? rc : error_set(MOCO_EIO, "opening the folder %s: %s", path, strerror(errno));
    for (struct dirent *entry; rc == MOCO_OK && (entry = readdir(dir)) != NULL;) {
        rc = join(next, below, entry->d_name);
        if (rc == MOCO_OK)
            rc = join(path, folder->root, next);
        char what = rc == MOCO_OK ? what_is(folder, path, entry->d_name) : 0;
        if (what == 'd' && depth == DEPTH_MAX)
            rc = error_set(MOCO_EIO, "%s lies more than %d folders deep", path, DEPTH_MAX);
        else if (what)
            rc = what == 'd' ? walk(source, next, depth + 1) : add_name(source, next);
    }
    closedir(dir);
    return rc;
}

/* Bytewise with '/' before all other bytes: folder by folder. */
static int compare(const void *a, const void *b)
{
    const unsigned char *x = *(const unsigned char *const *)a;
    const unsigned char *y = *(const unsigned char *const *)b;
    while (*x && *x == *y)
        x++, y++;
    int left = *x == '/' ? 1 : *x ? *x + 1 : 0, right = *y == '/' ? 1 : *y ? *y + 1 : 0;
    return left - right;
}

/* ---- classes ---- */

static size_t class_length(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash ? (size_t)(slash - name) : 0;
}

/* Names are sorted: a class begins where the first folder differs from that of the file before. */
static int label_files(int32_t *labels, char **classes, size_t *n, const struct source *source)
{
    const struct folder *folder = source->state;
    const char *before = "";
    for (size_t i = 0; i < source->count; i++) {
        const char *name = folder->names[i];
        size_t length = class_length(name);
        labels[i] = -1;
        if (length == 0)
            continue;
        if (class_length(before) != length || memcmp(before, name, length) != 0) {
            if ((classes[*n] = strndup(name, length)) == NULL)
                return error_memory("the name of a class", length);
            ++*n;
        }
        labels[i] = (int32_t)*n - 1;
        before = name;
    }
    return MOCO_OK;
}

static int take_classes(struct source *source)
{
    size_t n = 0;
    int32_t *labels = malloc(source->count * sizeof *labels);
    char **classes = malloc(source->count * sizeof *classes);
    int rc = labels && classes ? label_files(labels, classes, &n, source)
                               : error_memory("labels", source->count * sizeof *classes);
    if (rc == MOCO_OK && n > 0)
        rc = raw_take_names(source, classes, n);
    for (size_t i = 0; i < n; i++)
        free(classes[i]);
    free(classes);
    if (rc == MOCO_OK)
        raw_take_labels(source, labels);
    else
        free(labels);
    return rc;
}

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

static void full_path(char *path, const struct source *source, size_t index)
{
    const struct folder *folder = source->state;
    int length = snprintf(path, PATH_MAX, "%s/", folder->root);
    snprintf(path + length, (size_t)(PATH_MAX - length), "%s", folder->names[index]);
}

static int scan_headers(struct source *source)
{
    char path[PATH_MAX];
    struct header header;
    source->channels = 1;
    source->dtype = DTYPE_U8;
    for (size_t i = 0; i < source->count; i++) {
        full_path(path, source, i);
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
    full_path(path, source, index);
    int rc = load_file(&bytes, &size, path);
    if (rc == MOCO_OK)
        rc = decode(out, bytes, size, source->channels, path);
    free(bytes);
    return rc;
}

static const char *name_of(const struct source *source, size_t index)
{
    const struct folder *folder = source->state;
    return folder->names[index];
}

static void close_folder(struct source *source)
{
    struct folder *folder = source->state;
    for (size_t i = 0; i < source->count; i++)
        free(folder->names[i]);
    free(folder->names);
    free(folder);
}

int source_open_folder(struct source *source, const char *path)
{
    struct folder *folder = source->state = calloc(1, sizeof *folder);
    if (!folder)
        return error_memory("a folder", sizeof *folder);
    source->close = close_folder;
    source->read = read_image;
    source->name = name_of;
    if (!realpath(path, folder->root))
        return error_set(MOCO_EIO, "opening the folder %s: %s", path, strerror(errno));
    int rc = walk(source, "", 0);
    if (rc == MOCO_OK && source->count == 0)
        rc = error_set(MOCO_EFORMAT, "the folder %s holds no jpg, jpeg, png, bmp, ppm, pgm or tga "
                       "file", path);
    if (rc != MOCO_OK)
        return rc;
    qsort(folder->names, source->count, sizeof *folder->names, compare);
    rc = scan_headers(source);
    return rc == MOCO_OK ? take_classes(source) : rc;
}
