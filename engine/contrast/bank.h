/* bank.h: the memory bank of instance discrimination (Wu, Xiong, Yu, Lin 2018, section 3.1): one
 * unit row for each image of the training set, and what is drawn from it. */
#ifndef MOCO_ENGINE_CONTRAST_BANK_H
#define MOCO_ENGINE_CONTRAST_BANK_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"

struct bank {
    float *rows; /* (n, D) unit rows */
    size_t n, D;
    struct arena arena; /* behind the rows: rows are drawn from all over it, so large pages count */
};

static inline size_t bank_bytes(size_t n, size_t D)
{
    return arena_round(n * D * sizeof(float));
}

/* Random unit rows. */
int bank_open(struct bank *bank, size_t n, size_t D, uint64_t seed);
void bank_close(struct bank *bank);

/* Row ids[i] <- unit(blend row + (1 - blend) v_i), in order. v: (count, D). */
void bank_update(struct bank *bank, const float *v, const int64_t *ids, size_t count, float blend);

/* out: (M) rows drawn uniformly, with replacement, from the n - 1 that are not `own`; a function of
 * (seed, step, sample). n >= 2. */
void bank_draw(int64_t *out, size_t M, size_t n, int64_t own, uint64_t seed, uint64_t step,
               uint64_t sample);

#endif
