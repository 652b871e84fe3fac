/* exp.h: the one exponential of the engine, as constants and as scalar code.
 *
 * Cody-Waite: x = n ln 2 + r with |r| <= ln 2 / 2, exp(x) = 2^n exp(r), and exp(r) is
 * 1 + r + r² P(r) with the minimax P of Cephes. n comes out of adding 1.5 * 2^23: the low bits of
 * the sum are the integer, so no conversion is needed. Made for x <= 0; 0 below -87.3, where 2^n
 * would leave the normal numbers; NaN stays NaN. The vector form in infonce_body.h is operation
 * by operation the same. */
#ifndef MOCO_SIMD_EXP_H
#define MOCO_SIMD_EXP_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define EXP_FLOOR (-87.3f)
#define EXP_MAGIC 12582912.0f
#define EXP_LOG2E 1.44269504088896341f
#define EXP_LN2_HI 0.693359375f
#define EXP_LN2_LO (-2.12194440e-4f)
#define EXP_P5 1.9875691500e-4f
#define EXP_P4 1.3981999507e-3f
#define EXP_P3 8.3334519073e-3f
#define EXP_P2 4.1665795894e-2f
#define EXP_P1 1.6666665459e-1f
#define EXP_P0 5.0000001201e-1f

static inline float exp_scalar(float x)
{
    float t = fmaf(x, EXP_LOG2E, EXP_MAGIC);
    float n = t - EXP_MAGIC;
    float r = fmaf(n, -EXP_LN2_LO, fmaf(n, -EXP_LN2_HI, x));
    float p = fmaf(EXP_P5, r, EXP_P4);
    uint32_t bits;
    float scale;

    p = fmaf(p, r, EXP_P3);
    p = fmaf(p, r, EXP_P2);
    p = fmaf(p, r, EXP_P1);
    p = fmaf(p, r, EXP_P0);
    p = fmaf(p, r * r, r) + 1.0f;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits + 127u) << 23;
    memcpy(&scale, &bits, sizeof scale);
    return x < EXP_FLOOR ? 0.0f : p * scale;
}

#endif
