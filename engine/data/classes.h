/* classes.h: one numbering of classes for several sources.
 *
 * In: a reference, whose labels stay what they are, and other sources. Out: for each of these, what
 * its labels are in that numbering. Classes with names are aligned by name. A source whose labels
 * are numbers without names counts as one whose names are "0", "1", ... where the others' names are
 * whole numbers; where these are words, label i is the i-th of them, which `note` says. Classes
 * that the reference lacks are numbered behind its own. */
#ifndef MOCO_ENGINE_DATA_CLASSES_H
#define MOCO_ENGINE_DATA_CLASSES_H

#include "engine/data/source.h"

struct classes {
    int count;       /* classes of all sources so far */
    int own;         /* of them, the reference's */
    int named;       /* whether the reference has names */
    char **names;    /* (capacity), of which `count` are in use; owned */
    size_t capacity;
    char where[200]; /* the reference, for sentences */
    char note[700];  /* what had to be assumed; "" mostly */
};

/* On an error too, classes_close() follows. */
int classes_open(struct classes *out, const struct source *reference);
void classes_close(struct classes *classes);

/* *map: (source->classes) numbers of its classes, for free(); NULL where it has none. Two sources
 * with names, none of which they share, are an error: nothing would be right. */
int classes_add(int32_t **map, struct classes *classes, const struct source *source);

#endif
