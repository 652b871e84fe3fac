/* choose.h: which of the arrays in a file are images, and which are their labels.
 *
 * For formats that hold several named arrays (.npz, HDF5). Named arrays are taken as named; else
 * usual names decide, then that there is only one array that can be meant. What was not named is
 * said in the source's note. */
#ifndef MOCO_ENGINE_DATA_FORMAT_CHOOSE_H
#define MOCO_ENGINE_DATA_FORMAT_CHOOSE_H

#include "engine/data/source.h"

struct candidate {
    const char *name;
    int rank;     /* 0: an array that is never images or labels */
    size_t count; /* the first size */
    int column;   /* 1 where all sizes but one are 1; count is that one then */
    int numbers;  /* 1 where labels may be among them: integers and floats that are whole */
    const char *why; /* rank is 0 for this reason, or NULL */
};

/* `names`: "", "IMAGES" or "IMAGES,LABELS". *labels is n where there are none. */
int choose_arrays(size_t *images, size_t *labels, const struct candidate *all, size_t n,
                  const char *names, const char *where);

/* The array of that name, or a sentence. */
int choose_array(size_t *out, const struct candidate *all, size_t n, const char *name,
                 const char *where);

/* Labels of `count` images that are called `name`: by the usual names; n where there are none. */
size_t choose_labels(const struct candidate *all, size_t n, const char *name, size_t count);

/* 1 where `names` says which array holds the labels. */
int choose_named_labels(const char *names);

/* The note that an array with a usual name holds no labels; error_text() has why. */
void choose_no_labels(struct source *source, const char *name);

/* The note: what was taken without having been named. */
void choose_note(struct source *source, const struct candidate *all, size_t n, size_t images,
                 size_t labels, const char *names, const char *where);

#endif
