/* source_folder.c: a folder of image files.
 *
 * DIR: files jpg jpeg png bmp ppm pgm tga (any case), nested as deep as one likes; the first folder
 * below DIR is the class, files directly in DIR have none. Order is by names, bytewise, folder by
 * folder. A set of grey images has 1 channel, any other 3; decode.h has the rules for pixels. Files
 * are opened once for their headers, then again for every read. Links to folders and links that
 * lead out of DIR are skipped, hidden files too. */
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

#include "engine/base/error.h"
#include "engine/data/decode.h"
#include "engine/data/raw.h"

enum { DEPTH_MAX = 32 };

struct folder {
    char root[PATH_MAX]; /* as realpath() gives it */
    char **names;        /* (source->count) paths below root; owned */
    size_t capacity;
    int (*sizes)[2];     /* (source->count) height and width of each image; owned */
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

/* ---- files ---- */

/* *out: the first `most` bytes of the file or all there are, for free(). */
static int load_file(unsigned char **out, struct decode_file *file, const char *path, size_t most)
{
    struct stat info;
    FILE *stream = fopen(path, "rb");
    *out = NULL;
    if (!stream || fstat(fileno(stream), &info) != 0)
        goto fail;
    errno = EFBIG;
    if (info.st_size < 0 || info.st_size > DECODE_FILE_MAX)
        goto fail;
    size_t whole = (size_t)info.st_size, size = whole < most ? whole : most;
    *out = malloc(size + 1);
    errno = EIO;
    if (!*out || fread(*out, 1, size, stream) != size)
        goto fail;
    fclose(stream);
    *file = (struct decode_file){ *out, size, whole, path };
    return MOCO_OK;
fail:
    free(*out);
    *out = NULL;
    if (stream)
        fclose(stream);
    return error_set(MOCO_EIO, "reading %s: %s", path, strerror(errno));
}

static void full_path(char *path, const struct source *source, size_t index)
{
    const struct folder *folder = source->state;
    int length = snprintf(path, PATH_MAX, "%s/", folder->root);
    snprintf(path + length, (size_t)(PATH_MAX - length), "%s", folder->names[index]);
}

/* ---- headers ---- */

static int read_header(struct decode_header *out, size_t *size, const char *path, size_t most)
{
    unsigned char *bytes;
    struct decode_file file;
    int rc = load_file(&bytes, &file, path, most);
    if (rc != MOCO_OK)
        return rc;
    rc = decode_header(out, &file);
    free(bytes);
    *size = file.whole;
    /* A header that goes on behind the start of the file, as one with a large preview does. */
    return rc != MOCO_OK && file.size < file.whole ? read_header(out, size, path, file.whole) : rc;
}

struct tally {
    size_t alpha, animated;
};

static void take_header(struct source *source, size_t i, const struct decode_header *header,
                        size_t file_size)
{
    struct folder *folder = source->state;
    size_t pixels = (size_t)header->width * (size_t)header->height;
    size_t bytes = decode_bytes(header, file_size) + file_size;
    folder->sizes[i][0] = header->height;
    folder->sizes[i][1] = header->width;
    source->channels = header->channels == 3 ? 3 : source->channels;
    source->dtype = header->deep ? DTYPE_U16 : source->dtype;
    source->pixels_max = pixels > source->pixels_max ? pixels : source->pixels_max;
    source->decoder_bytes = bytes > source->decoder_bytes ? bytes : source->decoder_bytes;
    source->width = i == 0 || source->width == header->width ? header->width : 0;
    source->height = i == 0 || source->height == header->height ? header->height : 0;
}

static void write_notice(struct source *source, const struct tally *tally)
{
    char *at = source->notice;
    size_t room = sizeof source->notice;
    if (tally->alpha)
        snprintf(at, room, "%zu of %zu images have an alpha channel, which is dropped",
                 tally->alpha, source->count);
    size_t used = strlen(at);
    if (tally->animated)
        snprintf(at + used, room - used, "%s%zu of %zu images are animated; the first frame is "
                 "taken", used ? "; " : "", tally->animated, source->count);
}

static int scan_headers(struct source *source)
{
    char path[PATH_MAX];
    struct folder *folder = source->state;
    struct decode_header header;
    struct tally tally = { 0 };
    size_t size;
    folder->sizes = malloc(source->count * sizeof *folder->sizes);
    if (!folder->sizes)
        return error_memory("sizes of images", source->count * sizeof *folder->sizes);
    source->channels = 1;
    source->dtype = DTYPE_U8;
    for (size_t i = 0; i < source->count; i++) {
        full_path(path, source, i);
        int rc = read_header(&header, &size, path, DECODE_HEAD);
        if (rc != MOCO_OK)
            return rc;
        take_header(source, i, &header, size);
        tally.alpha += header.alpha != 0;
        tally.animated += header.frames > 1;
    }
    write_notice(source, &tally);
    return MOCO_OK;
}

static int size_of(const struct source *source, size_t index, int *height, int *width)
{
    const struct folder *folder = source->state;
    *height = folder->sizes[index][0];
    *width = folder->sizes[index][1];
    return MOCO_OK;
}

/* ---- reading ---- */

static int read_part(const struct source *source, size_t index, struct image *out,
                     struct part *part)
{
    char path[PATH_MAX];
    unsigned char *bytes;
    struct decode_file file;
    full_path(path, source, index);
    int rc = load_file(&bytes, &file, path, DECODE_FILE_MAX);
    if (rc == MOCO_OK)
        rc = decode_image(out, &file, source->channels, part);
    free(bytes);
    return rc;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    return read_part(source, index, out, NULL);
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
    free(folder->sizes);
    free(folder);
}

int source_open_folder(struct source *source, const char *path)
{
    struct folder *folder = source->state = calloc(1, sizeof *folder);
    if (!folder)
        return error_memory("a folder", sizeof *folder);
    source->close = close_folder;
    source->read = read_image;
    source->size = size_of;
    source->read_part = read_part;
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
