/* tree.h: the files of one kind below a folder, and the classes that their folders are.
 *
 * Nested as deep as one likes; the first folder below the root is the class, files directly in the
 * root have none. Order is by names, bytewise, folder by folder. Links to folders and links that
 * lead out of the root are skipped, hidden files too. */
#ifndef MOCO_ENGINE_DATA_FORMAT_TREE_H
#define MOCO_ENGINE_DATA_FORMAT_TREE_H

#include <limits.h>

#include "engine/data/source.h"

/* By what the names end in, in any case. */
enum tree_kind {
    TREE_OTHER,
    TREE_IMAGE, /* jpg jpeg png bmp ppm pgm tga */
    TREE_TIFF,  /* tif tiff */
    TREE_FITS,  /* fits fit fts fz, also with .gz behind */
    TREE_KINDS,
};

struct tree {
    char root[PATH_MAX]; /* as realpath() gives it */
    char **names;        /* (count) paths below root; owned */
    size_t count, capacity;
    size_t seen[TREE_KINDS]; /* files of each kind that were met */
    enum tree_kind kind;     /* that names are of */
};

enum tree_kind tree_kind_of(const char *name);

/* Finds the files of `kind`; none is no error. An empty tree is {0}. */
int tree_open(struct tree *tree, const char *dir, enum tree_kind kind);
void tree_close(struct tree *tree);

/* What a folder is for: images where one is found, else TIFF, else FITS, else nothing. */
enum tree_kind tree_look(const char *dir);

/* path: PATH_MAX */
void tree_path(char *path, const struct tree *tree, size_t index);

/* *labels: (count), -1 without a class; free()d by the caller. The class names go to the source. */
int tree_labels(int32_t **labels, struct source *source, const struct tree *tree);

/* The note that files of other kinds were left out. */
void tree_note(struct source *source, const struct tree *tree);

#endif
