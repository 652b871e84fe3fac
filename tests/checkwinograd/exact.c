/* exact.c: results against convolutions in double precision.
 *
 * The bounds are those of simd/winograd.h: (terms + 24 or 32) u times the value of the formula with
 * every number replaced by its magnitude, and 2^-8 of what is written as bfloat16. */
#include <float.h>
#include <math.h>

#include "tests/checkwinograd/checkwinograd.h"

enum { P = MOCO_WINOGRAD_POINTS, SLOTS = MOCO_WINOGRAD_SLOTS };

/* The magnitudes of a transform along one axis. */
struct matrix {
    size_t rows, columns;
    double at[9][9];
};

/* Those of a stride. The weight gradient transforms d_dst by the transpose of dst and comes back by
 * the transpose of weights. */
struct formulas {
    struct matrix weights, src, dst, d_dst, d_src;
};

static const struct formulas unit_stride = {
    .weights = { 6, 3, { { 1.0 / 4 }, { 1.0 / 6, 1.0 / 6, 1.0 / 6 }, { 1.0 / 6, 1.0 / 6, 1.0 / 6 },
                         { 1.0 / 24, 1.0 / 12, 1.0 / 6 }, { 1.0 / 24, 1.0 / 12, 1.0 / 6 },
                         { 0, 0, 1 } } },
    .src = { 6, 6, { { 4, 0, 5, 0, 1, 0 }, { 0, 4, 4, 1, 1, 0 }, { 0, 4, 4, 1, 1, 0 },
                     { 0, 2, 1, 2, 1, 0 }, { 0, 2, 1, 2, 1, 0 }, { 0, 4, 0, 5, 0, 1 } } },
    .dst = { 4, 6, { { 1, 1, 1, 1, 1, 0 }, { 0, 1, 1, 2, 2, 0 }, { 0, 1, 1, 4, 4, 0 },
                     { 0, 1, 1, 8, 8, 1 } } },
};

/* F(4, 2) with the points 0, 1, -2, -1/2 and infinity: Bᵀ, G, Aᵀ. */
static const double pair_src[5][5] = {
    { 1, 1.5, 1.5, 1, 0 }, { 0, 1, 2.5, 1, 0 }, { 0, 0.5, 0.5, 1, 0 }, { 0, 2, 1, 1, 0 },
    { 0, 1, 1.5, 1.5, 1 },
};
static const double pair_weights[5][2] = {
    { 1, 0 }, { 2.0 / 9, 2.0 / 9 }, { 1.0 / 9, 2.0 / 9 }, { 8.0 / 9, 4.0 / 9 }, { 0, 1 },
};
static const double pair_dst[4][5] = {
    { 1, 1, 1, 1, 0 }, { 0, 1, 2, 0.5, 0 }, { 0, 1, 4, 0.25, 0 }, { 0, 1, 8, 0.125, 1 },
};

/* The odd and even inputs put together. */
static struct formulas double_stride(void)
{
    struct formulas f = { .weights = { .rows = 6, .columns = 3 },
                          .src = { .rows = 9, .columns = 9 }, .dst = { .rows = 4, .columns = 9 },
                          .d_dst = { .rows = 9, .columns = 5 },
                          .d_src = { .rows = 8, .columns = 9 } };

    for (int i = 0; i < 5; i++) {
        f.weights.at[i][0] = pair_weights[i][0];
        f.weights.at[i][2] = pair_weights[i][1];
        for (int j = 0; j < 5; j++)
            f.src.at[i][2 * j] = f.d_dst.at[i][j] = pair_src[i][j];
        for (int j = 0; j < 4; j++)
            f.dst.at[j][i] = f.d_src.at[2 * j + 1][i] = pair_dst[j][i];
    }
    f.weights.at[5][1] = 1;
    for (int i = 0; i < 4; i++)
        f.src.at[5 + i][2 * i + 1] = f.dst.at[i][5 + i] = f.d_dst.at[5 + i][i] =
            f.d_src.at[2 * i][5 + i] = 1;
    return f;
}

static struct formulas formulas_of(const struct shape *s)
{
    struct formulas f = unit_stride;

    f.d_dst = f.src;
    f.d_src = f.dst;
    return s->stride == 1 ? f : double_stride();
}

static struct matrix transposed(const struct matrix *t)
{
    struct matrix r = { t->columns, t->rows, { { 0 } } };

    for (size_t i = 0; i < r.rows; i++)
        for (size_t j = 0; j < r.columns; j++)
            r.at[i][j] = t->at[j][i];
    return r;
}

/* T |in| Tᵀ, dense arrays */
static void sandwich(double *out, const struct matrix *T, const double *in)
{
    double half[9][9] = { { 0 } };

    for (size_t i = 0; i < T->rows; i++)
        for (size_t j = 0; j < T->columns; j++)
            for (size_t k = 0; k < T->columns; k++)
                half[i][j] += T->at[i][k] * fabs(in[k * T->columns + j]);
    for (size_t i = 0; i < T->rows; i++)
        for (size_t j = 0; j < T->rows; j++) {
            out[i * T->rows + j] = 0;
            for (size_t k = 0; k < T->columns; k++)
                out[i * T->rows + j] += half[i][k] * T->at[j][k];
        }
}

/* An image and what its numbers are. */
struct numbers {
    const void *at;
    enum moco_number number;
};

static double pixel(struct numbers p, const struct moco_image *g, size_t n, size_t c, long y,
                    long x)
{
    if (y < 0 || x < 0 || y >= (long)g->H || x >= (long)g->W)
        return 0;
    return number_at(p.at, p.number, index_of(g, n, c, (size_t)y, (size_t)x));
}

/* The patch that begins at (y, x), transformed in magnitude. */
static void patch_size(double *out, const struct matrix *T, struct numbers p,
                       const struct moco_image *g, size_t n, size_t c, long y, long x)
{
    double in[SLOTS];
    long side = (long)T->columns;

    for (long i = 0; i < side * side; i++)
        in[i] = pixel(p, g, n, c, y + i / side, x + i % side);
    sandwich(out, T, in);
}

/* One output, or the gradient of one input: the sum over channels and taps. */
static double exact_value(struct numbers src, const float *w, const struct shape *s, int back,
                          size_t n, size_t to, long y, long x)
{
    struct moco_image from = back ? out_image(s, s->O) : in_image(s, s->I);
    long stride = (long)s->stride;
    double sum = 0;

    for (size_t c = 0; c < (back ? s->O : s->I); c++)
        for (long k = 0; k < 9; k++) {
            long fy = back ? y + 1 - k / 3 : y * stride + k / 3 - 1;
            long fx = back ? x + 1 - k % 3 : x * stride + k % 3 - 1;
            double tap = back ? w[(c * s->I + to) * 9 + (size_t)k]
                              : w[(to * s->I + c) * 9 + (size_t)k];
            if (!back)
                sum += tap * pixel(src, &from, n, c, fy, fx);
            else if (fy >= 0 && fx >= 0 && fy % stride == 0 && fx % stride == 0)
                sum += tap * pixel(src, &from, n, c, fy / stride, fx / stride);
        }
    return sum;
}

/* Channel `to` of tile (ty, tx) of image n: the value of the formula in magnitude, by pixels. */
static void tile_size(double *size, struct numbers src, const float *w, const struct shape *s,
                      int back, size_t n, size_t to, long ty, long tx)
{
    struct formulas f = formulas_of(s);
    struct moco_image from = back ? out_image(s, s->O) : in_image(s, s->I);
    long step = back || s->stride == 1 ? 4 : 8, lead = back && s->stride == 2 ? 0 : 1;
    double m[SLOTS] = { 0 }, v[SLOTS], u[P], taps[9];

    for (size_t c = 0; c < (back ? s->O : s->I); c++) {
        for (size_t k = 0; k < 9; k++)
            taps[k] = back ? w[(c * s->I + to) * 9 + 8 - k] : w[(to * s->I + c) * 9 + k];
        sandwich(u, &f.weights, taps);
        patch_size(v, back ? &f.d_dst : &f.src, src, &from, n, c, ty * step - lead,
                   tx * step - lead);
        for (size_t i = 0; i < moco_winograd_slots(s->stride); i++)
            m[i] += u[moco_winograd_point(s->stride, i)] * v[i];
    }
    sandwich(size, back ? &f.d_src : &f.dst, m);
}

/* The error in bounds; what is no number counts as infinite. */
static double share(double got, double want, double bound)
{
    double error = fabs(got - want);

    if (error <= bound)
        return bound > 0 ? error / bound : 0;
    return error > bound && bound > 0 ? error / bound : HUGE_VAL;
}

static double tile_share(const void *dst, struct numbers src, const float *w,
                         const struct shape *s, int back, size_t n, size_t to, long ty, long tx)
{
    struct moco_image image = back ? in_image(s, s->I) : out_image(s, s->O);
    long side = back && s->stride == 2 ? 8 : 4;
    double size[64], worst = 0, terms = (double)(back ? s->O : s->I) + 24;

    tile_size(size, src, w, s, back, n, to, ty, tx);
    for (long i = 0; i < side * side; i++) {
        long y = ty * side + i / side, x = tx * side + i % side;
        if (y >= (long)image.H || x >= (long)image.W)
            continue;
        double exact = exact_value(src, w, s, back, n, to, y, x);
        double bound = terms * FLT_EPSILON / 2 * size[i];
        if (src.number == MOCO_BF16)
            bound += ldexp(fabs(exact) + bound, -8) + (double)FLT_MIN;
        worst = fmax(worst, share(pixel((struct numbers){ dst, src.number }, &image, n, to, y, x),
                                  exact, bound));
    }
    return worst;
}

/* A selection of images and channels, all their tiles. */
static double pass_share(const void *dst, struct numbers src, const float *w,
                         const struct shape *s, int back)
{
    struct moco_image out = out_image(s, s->O);
    size_t outs = back ? s->I : s->O;
    double worst = 0;

    for (size_t n = 0; n < s->B; n += s->B - 1 ? s->B - 1 : 1)
        for (size_t o = 0; o < outs; o += outs > 8 ? outs / 4 - 1 : 1)
            for (size_t ty = 0; ty < (out.H + 3) / 4; ty++)
                for (size_t tx = 0; tx < (out.W + 3) / 4; tx++)
                    worst = fmax(worst, tile_share(dst, src, w, s, back, n, o, (long)ty,
                                                   (long)tx));
    return worst;
}

/* The nine taps of one pair of channels. */
static double gradient_share(const float *d_w, struct numbers src, struct numbers d_dst,
                             const struct shape *s, size_t o, size_t i)
{
    struct formulas f = formulas_of(s);
    struct matrix grad = transposed(&f.dst), back = transposed(&f.weights);
    struct moco_image in = in_image(s, s->I), out = out_image(s, s->O);
    long stride = (long)s->stride;
    double m[P] = { 0 }, v[SLOTS], y[SLOTS], size[9], exact[9] = { 0 };
    double worst = 0, terms = (double)longest_chain(s) + 32;

    for (size_t n = 0; n < s->B; n++) {
        for (long ty = 0; ty < (long)out.H; ty += 4)
            for (long tx = 0; tx < (long)out.W; tx += 4) {
                patch_size(v, &f.src, src, &in, n, i, ty * stride - 1, tx * stride - 1);
                patch_size(y, &grad, d_dst, &out, n, o, ty, tx);
                for (size_t p = 0; p < moco_winograd_slots(s->stride); p++)
                    m[moco_winograd_point(s->stride, p)] += v[p] * y[p];
            }
        for (long k = 0; k < 9; k++)
            for (long at = 0; at < (long)(out.H * out.W); at++) {
                long oy = at / (long)out.W, ox = at % (long)out.W;
                exact[k] += pixel(d_dst, &out, n, o, oy, ox) *
                            pixel(src, &in, n, i, oy * stride + k / 3 - 1, ox * stride + k % 3 - 1);
            }
    }
    sandwich(size, &back, m);
    for (size_t k = 0; k < 9; k++)
        worst = fmax(worst, share(d_w[(o * s->I + i) * 9 + k], exact[k],
                                  terms * FLT_EPSILON / 2 * size[k]));
    return worst;
}

void shares_of_bounds(double share_of[3], const struct results *r, const struct shape *s,
                      const struct operands *x)
{
    struct numbers src = { x->src, x->number }, d_dst = { x->d_dst, x->number };

    share_of[0] = pass_share(r->at[0], src, x->w, s, 0);
    share_of[1] = pass_share(r->at[1], d_dst, x->w, s, 1);
    share_of[2] = 0;
    for (size_t o = 0; o < s->O; o += s->O > 8 ? s->O / 4 - 1 : 1)
        for (size_t i = 0; i < s->I; i += s->I > 8 ? s->I / 4 - 1 : 1)
            share_of[2] = fmax(share_of[2], gradient_share(r->at[2], src, d_dst, s, o, i));
}
