/* noise.h: what a detector adds to a picture of n values. */
#ifndef MOCO_ENGINE_DATA_VIEW_NOISE_H
#define MOCO_ENGINE_DATA_VIEW_NOISE_H

#include "engine/base/rng.h"

/* Shot noise: x becomes Poisson(x counts) / counts; what is below 0 becomes 0. */
void noise_poisson(float *x, size_t n, float counts, struct rng *rng);

/* Adds numbers of mean 0 and deviation sigma; nothing is clamped. */
void noise_gaussian(float *x, size_t n, float sigma, struct rng *rng);

#endif
