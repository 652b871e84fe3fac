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
    int column;   /* 1 where rank is 1 or the second size is 1 */
    int integers;
};

/* `names`: "", "IMAGES" or "IMAGES,LABELS". *labels is n where there are none. */
int choose_arrays(size_t *images, size_t *labels, const struct candidate *all, size_t n,
                  const char *names, const char *where);

/* The note: what was taken without having been named. */
void choose_note(struct source *source, const struct candidate *all, size_t n, size_t images,
                 size_t labels, const char *names, const char *where);

#endif
