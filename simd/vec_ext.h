/* vec_ext.h: the virtual vectors f32x16 and f32x8 as vector extensions of GCC and clang, for tests.
 *
 * The shapes are those of vec_avx512.h (one vector of sixteen lanes, tiles of six rows by four
 * vectors), and so are the places that an operation reads and writes: on a machine without AVX-512,
 * Arm included, the logic of its tiles and tails runs all the same. Each fused multiply-add is a
 * call of fmaf where the instruction set has none, so this is slow; no library but the tests' has
 * it, and no dispatch chooses it. */
#ifndef MOCO_SIMD_VEC_EXT_H
#define MOCO_SIMD_VEC_EXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd/bf16.h"

#define VEC_ROLLED /* tile.h */

enum { TILE_ROWS = 6, TILE_VECS = 4 };

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef float f32x8 __attribute__((vector_size(32)));
typedef int32_t i32x8 __attribute__((vector_size(32)));

#define EXT_VEC f32x16
#define EXT_INTS i32x16
#define EXT_LANES 16
#define EXT_OP(op) v_##op
#include "simd/vec_ext_width.h"

#define EXT_VEC f32x8
#define EXT_INTS i32x8
#define EXT_LANES 8
#define EXT_OP(op) h_##op
#include "simd/vec_ext_width.h"

static inline void v_stream_end(void)
{
}

/* p 2^n, with n in the low bits of t = 1.5 * 2^23 + n */
static inline f32x16 v_times_pow2(f32x16 p, f32x16 n, f32x16 t)
{
    (void)n;
    return p * v_pow2(t);
}

/* The lanes that a mask names, moved together, at p; all 16 places are written. The count. */
static inline unsigned v_squeeze(void *p, f32x16 a, unsigned lanes)
{
    f32x16 out = {0};
    unsigned n = 0;

    for (int i = 0; i < 16; i++)
        if (lanes >> i & 1)
            out[n++] = a[i];
    memcpy(p, &out, sizeof out);
    return n;
}

/* 16 words of another type, for v_squeeze. */
static inline f32x16 v_load_words(const uint32_t *p)
{
    f32x16 out;

    memcpy(&out, p, sizeof out);
    return out;
}

/* Square blocks that v_transpose turns over: dst[j ldd + i] = src[i lds + j]. */
enum { V_SQUARE = 8 };

static inline void v_transpose(float *dst, size_t ldd, const float *src, size_t lds)
{
    for (size_t j = 0; j < V_SQUARE; j++)
        for (size_t i = 0; i < V_SQUARE; i++)
            dst[j * ldd + i] = src[i * lds + j];
}

/* The same for rows that lie anywhere: dst[j ldd + i] = row[i][at + j]. */
static inline void v_transpose_rows(float *dst, size_t ldd, const float *const *row, size_t at)
{
    for (size_t j = 0; j < V_SQUARE; j++)
        for (size_t i = 0; i < V_SQUARE; i++)
            dst[j * ldd + i] = row[i][at + j];
}

#endif
