/* exp.h: the one exponential of the engine, as constants and as scalar code.
 *
 * exp(x) = 2^n 2^r with n the integer nearest to x log2(e) and r the rest, taken by one fused
 * multiply-add, so that the product is never rounded. 2^r, |r| <= 1/2, is a polynomial of degree 6
 * fitted for least relative error (2e-9; 0.3 u with rounded coefficients). n comes out of adding
 * 1.5 * 2^23: the low bits of the sum are the integer, so no conversion is needed.
 * Made for x <= 0; 0 below -87.3, where 2^n would leave the normal numbers; NaN stays NaN.
 * |exp_scalar(x) - exp(x)| <= (2.5 + 0.23 |x|) u exp(x): the second term is log2(e) as a float,
 * a quarter of what x's own rounding does. The vector form in vec_exp.h is operation by operation
 * the same. */
#ifndef MOCO_SIMD_EXP_H
#define MOCO_SIMD_EXP_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define EXP_FLOOR (-87.3f)
#define EXP_MAGIC 12582912.0f
#define EXP_LOG2E 1.44269504088896341f
#define EXP_P6 1.5353341587e-4f
#define EXP_P5 1.3398900628e-3f
#define EXP_P4 9.6184378490e-3f
#define EXP_P3 5.5503323674e-2f
#define EXP_P2 2.4022647738e-1f
#define EXP_P1 6.9314718246e-1f

static inline float exp_scalar(float x)
{
    float t = fmaf(x, EXP_LOG2E, EXP_MAGIC);
    float n = t - EXP_MAGIC;
    float r = fmaf(x, EXP_LOG2E, -n);
    float p = fmaf(EXP_P6, r, EXP_P5);
    uint32_t bits;
    float scale;

    p = fmaf(p, r, EXP_P4);
    p = fmaf(p, r, EXP_P3);
    p = fmaf(p, r, EXP_P2);
    p = fmaf(p, r, EXP_P1);
    p = fmaf(p, r, 1.0f);
    memcpy(&bits, &t, sizeof bits);
    bits = (bits + 127u) << 23;
    memcpy(&scale, &bits, sizeof scale);
    return x < EXP_FLOOR ? 0.0f : p * scale;
}

#endif
