/* bf16.h: one number between float and bfloat16, the specification of all that kernels load and
 * store (simd.h). */
#ifndef MOCO_SIMD_BF16_H
#define MOCO_SIMD_BF16_H

#include <string.h>

#include "simd/simd.h"

/* Numbers below FLT_MIN too become what they are. */
static inline float bf16_widened(moco_bf16 x)
{
    uint32_t bits = (uint32_t)x << 16;
    float out;

    memcpy(&out, &bits, sizeof out);
    return out;
}

/* To nearest, ties to even; past the largest number infinity. */
static inline moco_bf16 bf16_narrowed(float x)
{
    uint32_t bits, size, rounded;

    memcpy(&bits, &x, sizeof bits);
    size = bits & 0x7fffffff;
    rounded = bits + 0x7fff + (bits >> 16 & 1);
    rounded = size < 0x00800000 ? bits & 0x80000000 : rounded;
    rounded = size > 0x7f800000 ? bits | 0x00400000 : rounded;
    return (moco_bf16)(rounded >> 16);
}

/* The upper half, for what is a bfloat16 number already. */
static inline moco_bf16 bf16_upper(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return (moco_bf16)(bits >> 16);
}

#endif
