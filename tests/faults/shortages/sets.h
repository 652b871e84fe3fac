/* sets.h: a small set of each format, of which every image is to be read. */
#ifndef MOCO_TESTS_FAULTS_SHORTAGES_SETS_H
#define MOCO_TESTS_FAULTS_SHORTAGES_SETS_H

#define CHECK_SHARED
#include "tests/files.h" /* before other headers: it wants _GNU_SOURCE */

struct set {
    const char *kind, *path, *rest; /* of the data argument */
    void (*make)(void);
    int opens;   /* files are opened for every image */
    int library; /* 1: it keeps memory for later, and may crash without; 2: it also may not end */
};

/* Ends with one without a path. */
extern const struct set sets[];

#endif
