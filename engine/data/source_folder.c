/* source_folder.c: image files below a folder, decoded by stb_image.
 *
 * A first level of folders that hold images are the classes (by name, sorted); images directly in
 * DIR make a flat, unlabelled set. Deeper folders belong to the class above them. Files are taken
 * in the order of their paths. A PNG of 16 bits keeps them, grey stays one channel, alpha is
 * dropped; when grey and colour are mixed, grey becomes three equal channels. Links that lead out
 * of DIR are not followed. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stb_image.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/data/mapped.h"
#include "engine/data/source.h"

enum { DEPTH_MAX = 16 };
static const size_t pixels_max = 100u << 20; /* of one image: a bomb asks for more */

struct folder {
    char root[PATH_MAX];
    char **files;   /* (count) paths below the root, sorted; owned */
    size_t count, capacity;
    char **classes; /* (class_count) sorted; owned */
    int class_count;
    int32_t *labels;
};

static int is_image(const char *name)
{
    static const char *const endings[] = { ".jpg", ".jpeg", ".png", ".bmp",
                                           ".ppm", ".pgm",  ".tga" };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (!strcasecmp(dot, endings[i]))
            return 1;
    return 0;
}

static int add_file(struct folder *f, const char *path)
{
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? 2 * f->capacity : 1024;
        char **grown = realloc(f->files, capacity * sizeof *grown);
        if (!grown)
            return error_memory("the list of files", capacity * sizeof *grown);
        f->files = grown, f->capacity = capacity;
    }
    f->files[f->count] = strdup(path);
    return f->files[f->count++] ? MOCO_OK : error_memory("the list of files", strlen(path));
}

/* Whether a link's target lies below the root. */
static int inside(const struct folder *f, const char *path)
{
    char real[PATH_MAX];
    size_t length = strlen(f->root);
    return realpath(path, real) && !strncmp(real, f->root, length) &&
           (real[length] == '/' || !real[length]);
}

static int walk(struct folder *f, const char *below, int depth);

/* One entry of a folder; `below` is its path under the root. */
static int visit(struct folder *f, const char *below, int depth)
{
    char path[2 * PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", f->root, below);
    if (lstat(path, &st) || (S_ISLNK(st.st_mode) && (!inside(f, path) || stat(path, &st))))
        return MOCO_OK; /* gone, or a link that leads out */
    if (S_ISDIR(st.st_mode))
        return depth < DEPTH_MAX ? walk(f, below, depth + 1) : MOCO_OK;
    return S_ISREG(st.st_mode) && is_image(below) ? add_file(f, below) : MOCO_OK;
}

static int walk(struct folder *f, const char *below, int depth)
{
    char path[2 * PATH_MAX];
    struct dirent *entry;
    int err = MOCO_OK;

    snprintf(path, sizeof path, "%s/%s", f->root, below);
    DIR *folder = opendir(path);
    if (!folder)
        return error_set(MOCO_EIO, "opening folder %s: %s", path, strerror(errno));
    while (!err && (entry = readdir(folder)))
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s%s%s", below, *below ? "/" : "", entry->d_name);
            err = visit(f, path, depth);
        }
    closedir(folder);
    return err;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Labels from the first part of each path; files are sorted, so classes come in order. */
static int label_files(struct folder *f)
{
    f->labels = malloc(f->count * sizeof *f->labels);
    f->classes = calloc(f->count, sizeof *f->classes);
    if (!f->labels || !f->classes)
        return error_memory("labels", f->count * sizeof *f->labels);
    for (size_t i = 0; i < f->count; i++) {
        const char *slash = strchr(f->files[i], '/');
        size_t length = slash ? (size_t)(slash - f->files[i]) : 0;
        const char *last = f->class_count ? f->classes[f->class_count - 1] : NULL;
        f->labels[i] = -1;
        if (!slash)
            continue;
        if (!last || strlen(last) != length || strncmp(last, f->files[i], length)) {
            f->classes[f->class_count] = strndup(f->files[i], length);
            if (!f->classes[f->class_count++])
                return error_memory("labels", length);
        }
        f->labels[i] = f->class_count - 1;
    }
    return MOCO_OK;
}

/* Channels that are kept of a file with n: grey is one, colour three, alpha none. */
static int kept(int n)
{
    return n <= 2 ? 1 : 3;
}

/* Sizes by the headers alone. A file whose header can not be read is left to read(). */
static void survey(struct source *source, const struct folder *f)
{
    char path[2 * PATH_MAX];
    int first = 1;
    for (size_t i = 0; i < f->count; i++) {
        int w, h, n;
        snprintf(path, sizeof path, "%s/%s", f->root, f->files[i]);
        if (!stbi_info(path, &w, &h, &n))
            continue;
        if (first)
            source->width = w, source->height = h, source->channels = kept(n);
        else if (kept(n) != source->channels)
            source->channels = 3;
        if (w != source->width || h != source->height)
            source->width = source->height = 0;
        if (stbi_is_16_bit(path))
            source->dtype = DTYPE_U16;
        first = 0;
    }
}

/* Interleaved values to planes; grey is spread when the set has colour. */
static int to_planes(struct image *out, const void *values, int wide, int n, int h, int w, int C)
{
    size_t plane = (size_t)h * (size_t)w;
    int err = image_resize(out, C, h, w);
    for (int c = 0; c < C && !err; c++)
        for (size_t p = 0; p < plane; p++) {
            size_t at = p * (size_t)n + (size_t)(kept(n) == 1 ? 0 : c);
            out->pixels[(size_t)c * plane + p] = wide
                                                     ? ((const stbi_us *)values)[at] / 65535.0f
                                                     : ((const stbi_uc *)values)[at] / 255.0f;
        }
    return err;
}

static int decode(const struct source *source, const struct mapped *file, const char *path,
                  struct image *out)
{
    int w, h, n, size = file->size > INT_MAX ? INT_MAX : (int)file->size;
    if (!stbi_info_from_memory(file->data, size, &w, &h, &n))
        return error_set(MOCO_EFORMAT, "%s can not be read: %s", path, stbi_failure_reason());
    if ((size_t)w * (size_t)h > pixels_max)
        return error_set(MOCO_EFORMAT, "%s: %d x %d pixels are above the limit of 100 megapixels",
                         path, w, h);
    int wide = stbi_is_16_bit_from_memory(file->data, size);
    void *values = wide ? (void *)stbi_load_16_from_memory(file->data, size, &w, &h, &n, 0)
                        : (void *)stbi_load_from_memory(file->data, size, &w, &h, &n, 0);
    if (!values)
        return error_set(MOCO_EFORMAT, "%s can not be read: %s", path, stbi_failure_reason());
    int err = to_planes(out, values, wide, n, h, w, source->channels == 1 ? 1 : 3);
    stbi_image_free(values);
    return err;
}

static int folder_read(const struct source *source, size_t index, struct image *out)
{
    const struct folder *f = source->state;
    char path[2 * PATH_MAX];
    struct mapped file;
    snprintf(path, sizeof path, "%s/%s", f->root, f->files[index]);
    int err = mapped_open(&file, path);
    if (!err)
        err = decode(source, &file, path, out);
    mapped_close(&file);
    return err;
}

static const char *folder_name(const struct source *source, size_t index)
{
    return ((const struct folder *)source->state)->files[index];
}

static void folder_close(struct source *source)
{
    struct folder *f = source->state;
    for (size_t i = 0; i < f->count; i++)
        free(f->files[i]);
    for (int i = 0; i < f->class_count; i++)
        free(f->classes[i]);
    free(f->files);
    free(f->classes);
    free(f->labels);
    free(f);
}

int source_open_folder(struct source *source, const char *path)
{
    struct folder *f = calloc(1, sizeof *f);
    int err;

    if (!f)
        return error_memory("a data source", sizeof *f);
    source->state = f, source->close = folder_close, source->read = folder_read;
    source->name = folder_name;
    if (!realpath(path, f->root))
        return error_set(MOCO_EIO, "opening folder %s: %s", path, strerror(errno));
    err = walk(f, "", 0);
    if (!err && !f->count)
        err = error_set(MOCO_EFORMAT, "no image files (jpg, png, bmp, ppm, pgm, tga) below %s",
                        path);
    if (err)
        return err;
    qsort(f->files, f->count, sizeof *f->files, by_bytes);
    err = label_files(f);
    if (err)
        return err;
    survey(source, f);
    source->count = f->count;
    source->labels = f->class_count ? f->labels : NULL;
    source->classes = f->class_count;
    source->class_names = (const char *const *)f->classes;
    return MOCO_OK;
}
