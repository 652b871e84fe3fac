/* rows.h: what several methods do with rows of D columns. */
#ifndef MOCO_ENGINE_CONTRAST_ROWS_H
#define MOCO_ENGINE_CONTRAST_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* n rows uniform on the sphere, row i a function of (seed, i). */
void rows_random_unit(float *rows, size_t n, size_t D, uint64_t seed);

/* Row i of dst(count, D) is row index[i] of `rows`. */
void rows_gather(float *dst, const float *rows, const int64_t *index, size_t count, size_t D);

/* Σ x / B, in order. */
double rows_mean(const float *x, size_t count, size_t B);

/* Every id must be that of one of n images. */
int rows_check_ids(const int64_t *ids, size_t count, size_t n);

#endif
