/* bn.c: checks of the BatchNorm kernels on planes of 8 and of 16 channels. */
#include "tests/checksimd/harness.h"

static const size_t pixels_of[] = {0, 1, 2, 63, 64, 65, 255, 256, 257, 300, 576, 1023};

static void stats_oracle(const float *mean, const float *m2, const float *src, size_t pixels,
                         size_t lanes)
{
    for (size_t c = 0; c < lanes; c++) {
        double s = 0, size = 0, squares = 0;

        for (size_t i = 0; i < pixels; i++) {
            s += src[i * lanes + c];
            size += fabs(src[i * lanes + c]);
        }
        s /= pixels ? (double)pixels : 1;
        for (size_t i = 0; i < pixels; i++)
            squares += (src[i * lanes + c] - s) * (src[i * lanes + c] - s);
        near("bn_stats mean", mean[c], s, 100 * UNIT * size / (pixels ? (double)pixels : 1));
        near("bn_stats m2", m2[c], squares, 200 * UNIT * (squares + size * fabs(s)) + FLT_MIN);
    }
}

static void stats(const struct moco_simd *t, size_t pixels, size_t lanes, enum fill fill)
{
    float *src = take_filled(0, pixels * lanes, fill);
    float *mean1 = take(1, lanes), *m21 = take(2, lanes), *mean2 = take(3, lanes);
    float *m22 = take(4, lanes);

    ref.bn_stats(mean1, m21, src, pixels, lanes);
    t->bn_stats(mean2, m22, src, pixels, lanes);
    same("bn_stats", t, mean2, mean1, lanes, "mean", pixels, lanes, 0);
    same("bn_stats", t, m22, m21, lanes, "m2", pixels, lanes, 0);
    if (t->bn_stats == ref.bn_stats && (fill == UNIFORM || fill == EQUAL))
        stats_oracle(mean2, m22, src, pixels, lanes);
    strips_intact("bn_stats", t->name);
}

static void apply_oracle(const float *dst, const float *src, const float *add, const float *scale,
                         const float *shift, size_t n, size_t lanes, int relu)
{
    for (size_t i = 0; i < n; i++) {
        double product = (double)src[i] * scale[i % lanes], base = shift[i % lanes];
        double plus = add ? add[i] : 0, exact = product + base + plus;
        double bound = 2.01 * UNIT * (fabs(product) + fabs(base) + fabs(plus)) + 2 * LEAST;

        near("bn_apply", dst[i], relu ? fmax(exact, 0) : exact, bound);
    }
}

static void apply(const struct moco_simd *t, size_t pixels, size_t lanes, enum fill fill,
                        int relu, int adds)
{
    size_t n = pixels * lanes, cut = pixels / 3 * lanes;
    float *src = take_filled(0, n, fill), *add = adds ? take_filled(1, n, fill) : NULL;
    float *scale = take_filled(2, lanes, UNIFORM), *shift = take_filled(3, lanes, fill);
    float *want = take(4, n), *got = take(5, n), *in_place = take_copy(6, src, n);

    ref.bn_apply(want, src, add, scale, shift, pixels, lanes, relu);
    t->bn_apply(got, src, add, scale, shift, pixels, lanes, relu);
    same("bn_apply", t, got, want, n, "dst", pixels, lanes, 0);
    if (t->bn_apply == ref.bn_apply && fill != SPECIAL)
        apply_oracle(want, src, add, scale, shift, n, lanes, relu);
    t->bn_apply(got, src, add, scale, shift, pixels / 3, lanes, relu);
    t->bn_apply(got + cut, src + cut, add ? add + cut : NULL, scale, shift, pixels - pixels / 3,
                lanes, relu);
    same("bn_apply", t, got, want, n, "split", pixels, lanes, 0);
    t->bn_apply(in_place, in_place, add, scale, shift, pixels, lanes, relu);
    same("bn_apply", t, in_place, want, n, "dst = src", pixels, lanes, 0);
    if (add) {
        t->bn_apply(add, src, add, scale, shift, pixels, lanes, relu);
        same("bn_apply", t, add, want, n, "dst = add", pixels, lanes, 0);
    }
    strips_intact("bn_apply", t->name);
}

static double gated_grad(const float *g, const float *act, size_t i)
{
    return !act || act[i] > 0 ? g[i] : 0;
}

/* A term passes at most 64 additions of its stage and those of the stages; src - mean rounds. */
static void grad_sums_oracle(const float *sum_g, const float *sum_gx, const float *d_dst,
                             const float *act, const float *src, const float *mean, size_t pixels,
                             size_t lanes)
{
    double relative = ((double)pixels / 64 + 68) * UNIT;

    for (size_t c = 0; c < lanes; c++) {
        double s = 0, size = 0, sx = 0, size_x = 0;

        for (size_t i = c; i < pixels * lanes; i += lanes) {
            double g = gated_grad(d_dst, act, i), x = (double)src[i] - mean[c];

            s += g;
            size += fabs(g);
            sx += g * x;
            size_x += fabs(g * x);
        }
        near("bn_grad_sums g", sum_g[c], s, relative * size);
        near("bn_grad_sums gx", sum_gx[c], sx, relative * size_x + (double)pixels * LEAST);
    }
}

static void grad_sums(const struct moco_simd *t, size_t pixels, size_t lanes, enum fill fill,
                            int gated)
{
    size_t n = pixels * lanes;
    float *g = take_filled(0, n, fill), *act = gated ? take_filled(1, n, fill) : NULL;
    float *src = take_filled(2, n, fill), *mean = take_filled(3, lanes, fill);
    float *g1 = take(4, lanes), *gx1 = take(5, lanes), *g2 = take(6, lanes), *gx2 = take(7, lanes);

    ref.bn_grad_sums(g1, gx1, g, act, src, mean, pixels, lanes);
    t->bn_grad_sums(g2, gx2, g, act, src, mean, pixels, lanes);
    same("bn_grad_sums", t, g2, g1, lanes, "sum_g", pixels, lanes, 0);
    same("bn_grad_sums", t, gx2, gx1, lanes, "sum_gx", pixels, lanes, 0);
    if (t->bn_grad_sums == ref.bn_grad_sums && fill != SPECIAL)
        grad_sums_oracle(g1, gx1, g, act, src, mean, pixels, lanes);
    strips_intact("bn_grad_sums", t->name);
}

static void grad_oracle(const float *d_src, const float *d_add, const float *d_dst,
                        const float *act, const float *src, const float *a, const float *b,
                        const float *c, size_t n, size_t lanes)
{
    for (size_t i = 0; i < n; i++) {
        double g = gated_grad(d_dst, act, i), first = g * a[i % lanes];
        double second = (double)src[i] * b[i % lanes], third = c[i % lanes];
        double size = fabs(first) + fabs(second) + fabs(third);

        near("bn_grad", d_src[i], first + second + third, 2.01 * UNIT * size + 2 * LEAST);
        if (d_add)
            near("bn_grad d_add", d_add[i], g, 0);
    }
}

static void grad(const struct moco_simd *t, size_t pixels, size_t lanes, enum fill fill,
                       int gated, int adds)
{
    size_t n = pixels * lanes;
    float *g = take_filled(0, n, fill), *act = gated ? take_filled(1, n, fill) : NULL;
    float *src = take_filled(2, n, fill), *a = take_filled(3, lanes, UNIFORM);
    float *b = take_filled(4, lanes, UNIFORM), *c = take_filled(5, lanes, fill);
    float *want = take(6, n), *got = take(7, n), *alias = take_copy(10, g, n);
    float *add1 = adds ? take(8, n) : NULL, *add2 = adds ? take(9, n) : NULL;

    ref.bn_grad(want, add1, g, act, src, a, b, c, pixels, lanes);
    t->bn_grad(got, add2, g, act, src, a, b, c, pixels, lanes);
    same("bn_grad", t, got, want, n, "d_src", pixels, lanes, 0);
    if (t->bn_grad == ref.bn_grad && fill != SPECIAL)
        grad_oracle(want, add1, g, act, src, a, b, c, n, lanes);
    t->bn_grad(alias, add2, alias, act, src, a, b, c, pixels, lanes);
    same("bn_grad", t, alias, want, n, "d_src = d_dst", pixels, lanes, 0);
    if (adds) {
        same("bn_grad", t, add2, add1, n, "d_add", pixels, lanes, 0);
        t->bn_grad(got, g, g, act, src, a, b, c, pixels, lanes);
        same("bn_grad", t, got, want, n, "d_src beside d_add = d_dst", pixels, lanes, 0);
        same("bn_grad", t, g, add1, n, "d_add = d_dst", pixels, lanes, 0);
    }
    strips_intact("bn_grad", t->name);
}

void check_bn(const struct moco_simd *t)
{
    for (size_t i = 0; i < COUNT(pixels_of); i++)
        for (enum fill fill = 0; fill < FILLS; fill++)
            for (int how = 0; how < 8; how++) {
                size_t lanes = how & 4 ? 16 : 8;

                stats(t, pixels_of[i], lanes, fill);
                apply(t, pixels_of[i], lanes, fill, how & 1, how & 2);
                grad_sums(t, pixels_of[i], lanes, fill, how & 1);
                grad(t, pixels_of[i], lanes, fill, how & 1, how & 2);
            }
}

static void mutant_stats(float *mean, float *m2, const float *src, size_t pixels, size_t lanes)
{
    ref.bn_stats(mean, m2, src, pixels > 64 ? pixels / 64 * 64 : pixels, lanes);
}

static void mutant_apply(float *dst, const float *src, const float *add, const float *scale,
                         const float *shift, size_t pixels, size_t lanes, int relu)
{
    ref.bn_apply(dst, src, add, scale, shift, pixels / 4 * 4, lanes, relu);
}

static void mutant_sums(float *sum_g, float *sum_gx, const float *d_dst, const float *act,
                        const float *src, const float *mean, size_t pixels, size_t lanes)
{
    ref.bn_grad_sums(sum_g, sum_gx, d_dst, act, src, mean, pixels / 4 * 4, lanes);
}

static void mutant_grad(float *d_src, float *d_add, const float *d_dst, const float *act,
                        const float *src, const float *a, const float *b, const float *c,
                        size_t pixels, size_t lanes)
{
    ref.bn_grad(d_src, d_add, d_dst, act, src, a, b, c, pixels / 4 * 4, lanes);
}

static void some(const struct moco_simd *t)
{
    stats(t, 65, 8, UNIFORM);
    apply(t, 65, 8, UNIFORM, 0, 0);
    grad_sums(t, 65, 8, UNIFORM, 0);
    grad(t, 65, 8, UNIFORM, 0, 0);
}

void mutants_bn(void)
{
    struct moco_simd t = ref;

    t.bn_stats = mutant_stats;
    must_catch("bn_stats", some, &t);
    t = ref;
    t.bn_apply = mutant_apply;
    must_catch("bn_apply", some, &t);
    t = ref;
    t.bn_grad_sums = mutant_sums;
    must_catch("bn_grad_sums", some, &t);
    t = ref;
    t.bn_grad = mutant_grad;
    must_catch("bn_grad", some, &t);
}
