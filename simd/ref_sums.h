/* ref_sums.h: the two sums that the reference kernels share: a product as one FMA chain, and
 * sixteen lanes added by the fixed tree i + 8, i + 4, i + 2, i + 1. */
#ifndef MOCO_SIMD_REF_SUMS_H
#define MOCO_SIMD_REF_SUMS_H

#include <math.h>
#include <string.h>

#include "simd/kernels.h"

static inline float chain_dot(const float *a, const float *b, size_t D)
{
    float s = 0.0f;

    for (size_t d = 0; d < D; d++)
        s = fmaf(a[d], b[d], s);
    return s;
}

static inline float tree_sum(const float *lanes)
{
    float s[MOCO_VL];

    memcpy(s, lanes, sizeof s);
    for (int half = MOCO_VL / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            s[i] += s[i + half];
    return s[0];
}

#endif
