/* tree.c: files and classes below a folder; see tree.h. */
#define _GNU_SOURCE
#include "engine/data/format/tree.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/data/decode/decode.h"
#include "engine/data/format/raw.h"

/* ---- finding files ---- */

enum tree_kind tree_kind_of(const char *name)
{
    static const struct {
        const char *suffix;
        enum tree_kind kind;
    } known[] = {
        { "jpg", TREE_IMAGE }, { "jpeg", TREE_IMAGE }, { "png", TREE_IMAGE }, { "bmp", TREE_IMAGE },
        { "jpe", TREE_IMAGE }, { "jfif", TREE_IMAGE }, { "ppm", TREE_IMAGE }, { "pgm", TREE_IMAGE },
        { "pnm", TREE_IMAGE }, { "tga", TREE_IMAGE },  { "tif", TREE_TIFF },  { "tiff", TREE_TIFF },
        { "fits", TREE_FITS }, { "fit", TREE_FITS },   { "fts", TREE_FITS },  { "fz", TREE_FITS },
    };
    char ending[8];
    size_t length = strlen(name);
    int packed = length > 3 && strcasecmp(name + length - 3, ".gz") == 0;
    length -= packed ? 3 : 0;
    const char *dot = memrchr(name, '.', length);
    if (!dot || (size_t)(name + length - dot) > sizeof ending)
        return TREE_OTHER;
    snprintf(ending, sizeof ending, "%.*s", (int)(name + length - dot) - 1, dot + 1);
    if (!strcasecmp(ending, "gif") || !strcasecmp(ending, "webp"))
        return decode_reads(tolower(ending[0]) == 'g' ? CONTENT_GIF : CONTENT_WEBP)
                   ? TREE_IMAGE : TREE_OTHER;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(ending, known[i].suffix) == 0)
            return !packed || known[i].kind == TREE_FITS ? known[i].kind : TREE_OTHER;
    return TREE_OTHER;
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

/* Both lists are in the same order. */
static void name_gone(struct tree *tree)
{
    size_t at = 0;
    for (size_t i = 0; i < tree->folder_count; i++) {
        const char *folder = tree->folders[i];
        size_t length = strlen(folder);
        while (at < tree->count && compare(&tree->names[at], &folder) < 0)
            at++;
        if (at == tree->count || strncmp(tree->names[at], folder, length) ||
            tree->names[at][length] != '/')
            account_class_gone(&tree->account, folder);
    }
}

static int is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

int tree_open(struct tree *tree, const char *dir, enum tree_kind kind)
{
    tree->kind = kind;
    if (!realpath(dir, tree->root))
        return error_system("opening the folder", dir, errno);
    int rc = is_file(tree->root) ? tree_single(tree) : tree_walk(tree);
    if (rc == MOCO_OK && tree->count > 0)
        qsort(tree->names, tree->count, sizeof *tree->names, compare);
    if (rc == MOCO_OK && tree->folder_count > 0)
        qsort(tree->folders, tree->folder_count, sizeof *tree->folders, compare);
    if (rc == MOCO_OK && tree->count > 0)
        name_gone(tree);
    return rc;
}

void tree_close(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        free(tree->names[i]);
    for (size_t i = 0; i < tree->folder_count; i++)
        free(tree->folders[i]);
    free(tree->names);
    free(tree->folders);
    *tree = (struct tree){ .names = NULL };
}

int tree_look(enum tree_kind *kind, const char *dir)
{
    int rc = MOCO_OK;
    *kind = TREE_OTHER;
    for (int by_name = 1; by_name >= 0 && *kind == TREE_OTHER && !rc; by_name--) {
        struct tree tree = { .by_name = by_name };
        rc = tree_open(&tree, dir, TREE_OTHER);
        for (int k = TREE_KINDS - 1; !rc && k > TREE_OTHER; k--)
            *kind = tree.seen[k] > 0 ? (enum tree_kind)k : *kind;
        tree_close(&tree);
    }
    return rc;
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

/* ---- what was left out ---- */

static const char *const kind_names[TREE_KINDS] = {
    [TREE_IMAGE] = "JPEG, PNG and the like", [TREE_TIFF] = "TIFF", [TREE_FITS] = "FITS",
};
static const char *const kind_words[TREE_KINDS] = {
    [TREE_IMAGE] = "folder", [TREE_TIFF] = "tiff", [TREE_FITS] = "fits",
};

void tree_note(struct source *source, const struct tree *tree)
{
    source->account = tree->account;
    for (int kind = TREE_IMAGE; kind < TREE_KINDS; kind++) {
        if (kind == (int)tree->kind || !tree->seen[kind])
            continue;
        account_leave(&source->account, tree->seen[kind], "%s", kind_names[kind]);
        snprintf(source->note, sizeof source->note, "%.200s: files of %s are left out (%zu); "
                 "%s:%.200s reads these", tree->root, kind_names[kind], tree->seen[kind],
                 kind_words[kind], tree->root);
    }
}

int tree_none(const struct tree *tree, const char *dir)
{
    char left[400], others[100] = "";
    for (int kind = TREE_IMAGE; kind < TREE_KINDS; kind++)
        if (kind != (int)tree->kind && tree->seen[kind] > 0)
            snprintf(others + strlen(others), sizeof others - strlen(others),
                     "; %s:DIR reads its %s (%zu)", kind_words[kind],
                     kind == TREE_IMAGE ? "images" : kind == TREE_TIFF ? "TIFFs" : "FITS files",
                     tree->seen[kind]);
    account_text(left, sizeof left, &tree->account);
    return error_set(MOCO_EFORMAT, "the folder %.300s holds no %s file%s%s%s", dir,
                     tree->kind == TREE_IMAGE ? "jpg, jpeg, png, bmp, ppm, pgm, gif, webp or tga"
                     : tree->kind == TREE_TIFF ? "tif or tiff" : "fits, fit, fts or fz",
                     left[0] ? ", but " : "", left, others);
}
