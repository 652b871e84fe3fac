/* logistic.h: log(1 + t) for 0 <= t <= 1, and the two sides of the logistic function, as scalar
 * code and constants.
 *
 * log(1 + t) = 2 atanh(s) with s = t / (2 + t) <= 1/3, and atanh(s) = s (1 + z L(z)), z = s²,
 * where L is a polynomial of degree 4 (relative error 4e-10). No digit is lost for small t:
 * noise samples that are already told apart contribute terms of 1e-6 and less, by the thousand.
 * The vector form in nce_body.h is operation by operation the same. */
#ifndef MOCO_SIMD_LOGISTIC_H
#define MOCO_SIMD_LOGISTIC_H

#include "simd/exp.h"

#define LOG1P_L4 1.16184026e-1f
#define LOG1P_L3 1.0851938e-1f
#define LOG1P_L2 1.4296268e-1f
#define LOG1P_L1 1.9999851e-1f
#define LOG1P_L0 3.3333334e-1f

static inline float log1p_scalar(float t)
{
    float s = t / (2.0f + t), z = s * s, twice = s + s;
    float l = fmaf(LOG1P_L4, z, LOG1P_L3);

    l = fmaf(l, z, LOG1P_L2);
    l = fmaf(l, z, LOG1P_L1);
    l = fmaf(l, z, LOG1P_L0);
    return fmaf(twice, z * l, twice);
}

/* h = 1 / (1 + e^-a), and *cost = log(1 + e^a) = -log(1 - h). */
static inline float logistic_scalar(float *cost, float a)
{
    float t = exp_scalar(-fabsf(a));

    *cost = log1p_scalar(t) + (a > 0.0f ? a : 0.0f);
    return (a < 0.0f ? t : 1.0f) / (1.0f + t);
}

#endif
