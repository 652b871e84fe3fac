/* winograd_body.h: the Winograd kernels over the f32x16 and f32x8 of the including file.
 *
 * Two thirds of the time and more are the 36 products. A register tile of rows x vectors keeps its
 * accumulators; one operand is read as vectors along the outputs, the other broadcast from memory,
 * so nothing is packed but the weights, once a pass. */
#include "simd/tile.h"

/* Where a tile begins. */
struct place {
    size_t n, y, x;
};

static struct place place_of(const struct moco_image *g, size_t tile)
{
    size_t across = (g->W + 3) / 4, each = (g->H + 3) / 4 * across, in = tile % each;

    return (struct place){tile / each, in / across * 4, in % across * 4};
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

void KERNEL(winograd_src)(float *v, size_t point, const float *src, const struct moco_image *image,
                          size_t first, size_t count)
{
    (image->lanes == 16 ? winograd_src_16 : winograd_src_8)(v, point, src, image, first, count);
}

void KERNEL(winograd_dst)(float *dst, const float *m, size_t point, size_t width,
                          const struct moco_image *image, size_t first_block, size_t blocks,
                          size_t first, size_t count)
{
    (image->lanes == 16 ? winograd_dst_16 : winograd_dst_8)(dst, m, point, width, image,
                                                            first_block, blocks, first, count);
}

void KERNEL(winograd_dst_grad)(float *y, size_t point, size_t stride, const float *d_dst,
                               const struct moco_image *image, size_t first, size_t count)
{
    (image->lanes == 16 ? winograd_dst_grad_16 : winograd_dst_grad_8)(y, point, stride, d_dst,
                                                                      image, first, count);
}

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

void KERNEL(winograd_product)(float *m, const float *v, const float *u, size_t T, size_t C,
                              size_t width)
{
    if (TILE_VECS == 1)
        product_rows(6, 1, m, width, v, C, 1, u, width, T, C, 0);
    else if (width == 4 * MOCO_VL)
        product_rows(6, 4, m, width, v, C, 1, u, width, T, C, 0);
    else if (width == 3 * MOCO_VL)
        product_rows(6, 3, m, width, v, C, 1, u, width, T, C, 0);
    else if (width == 2 * MOCO_VL)
        product_rows(12, 2, m, width, v, C, 1, u, width, T, C, 0);
    else
        product_rows(12, 1, m, width, v, C, 1, u, width, T, C, 0);
}

void KERNEL(winograd_product_grad)(float *s, const float *v, const float *y, size_t T, size_t C,
                                   size_t O)
{
    for (size_t t = 0; t < T; t += MOCO_WINOGRAD_STAGE) {
        size_t n = least(T - t, MOCO_WINOGRAD_STAGE), o = 0;
        const float *a = v + t * C, *panel = y + t * O;

        for (; TILE_VECS > 1 && o + 4 * MOCO_VL <= O; o += 4 * MOCO_VL)
            product_rows(6, 4, s + o, O, a, 1, C, panel + o, O, C, n, 1);
        for (; TILE_VECS > 1 && o + 2 * MOCO_VL <= O; o += 2 * MOCO_VL)
            product_rows(12, 2, s + o, O, a, 1, C, panel + o, O, C, n, 1);
        for (; o < O; o += MOCO_VL)
            product_rows(TILE_VECS > 1 ? 12 : 6, 1, s + o, O, a, 1, C, panel + o, O, C, n, 1);
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

/* Sixteen outputs of one input, by tap. */
INLINE void gather_taps(float taps[9][MOCO_VL], const float *w, size_t O, size_t I, size_t out,
                        size_t in, int turned)
{
    size_t outs = turned ? I : O, ins = turned ? O : I;

    for (size_t lane = 0; lane < MOCO_VL; lane++) {
        size_t o = out + lane;
        const float *from = w + (turned ? in * I + o : o * I + in) * 9;

        if (o < outs && in < ins)
            for (size_t k = 0; k < 9; k++)
                taps[k][lane] = from[turned ? 8 - k : k];
        else
            for (size_t k = 0; k < 9; k++)
                taps[k][lane] = 0.0f;
    }
}

void KERNEL(winograd_weights)(float *u, size_t point, const float *w, size_t O, size_t I,
                              size_t first_out, size_t width, size_t first_in, size_t rows,
                              int turned)
{
    float taps[9][MOCO_VL];

    for (size_t o = 0; o < width; o += MOCO_VL)
        for (size_t i = 0; i < rows; i++) {
            gather_taps(taps, w, O, I, first_out + o, first_in + i, turned);
            winograd_transform_16(weights_line, 6, 3, u + i * width + o, 6 * point, point,
                                  taps[0], 3 * MOCO_VL, MOCO_VL);
        }
}

void KERNEL(winograd_weights_grad)(float *d_w, const float *s, size_t point, size_t stride,
                                   size_t O, size_t I, size_t first, size_t count)
{
    float taps[9][MOCO_VL];

    for (size_t o = 0; o < O; o += MOCO_VL)
        for (size_t i = first; i < first + count; i++) {
            winograd_transform_16(weights_grad_line, 3, 6, taps[0], 3 * MOCO_VL, MOCO_VL,
                                  s + i * stride + o, 6 * point, point);
            for (size_t lane = 0; lane < least(MOCO_VL, O - o); lane++)
                for (size_t k = 0; k < 9; k++)
                    d_w[((o + lane) * I + i) * 9 + k] += taps[k][lane];
        }
}
