/* tile.h: the matrix product that logits and infonce share, over the f32x16 of the including file.
 *
 * Keys are turned over into a panel (D, TILE_KEYS), so that a vector's lanes run over keys and
 * each dot product stays one sequential FMA chain over D. A tile of up to TILE_ROWS queries keeps
 * its accumulators in registers; TILE_CASES compiles it for every constant row count. */
#ifndef MOCO_SIMD_TILE_H
#define MOCO_SIMD_TILE_H

#include "simd/kernels.h"

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define ROLL _Pragma("nounroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
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

/* panel[d][i] = keys[i][d] for n keys of stride ld; the panel's other keys, up to `width`, are 0. */
static inline void pack_columns(float *panel, size_t width, const float *keys, size_t ld, size_t n,
                                size_t D)
{
    size_t whole = n / V_SQUARE * V_SQUARE, wide = D / V_SQUARE * V_SQUARE;

    for (size_t i = 0; i < whole; i += V_SQUARE)
        for (size_t d = 0; d < wide; d += V_SQUARE)
            v_transpose(panel + d * width + i, width, keys + i * ld + d, ld);
    for (size_t d = 0; d < D; d++) {
        float *row = panel + d * width;

        for (size_t i = d < wide ? whole : 0; i < n; i++)
            row[i] = keys[i * ld + d];
        for (size_t i = n; i < width; i++)
            row[i] = 0.0f;
    }
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

static inline void dot_rows(size_t B, float *out, size_t ldo, size_t n, const float *q, size_t ldq,
                            const float *panel, size_t D, int resume)
{
    for (size_t b = 0; b < B; b += TILE_ROWS)
        TILE_CASES(least(B - b, TILE_ROWS), dot_tile, out + b * ldo, ldo, n, q + b * ldq, ldq,
                   panel, D, resume)
}

#endif
