/* vec_neon_reg.h: what is more than one instruction on NEON's registers of four lanes, for
 * vec_neon.h. Comparisons and selects stand where NEON's own maximum would treat NaN otherwise than
 * x86. */
#ifndef MOCO_SIMD_VEC_NEON_REG_H
#define MOCO_SIMD_VEC_NEON_REG_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "simd/simd.h"

static inline float32x4_t q_max(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

/* 0 > a ? 0 : a, so that NaN stays NaN */
static inline float32x4_t q_relu(float32x4_t a)
{
    return vbslq_f32(vcgtq_f32(vdupq_n_f32(0.0f), a), vdupq_n_f32(0.0f), a);
}

/* a where s > 0, else +0 */
static inline float32x4_t q_where_positive(float32x4_t a, float32x4_t s)
{
    return vbslq_f32(vcgtq_f32(s, vdupq_n_f32(0.0f)), a, vdupq_n_f32(0.0f));
}

/* a where the lane's bit is set, else +0 */
static inline float32x4_t q_where_bits(float32x4_t a, unsigned bits)
{
    static const uint32_t one[4] = {1, 2, 4, 8};

    return vbslq_f32(vtstq_u32(vdupq_n_u32(bits), vld1q_u32(one)), a, vdupq_n_f32(0.0f));
}

/* Bit i is set where lane i of a is above lane i of b; never for NaN. */
static inline unsigned q_above(float32x4_t a, float32x4_t b)
{
    static const uint32_t one[4] = {1, 2, 4, 8};

    return vaddvq_u32(vandq_u32(vcgtq_f32(a, b), vld1q_u32(one)));
}

/* +0 where x < floor, else a */
static inline float32x4_t q_zero_below(float32x4_t a, float32x4_t x, float32x4_t floor)
{
    return vbslq_f32(vcltq_f32(x, floor), vdupq_n_f32(0.0f), a);
}

/* 2^n from the low bits of 1.5 * 2^23 + n */
static inline float32x4_t q_pow2(float32x4_t t)
{
    uint32x4_t bits = vaddq_u32(vreinterpretq_u32_f32(t), vdupq_n_u32(127));

    return vreinterpretq_f32_u32(vshlq_n_u32(bits, 23));
}

static inline float32x4_t q_load_bf16(const moco_bf16 *p)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vld1_u16(p)), 16));
}

/* bf16_narrowed by lanes */
static inline void q_store_bf16(moco_bf16 *p, float32x4_t a)
{
    uint32x4_t bits = vreinterpretq_u32_f32(a), quiet = vdupq_n_u32(0x00400000);
    uint32x4_t exponent = vandq_u32(bits, vdupq_n_u32(0x7f800000));
    uint32x4_t tiny = vceqq_u32(exponent, vdupq_n_u32(0));
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t sum = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));

    sum = vbslq_u32(vceqq_f32(a, a), sum, vorrq_u32(bits, quiet));
    sum = vbicq_u32(sum, vshrq_n_u32(tiny, 1)); /* leaves the sign */
    vst1_u16(p, vshrn_n_u32(sum, 16));
}

/* Stores what was loaded, or zeros: no rounding. */
static inline void q_keep_bf16(moco_bf16 *p, float32x4_t a)
{
    vst1_u16(p, vshrn_n_u32(vreinterpretq_u32_f32(a), 16));
}

/* Byte `which` of four pixels of four bytes. */
static inline float32x4_t q_bytes(const uint8_t *p, int which)
{
    uint32x4_t words = vreinterpretq_u32_u8(vld1q_u8(p));

    words = vandq_u32(vshlq_u32(words, vdupq_n_s32(-8 * which)), vdupq_n_u32(255));
    return vcvtq_f32_u32(words);
}

/* A square of four rows, of which vtrnq has paired two and two, turned over into rows of dst. */
static inline void q_turn(float *dst, size_t ldd, float32x4x2_t a, float32x4x2_t b)
{
    for (size_t j = 0; j < 2; j++) {
        float32x4_t low = vcombine_f32(vget_low_f32(a.val[j]), vget_low_f32(b.val[j]));
        float32x4_t high = vcombine_f32(vget_high_f32(a.val[j]), vget_high_f32(b.val[j]));

        vst1q_f32(dst + j * ldd, low);
        vst1q_f32(dst + (j + 2) * ldd, high);
    }
}

#endif
