/* noise.c: shot noise and Gaussian noise, value after value from one stream. */
#include "engine/data/view/noise.h"

void noise_poisson(float *x, size_t n, float counts, struct rng *rng)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rng_poisson(rng, (double)x[i] * (double)counts) / (double)counts);
}

void noise_gaussian(float *x, size_t n, float sigma, struct rng *rng)
{
    double pair[2];

    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0)
            rng_normal_pair(rng, pair);
        x[i] += (float)((double)sigma * pair[i % 2]);
    }
}
