/* files.c: what sources of several images a file share; see files.h. */
#define _GNU_SOURCE
#include "engine/data/format/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"

/* ---- the argument ---- */

int files_refuse_words(const char *path, const char *what, const char *words)
{
    return error_set(MOCO_EARG, "%s: behind %s may stand :pages=images or :pages=channels, behind "
                     "a folder of them :pages=views too, not :%.60s", path, what, words);
}

int files_take_path(struct files *files, char *words, const char *path, const char *what)
{
    char file[RAW_PATH];
    struct stat info;
    raw_split_colon(file, words, path);
    if (stat(file, &info) != 0)
        return error_system("opening", path, errno);
    files->channels = S_ISDIR(info.st_mode);
    if (files->channels && !realpath(file, files->tree.root))
        return error_system("opening the folder", file, errno);
    if (!files->channels)
        snprintf(files->single, sizeof files->single, "%s", file);
    char *pages = strstr(words, "pages=");
    if (!pages || (pages > words && pages[-1] != ':'))
        return MOCO_OK;
    files->channels = !strcmp(pages, "pages=channels");
    files->views = !strcmp(pages, "pages=views") && !files->single[0];
    if (!files->channels && !files->views && strcmp(pages, "pages=images") != 0)
        return files_refuse_words(file, what, pages);
    pages[pages == words ? 0 : -1] = '\0';
    return MOCO_OK;
}

/* ---- images ---- */

static int make_room(struct files *files, size_t count)
{
    struct files_image *images = array_grow(files->images, &files->capacity, count,
                                            sizeof *images, "the places of images");
    if (!images)
        return MOCO_ENOMEM;
    files->images = images;
    return MOCO_OK;
}

int files_add(struct source *source, size_t file, size_t place, int channels, int height, int width,
              enum source_dtype dtype, const char *path)
{
    struct files *files = source->state;
    int rc = make_room(files, source->count);
    if (rc == MOCO_OK)
        rc = raw_add_image(source, channels, height, width, dtype, path);
    if (rc == MOCO_OK)
        files->images[source->count - 1] = (struct files_image){ (uint32_t)file, (uint32_t)place };
    return rc;
}

/* The last image is what cannot be read of a file; the newest sentence is on it. */
static int keep_bad(struct source *source, size_t file, int code)
{
    struct files *files = source->state;
    size_t image = source->count - 1;
    char *sentence = strdup(error_text());
    struct files_bad *bad = realloc(files->bad, (files->bad_count + 1) * sizeof *bad);
    files->bad = bad ? bad : files->bad;
    if (!bad || !sentence || make_room(files, image) != MOCO_OK) {
        free(sentence);
        return error_memory("a file that cannot be read", sizeof *bad);
    }
    bad[files->bad_count++] = (struct files_bad){ (uint32_t)file, code, sentence };
    files->images[image] = (struct files_image){ (uint32_t)file, files_no_place };
    return MOCO_OK;
}

static void path_of(char *path, const struct files *files, size_t file)
{
    if (files->single[0])
        snprintf(path, PATH_MAX, "%s", files->single);
    else
        tree_path(path, &files->tree, file);
}

static int explain(const struct files *files, uint32_t file)
{
    size_t low = 0, high = files->bad_count - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (files->bad[middle].file < file)
            low = middle + 1;
        else
            high = middle;
    }
    return error_set(files->bad[low].code, "%s", files->bad[low].sentence);
}

int files_find(char *path, size_t *place, const struct source *source, size_t index)
{
    const struct files *files = source->state;
    if (files->images[index].place == files_no_place)
        return explain(files, files->images[index].file);
    path_of(path, files, files->images[index].file);
    *place = files->images[index].place;
    return MOCO_OK;
}

const char *files_name(const struct source *source, size_t index)
{
    const struct files *files = source->state;
    return files->single[0] ? NULL : files->tree.names[files->images[index].file];
}

/* ---- opening ---- */

/* Of a file with `pages` images; the first that can be read says how many a sample has. */
static int set_views(struct source *source, size_t pages, const char *path)
{
    if (!source->views)
        source->views = (int)pages;
    if ((size_t)source->views == pages)
        return MOCO_OK;
    return error_set(MOCO_EARG, "%s has %zu pages where files before it have %d; pages=views takes "
                     "files of equal numbers", path, pages, source->views);
}

/* The image of a bad file becomes as many as others have. */
static int fill_samples(struct source *source)
{
    struct files *files = source->state;
    size_t T = source_views(source), most = source->count + files->bad_count * (T - 1), n = 0;
    struct files_image *images = malloc(most * sizeof *images + 1);
    if (!images)
        return error_memory("the places of images", most * sizeof *images);
    for (size_t i = 0; i < source->count; i++)
        for (size_t t = 0; t < (files->images[i].place == files_no_place ? T : 1); t++)
            images[n++] = files->images[i];
    free(files->images);
    files->images = images;
    files->capacity = source->count = n;
    return MOCO_OK;
}

/* Each image has the label of its file. */
static int label_images(struct source *source)
{
    const struct files *files = source->state;
    int32_t *of_files, *labels;
    int rc = tree_labels(&of_files, source, &files->tree);
    if (rc != MOCO_OK)
        return rc;
    labels = malloc(source->count * sizeof *labels + 1);
    for (size_t i = 0; labels && i < source->count; i++)
        labels[i] = of_files[files->images[i].file];
    free(of_files);
    if (!labels)
        return error_memory("labels", source->count * sizeof *labels);
    raw_take_labels(source, labels);
    return MOCO_OK;
}

static int open_tree(struct source *source, enum tree_kind kind)
{
    struct files *files = source->state;
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", files->tree.root);
    int rc = tree_open(&files->tree, dir, kind);
    if (rc == MOCO_OK && files->tree.count == 0)
        rc = tree_none(&files->tree, dir);
    tree_note(source, &files->tree);
    return rc;
}

/* A file of a folder. */
static int scan_one(struct source *source, size_t file, struct raw_bad *bad, files_scanner *scan)
{
    struct files *files = source->state;
    char path[PATH_MAX];
    size_t before = source->count;
    path_of(path, files, file);
    int rc = scan(source, file, path);
    if (rc == MOCO_OK && files->views)
        rc = set_views(source, source->count - before, path);
    if (rc == MOCO_OK)
        return rc;
    if (files->views)
        source->count = before;
    return raw_keep_bad(source, bad, rc) ? keep_bad(source, file, rc) : rc;
}

int files_scan(struct source *source, enum tree_kind kind, files_scanner *scan)
{
    struct files *files = source->state;
    struct raw_bad bad = { 0 };
    if (files->single[0])
        return scan(source, 0, files->single);
    int rc = open_tree(source, kind);
    for (size_t i = 0; rc == MOCO_OK && i < files->tree.count; i++)
        rc = scan_one(source, i, &bad, scan);
    if (rc == MOCO_OK)
        rc = raw_check_bad(source, &bad, files->tree.count);
    if (rc == MOCO_OK && files->views)
        rc = fill_samples(source);
    if (rc == MOCO_OK && source->channels == 0)
        source->channels = 1; /* no file can be read */
    return rc == MOCO_OK ? label_images(source) : rc;
}

void files_close(struct files *files)
{
    tree_close(&files->tree);
    for (size_t i = 0; i < files->bad_count; i++)
        free(files->bad[i].sentence);
    free(files->bad);
    free(files->images);
}
