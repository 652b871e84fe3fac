/* vec_neon.h: the virtual vectors f32x16 and f32x8 as four and two NEON registers.
 *
 * NEON has no masked access, so loads and stores of n lanes go one by one through a buffer.
 * Thirty-two registers leave room for tiles of six rows by one f32x16. Comparisons and selects
 * stand where NEON's own maximum would treat NaN otherwise than x86. */
#ifndef MOCO_SIMD_VEC_NEON_H
#define MOCO_SIMD_VEC_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "simd/simd.h"
#include "simd/squeeze.h"

enum { TILE_ROWS = 6, TILE_VECS = 1 };

typedef struct {
    float32x4_t r[2];
} f32x8;

typedef struct {
    float32x4_t r[4];
} f32x16;

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

static inline f32x8 h_set1(float x)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = vdupq_n_f32(x);
    return out;
}

static inline f32x8 h_zero(void)
{
    return h_set1(0.0f);
}

static inline f32x8 h_load(const float *p)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = vld1q_f32(p + 4 * i);
    return out;
}

static inline void h_store(float *p, f32x8 a)
{
    for (int i = 0; i < 2; i++)
        vst1q_f32(p + 4 * i, a.r[i]);
}

static inline void h_stream(float *p, f32x8 a)
{
    h_store(p, a);
}

static inline f32x8 h_load_bf16(const moco_bf16 *p)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = q_load_bf16(p + 4 * i);
    return out;
}

static inline void h_store_bf16(moco_bf16 *p, f32x8 a)
{
    for (int i = 0; i < 2; i++)
        q_store_bf16(p + 4 * i, a.r[i]);
}

static inline void h_keep_bf16(moco_bf16 *p, f32x8 a)
{
    for (int i = 0; i < 2; i++)
        q_keep_bf16(p + 4 * i, a.r[i]);
}

static inline void h_stream_bf16(moco_bf16 *p, f32x8 a)
{
    h_store_bf16(p, a);
}

static inline f32x8 h_add(f32x8 a, f32x8 b)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = vaddq_f32(a.r[i], b.r[i]);
    return out;
}

static inline f32x8 h_sub(f32x8 a, f32x8 b)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = vsubq_f32(a.r[i], b.r[i]);
    return out;
}

static inline f32x8 h_mul(f32x8 a, f32x8 b)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = vmulq_f32(a.r[i], b.r[i]);
    return out;
}

static inline f32x8 h_div(f32x8 a, f32x8 b)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = vdivq_f32(a.r[i], b.r[i]);
    return out;
}

static inline f32x8 h_max(f32x8 a, f32x8 b)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = q_max(a.r[i], b.r[i]);
    return out;
}

/* a b + c */
static inline f32x8 h_fma(f32x8 a, f32x8 b, f32x8 c)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = vfmaq_f32(c.r[i], a.r[i], b.r[i]);
    return out;
}

/* c - a b */
static inline f32x8 h_fnma(f32x8 a, f32x8 b, f32x8 c)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = vfmsq_f32(c.r[i], a.r[i], b.r[i]);
    return out;
}

static inline f32x8 h_relu(f32x8 a)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = q_relu(a.r[i]);
    return out;
}

static inline f32x8 h_where_positive(f32x8 a, f32x8 s)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = q_where_positive(a.r[i], s.r[i]);
    return out;
}

static inline f32x8 h_where_bits(f32x8 a, unsigned bits)
{
    f32x8 out;

    for (int i = 0; i < 2; i++)
        out.r[i] = q_where_bits(a.r[i], bits >> 4 * i);
    return out;
}

static inline unsigned h_above(f32x8 a, f32x8 b)
{
    return q_above(a.r[0], b.r[0]) | q_above(a.r[1], b.r[1]) << 4;
}

static inline f32x16 v_set1(float x)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vdupq_n_f32(x);
    return out;
}

static inline f32x16 v_zero(void)
{
    return v_set1(0.0f);
}

static inline f32x16 v_load(const float *p)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vld1q_f32(p + 4 * i);
    return out;
}

static inline void v_store(float *p, f32x16 a)
{
    for (int i = 0; i < 4; i++)
        vst1q_f32(p + 4 * i, a.r[i]);
}

/* NEON has no store past the caches in C; ordinary ones need no end. */
static inline void v_stream(float *p, f32x16 a)
{
    v_store(p, a);
}

static inline f32x16 v_load_bf16(const moco_bf16 *p)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = q_load_bf16(p + 4 * i);
    return out;
}

static inline void v_store_bf16(moco_bf16 *p, f32x16 a)
{
    for (int i = 0; i < 4; i++)
        q_store_bf16(p + 4 * i, a.r[i]);
}

static inline void v_keep_bf16(moco_bf16 *p, f32x16 a)
{
    for (int i = 0; i < 4; i++)
        q_keep_bf16(p + 4 * i, a.r[i]);
}

static inline void v_stream_bf16(moco_bf16 *p, f32x16 a)
{
    v_store_bf16(p, a);
}

static inline void v_stream_end(void)
{
}

static inline f32x8 h_load_n(const float *p, size_t n)
{
    float part[8] = {0};

    for (size_t i = 0; i < n && i < 8; i++)
        part[i] = p[i];
    return h_load(part);
}

static inline void h_store_n(float *p, f32x8 a, size_t n)
{
    float part[8];

    h_store(part, a);
    for (size_t i = 0; i < n && i < 8; i++)
        p[i] = part[i];
}

static inline f32x16 v_load_n(const float *p, size_t n)
{
    float part[16] = {0};

    for (size_t i = 0; i < n && i < 16; i++)
        part[i] = p[i];
    return v_load(part);
}

static inline void v_store_n(float *p, f32x16 a, size_t n)
{
    float part[16];

    v_store(part, a);
    for (size_t i = 0; i < n && i < 16; i++)
        p[i] = part[i];
}

static inline f32x16 v_add(f32x16 a, f32x16 b)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vaddq_f32(a.r[i], b.r[i]);
    return out;
}

static inline f32x16 v_sub(f32x16 a, f32x16 b)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vsubq_f32(a.r[i], b.r[i]);
    return out;
}

static inline f32x16 v_mul(f32x16 a, f32x16 b)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vmulq_f32(a.r[i], b.r[i]);
    return out;
}

static inline f32x16 v_div(f32x16 a, f32x16 b)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vdivq_f32(a.r[i], b.r[i]);
    return out;
}

static inline f32x16 v_max(f32x16 a, f32x16 b)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = q_max(a.r[i], b.r[i]);
    return out;
}

static inline f32x16 v_min(f32x16 a, f32x16 b)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vbslq_f32(vcltq_f32(a.r[i], b.r[i]), a.r[i], b.r[i]);
    return out;
}

/* yes where a < b, else no; and where a = b */
static inline f32x16 v_where_less(f32x16 a, f32x16 b, f32x16 yes, f32x16 no)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vbslq_f32(vcltq_f32(a.r[i], b.r[i]), yes.r[i], no.r[i]);
    return out;
}

static inline f32x16 v_where_equal(f32x16 a, f32x16 b, f32x16 yes, f32x16 no)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vbslq_f32(vceqq_f32(a.r[i], b.r[i]), yes.r[i], no.r[i]);
    return out;
}

/* Byte `which` of 16 pixels of four bytes. */
static inline f32x16 v_bytes(const uint8_t *p, int which)
{
    f32x16 out;

    for (int i = 0; i < 4; i++) {
        uint32x4_t words = vreinterpretq_u32_u8(vld1q_u8(p + 16 * i));

        words = vandq_u32(vshlq_u32(words, vdupq_n_s32(-8 * which)), vdupq_n_u32(255));
        out.r[i] = vcvtq_f32_u32(words);
    }
    return out;
}

/* a b + c */
static inline f32x16 v_fma(f32x16 a, f32x16 b, f32x16 c)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vfmaq_f32(c.r[i], a.r[i], b.r[i]);
    return out;
}

/* a b - c */
static inline f32x16 v_fms(f32x16 a, f32x16 b, f32x16 c)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vfmaq_f32(vnegq_f32(c.r[i]), a.r[i], b.r[i]);
    return out;
}

/* Four numbers, each of which can multiply a vector: an instruction takes a lane as it takes a
 * register, where a number in memory costs a load of its own. */
#define V_FOUR float32x4_t

static inline V_FOUR v_load_four(const float *p)
{
    return vld1q_f32(p);
}

static inline V_FOUR v_load_two(const float *p)
{
    return vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f));
}

/* a's number times b, + c */
#define V_FMA_LANE(lane)                                                                         \
    static inline f32x16 v_fma_lane##lane(V_FOUR a, f32x16 b, f32x16 c)                          \
    {                                                                                            \
        f32x16 out;                                                                              \
                                                                                                 \
        for (int i = 0; i < 4; i++)                                                              \
            out.r[i] = vfmaq_laneq_f32(c.r[i], b.r[i], a, lane);                                 \
        return out;                                                                              \
    }

V_FMA_LANE(0)
V_FMA_LANE(1)
V_FMA_LANE(2)
V_FMA_LANE(3)

/* c - a b */
static inline f32x16 v_fnma(f32x16 a, f32x16 b, f32x16 c)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vfmsq_f32(c.r[i], a.r[i], b.r[i]);
    return out;
}

static inline f32x16 v_relu(f32x16 a)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = q_relu(a.r[i]);
    return out;
}

static inline f32x16 v_where_positive(f32x16 a, f32x16 s)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = q_where_positive(a.r[i], s.r[i]);
    return out;
}

static inline f32x16 v_where_bits(f32x16 a, unsigned bits)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = q_where_bits(a.r[i], bits >> 4 * i);
    return out;
}

static inline f32x16 v_zero_below(f32x16 a, f32x16 x, f32x16 floor)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = q_zero_below(a.r[i], x.r[i], floor.r[i]);
    return out;
}

/* p 2^n, with n in the low bits of t = 1.5 * 2^23 + n */
static inline f32x16 v_times_pow2(f32x16 p, f32x16 n, f32x16 t)
{
    f32x16 out;

    (void)n;
    for (int i = 0; i < 4; i++)
        out.r[i] = vmulq_f32(p.r[i], q_pow2(t.r[i]));
    return out;
}

static inline unsigned v_above(f32x16 a, f32x16 b)
{
    unsigned bits = 0;

    for (int i = 0; i < 4; i++)
        bits |= q_above(a.r[i], b.r[i]) << 4 * i;
    return bits;
}

/* The lanes that a mask names, moved together, at p; up to 16 places are written. The count. */
static inline unsigned v_squeeze(void *p, f32x16 a, unsigned lanes)
{
    const uint32x4_t bytes = vdupq_n_u32(0x03020100);
    unsigned n = 0;

    for (int i = 0; i < 4; i++) {
        unsigned four = lanes >> 4 * i & 15;
        uint32x4_t from = vmlaq_n_u32(bytes, vld1q_u32(squeeze_from[four]), 0x04040404);

        vst1q_u8((uint8_t *)p + 4 * n, vqtbl1q_u8(vreinterpretq_u8_f32(a.r[i]),
                                                  vreinterpretq_u8_u32(from)));
        n += (unsigned)__builtin_popcount(four);
    }
    return n;
}

static inline f32x16 v_load_words(const uint32_t *p)
{
    f32x16 out;

    for (int i = 0; i < 4; i++)
        out.r[i] = vreinterpretq_f32_u32(vld1q_u32(p + 4 * i));
    return out;
}

/* The fixed tree: lanes i and i + 8, i + 4, i + 2, i + 1. */
static inline float v_sum(f32x16 a)
{
    float32x4_t s = vaddq_f32(vaddq_f32(a.r[0], a.r[2]), vaddq_f32(a.r[1], a.r[3]));
    float32x2_t t = vadd_f32(vget_low_f32(s), vget_high_f32(s));

    return vget_lane_f32(t, 0) + vget_lane_f32(t, 1);
}

static inline float v_largest(f32x16 a)
{
    return vmaxvq_f32(q_max(q_max(a.r[0], a.r[2]), q_max(a.r[1], a.r[3])));
}

/* Square blocks that v_transpose turns over: dst[j ldd + i] = src[i lds + j]. */
enum { V_SQUARE = 4 };

static inline void q_turn(float *dst, size_t ldd, float32x4x2_t a, float32x4x2_t b)
{
    for (size_t j = 0; j < 2; j++) {
        float32x4_t low = vcombine_f32(vget_low_f32(a.val[j]), vget_low_f32(b.val[j]));
        float32x4_t high = vcombine_f32(vget_high_f32(a.val[j]), vget_high_f32(b.val[j]));

        vst1q_f32(dst + j * ldd, low);
        vst1q_f32(dst + (j + 2) * ldd, high);
    }
}

static inline void v_transpose(float *dst, size_t ldd, const float *src, size_t lds)
{
    q_turn(dst, ldd, vtrnq_f32(vld1q_f32(src), vld1q_f32(src + lds)),
           vtrnq_f32(vld1q_f32(src + 2 * lds), vld1q_f32(src + 3 * lds)));
}

/* The same for rows that lie anywhere: dst[j ldd + i] = row[i][at + j]. */
static inline void v_transpose_rows(float *dst, size_t ldd, const float *const *row, size_t at)
{
    q_turn(dst, ldd, vtrnq_f32(vld1q_f32(row[0] + at), vld1q_f32(row[1] + at)),
           vtrnq_f32(vld1q_f32(row[2] + at), vld1q_f32(row[3] + at)));
}

#endif
