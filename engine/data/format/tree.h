/* tree.h: the files of one kind below a folder, and the classes that their folders are.
 *
 * Nested as deep as one likes; the first folder below the root is the class, files directly in the
 * root have none. Order is by names, bytewise, folder by folder. Links are followed, to files and
 * to folders, wherever they lead; a folder that a chain of folders comes back to is left out there.
 * A file whose name does not say that it is of the kind is looked at: its first bytes decide. What
 * is left out goes to the account, by reason. */
#ifndef MOCO_ENGINE_DATA_FORMAT_TREE_H
#define MOCO_ENGINE_DATA_FORMAT_TREE_H

#include <limits.h>

#include "engine/data/source.h"

enum tree_kind {
    TREE_OTHER,
    TREE_IMAGE, /* by name: jpg jpeg jpe jfif png bmp ppm pgm pnm gif webp tga, in any case */
    TREE_TIFF,  /* tif tiff */
    TREE_FITS,  /* fits fit fts fz, also with .gz behind */
    TREE_KINDS,
};

struct tree {
    char root[PATH_MAX]; /* as realpath() gives it */
    char **names;        /* (count) paths below root; owned */
    size_t count, capacity;
    char **folders;          /* (folder_count) below the root, classes if they have images; owned */
    size_t folder_count, folder_capacity;
    size_t seen[TREE_KINDS]; /* files of each kind that were met */
    enum tree_kind kind;     /* that names are of */
    int by_name;             /* nobody looks into files */
    struct account account;
};

/* By what the name ends in. */
enum tree_kind tree_kind_of(const char *name);

/* Finds the files of `kind`; none is no error. An empty tree is {0}. A folder that cannot be read
 * to the end is an error, as is what this process lacks; one that may not be opened is left out. */
int tree_open(struct tree *tree, const char *dir, enum tree_kind kind);
void tree_close(struct tree *tree);

/* What a folder is for: images where one is found, else TIFF, else FITS, else nothing. */
int tree_look(enum tree_kind *kind, const char *dir);

/* path: PATH_MAX */
void tree_path(char *path, const struct tree *tree, size_t index);

/* *labels: (count), -1 without a class; free()d by the caller. The class names go to the source. */
int tree_labels(int32_t **labels, struct source *source, const struct tree *tree);

/* The source gets the account, and a note where other formats read what was left out. */
void tree_note(struct source *source, const struct tree *tree);

/* The error that a folder holds no file of the kind, with what is there instead. */
int tree_none(const struct tree *tree, const char *dir);

/* ---- between the files of the tree ---- */

/* tree_walk.c: fills names, folders, seen and account. The root is a folder, or one file, whose
 * folder becomes the root. */
int tree_walk(struct tree *tree);
int tree_single(struct tree *tree);

#endif
