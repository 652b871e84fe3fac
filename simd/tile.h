/* tile.h: the matrix product that logits and infonce share, over the f32x16 of the including file.
 *
 * Keys are turned over into a panel (D, TILE_KEYS), so that a vector's lanes run over keys and
 * each dot product stays one sequential FMA chain over D. A tile of up to TILE_ROWS queries keeps
 * its accumulators in registers; TILE_CASES compiles it for every constant row count. */
#ifndef MOCO_SIMD_TILE_H
#define MOCO_SIMD_TILE_H

#include "simd/kernels.h"

#if defined(VEC_ROLLED) /* only tests run it, and compilers take minutes for the long way */
#define UNROLL
#define UNROLL_BY_4
#define ROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_BY_4 _Pragma("unroll 4")
#define ROLL _Pragma("nounroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_BY_4 _Pragma("GCC unroll 4")
#define ROLL _Pragma("GCC unroll 1")
#endif
#define INLINE static inline __attribute__((always_inline))

enum { TILE_KEYS = TILE_VECS * MOCO_VL };

#define TILE_CASES(rows, function, ...)                        \
    switch (rows) {                                            \
    case 6: function(6, __VA_ARGS__); break;                   \
    case 5: function(5, __VA_ARGS__); break;                   \
    case 4: function(4, __VA_ARGS__); break;                   \
    case 3: function(3, __VA_ARGS__); break;                   \
    case 2: function(2, __VA_ARGS__); break;                   \
    default: function(1, __VA_ARGS__); break;                  \
    }

INLINE size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* dst(D, rows) = src(rows, D)^T; ldd and lds are the strides. */
static inline void turn_rows(float *dst, size_t ldd, const float *src, size_t lds, size_t rows,
                             size_t D)
{
    size_t whole = rows / V_SQUARE * V_SQUARE, wide = D / V_SQUARE * V_SQUARE;

    for (size_t i = 0; i < whole; i += V_SQUARE)
        for (size_t d = 0; d < wide; d += V_SQUARE)
            v_transpose(dst + d * ldd + i, ldd, src + i * lds + d, lds);
    for (size_t d = whole < rows ? 0 : wide; d < D; d++)
        for (size_t i = d < wide ? whole : 0; i < rows; i++)
            dst[d * ldd + i] = src[i * lds + d];
}

/* panel[d][i] = keys[i][d] for n keys of stride ld; its other keys, up to `width`, are 0. */
static inline void pack_columns(float *panel, size_t width, const float *keys, size_t ld, size_t n,
                                size_t D)
{
    turn_rows(panel, width, keys, ld, n, D);
    for (size_t d = 0; n < width && d < D; d++)
        for (size_t i = n; i < width; i++)
            panel[d * width + i] = 0.0f;
}

static inline void pack_panel(float *panel, const float *keys, size_t ld, size_t n, size_t D)
{
    pack_columns(panel, TILE_KEYS, keys, ld, n, D);
}

INLINE f32x16 load_upto(const float *p, size_t n)
{
    return n >= MOCO_VL ? v_load(p) : v_load_n(p, n);
}

INLINE void store_upto(float *p, f32x16 a, size_t n)
{
    if (n >= MOCO_VL)
        v_store(p, a);
    else
        v_store_n(p, a, n);
}

/* out(rows, n) = q . panel, or continued from what out holds. */
INLINE void dot_tile(size_t rows, float *out, size_t ldo, size_t n, const float *q, size_t ldq,
                     const float *panel, size_t D, int resume)
{
    f32x16 acc[TILE_ROWS][TILE_VECS];

    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t c = 0; c < TILE_VECS; c++) {
            size_t left = n > c * MOCO_VL ? n - c * MOCO_VL : 0;

            acc[r][c] = resume && left ? load_upto(out + r * ldo + c * MOCO_VL, left) : v_zero();
        }
    for (size_t d = 0; d < D; d++) {
        f32x16 x[TILE_VECS];

        UNROLL for (size_t c = 0; c < TILE_VECS; c++)
            x[c] = v_load(panel + d * TILE_KEYS + c * MOCO_VL);
        UNROLL for (size_t r = 0; r < rows; r++) {
            f32x16 a = v_set1(q[r * ldq + d]);

            UNROLL for (size_t c = 0; c < TILE_VECS; c++)
                acc[r][c] = v_fma(a, x[c], acc[r][c]);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t c = 0; c < TILE_VECS; c++)
            if (n > c * MOCO_VL)
                store_upto(out + r * ldo + c * MOCO_VL, acc[r][c], n - c * MOCO_VL);
}

/* out(rows, 16 vecs) = a . panel, or added to what out holds, one chain a number; a's number (r, d)
 * is a[r row + d step]. `top` (16 vecs), unless NULL, rises to the largest of each column.
 * Unrolled by four it is 1 % faster on Zen 5 than not. */
INLINE void lane_tile(size_t rows, size_t vecs, float *out, const float *a, size_t row,
                      size_t step, const float *panel, size_t D, int resume, float *top)
{
    const size_t width = vecs * MOCO_VL;
    f32x16 acc[TILE_ROWS][4];

    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t c = 0; c < vecs; c++)
            acc[r][c] = resume ? v_load(out + r * width + c * MOCO_VL) : v_zero();
    UNROLL_BY_4 for (size_t d = 0; d < D; d++) {
        f32x16 x[4];

        UNROLL for (size_t c = 0; c < vecs; c++)
            x[c] = v_load(panel + d * width + c * MOCO_VL);
        UNROLL for (size_t r = 0; r < rows; r++) {
            f32x16 y = v_set1(a[r * row + d * step]);

            UNROLL for (size_t c = 0; c < vecs; c++)
                acc[r][c] = v_fma(y, x[c], acc[r][c]);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t c = 0; c < vecs; c++) {
            v_store(out + r * width + c * MOCO_VL, acc[r][c]);
            if (top)
                v_store(top + c * MOCO_VL, v_max(acc[r][c], v_load(top + c * MOCO_VL)));
        }
}

static inline void dot_rows(size_t B, float *out, size_t ldo, size_t n, const float *q, size_t ldq,
                            const float *panel, size_t D, int resume)
{
    for (size_t b = 0; b < B; b += TILE_ROWS)
        TILE_CASES(least(B - b, TILE_ROWS), dot_tile, out + b * ldo, ldo, n, q + b * ldq, ldq,
                   panel, D, resume)
}

#endif
