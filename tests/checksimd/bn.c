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

    plain.bn_stats(mean1, m21, src, pixels, lanes);
    t->activation[MOCO_FP32].bn_stats(mean2, m22, src, pixels, lanes);
    same("bn_stats", t, mean2, mean1, lanes, "mean", pixels, lanes, 0);
    same("bn_stats", t, m22, m21, lanes, "m2", pixels, lanes, 0);
    if (t->activation[MOCO_FP32].bn_stats == plain.bn_stats && (fill == UNIFORM || fill == EQUAL))
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
    uint8_t *open1 = take_bytes(7, n / 8), *open2 = take_bytes(8, n / 8);

    plain.bn_apply(want, open1, src, add, scale, shift, pixels, lanes, relu, 0);
    t->activation[MOCO_FP32].bn_apply(got, open2, src, add, scale, shift, pixels, lanes, relu, 0);
    same("bn_apply", t, got, want, n, "dst", pixels, lanes, 0);
    expect(!memcmp(open1, open2, n / 8), "bn_apply %s: other bits, %zu pixels, %zu lanes", t->name,
           pixels, lanes);
    for (size_t i = 0; relu && i < n; i++)
        expect((open1[i / 8] >> i % 8 & 1) == (want[i] > 0), "bn_apply ref: bit %zu", i);
    memset(got, 0, n * sizeof *got);
    t->activation[MOCO_FP32].bn_apply(got, NULL, src, add, scale, shift, pixels, lanes, relu, 1);
    same("bn_apply", t, got, want, n, "dst past the caches", pixels, lanes, 0);
    if (t->activation[MOCO_FP32].bn_apply == plain.bn_apply && fill != SPECIAL)
        apply_oracle(want, src, add, scale, shift, n, lanes, relu);
    t->activation[MOCO_FP32].bn_apply(got, NULL, src, add, scale, shift, pixels / 3, lanes, relu, 0);
    t->activation[MOCO_FP32].bn_apply(got + cut, NULL, src + cut, add ? add + cut : NULL, scale, shift,
                pixels - pixels / 3, lanes, relu, 0);
    same("bn_apply", t, got, want, n, "split", pixels, lanes, 0);
    t->activation[MOCO_FP32].bn_apply(in_place, NULL, in_place, add, scale, shift, pixels, lanes, relu, 0);
    same("bn_apply", t, in_place, want, n, "dst = src", pixels, lanes, 0);
    if (add) {
        t->activation[MOCO_FP32].bn_apply(add, NULL, src, add, scale, shift, pixels, lanes, relu, 0);
        same("bn_apply", t, add, want, n, "dst = add", pixels, lanes, 0);
    }
    strips_intact("bn_apply", t->name);
}

/* Nothing closes it, bits do, src does. */
enum gate { OPEN, BY_BITS, BY_SRC, GATES };

static int is_open(const struct moco_bn_gate *gate, const float *src, size_t i, size_t c)
{
    if (gate->open)
        return gate->open[i / 8] >> i % 8 & 1;
    return !gate->scale || fmaf(src[i], gate->scale[c], gate->shift[c]) > 0;
}

/* A term passes at most 64 additions of its stage and those of the stages; src - mean rounds. */
static void grad_sums_oracle(const float *sum_g, const float *sum_gx, const float *d_dst,
                             const struct moco_bn_gate *gate, const float *src, const float *mean,
                             size_t pixels, size_t lanes)
{
    double relative = ((double)pixels / 64 + 68) * UNIT;

    for (size_t c = 0; c < lanes; c++) {
        double s = 0, size = 0, sx = 0, size_x = 0;

        for (size_t i = c; i < pixels * lanes; i += lanes) {
            double g = is_open(gate, src, i, c) ? d_dst[i] : 0, x = (double)src[i] - mean[c];

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
                      enum gate how)
{
    size_t n = pixels * lanes;
    float *d = take_filled(0, n, fill), *src = take_filled(2, n, fill);
    float *mean = take_filled(3, lanes, fill), *alias = take_copy(10, d, n);
    float *g1 = take(4, lanes), *gx1 = take(5, lanes), *g2 = take(6, lanes), *gx2 = take(7, lanes);
    float *want = take(8, how == OPEN ? 0 : n), *got = take(9, how == OPEN ? 0 : n);
    struct moco_bn_gate gate = {NULL, NULL, NULL};

    if (how == BY_BITS) {
        uint8_t *bits = take_bytes(1, n / 8);

        for (size_t i = 0; i < n / 8; i++)
            bits[i] = (uint8_t)next_random();
        gate.open = bits;
    }
    if (how == BY_SRC) {
        gate.scale = take_filled(1, lanes, UNIFORM);
        gate.shift = take_filled(11, lanes, fill);
    }
    plain.bn_grad_sums(g1, gx1, want, d, &gate, src, mean, pixels, lanes);
    t->activation[MOCO_FP32].bn_grad_sums(g2, gx2, got, d, &gate, src, mean, pixels, lanes);
    same("bn_grad_sums", t, g2, g1, lanes, "sum_g", pixels, lanes, how);
    same("bn_grad_sums", t, gx2, gx1, lanes, "sum_gx", pixels, lanes, how);
    same("bn_grad_sums", t, got, want, how == OPEN ? 0 : n, "g", pixels, lanes, how);
    if (t->activation[MOCO_FP32].bn_grad_sums == plain.bn_grad_sums && fill != SPECIAL)
        grad_sums_oracle(g1, gx1, d, &gate, src, mean, pixels, lanes);
    for (size_t i = 0; how != OPEN && i < n; i++)
        expect(!is_open(&gate, src, i, i % lanes) ? want[i] == 0
                                                  : !memcmp(want + i, d + i, sizeof *d),
               "bn_grad_sums ref: g[%zu] is %g of %g", i, (double)want[i], (double)d[i]);
    t->activation[MOCO_FP32].bn_grad_sums(g2, gx2, alias, alias, &gate, src, mean, pixels, lanes);
    same("bn_grad_sums", t, gx2, gx1, lanes, "sum_gx with g = d_dst", pixels, lanes, how);
    same("bn_grad_sums", t, alias, how == OPEN ? d : want, n, "g = d_dst", pixels, lanes, how);
    strips_intact("bn_grad_sums", t->name);
}

static void grad_oracle(const float *d_src, const float *g, const float *src, const float *a,
                        const float *b, const float *c, size_t n, size_t lanes)
{
    for (size_t i = 0; i < n; i++) {
        double first = (double)g[i] * a[i % lanes];
        double second = (double)src[i] * b[i % lanes], third = c[i % lanes];
        double size = fabs(first) + fabs(second) + fabs(third);

        near("bn_grad", d_src[i], first + second + third, 2.01 * UNIT * size + 2 * LEAST);
    }
}

static void grad(const struct moco_simd *t, size_t pixels, size_t lanes, enum fill fill)
{
    size_t n = pixels * lanes;
    float *g = take_filled(0, n, fill), *src = take_filled(2, n, fill);
    float *a = take_filled(3, lanes, UNIFORM), *b = take_filled(4, lanes, UNIFORM);
    float *c = take_filled(5, lanes, fill), *want = take(6, n), *got = take(7, n);

    plain.bn_grad(want, g, src, a, b, c, pixels, lanes, 0);
    if (t->activation[MOCO_FP32].bn_grad == plain.bn_grad && fill != SPECIAL)
        grad_oracle(want, g, src, a, b, c, n, lanes);
    t->activation[MOCO_FP32].bn_grad(got, g, src, a, b, c, pixels, lanes, 0);
    same("bn_grad", t, got, want, n, "d_src", pixels, lanes, 0);
    memset(got, 0, n * sizeof *got);
    t->activation[MOCO_FP32].bn_grad(got, g, src, a, b, c, pixels, lanes, 1);
    same("bn_grad", t, got, want, n, "d_src past the caches", pixels, lanes, 0);
    t->activation[MOCO_FP32].bn_grad(g, g, src, a, b, c, pixels, lanes, 1);
    same("bn_grad", t, g, want, n, "d_src = g", pixels, lanes, 0);
    strips_intact("bn_grad", t->name);
}

void check_bn(const struct moco_simd *t)
{
    for (size_t i = 0; i < COUNT(pixels_of); i++)
        for (enum fill fill = 0; fill < FILLS; fill++)
            for (size_t lanes = 8; lanes <= 16; lanes += 8) {
                stats(t, pixels_of[i], lanes, fill);
                for (int how = 0; how < 4; how++)
                    apply(t, pixels_of[i], lanes, fill, how & 1, how & 2);
                for (enum gate gate = OPEN; gate < GATES; gate++)
                    grad_sums(t, pixels_of[i], lanes, fill, gate);
                grad(t, pixels_of[i], lanes, fill);
            }
}

static void mutant_stats(float *mean, float *m2, const void *src, size_t pixels, size_t lanes)
{
    plain.bn_stats(mean, m2, src, pixels > 64 ? pixels / 64 * 64 : pixels, lanes);
}

static void mutant_apply(void *dst, uint8_t *open, const void *src, const void *add,
                         const float *scale, const float *shift, size_t pixels, size_t lanes,
                         int relu, int far)
{
    plain.bn_apply(dst, open, src, add, scale, shift, pixels / 4 * 4, lanes, relu, far);
}

static void mutant_sums(float *sum_g, float *sum_gx, void *g, const void *d_dst,
                        const struct moco_bn_gate *gate, const void *src, const float *mean,
                        size_t pixels, size_t lanes)
{
    plain.bn_grad_sums(sum_g, sum_gx, g, d_dst, gate, src, mean, pixels / 4 * 4, lanes);
}

/* Takes the last pixel for closed. */
static void mutant_gate(float *sum_g, float *sum_gx, void *g, const void *d_dst,
                        const struct moco_bn_gate *gate, const void *src, const float *mean,
                        size_t pixels, size_t lanes)
{
    plain.bn_grad_sums(sum_g, sum_gx, g, d_dst, gate, src, mean, pixels, lanes);
    if (gate->open || gate->scale)
        memset((float *)g + (pixels - 1) * lanes, 0, lanes * sizeof(float));
}

static void mutant_grad(void *d_src, const void *g, const void *src, const float *a,
                        const float *b, const float *c, size_t pixels, size_t lanes, int far)
{
    plain.bn_grad(d_src, g, src, a, b, c, pixels / 4 * 4, lanes, far);
}

static void some(const struct moco_simd *t)
{
    stats(t, 65, 8, UNIFORM);
    apply(t, 65, 8, UNIFORM, 0, 0);
    grad_sums(t, 65, 8, UNIFORM, OPEN);
    grad_sums(t, 65, 8, UNIFORM, BY_SRC);
    grad(t, 65, 8, UNIFORM);
}

void mutants_bn(void)
{
    struct moco_simd t = ref;

    t.activation[F].bn_stats = mutant_stats;
    must_catch("bn_stats", some, &t);
    t = ref;
    t.activation[F].bn_apply = mutant_apply;
    must_catch("bn_apply", some, &t);
    t = ref;
    t.activation[F].bn_grad_sums = mutant_sums;
    must_catch("bn_grad_sums", some, &t);
    t.activation[F].bn_grad_sums = mutant_gate;
    must_catch("bn_grad_sums' gate", some, &t);
    t = ref;
    t.activation[F].bn_grad = mutant_grad;
    must_catch("bn_grad", some, &t);
}
