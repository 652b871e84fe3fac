/* winograd_ref.c: the Winograd convolution kernels in plain C, the specification to the byte.
 *
 * The matrices for the points 0, 1, -1, 2, -2, ∞ (Lavin and Gray 2016, section 4.3) stand here as
 * the sums that evaluate them; each transform is applied to the columns of a tile, then to the
 * rows. Sums over channels and tiles are FMA chains from 0, in order. */
#include <math.h>

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
static void grad_line(float *o, const float *d)
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

/* out(to, to) = T in(from, from) Tᵀ, where line() applies T. */
static void transform(float *out, size_t to, const float *in, size_t from,
                      void (*line)(float *, const float *))
{
    float half[6][6], column[6], o[6];

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

static size_t tiles_across(size_t side)
{
    return (side + 3) / 4;
}

/* Index of channel c of pixel (y, x) in image n; -1 outside. */
static long pixel(const struct moco_image *g, size_t n, size_t c, long y, long x)
{
    if (y < 0 || x < 0 || y >= (long)g->H || x >= (long)g->W)
        return -1;
    return (long)((((n * g->blocks + c / g->lanes) * g->H + (size_t)y) * g->W + (size_t)x) *
                      g->lanes + c % g->lanes);
}

/* Image and upper left output of a tile. */
static void place(const struct moco_image *g, size_t tile, size_t *n, long *y, long *x)
{
    size_t across = tiles_across(g->W), each = tiles_across(g->H) * across;

    *n = tile / each;
    *y = (long)(tile % each / across * 4);
    *x = (long)(tile % across * 4);
}

void moco_winograd_src_ref(float *v, size_t point, const float *src,
                           const struct moco_image *image, size_t first, size_t count)
{
    size_t channels = image->blocks * image->lanes, n;
    float in[36], out[36];
    long y, x;

    for (size_t t = 0; t < count; t++)
        for (size_t c = 0; c < channels; c++) {
            place(image, first + t, &n, &y, &x);
            for (long i = 0; i < 36; i++) {
                long at = pixel(image, n, c, y - 1 + i / 6, x - 1 + i % 6);

                in[i] = at < 0 ? 0.0f : src[at];
            }
            transform(out, 6, in, 6, src_line);
            for (size_t p = 0; p < 36; p++)
                v[p * point + t * channels + c] = out[p];
        }
}

void moco_winograd_dst_ref(float *dst, const float *m, size_t point, size_t width,
                           const struct moco_image *image, size_t first_block, size_t blocks,
                           size_t first, size_t count)
{
    float in[36], out[16];
    size_t n;
    long y, x;

    for (size_t t = 0; t < count; t++)
        for (size_t c = 0; c < blocks * image->lanes; c++) {
            place(image, first + t, &n, &y, &x);
            for (size_t p = 0; p < 36; p++)
                in[p] = m[p * point + t * width + c];
            transform(out, 4, in, 6, dst_line);
            for (long i = 0; i < 16; i++) {
                long at = pixel(image, n, first_block * image->lanes + c, y + i / 4, x + i % 4);

                if (at >= 0)
                    dst[at] = out[i];
            }
        }
}

void moco_winograd_dst_grad_ref(float *y_out, size_t point, size_t stride, const float *d_dst,
                                const struct moco_image *image, size_t first, size_t count)
{
    float in[16], out[36];
    size_t n;
    long y, x;

    for (size_t t = 0; t < count; t++)
        for (size_t c = 0; c < image->blocks * image->lanes; c++) {
            place(image, first + t, &n, &y, &x);
            for (long i = 0; i < 16; i++) {
                long at = pixel(image, n, c, y + i / 4, x + i % 4);

                in[i] = at < 0 ? 0.0f : d_dst[at];
            }
            transform(out, 6, in, 4, grad_line);
            for (size_t p = 0; p < 36; p++)
                y_out[p * point + t * stride + c] = out[p];
        }
}

void moco_winograd_product_ref(float *m, const float *v, const float *u, size_t T, size_t C,
                               size_t width)
{
    for (size_t t = 0; t < T; t++)
        for (size_t o = 0; o < width; o++) {
            float sum = 0.0f;

            for (size_t c = 0; c < C; c++)
                sum = fmaf(v[t * C + c], u[c * width + o], sum);
            m[t * width + o] = sum;
        }
}

void moco_winograd_product_grad_ref(float *s, const float *v, const float *y, size_t T, size_t C,
                                    size_t O)
{
    for (size_t stage = 0; stage < T; stage += MOCO_WINOGRAD_STAGE)
        for (size_t c = 0; c < C; c++)
            for (size_t o = 0; o < O; o++) {
                float sum = 0.0f;

                for (size_t t = stage; t < T && t < stage + MOCO_WINOGRAD_STAGE; t++)
                    sum = fmaf(v[t * C + c], y[t * O + o], sum);
                s[c * O + o] += sum;
            }
}

void moco_winograd_weights_ref(float *u, size_t point, const float *w, size_t O, size_t I,
                               size_t first_out, size_t width, size_t first_in, size_t rows,
                               int turned)
{
    float in[9], out[36];

    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < width; k++) {
            size_t o = turned ? first_in + r : first_out + k;
            size_t i = turned ? first_out + k : first_in + r;

            for (size_t tap = 0; tap < 9; tap++)
                in[tap] = o < O && i < I ? w[(o * I + i) * 9 + (turned ? 8 - tap : tap)] : 0.0f;
            transform(out, 6, in, 3, weights_line);
            for (size_t p = 0; p < 36; p++)
                u[p * point + r * width + k] = out[p];
        }
}

void moco_winograd_weights_grad_ref(float *d_w, const float *s, size_t point, size_t stride,
                                    size_t O, size_t I, size_t first, size_t count)
{
    float in[36], out[9];

    for (size_t o = 0; o < O; o++)
        for (size_t i = first; i < first + count; i++) {
            for (size_t p = 0; p < 36; p++)
                in[p] = s[p * point + i * stride + o];
            transform(out, 3, in, 6, weights_grad_line);
            for (size_t tap = 0; tap < 9; tap++)
                d_w[(o * I + i) * 9 + tap] += out[tap];
        }
}
