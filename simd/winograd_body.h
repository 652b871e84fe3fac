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

#ifdef V_FOUR
enum { NARROW_ROWS = 4 }; /* of six, gcc 12 spills some */

INLINE f32x16 fma_lane(size_t lane, V_FOUR a, f32x16 x, f32x16 acc)
{
    return lane == 0   ? v_fma_lane0(a, x, acc)
           : lane == 1 ? v_fma_lane1(a, x, acc)
           : lane == 2 ? v_fma_lane2(a, x, acc)
                       : v_fma_lane3(a, x, acc);
}

/* The sums of a tile of one vector so far as K goes by fours: a's rows are read four numbers at a
 * time. Where it ended. */
INLINE size_t add_fours(size_t rows, f32x16 acc[][4], const float *a, size_t row,
                        const float *panel, size_t ldp, size_t K)
{
    size_t k = 0;

    for (; k + 4 <= K; k += 4) {
        V_FOUR four[12];

        UNROLL for (size_t r = 0; r < rows; r++)
            four[r] = v_load_four(a + r * row + k);
        UNROLL for (size_t i = 0; i < 4; i++) {
            f32x16 x = v_load(panel + (k + i) * ldp);

            UNROLL for (size_t r = 0; r < rows; r++)
                acc[r][0] = fma_lane(i, four[r], x, acc[r][0]);
        }
    }
    return k;
}

/* The same where a's rows lie side by side: four or six rows. */
INLINE size_t add_columns(size_t rows, f32x16 acc[][4], const float *a, size_t step,
                          const float *panel, size_t ldp, size_t K)
{
    for (size_t k = 0; k < K; k++) {
        f32x16 x = v_load(panel + k * ldp);
        V_FOUR four = v_load_four(a + k * step);
        V_FOUR two = rows > 4 ? v_load_two(a + k * step + 4) : four;

        UNROLL for (size_t r = 0; r < rows; r++)
            acc[r][0] = fma_lane(r % 4, r < 4 ? four : two, x, acc[r][0]);
    }
    return K;
}

INLINE size_t add_lanes(size_t rows, size_t vecs, f32x16 acc[][4], const float *a, size_t row,
                        size_t step, const float *panel, size_t ldp, size_t K)
{
    if (vecs > 1 || rows == 1)
        return 0;
    return step == 1  ? add_fours(rows, acc, a, row, panel, ldp, K)
           : row == 1 ? add_columns(rows, acc, a, step, panel, ldp, K)
                      : 0;
}
#else
enum { NARROW_ROWS = 6 };

INLINE size_t add_lanes(size_t rows, size_t vecs, f32x16 acc[][4], const float *a, size_t row,
                        size_t step, const float *panel, size_t ldp, size_t K)
{
    (void)rows, (void)vecs, (void)acc, (void)a, (void)row, (void)step, (void)panel, (void)ldp;
    (void)K;
    return 0;
}
#endif

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
    for (size_t k = add_lanes(rows, vecs, acc, a, row, step, panel, ldp, K); k < K; k++) {
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
        product_rows(NARROW_ROWS, 1, m, width, v, C, 1, u, width, T, C, adds);
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

/* Gᵀ s for stride 2 */
INLINE void weights_grad2_line(f32x16 *o, const f32x16 *s)
{
    f32x16 ninths = v_set1(2.0f / 9.0f);

    o[0] = v_fma(ninths, s[1],
                 v_fma(v_set1(8.0f / 9.0f), s[3], v_fnma(v_set1(1.0f / 9.0f), s[2], s[0])));
    o[1] = s[5];
    o[2] = v_fma(ninths, v_add(s[1], s[2]), v_fnma(v_set1(4.0f / 9.0f), s[3], s[4]));
}

/* out(3, 3) = Gᵀ in(6, 6) G, vectors; those of `in` stand row and point apart. */
INLINE void weights_grad_transform(void (*line)(f32x16 *, const f32x16 *), float *out,
                                   const float *in, size_t row, size_t point)
{
    f32x16 half[3][6], x[6], y[3];

    UNROLL for (size_t j = 0; j < 6; j++) {
        UNROLL for (size_t i = 0; i < 6; i++)
            x[i] = v_load(in + i * row + j * point);
        line(y, x);
        UNROLL for (size_t i = 0; i < 3; i++)
            half[i][j] = y[i];
    }
    UNROLL for (size_t i = 0; i < 3; i++) {
        line(y, half[i]);
        UNROLL for (size_t j = 0; j < 3; j++)
            v_store(out + (3 * i + j) * MOCO_VL, y[j]);
    }
}

/* G w without the scales of its rows */
INLINE void weights_line(f32x16 *o, const f32x16 *w)
{
    f32x16 two = v_set1(2.0f);
    f32x16 e = v_add(w[0], w[2]), f = v_fma(v_set1(4.0f), w[2], w[0]);

    o[0] = w[0];
    o[1] = v_add(e, w[1]);
    o[2] = v_sub(e, w[1]);
    o[3] = v_fma(two, w[1], f);
    o[4] = v_fnma(two, w[1], f);
    o[5] = w[2];
}

static const double weights_scale[6] = { 1.0 / 4, -1.0 / 6, -1.0 / 6, 1.0 / 24, 1.0 / 24, 1.0 };

/* G w for stride 2: the taps 0 and 2 at five points, then tap 1; without scales */
INLINE void weights2_line(f32x16 *o, const f32x16 *w)
{
    f32x16 two = v_set1(2.0f);

    o[0] = w[0];
    o[1] = v_add(w[0], w[2]);
    o[2] = v_fnma(two, w[2], w[0]);
    o[3] = v_fnma(two, w[0], w[2]);
    o[4] = w[2];
    o[5] = w[1];
}

static const double weights2_scale[6] = { 1.0, 2.0 / 9, -1.0 / 9, -4.0 / 9, 1.0, 1.0 };

struct split_taps {
    f32x16 upper[9], rest[9];
};

/* w = upper + rest with sums of uppers exact: winograd_ref.c says why. */
INLINE struct split_taps split(const float *taps, long step)
{
    struct split_taps s;
    f32x16 w[9], largest = v_zero(), least_of = v_zero(), unit;

    UNROLL for (long i = 0; i < 9; i++) {
        w[i] = v_load(taps + i * step);
        largest = v_max(w[i], largest);
        least_of = v_min(w[i], least_of);
    }
    unit = v_mul(v_set1(4096.0f), v_max(v_sub(v_zero(), least_of), largest));
    UNROLL for (long i = 0; i < 9; i++) {
        s.upper[i] = v_sub(v_add(w[i], unit), unit);
        s.rest[i] = v_sub(w[i], s.upper[i]);
    }
    return s;
}

/* out(6, 6) = G taps(3, 3) Gᵀ of 16 outputs. */
INLINE void weights_transform(void (*line)(f32x16 *, const f32x16 *), const double *scale,
                              float *out, size_t row, size_t point, const float *taps, long step)
{
    struct split_taps s = split(taps, step);
    f32x16 upper[6][3], rest[6][3], x[3], y[6], z[6];

    UNROLL for (size_t j = 0; j < 3; j++) {
        UNROLL for (size_t i = 0; i < 3; i++)
            x[i] = s.upper[3 * i + j];
        line(y, x);
        UNROLL for (size_t i = 0; i < 3; i++)
            x[i] = s.rest[3 * i + j];
        line(z, x);
        UNROLL for (size_t i = 0; i < 6; i++) {
            upper[i][j] = y[i];
            rest[i][j] = z[i];
        }
    }
    UNROLL for (size_t i = 0; i < 6; i++) {
        line(y, upper[i]);
        line(z, rest[i]);
        UNROLL for (size_t j = 0; j < 6; j++)
            v_store(out + i * row + j * point,
                    v_mul(v_add(y[j], z[j]), v_set1((float)(scale[i] * scale[j]))));
    }
}

/* Sixteen outputs and SOME inputs at a time: their taps are turned over so that outputs are lanes.
 * Turned taps are read backwards. */
enum { SOME = 8 };

INLINE void weights(void (*line)(f32x16 *, const f32x16 *), const double *scale, float *u,
                    size_t point, const float *w, size_t O, size_t I, size_t first_out,
                    size_t width, size_t first_in, size_t rows, int turned)
{
    size_t outs = turned ? I : O, ins = turned ? O : I, last = first_in + rows;
    size_t apart = turned ? 9 : 9 * I, some = turned ? 1 : SOME;
    long step = turned ? -MOCO_VL : MOCO_VL;
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
                weights_transform(line, scale, to + k * width, 6 * point, point,
                                  taps[9 * k + (turned ? 8 : 0)], step);
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
                weights_grad_transform(line, taps[9 * k], s + (i + k - first) * stride + o,
                                       6 * point, point);
            pack_columns(lines[0], SOME * 9, taps[0], MOCO_VL, 9 * n, MOCO_VL);
            for (size_t lane = 0; lane < least(MOCO_VL, O - o); lane++)
                for (size_t k = 0; k < 9 * n; k++)
                    d_w[((o + lane) * I + i) * 9 + k] += lines[lane][k];
        }
}

#define WEIGHTS(kernel, way)                                                                     \
    void KERNEL(kernel)(float *u, size_t point, const float *w, size_t O, size_t I,              \
                        size_t first_out, size_t width, size_t first_in, size_t rows,            \
                        int turned)                                                              \
    {                                                                                            \
        weights(way##_line, way##_scale, u, point, w, O, I, first_out, width, first_in, rows,    \
                turned);                                                                         \
    }
#define WEIGHTS_GRAD(kernel, line)                                                               \
    void KERNEL(kernel)(float *d_w, const float *s, size_t point, size_t stride, size_t O,       \
                        size_t I, size_t first, size_t count)                                    \
    {                                                                                            \
        weights_grad(line, d_w, s, point, stride, O, I, first, count);                           \
    }

WEIGHTS(winograd_weights, weights)
WEIGHTS(winograd2_weights, weights2)
WEIGHTS_GRAD(winograd_weights_grad, weights_grad_line)
WEIGHTS_GRAD(winograd2_weights_grad, weights_grad2_line)
