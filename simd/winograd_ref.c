/* winograd_ref.c: the Winograd convolution kernels in plain C, the specification to the byte.
 *
 * The matrices stand here as the sums that evaluate them; each transform is applied to the columns
 * of a tile, then to the rows. F(4, 3) has the points 0, 1, -1, 2, -2, ∞ (Lavin and Gray 2016,
 * section 4.3), F(4, 2) has 0, 1, -2, -1/2, ∞, whose errors are 0.6 of those of 0, 1, -1, 2, ∞.
 * Sums over channels and tiles are FMA chains from 0, in order. */
#include <math.h>

#include "simd/bf16.h"
#include "simd/kernels.h"

/* o = Bᵀ d, 6 from 6 */
static void src_line(float *o, const float *d)
{
    float a = fmaf(-4, d[2], d[4]), b = fmaf(-4, d[1], d[3]), c = d[4] - d[2], e = d[3] - d[1];

    o[0] = fmaf(4, d[0], fmaf(-5, d[2], d[4]));
    o[1] = a + b;
    o[2] = a - b;
    o[3] = fmaf(2, e, c);
    o[4] = fmaf(-2, e, c);
    o[5] = fmaf(4, d[1], fmaf(-5, d[3], d[5]));
}

/* o = Aᵀ m, 4 from 6 */
static void dst_line(float *o, const float *m)
{
    float a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];

    o[0] = m[0] + a + c;
    o[1] = fmaf(2, d, b);
    o[2] = fmaf(4, c, a);
    o[3] = fmaf(8, d, b) + m[5];
}

/* o = A d, 6 from 4 */
static void d_dst_out_line(float *o, const float *d)
{
    float e = d[0] + d[2], f = d[1] + d[3], g = fmaf(4, d[2], d[0]), h = fmaf(4, d[3], d[1]);

    o[0] = d[0];
    o[1] = e + f;
    o[2] = e - f;
    o[3] = fmaf(2, h, g);
    o[4] = fmaf(-2, h, g);
    o[5] = d[3];
}

/* o = G w, 6 from 3 */
static void weights_line(float *o, const float *w)
{
    const float sixth = -1.0f / 6.0f, part = 1.0f / 24.0f;
    float e = w[0] + w[2], f = fmaf(4, w[2], w[0]);

    o[0] = 0.25f * w[0];
    o[1] = sixth * (e + w[1]);
    o[2] = sixth * (e - w[1]);
    o[3] = part * fmaf(2, w[1], f);
    o[4] = part * fmaf(-2, w[1], f);
    o[5] = w[2];
}

/* o = Gᵀ s, 3 from 6 */
static void weights_grad_line(float *o, const float *s)
{
    const float sixth = 1.0f / 6.0f, part = 1.0f / 24.0f;
    float a = s[1] + s[2], b = s[1] - s[2], c = s[3] + s[4], d = s[3] - s[4];

    o[0] = fmaf(0.25f, s[0], fmaf(-sixth, a, part * c));
    o[1] = fmaf(-sixth, b, 1.0f / 12.0f * d);
    o[2] = fmaf(sixth, c - a, s[5]);
}

/* ---- stride 2 ---- */

/* Bᵀ of F(4, 2), 5 from 5 that stand `step` apart. */
static void pair_line(float *o, const float *d, int step)
{
    float a = d[0], b = d[step], c = d[2 * step], e = d[3 * step], f = d[4 * step];

    o[0] = fmaf(1.5f, b - c, a - e);
    o[1] = fmaf(2.5f, c, b + e);
    o[2] = fmaf(-0.5f, b + c, e);
    o[3] = fmaf(-2, b, c + e);
    o[4] = fmaf(1.5f, e - c, f - b);
}

/* Aᵀ of F(4, 2), 4 from 5 */
static void pair_back(float *o, const float *m)
{
    o[0] = (m[0] + m[1]) + (m[2] + m[3]);
    o[1] = fmaf(-2, m[2], fmaf(-0.5f, m[3], m[1]));
    o[2] = fmaf(4, m[2], fmaf(0.25f, m[3], m[1]));
    o[3] = fmaf(-8, m[2], fmaf(-0.125f, m[3], m[1] + m[4]));
}

/* 9 from 9 inputs, the first of them odd */
static void src2_line(float *o, const float *d)
{
    pair_line(o, d, 2);
    for (int i = 0; i < 4; i++)
        o[5 + i] = d[2 * i + 1];
}

/* 4 outputs from 9 */
static void dst2_line(float *o, const float *m)
{
    pair_back(o, m);
    for (int i = 0; i < 4; i++)
        o[i] += m[5 + i];
}

/* 9 from the gradients of 5 outputs */
static void d_dst2_line(float *o, const float *d)
{
    pair_line(o, d, 1);
    for (int i = 0; i < 4; i++)
        o[5 + i] = d[i];
}

/* The gradients of 8 inputs from 9 */
static void d_src2_line(float *o, const float *m)
{
    float odd[4];

    pair_back(odd, m);
    for (int i = 0; i < 4; i++) {
        o[2 * i] = m[5 + i];
        o[2 * i + 1] = odd[i];
    }
}

/* A d of F(4, 2) and d itself, 9 from 4 */
static void d_dst_out2_line(float *o, const float *d)
{
    o[0] = d[0];
    o[1] = (d[0] + d[2]) + (d[1] + d[3]);
    o[2] = fmaf(-2, fmaf(4, d[3], d[1]), fmaf(4, d[2], d[0]));
    o[3] = fmaf(-0.5f, fmaf(0.25f, d[3], d[1]), fmaf(0.25f, d[2], d[0]));
    o[4] = d[3];
    for (int i = 0; i < 4; i++)
        o[5 + i] = d[i];
}

/* G w of F(4, 2) on the taps 0 and 2, and tap 1, 6 from 3 */
static void weights2_line(float *o, const float *w)
{
    o[0] = w[0];
    o[1] = 2.0f / 9.0f * (w[0] + w[2]);
    o[2] = -1.0f / 9.0f * fmaf(-2, w[2], w[0]);
    o[3] = -4.0f / 9.0f * fmaf(-2, w[0], w[2]);
    o[4] = w[2];
    o[5] = w[1];
}

/* Gᵀ s, 3 from 6 */
static void weights_grad2_line(float *o, const float *s)
{
    o[0] = fmaf(2.0f / 9.0f, s[1], fmaf(8.0f / 9.0f, s[3], fmaf(-1.0f / 9.0f, s[2], s[0])));
    o[1] = s[5];
    o[2] = fmaf(2.0f / 9.0f, s[1] + s[2], fmaf(-4.0f / 9.0f, s[3], s[4]));
}

/* ---- tiles ---- */

/* A transform of tiles of `side` pixels: `from` values of an axis become `to`; those of an image
 * begin `lead` pixels before the tile. */
struct scheme {
    void (*line)(float *, const float *);
    size_t to, from;
    long side, lead;
};

/* out(to, to) = T in(from, from) Tᵀ, where line() applies T. */
static void transform(float *out, size_t to, const float *in, size_t from,
                      void (*line)(float *, const float *))
{
    float half[9][9], column[9], o[9];

    for (size_t j = 0; j < from; j++) {
        for (size_t i = 0; i < from; i++)
            column[i] = in[i * from + j];
        line(o, column);
        for (size_t i = 0; i < to; i++)
            half[i][j] = o[i];
    }
    for (size_t i = 0; i < to; i++)
        line(out + i * to, half[i]);
}

/* Index of channel c of pixel (y, x) in image n; -1 outside. */
static long pixel(const struct moco_image *g, size_t n, size_t c, long y, long x)
{
    if (y < 0 || x < 0 || y >= (long)g->H || x >= (long)g->W)
        return -1;
    return (long)((((n * g->blocks + c / g->lanes) * g->H + (size_t)y) * g->W + (size_t)x) *
                      g->lanes + c % g->lanes);
}

/* Image and upper left pixel of a tile. */
static void place(const struct moco_image *g, long side, size_t tile, size_t *n, long *y, long *x)
{
    size_t step = (size_t)side, across = (g->W + step - 1) / step;
    size_t each = (g->H + step - 1) / step * across;

    *n = tile / each;
    *y = (long)(tile % each / across * step);
    *x = (long)(tile % across * step);
}

static float number_at(const void *d, enum moco_number number, long at)
{
    return number == MOCO_BF16 ? bf16_widened(((const moco_bf16 *)d)[at]) : ((const float *)d)[at];
}

static void put_number(void *d, enum moco_number number, long at, float x)
{
    if (number == MOCO_BF16)
        ((moco_bf16 *)d)[at] = bf16_narrowed(x);
    else
        ((float *)d)[at] = x;
}

static void gather(const struct scheme *s, enum moco_number number, float *v, size_t point,
                   size_t stride, const void *d, const struct moco_image *image, size_t first,
                   size_t count)
{
    float in[81], out[81];
    long y, x, n = (long)s->from;
    size_t b;

    for (size_t t = 0; t < count; t++)
        for (size_t c = 0; c < image->blocks * image->lanes; c++) {
            place(image, s->side, first + t, &b, &y, &x);
            for (long i = 0; i < n * n; i++) {
                long at = pixel(image, b, c, y - s->lead + i / n, x - s->lead + i % n);

                in[i] = at < 0 ? 0.0f : number_at(d, number, at);
            }
            transform(out, s->to, in, s->from, s->line);
            for (size_t p = 0; p < s->to * s->to; p++)
                v[p * point + t * stride + c] = out[p];
        }
}

static void scatter(const struct scheme *s, enum moco_number number, void *d, const float *m,
                    size_t point, size_t width, const struct moco_image *image, size_t first_block,
                    size_t blocks, size_t first, size_t count)
{
    float in[81], out[64];
    size_t n, c0 = first_block * image->lanes;
    long y, x;

    for (size_t t = 0; t < count; t++)
        for (size_t c = 0; c < blocks * image->lanes; c++) {
            place(image, s->side, first + t, &n, &y, &x);
            for (size_t p = 0; p < s->from * s->from; p++)
                in[p] = m[p * point + t * width + c];
            transform(out, s->to, in, s->from, s->line);
            for (long i = 0; i < s->side * s->side; i++) {
                long at = pixel(image, n, c0 + c, y + i / s->side, x + i % s->side);

                if (at >= 0)
                    put_number(d, number, at, out[i]);
            }
        }
}

/* The kernels of a scheme, by kinds of number. */
#define GATHER_OF(name, number, ...)                                                             \
    void moco_##name##_ref(float *v, size_t point, size_t stride, const void *d,                 \
                           const struct moco_image *image, size_t first, size_t count)           \
    {                                                                                            \
        gather(&(struct scheme){ __VA_ARGS__ }, number, v, point, stride, d, image, first,       \
               count);                                                                           \
    }
#define SCATTER_OF(name, number, ...)                                                            \
    void moco_##name##_ref(void *d, const float *m, size_t point, size_t width,                  \
                           const struct moco_image *image, size_t first_block, size_t blocks,    \
                           size_t first, size_t count)                                           \
    {                                                                                            \
        scatter(&(struct scheme){ __VA_ARGS__ }, number, d, m, point, width, image, first_block, \
                blocks, first, count);                                                           \
    }
#define GATHER(name, ...)                                                                        \
    GATHER_OF(name, MOCO_FP32, __VA_ARGS__)                                                      \
    GATHER_OF(name##_bf16, MOCO_BF16, __VA_ARGS__)
#define SCATTER(name, ...)                                                                       \
    SCATTER_OF(name, MOCO_FP32, __VA_ARGS__)                                                     \
    SCATTER_OF(name##_bf16, MOCO_BF16, __VA_ARGS__)

GATHER(winograd_src, src_line, 6, 6, 4, 1)
SCATTER(winograd_dst, dst_line, 4, 6, 4, 0)
GATHER(winograd_d_dst_out, d_dst_out_line, 6, 4, 4, 0)
GATHER(winograd2_src, src2_line, 9, 9, 8, 1)
SCATTER(winograd2_dst, dst2_line, 4, 9, 4, 0)
GATHER(winograd2_d_dst, d_dst2_line, 9, 5, 4, 0)
SCATTER(winograd2_d_src, d_src2_line, 8, 9, 8, 0)
GATHER(winograd2_d_dst_out, d_dst_out2_line, 9, 4, 4, 0)

/* One sum of a product. */
static float product_at(const float *v, const float *u, size_t C, size_t width)
{
    float sum = 0.0f;

    for (size_t c = 0; c < C; c++)
        sum = fmaf(v[c], u[c * width], sum);
    return sum;
}

void moco_winograd_product_ref(float *m, const float *v, const float *u, size_t T, size_t C,
                               size_t width)
{
    for (size_t t = 0; t < T; t++)
        for (size_t o = 0; o < width; o++)
            m[t * width + o] = product_at(v + t * C, u + o, C, width);
}

void moco_winograd_product_add_ref(float *m, const float *v, const float *u, size_t T, size_t C,
                                   size_t width)
{
    for (size_t t = 0; t < T; t++)
        for (size_t o = 0; o < width; o++)
            m[t * width + o] += product_at(v + t * C, u + o, C, width);
}

void moco_winograd_product_grad_ref(float *s, const float *v, size_t stride, const float *y,
                                    size_t T, size_t C, size_t O)
{
    for (size_t stage = 0; stage < T; stage += MOCO_WINOGRAD_STAGE)
        for (size_t c = 0; c < C; c++)
            for (size_t o = 0; o < O; o++) {
                float sum = 0.0f;

                for (size_t t = stage; t < T && t < stage + MOCO_WINOGRAD_STAGE; t++)
                    sum = fmaf(v[t * stride + c], y[t * O + o], sum);
                s[c * O + o] += sum;
            }
}

static void weights(void (*line)(float *, const float *), float *u, size_t point, const float *w,
                    size_t O, size_t I, size_t first_out, size_t width, size_t first_in,
                    size_t rows, int turned)
{
    float in[9], out[36];

    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < width; k++) {
            size_t o = turned ? first_in + r : first_out + k;
            size_t i = turned ? first_out + k : first_in + r;

            for (size_t tap = 0; tap < 9; tap++)
                in[tap] = o < O && i < I ? w[(o * I + i) * 9 + (turned ? 8 - tap : tap)] : 0.0f;
            transform(out, 6, in, 3, line);
            for (size_t p = 0; p < 36; p++)
                u[p * point + r * width + k] = out[p];
        }
}

void moco_winograd_weights_ref(float *u, size_t point, const float *w, size_t O, size_t I,
                               size_t first_out, size_t width, size_t first_in, size_t rows,
                               int turned)
{
    weights(weights_line, u, point, w, O, I, first_out, width, first_in, rows, turned);
}

void moco_winograd2_weights_ref(float *u, size_t point, const float *w, size_t O, size_t I,
                                size_t first_out, size_t width, size_t first_in, size_t rows,
                                int turned)
{
    weights(weights2_line, u, point, w, O, I, first_out, width, first_in, rows, turned);
}

static void weights_grad(void (*line)(float *, const float *), float *d_w, const float *s,
                         size_t point, size_t stride, size_t O, size_t I, size_t first,
                         size_t count)
{
    float in[36], out[9];

    for (size_t o = 0; o < O; o++)
        for (size_t i = first; i < first + count; i++) {
            for (size_t p = 0; p < 36; p++)
                in[p] = s[p * point + (i - first) * stride + o];
            transform(out, 3, in, 6, line);
            for (size_t tap = 0; tap < 9; tap++)
                d_w[(o * I + i) * 9 + tap] += out[tap];
        }
}

void moco_winograd_weights_grad_ref(float *d_w, const float *s, size_t point, size_t stride,
                                    size_t O, size_t I, size_t first, size_t count)
{
    weights_grad(weights_grad_line, d_w, s, point, stride, O, I, first, count);
}

void moco_winograd2_weights_grad_ref(float *d_w, const float *s, size_t point, size_t stride,
                                     size_t O, size_t I, size_t first, size_t count)
{
    weights_grad(weights_grad2_line, d_w, s, point, stride, O, I, first, count);
}
