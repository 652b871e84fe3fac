/* bn.c: checks of the BatchNorm kernels on planes of 8 and of 16 channels, of floats and of
 * bfloat16 numbers. */
#include "tests/checksimd/harness.h"

static const size_t pixels_of[] = {0, 1, 2, 63, 64, 65, 255, 256, 257, 300, 576, 1023};

/* A plane of what numbers, and the kernels for it: the specification's and a level's. */
struct plane {
    enum moco_number number;
    size_t pixels, lanes;
    const struct moco_simd *level;
    const struct moco_activation *plain, *tested;
};

static struct plane plane_of(const struct moco_simd *t, enum moco_number number, size_t pixels,
                             size_t lanes)
{
    return (struct plane){number, pixels, lanes, t, &ref.activation[number],
                          &t->activation[number]};
}

static size_t numbers_of(const struct plane *p)
{
    return p->pixels * p->lanes;
}

static float at(const struct plane *p, const void *numbers, size_t i)
{
    return number_at(numbers, p->number, i);
}

static void same_plane(const char *kernel, const struct plane *p, const void *got,
                       const void *want, const char *what, size_t how)
{
    same_numbers(kernel, p->level, p->number, got, want, numbers_of(p), what, p->pixels, p->lanes,
                 how);
}

static void same_lanes(const char *kernel, const struct plane *p, const float *got,
                       const float *want, const char *what, size_t how)
{
    same(kernel, p->level, got, want, p->lanes, what, p->pixels, p->lanes, how);
}

static void *take_plane(int slot, const struct plane *p)
{
    return take_numbers(slot, p->number, numbers_of(p));
}

static void *fill_plane(int slot, const struct plane *p, enum fill fill)
{
    return take_numbers_filled(slot, p->number, numbers_of(p), fill);
}

static void stats_oracle(const struct plane *p, const float *mean, const float *m2,
                         const void *src)
{
    double pixels = p->pixels ? (double)p->pixels : 1;

    for (size_t c = 0; c < p->lanes; c++) {
        double s = 0, size = 0, squares = 0;

        for (size_t i = c; i < numbers_of(p); i += p->lanes) {
            s += at(p, src, i);
            size += fabs(at(p, src, i));
        }
        s /= pixels;
        for (size_t i = c; i < numbers_of(p); i += p->lanes)
            squares += (at(p, src, i) - s) * (at(p, src, i) - s);
        near("bn_stats mean", mean[c], s, 100 * UNIT * size / pixels);
        near("bn_stats m2", m2[c], squares, 200 * UNIT * (squares + size * fabs(s)) + FLT_MIN);
    }
}

static void stats(const struct plane *p, enum fill fill)
{
    void *src = fill_plane(0, p, fill);
    float *mean1 = take(1, p->lanes), *m21 = take(2, p->lanes), *mean2 = take(3, p->lanes);
    float *m22 = take(4, p->lanes);

    p->plain->bn_stats(mean1, m21, src, p->pixels, p->lanes);
    p->tested->bn_stats(mean2, m22, src, p->pixels, p->lanes);
    same_lanes("bn_stats", p, mean2, mean1, "mean", 0);
    same_lanes("bn_stats", p, m22, m21, "m2", 0);
    if (p->tested->bn_stats == p->plain->bn_stats && (fill == UNIFORM || fill == EQUAL))
        stats_oracle(p, mean2, m22, src);
    strips_intact("bn_stats", p->level->name);
}

static void apply_oracle(const struct plane *p, const void *dst, const void *src, const void *add,
                         const float *scale, const float *shift, int relu)
{
    for (size_t i = 0; i < numbers_of(p); i++) {
        double product = (double)at(p, src, i) * scale[i % p->lanes], base = shift[i % p->lanes];
        double plus = add ? at(p, add, i) : 0, exact = product + base + plus;
        double bound = 2.01 * UNIT * (fabs(product) + fabs(base) + fabs(plus)) + 2 * LEAST;

        near("bn_apply", at(p, dst, i), relu ? fmax(exact, 0) : exact,
             rounded_bound(p->number, exact, bound));
    }
}

/* The bits tell of the sums in float, whatever these become when they are stored. */
static void check_bits(const struct plane *p, const uint8_t *open, const void *src,
                       const void *add, const float *scale, const float *shift)
{
    for (size_t i = 0; i < numbers_of(p); i++) {
        float y = fmaf(at(p, src, i), scale[i % p->lanes], shift[i % p->lanes]);

        if (add)
            y += at(p, add, i);
        expect((open[i / 8] >> i % 8 & 1) == (y > 0), "bn_apply ref: bit %zu", i);
    }
}

static void apply(const struct plane *p, enum fill fill, int relu, int adds)
{
    size_t n = numbers_of(p), pixels = p->pixels, lanes = p->lanes, third = pixels / 3;
    size_t cut = third * lanes * bytes_of(p->number);
    char *src = fill_plane(0, p, fill), *add = adds ? fill_plane(1, p, fill) : NULL;
    float *scale = take_filled(2, lanes, UNIFORM), *shift = take_filled(3, lanes, fill);
    char *want = take_plane(4, p), *got = take_plane(5, p);
    char *in_place = take_numbers_copy(6, p->number, src, n);
    uint8_t *open1 = take_bytes(7, n / 8), *open2 = take_bytes(8, n / 8);

    p->plain->bn_apply(want, open1, src, add, scale, shift, pixels, lanes, relu, 0);
    p->tested->bn_apply(got, open2, src, add, scale, shift, pixels, lanes, relu, 0);
    same_plane("bn_apply", p, got, want, "dst", 0);
    expect(!memcmp(open1, open2, n / 8), "bn_apply %s: other bits, %zu pixels, %zu lanes",
           p->level->name, pixels, lanes);
    check_bits(p, open1, src, add, scale, shift);
    memset(got, 0, n * bytes_of(p->number));
    p->tested->bn_apply(got, NULL, src, add, scale, shift, pixels, lanes, relu, 1);
    same_plane("bn_apply", p, got, want, "dst past the caches", 0);
    got = take_numbers(9, p->number, n + 1); /* at no multiple of a pixel's size */
    p->tested->bn_apply(got, NULL, src, add, scale, shift, pixels, lanes, relu, 1);
    same_plane("bn_apply", p, got, want, "dst past the caches at an odd place", 0);
    if (p->tested->bn_apply == p->plain->bn_apply && fill != SPECIAL)
        apply_oracle(p, want, src, add, scale, shift, relu);
    p->tested->bn_apply(got, NULL, src, add, scale, shift, third, lanes, relu, 0);
    p->tested->bn_apply(got + cut, NULL, src + cut, add ? add + cut : NULL, scale, shift,
                        pixels - third, lanes, relu, 0);
    same_plane("bn_apply", p, got, want, "split", 0);
    p->tested->bn_apply(in_place, NULL, in_place, add, scale, shift, pixels, lanes, relu, 0);
    same_plane("bn_apply", p, in_place, want, "dst = src", 0);
    if (add) {
        p->tested->bn_apply(add, NULL, src, add, scale, shift, pixels, lanes, relu, 0);
        same_plane("bn_apply", p, add, want, "dst = add", 0);
    }
    strips_intact("bn_apply", p->level->name);
}

/* Nothing closes it, bits do, src does. */
enum gate { OPEN, BY_BITS, BY_SRC, GATES };

static int is_open(const struct plane *p, const struct moco_bn_gate *gate, const void *src,
                   size_t i)
{
    size_t c = i % p->lanes;

    if (gate->open)
        return gate->open[i / 8] >> i % 8 & 1;
    return !gate->scale || fmaf(at(p, src, i), gate->scale[c], gate->shift[c]) > 0;
}

/* A term passes at most 64 additions of its stage and those of the stages; src - mean rounds. */
static void grad_sums_oracle(const struct plane *p, const float *sum_g, const float *sum_gx,
                             const void *d_dst, const struct moco_bn_gate *gate, const void *src,
                             const float *mean)
{
    double relative = ((double)p->pixels / 64 + 68) * UNIT;

    for (size_t c = 0; c < p->lanes; c++) {
        double s = 0, size = 0, sx = 0, size_x = 0;

        for (size_t i = c; i < numbers_of(p); i += p->lanes) {
            double g = is_open(p, gate, src, i) ? at(p, d_dst, i) : 0;
            double x = (double)at(p, src, i) - mean[c];

            s += g;
            size += fabs(g);
            sx += g * x;
            size_x += fabs(g * x);
        }
        near("bn_grad_sums g", sum_g[c], s, relative * size);
        near("bn_grad_sums gx", sum_gx[c], sx, relative * size_x + (double)p->pixels * LEAST);
    }
}

/* What is kept is d_dst's number, whatever it is, or 0. */
static void check_kept(const struct plane *p, const void *kept, const void *d_dst,
                       const struct moco_bn_gate *gate, const void *src)
{
    for (size_t i = 0; i < numbers_of(p); i++) {
        float got = at(p, kept, i), want = is_open(p, gate, src, i) ? at(p, d_dst, i) : 0;

        expect(!memcmp(&got, &want, sizeof got), "bn_grad_sums ref: g[%zu] is %g, not %g", i,
               (double)got, (double)want);
    }
}

static void grad_sums(const struct plane *p, enum fill fill, enum gate how)
{
    size_t n = numbers_of(p), pixels = p->pixels, lanes = p->lanes;
    void *d = fill_plane(0, p, fill), *src = fill_plane(2, p, fill);
    void *alias = take_numbers_copy(10, p->number, d, n);
    float *mean = take_filled(3, lanes, fill);
    float *g1 = take(4, lanes), *gx1 = take(5, lanes), *g2 = take(6, lanes), *gx2 = take(7, lanes);
    void *want = take_numbers(8, p->number, how == OPEN ? 0 : n);
    void *got = take_numbers(9, p->number, how == OPEN ? 0 : n);
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
    p->plain->bn_grad_sums(g1, gx1, want, d, &gate, src, mean, pixels, lanes);
    p->tested->bn_grad_sums(g2, gx2, got, d, &gate, src, mean, pixels, lanes);
    same_lanes("bn_grad_sums", p, g2, g1, "sum_g", how);
    same_lanes("bn_grad_sums", p, gx2, gx1, "sum_gx", how);
    if (how != OPEN) {
        same_plane("bn_grad_sums", p, got, want, "g", how);
        check_kept(p, want, d, &gate, src);
    }
    if (p->tested->bn_grad_sums == p->plain->bn_grad_sums && fill != SPECIAL)
        grad_sums_oracle(p, g1, gx1, d, &gate, src, mean);
    p->tested->bn_grad_sums(g2, gx2, alias, alias, &gate, src, mean, pixels, lanes);
    same_lanes("bn_grad_sums", p, gx2, gx1, "sum_gx with g = d_dst", how);
    same_plane("bn_grad_sums", p, alias, how == OPEN ? d : want, "g = d_dst", how);
    strips_intact("bn_grad_sums", p->level->name);
}

static void grad_oracle(const struct plane *p, const void *d_src, const void *g, const void *src,
                        const float *a, const float *b, const float *c)
{
    for (size_t i = 0; i < numbers_of(p); i++) {
        size_t lane = i % p->lanes;
        double first = (double)at(p, g, i) * a[lane], second = (double)at(p, src, i) * b[lane];
        double size = fabs(first) + fabs(second) + fabs(c[lane]), exact = first + second + c[lane];

        near("bn_grad", at(p, d_src, i), exact,
             rounded_bound(p->number, exact, 2.01 * UNIT * size + 2 * LEAST));
    }
}

static void grad(const struct plane *p, enum fill fill)
{
    size_t pixels = p->pixels, lanes = p->lanes;
    void *g = fill_plane(0, p, fill), *src = fill_plane(2, p, fill);
    float *a = take_filled(3, lanes, UNIFORM), *b = take_filled(4, lanes, UNIFORM);
    float *c = take_filled(5, lanes, fill);
    void *want = take_plane(6, p), *got = take_plane(7, p);

    p->plain->bn_grad(want, g, src, a, b, c, pixels, lanes, 0);
    if (p->tested->bn_grad == p->plain->bn_grad && fill != SPECIAL)
        grad_oracle(p, want, g, src, a, b, c);
    p->tested->bn_grad(got, g, src, a, b, c, pixels, lanes, 0);
    same_plane("bn_grad", p, got, want, "d_src", 0);
    memset(got, 0, numbers_of(p) * bytes_of(p->number));
    p->tested->bn_grad(got, g, src, a, b, c, pixels, lanes, 1);
    same_plane("bn_grad", p, got, want, "d_src past the caches", 0);
    got = take_numbers(8, p->number, numbers_of(p) + 1);
    p->tested->bn_grad(got, g, src, a, b, c, pixels, lanes, 1);
    same_plane("bn_grad", p, got, want, "d_src past the caches at an odd place", 0);
    p->tested->bn_grad(g, g, src, a, b, c, pixels, lanes, 1);
    same_plane("bn_grad", p, g, want, "d_src = g", 0);
    strips_intact("bn_grad", p->level->name);
}

/* Sums that lie in the middle of two bfloat16 numbers go to the even one, tiny ones to 0, and far
 * ones to infinity. */
static void roundings(const struct plane *p)
{
    size_t n = numbers_of(p), lanes = p->lanes;
    moco_bf16 *src = take_bytes(0, n * sizeof *src), *got = take_plane(1, p);
    float *scale = take(2, lanes), *shift = take(3, lanes), *none = take(4, lanes);
    moco_bf16 *want = take_plane(5, p);
    uint8_t *open = take_bytes(6, n / 8);

    for (size_t i = 0; i < lanes; i++) {
        scale[i] = i % 4 == 1 ? ldexpf(1, -127) : i % 4 == 2 ? -ldexpf(1, -127) : 1;
        shift[i] = i % 4 == 0 ? ldexpf(1, -8) : i % 4 == 3 ? FLT_MAX : 0;
        none[i] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        moco_bf16 x = 0x3f80 + next_random() % 127; /* from 1 on */

        src[i] = x;
        want[i] = i % 4 == 0 ? x + (x & 1) : i % 4 == 1 ? 0 : i % 4 == 2 ? 0x8000 : 0x7f80;
    }
    p->tested->bn_apply(got, open, src, NULL, scale, shift, p->pixels, lanes, 0, 1);
    expect(!memcmp(got, want, n * sizeof *got), "bn_apply %s: sums are rounded otherwise",
           p->level->name);
    for (size_t i = 0; i < n / 8; i++)
        expect(open[i] == 0xbb, "bn_apply %s: bits %#x of sums that are rounded", p->level->name,
               open[i]);
    p->tested->bn_grad(got, src, src, scale, none, shift, p->pixels, lanes, 0);
    expect(!memcmp(got, want, n * sizeof *got), "bn_grad %s: sums are rounded otherwise",
           p->level->name);
    strips_intact("bn_apply's rounding", p->level->name);
}

static void check_plane(const struct plane *p, enum fill fill)
{
    stats(p, fill);
    for (int how = 0; how < 4; how++)
        apply(p, fill, how & 1, how & 2);
    for (enum gate gate = OPEN; gate < GATES; gate++)
        grad_sums(p, fill, gate);
    grad(p, fill);
}

void check_bn(const struct moco_simd *t)
{
    for (enum moco_number number = 0; number < MOCO_NUMBERS; number++)
        for (size_t i = 0; i < COUNT(pixels_of); i++)
            for (size_t lanes = 8; lanes <= 16; lanes += 8) {
                struct plane p = plane_of(t, number, pixels_of[i], lanes);

                for (enum fill fill = 0; fill < FILLS; fill++)
                    check_plane(&p, fill);
                if (number == MOCO_BF16)
                    roundings(&p);
            }
}

/* The kernels that a mutant spoils. */
static const struct moco_activation *plain;

static void mutant_stats(float *mean, float *m2, const void *src, size_t pixels, size_t lanes)
{
    plain->bn_stats(mean, m2, src, pixels > 64 ? pixels / 64 * 64 : pixels, lanes);
}

static void mutant_apply(void *dst, uint8_t *open, const void *src, const void *add,
                         const float *scale, const float *shift, size_t pixels, size_t lanes,
                         int relu, int far)
{
    plain->bn_apply(dst, open, src, add, scale, shift, pixels / 4 * 4, lanes, relu, far);
}

static void mutant_sums(float *sum_g, float *sum_gx, void *g, const void *d_dst,
                        const struct moco_bn_gate *gate, const void *src, const float *mean,
                        size_t pixels, size_t lanes)
{
    plain->bn_grad_sums(sum_g, sum_gx, g, d_dst, gate, src, mean, pixels / 4 * 4, lanes);
}

/* Takes the last pixel for closed. */
static void mutant_gate(float *sum_g, float *sum_gx, void *g, const void *d_dst,
                        const struct moco_bn_gate *gate, const void *src, const float *mean,
                        size_t pixels, size_t lanes)
{
    size_t pixel = lanes * plain->bytes;

    plain->bn_grad_sums(sum_g, sum_gx, g, d_dst, gate, src, mean, pixels, lanes);
    if (gate->open || gate->scale)
        memset((char *)g + (pixels - 1) * pixel, 0, pixel);
}

static void mutant_grad(void *d_src, const void *g, const void *src, const float *a,
                        const float *b, const float *c, size_t pixels, size_t lanes, int far)
{
    plain->bn_grad(d_src, g, src, a, b, c, pixels / 4 * 4, lanes, far);
}

/* The two that follow cut off where they should round. */
static moco_bf16 cut_off(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return (moco_bf16)(bits >> 16);
}

static void mutant_apply_cut(void *dst, uint8_t *open, const void *src, const void *add,
                             const float *scale, const float *shift, size_t pixels, size_t lanes,
                             int relu, int far)
{
    moco_bf16 *to = dst;

    (void)open, (void)add, (void)far;
    for (size_t i = 0; i < pixels * lanes; i++) {
        float x = number_at(src, MOCO_BF16, i), y = fmaf(x, scale[i % lanes], shift[i % lanes]);

        to[i] = cut_off(relu && y < 0 ? 0 : y);
    }
}

static void mutant_grad_cut(void *d_src, const void *g, const void *src, const float *a,
                            const float *b, const float *c, size_t pixels, size_t lanes, int far)
{
    moco_bf16 *to = d_src;

    (void)far;
    for (size_t i = 0; i < pixels * lanes; i++)
        to[i] = cut_off(fmaf(number_at(g, MOCO_BF16, i), a[i % lanes],
                             fmaf(number_at(src, MOCO_BF16, i), b[i % lanes], c[i % lanes])));
}

static void some_of(const struct moco_simd *t, enum moco_number number)
{
    struct plane p = plane_of(t, number, 65, 8);

    stats(&p, UNIFORM);
    apply(&p, UNIFORM, 0, 0);
    grad_sums(&p, UNIFORM, OPEN);
    grad_sums(&p, UNIFORM, BY_SRC);
    grad(&p, UNIFORM);
}

static void some_floats(const struct moco_simd *t)
{
    some_of(t, MOCO_FP32);
}

static void some_bf16(const struct moco_simd *t)
{
    some_of(t, MOCO_BF16);
}

static void mutants_of(enum moco_number number)
{
    void (*some)(const struct moco_simd *) = number == MOCO_BF16 ? some_bf16 : some_floats;
    struct moco_simd t = ref;

    plain = &ref.activation[number];
    t.activation[number].bn_stats = mutant_stats;
    must_catch("bn_stats", some, &t);
    t = ref;
    t.activation[number].bn_apply = mutant_apply;
    must_catch("bn_apply", some, &t);
    t = ref;
    t.activation[number].bn_grad_sums = mutant_sums;
    must_catch("bn_grad_sums", some, &t);
    t.activation[number].bn_grad_sums = mutant_gate;
    must_catch("bn_grad_sums' gate", some, &t);
    t = ref;
    t.activation[number].bn_grad = mutant_grad;
    must_catch("bn_grad", some, &t);
}

void mutants_bn(void)
{
    struct moco_simd t = ref;

    mutants_of(MOCO_FP32);
    mutants_of(MOCO_BF16);
    t.activation[MOCO_BF16].bn_apply = mutant_apply_cut;
    must_catch("bn_apply's rounding", some_bf16, &t);
    t = ref;
    t.activation[MOCO_BF16].bn_grad = mutant_grad_cut;
    must_catch("bn_grad's rounding", some_bf16, &t);
}
