/* vec_neon.h: the virtual vectors f32x16 and f32x8 as four and two NEON registers.
 *
 * Thirty-two registers leave room for tiles of six rows by one f32x16. What both widths have is
 * vec_neon_width.h; below is what f32x16 alone has. */
#ifndef MOCO_SIMD_VEC_NEON_H
#define MOCO_SIMD_VEC_NEON_H

#include <stddef.h>
#include <stdint.h>

#include "simd/squeeze.h"
#include "simd/vec_neon_reg.h"

enum { TILE_ROWS = 6, TILE_VECS = 1 };

typedef struct {
    float32x4_t r[2];
} f32x8;

typedef struct {
    float32x4_t r[4];
} f32x16;

#define NEON_VEC f32x8
#define NEON_REGS 2
#define NEON_OP(op) h_##op
#include "simd/vec_neon_width.h"

#define NEON_VEC f32x16
#define NEON_REGS 4
#define NEON_OP(op) v_##op
#include "simd/vec_neon_width.h"

static inline void v_stream_end(void)
{
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

/* p 2^n, with n in the low bits of t = 1.5 * 2^23 + n */
static inline f32x16 v_times_pow2(f32x16 p, f32x16 n, f32x16 t)
{
    f32x16 out;

    (void)n;
    for (int i = 0; i < 4; i++)
        out.r[i] = vmulq_f32(p.r[i], q_pow2(t.r[i]));
    return out;
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
