/* rng.c: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3;
 * SC 2011, section 3.3). The counter holds (block, purpose:epoch, index low, index high), the key
 * is the seed; the known-answer vectors of the paper's library are in tests/test_base.c. */
#define _GNU_SOURCE
#include "engine/base/rng.h"

#include <math.h>

static void philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0, c1 = (uint32_t)p1, c2 = n2, c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

struct rng rng_at(uint64_t seed, enum rng_purpose purpose, uint64_t epoch, uint64_t index)
{
    return (struct rng){
        .key = { (uint32_t)seed, (uint32_t)(seed >> 32) },
        .counter = { 0, (uint32_t)purpose << 24 ^ (uint32_t)epoch, (uint32_t)index,
                     (uint32_t)(index >> 32) },
    };
}

uint32_t rng_u32(struct rng *rng)
{
    if (rng->left == 0) {
        philox(rng->block, rng->counter, rng->key);
        rng->counter[0]++;
        rng->left = 4;
    }
    return rng->block[4 - rng->left--];
}

double rng_uniform(struct rng *rng)
{
    uint64_t high = rng_u32(rng) >> 5, low = rng_u32(rng) >> 6; /* 27 and 26 bits */
    return (double)(high << 26 | low) * 0x1p-53;
}

double rng_between(struct rng *rng, double lo, double hi)
{
    return lo + (hi - lo) * rng_uniform(rng);
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x; /* a multiple of n: no value is favoured */
    do {
        x = (uint64_t)rng_u32(rng) << 32;
        x |= rng_u32(rng);
    } while (x >= limit);
    return x % n;
}

double rng_normal(struct rng *rng)
{
    double radius = sqrt(-2.0 * log(1.0 - rng_uniform(rng)));
    return radius * cos(2.0 * M_PI * rng_uniform(rng));
}

void rng_normal_pair(struct rng *rng, double out[2])
{
    double radius = sqrt(-2.0 * log(1.0 - rng_uniform(rng)));
    double angle = 2.0 * M_PI * rng_uniform(rng);
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

/* Inversion: walks up the cumulative distribution. */
static double poisson_small(struct rng *rng, double lambda)
{
    double p = exp(-lambda), u = rng_uniform(rng), k = 0.0;
    while (u >= p && p > 0.0) { /* p becomes 0 where rounding has left a remainder of u */
        u -= p;
        p *= lambda / ++k;
    }
    return k;
}

/* PTRS: transformed rejection with squeeze (Hoermann, The transformed rejection method for
 * generating Poisson random variables, 1993), exact for lambda of 10 and more. */
static double poisson_large(struct rng *rng, double lambda)
{
    double b = 0.931 + 2.53 * sqrt(lambda), a = -0.059 + 0.02483 * b;
    double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2.0);

    for (;;) {
        double u = rng_uniform(rng) - 0.5, v = 1.0 - rng_uniform(rng);
        double us = 0.5 - fabs(u), k = floor((2.0 * a / us + b) * u + lambda + 0.43);
        int sign;
        if (us >= 0.07 && v <= v_r)
            return k;
        if (!(k >= 0.0) || (us < 0.013 && v > us))
            continue;
        if (log(v * inverse_alpha / (a / (us * us) + b))
            <= k * log(lambda) - lambda - lgamma_r(k + 1.0, &sign))
            return k;
    }
}

double rng_poisson(struct rng *rng, double lambda)
{
    if (!(lambda < 1e15))
        return lambda;
    if (lambda <= 0.0)
        return 0.0;
    return lambda < 10.0 ? poisson_small(rng, lambda) : poisson_large(rng, lambda);
}

void rng_permutation(struct rng *rng, uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(rng, i);
        uint32_t kept = out[i - 1];
        out[i - 1] = out[j];
        out[j] = kept;
    }
}
