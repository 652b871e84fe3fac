/* files.h: images that lie in one file or in the files of a folder, several to a file (TIFF, FITS).
 *
 * The state of such a source begins with a struct files. The format tells of each image the file,
 * a place in it (a page, a plane) and the size; paths, labels, names, samples of several images and
 * what is done about files that cannot be read is the same for all and done here. What cannot be
 * read of a file is one image whose every read fails, behind those that can; of pages=views the
 * whole sample is, for its views are drawn from all its images. */
#ifndef MOCO_ENGINE_DATA_FORMAT_FILES_H
#define MOCO_ENGINE_DATA_FORMAT_FILES_H

#include "engine/data/format/raw.h"
#include "engine/data/format/tree.h"

static const uint32_t files_no_place = UINT32_MAX; /* of what cannot be read */

struct files_image {
    uint32_t file, place;
};

/* Why a file cannot be read. */
struct files_bad {
    uint32_t file;
    int code;
    char *sentence; /* owned */
};

struct files {
    struct tree tree;      /* without names when `single` is all */
    char single[RAW_PATH]; /* "" for a folder */
    int channels, views;   /* pages are channels of one image, or images of one sample */
    struct files_image *images; /* (source->count); owned */
    size_t capacity;
    struct files_bad *bad; /* (bad_count), in the order of files; owned */
    size_t bad_count;
};

/* Takes "PATH[:WORDS]", where words may end with pages=images, pages=channels or, for a folder,
 * pages=views; unless said, pages of a single file are images and those of files in a folder
 * channels. What is left of words goes to `words` (RAW_PATH). what: "a TIFF", for sentences. */
int files_take_path(struct files *files, char *words, const char *path, const char *what);

/* The sentence for words that mean nothing. */
int files_refuse_words(const char *path, const char *what, const char *words);

/* Calls scan() for every file, which calls files_add() for every image in it; then come the labels,
 * which are those of the files, and the note. */
typedef int files_scanner(struct source *source, size_t file, const char *path);
int files_scan(struct source *source, enum tree_kind kind, files_scanner *scan);

/* Adds an image of `file`; raw_add_image() has the conditions. */
int files_add(struct source *source, size_t file, size_t place, int channels, int height, int width,
              enum source_dtype dtype, const char *path);

/* Where to find image `index`. path: PATH_MAX. Or the sentence, when it is that of a bad file. */
int files_find(char *path, size_t *place, const struct source *source, size_t index);

/* source->name of such sources. */
const char *files_name(const struct source *source, size_t index);

void files_close(struct files *files);

#endif
