/* tree.c: files and classes below a folder; see tree.h. */
#define _GNU_SOURCE
#include "engine/data/format/tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/data/format/raw.h"

enum { DEPTH_MAX = 32 };

/* ---- finding files ---- */

enum tree_kind tree_kind_of(const char *name)
{
    static const struct {
        const char *suffix;
        enum tree_kind kind;
    } known[] = {
        { "jpg", TREE_IMAGE }, { "jpeg", TREE_IMAGE }, { "png", TREE_IMAGE }, { "bmp", TREE_IMAGE },
        { "ppm", TREE_IMAGE }, { "pgm", TREE_IMAGE },  { "tga", TREE_IMAGE }, { "tif", TREE_TIFF },
        { "tiff", TREE_TIFF }, { "fits", TREE_FITS },  { "fit", TREE_FITS },  { "fts", TREE_FITS },
        { "fz", TREE_FITS },
    };
    char ending[8];
    size_t length = strlen(name);
    int packed = length > 3 && strcasecmp(name + length - 3, ".gz") == 0;
    length -= packed ? 3 : 0;
    const char *dot = memrchr(name, '.', length);
    if (!dot || (size_t)(name + length - dot) > sizeof ending)
        return TREE_OTHER;
    snprintf(ending, sizeof ending, "%.*s", (int)(name + length - dot) - 1, dot + 1);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(ending, known[i].suffix) == 0)
            return !packed || known[i].kind == TREE_FITS ? known[i].kind : TREE_OTHER;
    return TREE_OTHER;
}

static int add_name(struct tree *tree, const char *name)
{
    char **names = array_grow(tree->names, &tree->capacity, tree->count, sizeof *names,
                              "names of files");
    if (!names)
        return MOCO_ENOMEM;
    tree->names = names;
    tree->names[tree->count] = strdup(name);
    if (!tree->names[tree->count])
        return error_memory("the name of a file", strlen(name) + 1);
    tree->count++;
    return MOCO_OK;
}

static int inside(const struct tree *tree, const char *path)
{
    char real[PATH_MAX];
    size_t length = strlen(tree->root);
    if (!realpath(path, real) || strncmp(real, tree->root, length) != 0)
        return 0;
    return real[length] == '/' || tree->root[length - 1] == '/';
}

/* 'd' folder to walk, 'f' file of a kind that is known, 0 neither. */
static char what_is(const struct tree *tree, const char *path, const char *name)
{
    struct stat info;
    if (name[0] == '.' || lstat(path, &info) != 0)
        return 0;
    if (S_ISDIR(info.st_mode))
        return 'd';
    if (tree_kind_of(name) == TREE_OTHER)
        return 0;
    if (S_ISLNK(info.st_mode) && (!inside(tree, path) || stat(path, &info) != 0))
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

static int meet(struct tree *tree, const char *name)
{
    enum tree_kind kind = tree_kind_of(name);
    tree->seen[kind]++;
    return kind == tree->kind && kind != TREE_OTHER ? add_name(tree, name) : MOCO_OK;
}

/* Who only looks what there is has seen enough with the first image. */
static int enough(const struct tree *tree)
{
    return tree->kind == TREE_OTHER && tree->seen[TREE_IMAGE] > 0;
}

/* `below`: path below the root, "" for the root itself. */
static int walk(struct tree *tree, const char *below, int depth)
{
    char path[PATH_MAX], next[PATH_MAX];
    int rc = join(path, tree->root, below);
    DIR *dir = rc == MOCO_OK ? opendir(path) : NULL;
    if (!dir)
        return rc ? rc : error_set(MOCO_EIO, "opening the folder %s: %s", path, strerror(errno));
    for (struct dirent *entry; rc == MOCO_OK && !enough(tree) && (entry = readdir(dir)) != NULL;) {
        rc = join(next, below, entry->d_name);
        if (rc == MOCO_OK)
            rc = join(path, tree->root, next);
        char what = rc == MOCO_OK ? what_is(tree, path, entry->d_name) : 0;
        if (what == 'd' && depth == DEPTH_MAX)
            rc = error_set(MOCO_EIO, "%s lies more than %d folders deep", path, DEPTH_MAX);
        else if (what)
            rc = what == 'd' ? walk(tree, next, depth + 1) : meet(tree, next);
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

int tree_open(struct tree *tree, const char *dir, enum tree_kind kind)
{
    tree->kind = kind;
    if (!realpath(dir, tree->root))
        return error_set(MOCO_EIO, "opening the folder %s: %s", dir, strerror(errno));
    int rc = walk(tree, "", 0);
    if (rc == MOCO_OK && tree->count > 0)
        qsort(tree->names, tree->count, sizeof *tree->names, compare);
    return rc;
}

void tree_close(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        free(tree->names[i]);
    free(tree->names);
    *tree = (struct tree){ .names = NULL };
}

enum tree_kind tree_look(const char *dir)
{
    struct tree tree = { .names = NULL };
    int rc = tree_open(&tree, dir, TREE_OTHER);
    for (int kind = TREE_IMAGE; rc == MOCO_OK && kind < TREE_KINDS; kind++)
        if (tree.seen[kind] > 0)
            return (enum tree_kind)kind;
    return TREE_OTHER;
}

void tree_path(char *path, const struct tree *tree, size_t index)
{
    int length = snprintf(path, PATH_MAX, "%s/", tree->root);
    snprintf(path + length, (size_t)(PATH_MAX - length), "%s", tree->names[index]);
}

/* ---- classes ---- */

static size_t class_length(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash ? (size_t)(slash - name) : 0;
}

/* Names are sorted: a class begins where the first folder differs from that of the file before. */
static int label_files(int32_t *labels, char **classes, size_t *n, const struct tree *tree)
{
    const char *before = "";
    for (size_t i = 0; i < tree->count; i++) {
        const char *name = tree->names[i];
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

int tree_labels(int32_t **labels, struct source *source, const struct tree *tree)
{
    size_t n = 0;
    char **classes = malloc(tree->count * sizeof *classes + 1);
    *labels = malloc(tree->count * sizeof **labels + 1);
    int rc = *labels && classes ? label_files(*labels, classes, &n, tree)
                                : error_memory("labels", tree->count * sizeof *classes);
    if (rc == MOCO_OK && n > 0)
        rc = raw_take_names(source, classes, n);
    for (size_t i = 0; i < n; i++)
        free(classes[i]);
    free(classes);
    if (rc != MOCO_OK) {
        free(*labels);
        *labels = NULL;
    }
    return rc;
}

void tree_note(struct source *source, const struct tree *tree)
{
    static const char *const names[TREE_KINDS] = {
        [TREE_IMAGE] = "jpg, png and the like", [TREE_TIFF] = "TIFF", [TREE_FITS] = "FITS",
    };
    static const char *const kinds[TREE_KINDS] = {
        [TREE_IMAGE] = "folder", [TREE_TIFF] = "tiff", [TREE_FITS] = "fits",
    };
    for (int kind = TREE_IMAGE; kind < TREE_KINDS; kind++)
        if (kind != (int)tree->kind && tree->seen[kind] > 0)
            snprintf(source->note, sizeof source->note, "%.200s: files of %s are left out (%zu); "
                     "%s:%.200s reads these", tree->root, names[kind], tree->seen[kind],
                     kinds[kind], tree->root);
}
