/* rng.h: counter-based random numbers (Philox 4x32-10; Salmon et al., SC 2011).
 *
 * A stream is a pure function of (seed, purpose, epoch, index): nothing has to be saved to resume
 * a run, and a sample's views do not depend on the number of workers. Streams never overlap. */
#ifndef MOCO_ENGINE_BASE_RNG_H
#define MOCO_ENGINE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

enum rng_purpose {
    RNG_INIT = 1,  /* initial weights; index = tensor */
    RNG_ORDER,     /* order of the images of an epoch */
    RNG_VIEW,      /* augmentation; epoch, index = 2 * sample + view */
    RNG_SHUFFLE,   /* ShuffleBN permutation; epoch = 0, index = step */
    RNG_QUEUE,     /* initial rows of queue or bank */
    RNG_SYNTHETIC, /* generated images; index = sample */
    RNG_SAMPLE,    /* negatives drawn from a bank; index = step */
    RNG_TEST,      /* tests */
    RNG_LABELS,    /* which labels training may see */
    RNG_PAIR,      /* which images of a sample; index = sample */
    RNG_REPLACE,   /* images in the place of one that can not be read; index = that one */
};

struct rng {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4]; /* the newest four numbers */
    unsigned left;     /* of them, still unused */
};

struct rng rng_at(uint64_t seed, enum rng_purpose purpose, uint64_t epoch, uint64_t index);

uint32_t rng_u32(struct rng *rng);
double rng_uniform(struct rng *rng);                     /* [0, 1), 53 bits */
double rng_between(struct rng *rng, double lo, double hi); /* [lo, hi) */
uint64_t rng_below(struct rng *rng, uint64_t n);         /* 0..n-1 without bias; n > 0 */
double rng_normal(struct rng *rng);                      /* mean 0, variance 1 (Box-Muller) */
void rng_normal_pair(struct rng *rng, double out[2]);    /* two, for little more than one */

/* A count of mean `lambda`, exactly Poisson distributed. A mean below 0 counts as 0; NaN and means
 * of 1e15 and more come back as they are: no float would show their noise. */
double rng_poisson(struct rng *rng, double lambda);

/* out: (n), a uniformly drawn permutation of 0..n-1 (Fisher-Yates). */
void rng_permutation(struct rng *rng, uint32_t *out, size_t n);

#endif
