/* pair_names.h: which images of two sources belong together, by name. */
#ifndef MOCO_ENGINE_DATA_FORMAT_PAIR_NAMES_H
#define MOCO_ENGINE_DATA_FORMAT_PAIR_NAMES_H

#include "engine/data/source.h"

struct pair_names {
    size_t *index[2]; /* (count) of each source, in the order of the first; owned */
    size_t count;
    size_t alone[2];  /* images of each source without a partner */
    size_t first[2];  /* the first of these */
};

/* Pairs the images of two sources that have names: by the path below the root without its ending.
 * Several images of one file go with those of the other file in their order. Two files of a source
 * with one name but for the ending are an error, as is no pair at all. */
int pair_names(struct pair_names *out, const struct source *a, const struct source *b);
void pair_names_close(struct pair_names *pairs);

#endif
