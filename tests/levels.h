/* levels.h: every table of kernels that this machine can run, the plain C specification first: the
 * levels of the dispatch, and the level "ext", which has AVX-512's shapes and needs no instruction.
 * Tests that walk them find a new variant by themselves. */
#ifndef MOCO_TESTS_LEVELS_H
#define MOCO_TESTS_LEVELS_H

#include "simd/kernels.h"

enum { TABLES_MAX = MOCO_LEVELS + 1 };

/* Fills tables[TABLES_MAX]; returns how many there are. */
static inline size_t all_tables(struct moco_simd *tables)
{
    size_t n = 0;

    for (enum moco_level level = MOCO_LEVEL_REF; level < MOCO_LEVELS; level++)
        n += moco_simd_at(&tables[n], level) == 0;
    moco_simd_ext(&tables[n]);
    return n + 1;
}

#endif
