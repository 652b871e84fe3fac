/* levels.h: every table of kernels that this machine can run, the plain C specification first: the
 * levels of the dispatch, and the level "ext", which has AVX-512's shapes and needs no instruction.
 * Tests that walk them find a new variant by themselves. */
#ifndef MOCO_TESTS_LEVELS_H
#define MOCO_TESTS_LEVELS_H

#include <stdio.h>
#include <string.h>

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

/* Leaves the table of one level, by its name; returns how many there are of it. */
static inline size_t one_table(struct moco_simd *tables, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tables[i].name, name) == 0) {
            tables[0] = tables[i];
            return 1;
        }
    printf("this machine has no level %s\n", name);
    return 0;
}

#endif
