/* winograd_body.h: the Winograd kernels over the f32x16 and f32x8 of the including file.
 *
 * Two thirds of the time and more are the 36 products. A register tile of rows x vectors keeps its
 * accumulators; one operand is read as vectors along the outputs, the other broadcast from memory,
 * so nothing is packed but the weights, once a pass. */
#include <string.h>

#include "simd/tile.h"

/* Where a tile of `side` x `side` pixels begins. */
struct place {
    size_t n, y, x;
};

static struct place place_of(const struct moco_image *g, size_t side, size_t tile)
{
    size_t across = (g->W + side - 1) / side, each = (g->H + side - 1) / side * across;
    size_t in = tile % each;

    return (struct place){tile / each, in / across * side, in % across * side};
}

#define WG_VEC f32x16
#define WG_LANES 16
#define WG_OP(op) v_##op
#define WG_FN(name) winograd_##name##_16
#include "simd/winograd_plane.h"

#define WG_VEC f32x8
#define WG_LANES 8
#define WG_OP(op) h_##op
#define WG_FN(name) winograd_##name##_8
#include "simd/winograd_plane.h"

/* The kernel, which takes the width that the image has. */
#define GATHER(kernel, name)                                                                     \
    void KERNEL(kernel)(float *v, size_t point, size_t stride, const void *d,                    \
                        const struct moco_image *image, size_t first, size_t count)              \
    {                                                                                            \
        (image->lanes == 16 ? winograd_##name##_16 : winograd_##name##_8)(v, point, stride, d,   \
                                                                          image, first, count);  \
    }
#define SCATTER(kernel, name)                                                                    \
    void KERNEL(kernel)(void *d, const float *m, size_t point, size_t width,                     \
                        const struct moco_image *image, size_t first_block, size_t blocks,       \
                        size_t first, size_t count)                                              \
    {                                                                                            \
        (image->lanes == 16 ? winograd_##name##_16 : winograd_##name##_8)(                       \
            d, m, point, width, image, first_block, blocks, first, count);                       \
    }

GATHER(winograd_src, src)
SCATTER(winograd_dst, dst)
GATHER(winograd_d_dst_out, d_dst_out)
GATHER(winograd2_src, src2)
SCATTER(winograd2_dst, dst2)
GATHER(winograd2_d_dst, d_dst2)
SCATTER(winograd2_d_src, d_src2)
GATHER(winograd2_d_dst_out, d_dst_out2)
GATHER(winograd_src_bf16, src_bf16)
SCATTER(winograd_dst_bf16, dst_bf16)
GATHER(winograd_d_dst_out_bf16, d_dst_out_bf16)
GATHER(winograd2_src_bf16, src2_bf16)
SCATTER(winograd2_dst_bf16, dst2_bf16)
GATHER(winograd2_d_dst_bf16, d_dst2_bf16)
SCATTER(winograd2_d_src_bf16, d_src2_bf16)
GATHER(winograd2_d_dst_out_bf16, d_dst_out2_bf16)

/* out(rows, vecs) = Σ_k a[r, k] panel(k, vecs), or added to out. a's element (r, k) stands at
 * r * row + k * step. */
INLINE void product_tile(size_t rows, size_t vecs, float *out, size_t ldo, const float *a,
                         size_t row, size_t step, const float *panel, size_t ldp, size_t K,
                         int adds)
{
    f32x16 acc[12][4];

    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t c = 0; c < vecs; c++)
            acc[r][c] = v_zero();
    for (size_t k = 0; k < K; k++) {
        f32x16 x[4];

        UNROLL for (size_t c = 0; c < vecs; c++)
            x[c] = v_load(panel + k * ldp + c * MOCO_VL);
        UNROLL for (size_t r = 0; r < rows; r++) {
            f32x16 b = v_set1(a[r * row + k * step]);

            UNROLL for (size_t c = 0; c < vecs; c++)
                acc[r][c] = v_fma(b, x[c], acc[r][c]);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t c = 0; c < vecs; c++) {
            float *to = out + r * ldo + c * MOCO_VL;

            v_store(to, adds ? v_add(v_load(to), acc[r][c]) : acc[r][c]);
        }
}

/* All rows of a column of tiles, `most` at a time and then the rest by halves and single rows. */
INLINE void product_rows(size_t most, size_t vecs, float *out, size_t ldo, const float *a,
                         size_t row, size_t step, const float *panel, size_t ldp, size_t rows,
                         size_t K, int adds)
{
    size_t r = 0;

    for (; r + most <= rows; r += most)
        product_tile(most, vecs, out + r * ldo, ldo, a + r * row, row, step, panel, ldp, K, adds);
    for (; r + 4 <= rows; r += 4)
        product_tile(4, vecs, out + r * ldo, ldo, a + r * row, row, step, panel, ldp, K, adds);
    for (; r < rows; r++)
        product_tile(1, vecs, out + r * ldo, ldo, a + r * row, row, step, panel, ldp, K, adds);
}

INLINE void product(float *m, const float *v, const float *u, size_t T, size_t C, size_t width,
                    int adds)
{
    if (TILE_VECS == 1)
        product_rows(6, 1, m, width, v, C, 1, u, width, T, C, adds);
    else if (width == 4 * MOCO_VL)
        product_rows(6, 4, m, width, v, C, 1, u, width, T, C, adds);
    else if (width == 3 * MOCO_VL)
        product_rows(6, 3, m, width, v, C, 1, u, width, T, C, adds);
    else if (width == 2 * MOCO_VL)
        product_rows(12, 2, m, width, v, C, 1, u, width, T, C, adds);
    else
        product_rows(12, 1, m, width, v, C, 1, u, width, T, C, adds);
}

void KERNEL(winograd_product)(float *m, const float *v, const float *u, size_t T, size_t C,
                              size_t width)
{
    product(m, v, u, T, C, width, 0);
}

void KERNEL(winograd_product_add)(float *m, const float *v, const float *u, size_t T, size_t C,
                                  size_t width)
{
    product(m, v, u, T, C, width, 1);
}

void KERNEL(winograd_product_grad)(float *s, const float *v, size_t stride, const float *y,
                                   size_t T, size_t C, size_t O)
{
    for (size_t t = 0; t < T; t += MOCO_WINOGRAD_STAGE) {
        size_t n = least(T - t, MOCO_WINOGRAD_STAGE), o = 0;
        const float *a = v + t * stride, *panel = y + t * O;

        for (; TILE_VECS > 1 && o + 4 * MOCO_VL <= O; o += 4 * MOCO_VL)
            product_rows(6, 4, s + o, O, a, 1, stride, panel + o, O, C, n, 1);
        for (; TILE_VECS > 1 && o + 2 * MOCO_VL <= O; o += 2 * MOCO_VL)
            product_rows(12, 2, s + o, O, a, 1, stride, panel + o, O, C, n, 1);
        for (; o < O; o += MOCO_VL)
            product_rows(TILE_VECS > 1 ? 12 : 6, 1, s + o, O, a, 1, stride, panel + o, O, C, n,
                         1);
    }
}

/* G w */
INLINE void weights_line(f32x16 *o, const f32x16 *w)
{
    f32x16 sixth = v_set1(-1.0f / 6.0f), part = v_set1(1.0f / 24.0f), two = v_set1(2.0f);
    f32x16 e = v_add(w[0], w[2]), f = v_fma(v_set1(4.0f), w[2], w[0]);

    o[0] = v_mul(v_set1(0.25f), w[0]);
    o[1] = v_mul(sixth, v_add(e, w[1]));
    o[2] = v_mul(sixth, v_sub(e, w[1]));
    o[3] = v_mul(part, v_fma(two, w[1], f));
    o[4] = v_mul(part, v_fnma(two, w[1], f));
    o[5] = w[2];
}

/* Gᵀ s */
INLINE void weights_grad_line(f32x16 *o, const f32x16 *s)
{
    f32x16 sixth = v_set1(1.0f / 6.0f), part = v_set1(1.0f / 24.0f);
    f32x16 a = v_add(s[1], s[2]), b = v_sub(s[1], s[2]);
    f32x16 c = v_add(s[3], s[4]), d = v_sub(s[3], s[4]);

    o[0] = v_fma(v_set1(0.25f), s[0], v_fnma(sixth, a, v_mul(part, c)));
    o[1] = v_fnma(sixth, b, v_mul(v_set1(1.0f / 12.0f), d));
    o[2] = v_fma(sixth, v_sub(c, a), s[5]);
}

/* G w for stride 2: the taps 0 and 2 at five points, then tap 1. */
INLINE void weights2_line(f32x16 *o, const f32x16 *w)
{
    f32x16 two = v_set1(2.0f);

    o[0] = w[0];
    o[1] = v_mul(v_set1(2.0f / 9.0f), v_add(w[0], w[2]));
    o[2] = v_mul(v_set1(-1.0f / 9.0f), v_fnma(two, w[2], w[0]));
    o[3] = v_mul(v_set1(-4.0f / 9.0f), v_fnma(two, w[0], w[2]));
    o[4] = w[2];
    o[5] = w[1];
}

/* Gᵀ s for stride 2 */
INLINE void weights_grad2_line(f32x16 *o, const f32x16 *s)
{
    f32x16 ninths = v_set1(2.0f / 9.0f);

    o[0] = v_fma(ninths, s[1],
                 v_fma(v_set1(8.0f / 9.0f), s[3], v_fnma(v_set1(1.0f / 9.0f), s[2], s[0])));
    o[1] = s[5];
    o[2] = v_fma(ninths, v_add(s[1], s[2]), v_fnma(v_set1(4.0f / 9.0f), s[3], s[4]));
}

/* line in line^T: `from` x `from` vectors at in + i * in_row + j * in_step become `to` x `to` at
 * out + i * out_row + j * out_step. */
INLINE void weights_transform(void (*line)(f32x16 *, const f32x16 *), long to, long from,
                              float *out, long out_row, long out_step, const float *in,
                              long in_row, long in_step)
{
    f32x16 half[6][6], x[6], y[6];

    UNROLL for (long j = 0; j < from; j++) {
        UNROLL for (long i = 0; i < from; i++)
            x[i] = v_load(in + i * in_row + j * in_step);
        line(y, x);
        UNROLL for (long i = 0; i < to; i++)
            half[i][j] = y[i];
    }
    UNROLL for (long i = 0; i < to; i++) {
        line(y, half[i]);
        UNROLL for (long j = 0; j < to; j++)
            v_store(out + i * out_row + j * out_step, y[j]);
    }
}

/* Sixteen outputs and SOME inputs at a time: their taps are turned over so that outputs are lanes.
 * Turned taps are read backwards. */
enum { SOME = 8 };

INLINE void weights(void (*line)(f32x16 *, const f32x16 *), float *u, size_t point,
                    const float *w, size_t O, size_t I, size_t first_out, size_t width,
                    size_t first_in, size_t rows, int turned)
{
    size_t outs = turned ? I : O, ins = turned ? O : I, last = first_in + rows;
    size_t apart = turned ? 9 : 9 * I, some = turned ? 1 : SOME;
    long step = turned ? -MOCO_VL : MOCO_VL, row = (long)(6 * point);
    float taps[SOME * 9][MOCO_VL];

    for (size_t o = first_out; o < first_out + width; o += MOCO_VL)
        for (size_t i = first_in, n; i < last; i += n) {
            float *to = u + (i - first_in) * width + o - first_out;

            n = least(some, i < ins ? least(last, ins) - i : last - i);
            if (o < outs && i < ins)
                pack_columns(taps[0], MOCO_VL, w + (turned ? i * I + o : o * I + i) * 9, apart,
                             least(MOCO_VL, outs - o), 9 * n);
            else
                memset(taps, 0, sizeof taps);
            for (size_t k = 0; k < n; k++)
                weights_transform(line, 6, 3, to + k * width, row, (long)point,
                                  taps[9 * k + (turned ? 8 : 0)], 3 * step, step);
        }
}

INLINE void weights_grad(void (*line)(f32x16 *, const f32x16 *), float *d_w, const float *s,
                         size_t point, size_t stride, size_t O, size_t I, size_t first,
                         size_t count)
{
    float taps[SOME * 9][MOCO_VL], lines[MOCO_VL][SOME * 9];

    for (size_t o = 0; o < O; o += MOCO_VL)
        for (size_t i = first, n; i < first + count; i += n) {
            n = least(SOME, first + count - i);
            for (size_t k = 0; k < n; k++)
                weights_transform(line, 3, 6, taps[9 * k], 3 * MOCO_VL, MOCO_VL,
                                  s + (i + k - first) * stride + o, (long)(6 * point),
                                  (long)point);
            pack_columns(lines[0], SOME * 9, taps[0], MOCO_VL, 9 * n, MOCO_VL);
            for (size_t lane = 0; lane < least(MOCO_VL, O - o); lane++)
                for (size_t k = 0; k < 9 * n; k++)
                    d_w[((o + lane) * I + i) * 9 + k] += lines[lane][k];
        }
}

#define WEIGHTS(kernel, line)                                                                    \
    void KERNEL(kernel)(float *u, size_t point, const float *w, size_t O, size_t I,              \
                        size_t first_out, size_t width, size_t first_in, size_t rows,            \
                        int turned)                                                              \
    {                                                                                            \
        weights(line, u, point, w, O, I, first_out, width, first_in, rows, turned);              \
    }
#define WEIGHTS_GRAD(kernel, line)                                                               \
    void KERNEL(kernel)(float *d_w, const float *s, size_t point, size_t stride, size_t O,       \
                        size_t I, size_t first, size_t count)                                    \
    {                                                                                            \
        weights_grad(line, d_w, s, point, stride, O, I, first, count);                           \
    }

WEIGHTS(winograd_weights, weights_line)
WEIGHTS(winograd2_weights, weights2_line)
WEIGHTS_GRAD(winograd_weights_grad, weights_grad_line)
WEIGHTS_GRAD(winograd2_weights_grad, weights_grad2_line)
