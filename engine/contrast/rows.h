/* rows.h: what several methods do with rows of D columns. */
#ifndef MOCO_ENGINE_CONTRAST_ROWS_H
#define MOCO_ENGINE_CONTRAST_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"

/* n rows uniform on the sphere, row i a function of (seed, i). */
void rows_random_unit(float *rows, size_t n, size_t D, uint64_t seed);

/* 0, 1, … n-1: the rows by their names, for kernels that compare names. */
void rows_count(int64_t *numbers, size_t n);

/* Row i of dst(count, D) is row index[i] of `rows`. */
void rows_gather(float *dst, const float *rows, const int64_t *index, size_t count, size_t D);

/* The rows of a batch that the calling thread of a team computes: `count` from `first` on. Results
 * of rows must not depend on the division. */
struct row_share {
    size_t first, count, thread;
};
struct row_share rows_share(size_t rows);

/* Floats from one thread's scratch of `floats` to the next one's: whole cache lines. */
static inline size_t rows_stride(size_t floats)
{
    return arena_round(floats * sizeof(float)) / sizeof(float);
}

/* Σ x / B, in order. */
double rows_mean(const float *x, size_t count, size_t B);

/* Every id must be that of one of n images. */
int rows_check_ids(const int64_t *ids, size_t count, size_t n);

#endif
