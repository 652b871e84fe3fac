/* vec_exp.h: exp.h over the f32x16 of the including file, operation by operation the same. */
#ifndef MOCO_SIMD_VEC_EXP_H
#define MOCO_SIMD_VEC_EXP_H

#include "simd/exp.h"
#include "simd/tile.h"

INLINE f32x16 v_exp(f32x16 x)
{
    f32x16 log2e = v_set1(EXP_LOG2E), t = v_fma(x, log2e, v_set1(EXP_MAGIC));
    f32x16 n = v_sub(t, v_set1(EXP_MAGIC)), r = v_fms(x, log2e, n);
    f32x16 p = v_fma(v_set1(EXP_P6), r, v_set1(EXP_P5));

    p = v_fma(p, r, v_set1(EXP_P4));
    p = v_fma(p, r, v_set1(EXP_P3));
    p = v_fma(p, r, v_set1(EXP_P2));
    p = v_fma(p, r, v_set1(EXP_P1));
    p = v_fma(p, r, v_set1(1.0f));
    return v_zero_below(v_times_pow2(p, n, t), x, v_set1(EXP_FLOOR));
}

#endif
