/* checkwinograd.c: the Winograd kernels of every level against the plain C specification, byte by
 * byte, and the specification against convolutions in double precision.
 *
 * The bounds are those of simd/winograd.h: (terms + 24) u times the value of the formula with every
 * number replaced by its magnitude. Images have odd sides, channels that fill no vector, chunks
 * that begin in the middle of an image. Each buffer ends flush against an unreadable page; a mutant
 * that forgets the last row of a product must be caught. Usage: checkwinograd [seed] */
#define _DEFAULT_SOURCE
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "simd/simd.h"
#include "tests/check.h"

enum { P = MOCO_WINOGRAD_POINTS };

static struct moco_simd ref;
static uint64_t state;

/* A convolution: B images of I channels to O, H x W. */
struct shape {
    size_t B, I, O, H, W, lanes;
    float scale;
};

static const struct shape shapes[] = {
    { 2, 16, 16, 8, 8, 16, 1 },    { 1, 3, 5, 1, 1, 8, 1 },      { 3, 8, 24, 5, 7, 8, 1 },
    { 2, 20, 40, 4, 13, 8, 1 },    { 1, 48, 80, 9, 6, 16, 1 },   { 2, 33, 17, 6, 3, 16, 1e15f },
    { 5, 64, 64, 4, 4, 16, 1 },    { 1, 128, 70, 3, 2, 8, 1e-18f }, { 1, 7, 200, 11, 12, 16, 1 },
    { 13, 64, 24, 12, 12, 8, 1 },
};

static float uniform(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (float)(int64_t)((z ^ z >> 31) >> 40) / (float)(1 << 23) - 1.0f;
}

/* n floats that end at an unreadable page. Kept until the program ends. */
static float *flush(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = n * sizeof(float);
    size_t room = (bytes + page - 1) / page * page;
    char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE)) {
        perror("checkwinograd: mmap");
        exit(2);
    }
    return (float *)(void *)(p + room - bytes);
}

static struct moco_image image_of(const struct shape *s, size_t C)
{
    return (struct moco_image){ (C + s->lanes - 1) / s->lanes, s->lanes, s->H, s->W };
}

static size_t channels(const struct moco_image *g)
{
    return g->blocks * g->lanes;
}

static size_t wide(const struct moco_image *g)
{
    return (channels(g) + 15) / 16 * 16;
}

static size_t floats_of(const struct shape *s, const struct moco_image *g)
{
    return s->B * channels(g) * g->H * g->W;
}

static size_t tiles_of(const struct shape *s)
{
    return s->B * ((s->H + 3) / 4) * ((s->W + 3) / 4);
}

static size_t index_of(const struct moco_image *g, size_t n, size_t c, size_t y, size_t x)
{
    return (((n * g->blocks + c / g->lanes) * g->H + y) * g->W + x) * g->lanes + c % g->lanes;
}

/* A blocked image of C channels, the padded ones zero. */
static float *random_image(const struct shape *s, size_t C)
{
    struct moco_image g = image_of(s, C);
    float *p = flush(floats_of(s, &g));

    for (size_t n = 0; n < s->B; n++)
        for (size_t c = 0; c < channels(&g); c++)
            for (size_t i = 0; i < s->H * s->W; i++)
                p[index_of(&g, n, c, i / s->W, i % s->W)] = c < C ? uniform() * s->scale : 0;
    return p;
}

static float *random_weights(size_t n)
{
    float *p = flush(n);

    for (size_t i = 0; i < n; i++)
        p[i] = uniform();
    return p;
}

/* ---- the three directions by the kernels of one level, tiles in two chunks ---- */

static void pass(const struct moco_simd *t, float *dst, const float *src, const float *w,
                 const struct shape *s, int turned)
{
    struct moco_image from = image_of(s, turned ? s->O : s->I);
    struct moco_image to = image_of(s, turned ? s->I : s->O);
    size_t C = channels(&from), tiles = tiles_of(s), first = 0;

    for (size_t count = tiles / 3 + 1; first < tiles; first += count, count = tiles - first) {
        float *v = flush(P * count * C);
        t->winograd_src(v, count * C, src, &from, first, count);
        for (size_t out = 0, width; out < wide(&to); out += width) {
            width = wide(&to) - out < t->winograd_width ? wide(&to) - out : t->winograd_width;
            float *u = flush(P * C * width), *m = flush(P * count * width);
            size_t block = out / s->lanes, blocks = width / s->lanes;
            t->winograd_weights(u, C * width, w, s->O, s->I, out, width, 0, C, turned);
            for (size_t p = 0; p < P; p++)
                t->winograd_product(m + p * count * width, v + p * count * C, u + p * C * width,
                                    count, C, width);
            t->winograd_dst(dst, m, count * width, width, &to, block,
                            block + blocks > to.blocks ? to.blocks - block : blocks, first, count);
        }
    }
}

static void gradient(const struct moco_simd *t, float *d_w, const float *src, const float *d_dst,
                     const struct shape *s)
{
    struct moco_image in = image_of(s, s->I), out = image_of(s, s->O);
    size_t I = channels(&in), O = wide(&out), tiles = tiles_of(s), first = 0;
    float *sums = flush(P * I * O);

    for (size_t count = tiles / 3 + 1; first < tiles; first += count, count = tiles - first) {
        float *v = flush(P * count * I), *y = flush(P * count * O);
        t->winograd_src(v, count * I, src, &in, first, count);
        t->winograd_dst_grad(y, count * O, O, d_dst, &out, first, count);
        for (size_t p = 0; p < P; p++)
            t->winograd_product_grad(sums + p * I * O, v + p * count * I, y + p * count * O, count,
                                     I, O);
    }
    t->winograd_weights_grad(d_w, sums, I * O, O, s->O, s->I, 0, s->I);
}

/* ---- double precision ---- */

static const double transform_src[6][6] = {
    { 4, 0, -5, 0, 1, 0 }, { 0, -4, -4, 1, 1, 0 }, { 0, 4, -4, -1, 1, 0 },
    { 0, -2, -1, 2, 1, 0 }, { 0, 2, -1, -2, 1, 0 }, { 0, 4, 0, -5, 0, 1 },
};
static const double transform_w[6][3] = {
    { 1.0 / 4, 0, 0 }, { -1.0 / 6, -1.0 / 6, -1.0 / 6 }, { -1.0 / 6, 1.0 / 6, -1.0 / 6 },
    { 1.0 / 24, 1.0 / 12, 1.0 / 6 }, { 1.0 / 24, -1.0 / 12, 1.0 / 6 }, { 0, 0, 1 },
};
static const double transform_dst[4][6] = {
    { 1, 1, 1, 1, 1, 0 }, { 0, 1, -1, 2, -2, 0 }, { 0, 1, 1, 4, 4, 0 }, { 0, 1, -1, 8, -8, 1 },
};

/* |T| in |T|ᵀ where element (i, j) of T stands at i * row + j * column. */
static void sandwich(double *out, size_t to, const double *T, size_t row, size_t column,
                     const double *in, size_t from)
{
    for (size_t i = 0; i < to; i++)
        for (size_t j = 0; j < to; j++) {
            double sum = 0;
            for (size_t a = 0; a < from; a++)
                for (size_t b = 0; b < from; b++)
                    sum += fabs(T[i * row + a * column] * in[a * from + b] *
                                T[j * row + b * column]);
            out[i * to + j] = sum;
        }
}

static double pixel(const float *p, const struct moco_image *g, size_t n, size_t c, long y, long x)
{
    if (y < 0 || x < 0 || y >= (long)g->H || x >= (long)g->W)
        return 0;
    return p[index_of(g, n, c, (size_t)y, (size_t)x)];
}

/* A tile of `side` pixels from (y, x), transformed in magnitude to 36 points. */
static void tile_size(double *out, const float *p, const struct moco_image *g, size_t n, size_t c,
                      long y, long x, long side)
{
    double in[36];

    for (long i = 0; i < side * side; i++)
        in[i] = pixel(p, g, n, c, y + i / side, x + i % side);
    if (side == 6)
        sandwich(out, 6, transform_src[0], 6, 1, in, 6);
    else
        sandwich(out, 6, transform_dst[0], 1, 6, in, 4);
}

static double tap(const float *w, const struct shape *s, size_t o, size_t i, size_t k, int turned)
{
    return turned ? w[(i * s->I + o) * 9 + 8 - k] : w[(o * s->I + i) * 9 + k];
}

/* One output channel of one tile: the error of each of its pixels against the bound. */
static void check_tile(const float *dst, const float *src, const float *w, const struct shape *s,
                       int turned, size_t n, size_t o, long y, long x)
{
    struct moco_image from = image_of(s, turned ? s->O : s->I);
    struct moco_image to = image_of(s, turned ? s->I : s->O);
    size_t C = turned ? s->O : s->I;
    double m[36] = { 0 }, v[36], u[36], taps[9], size[16], exact[16] = { 0 };

    for (size_t c = 0; c < C; c++) {
        for (size_t k = 0; k < 9; k++)
            taps[k] = tap(w, s, o, c, k, turned);
        tile_size(v, src, &from, n, c, y - 1, x - 1, 6);
        sandwich(u, 6, transform_w[0], 3, 1, taps, 3);
        for (size_t p = 0; p < P; p++)
            m[p] += u[p] * v[p];
        for (long i = 0; i < 16; i++)
            for (long k = 0; k < 9; k++)
                exact[i] += taps[k] * pixel(src, &from, n, c, y + i / 4 + k / 3 - 1,
                                            x + i % 4 + k % 3 - 1);
    }
    sandwich(size, 4, transform_dst[0], 6, 1, m, 6);
    for (long i = 0; i < 16; i++) {
        long py = y + i / 4, px = x + i % 4;
        if (py >= (long)s->H || px >= (long)s->W)
            continue;
        double got = pixel(dst, &to, n, o, py, px);
        double bound = ((double)C + 24) * FLT_EPSILON / 2 * size[i];
        CHECK_MSG(fabs(got - exact[i]) <= bound, "%zu to %zu channels, %s: %g, exactly %g +- %g",
                  s->I, s->O, turned ? "turned" : "forward", got, exact[i], bound);
    }
}

static void check_pass(const float *dst, const float *src, const float *w, const struct shape *s,
                       int turned)
{
    size_t outs = turned ? s->I : s->O;

    for (size_t n = 0; n < s->B; n += s->B - 1 ? s->B - 1 : 1)
        for (size_t o = 0; o < outs; o += outs > 8 ? outs / 4 - 1 : 1)
            for (long y = 0; y < (long)s->H; y += 4)
                for (long x = 0; x < (long)s->W; x += 4)
                    check_tile(dst, src, w, s, turned, n, o, y, x);
}

static void check_gradient(const float *d_w, const float *src, const float *d_dst,
                           const struct shape *s, size_t o, size_t i)
{
    struct moco_image in = image_of(s, s->I), out = image_of(s, s->O);
    double m[36] = { 0 }, v[36], y[36], size[9], exact[9] = { 0 };

    for (size_t n = 0; n < s->B; n++) {
        for (long ty = 0; ty < (long)s->H; ty += 4)
            for (long tx = 0; tx < (long)s->W; tx += 4) {
                tile_size(v, src, &in, n, i, ty - 1, tx - 1, 6);
                tile_size(y, d_dst, &out, n, o, ty, tx, 4);
                for (size_t p = 0; p < P; p++)
                    m[p] += v[p] * y[p];
            }
        for (long k = 0; k < 9; k++)
            for (long at = 0; at < (long)(s->H * s->W); at++)
                exact[k] += pixel(d_dst, &out, n, o, at / (long)s->W, at % (long)s->W) *
                            pixel(src, &in, n, i, at / (long)s->W + k / 3 - 1,
                                  at % (long)s->W + k % 3 - 1);
    }
    sandwich(size, 3, transform_w[0], 1, 3, m, 6);
    for (size_t k = 0; k < 9; k++) {
        double got = d_w[(o * s->I + i) * 9 + k];
        double bound = ((double)tiles_of(s) + 32) * FLT_EPSILON / 2 * size[k];
        CHECK_MSG(fabs(got - exact[k]) <= bound, "%zu to %zu channels, d_w: %g, exactly %g +- %g",
                  s->I, s->O, got, exact[k], bound);
    }
}

/* ---- ---- */

/* The results of one level, in the order dst, d_src, d_w. */
struct results {
    float *at[3];
    size_t count[3];
};

static struct results run_level(const struct moco_simd *t, const struct shape *s, const float *src,
                                const float *d_dst, const float *w)
{
    struct moco_image in = image_of(s, s->I), out = image_of(s, s->O);
    struct results r = { .count = { floats_of(s, &out), floats_of(s, &in), s->O * s->I * 9 } };

    for (int i = 0; i < 3; i++)
        r.at[i] = flush(r.count[i]);
    pass(t, r.at[0], src, w, s, 0);
    pass(t, r.at[1], d_dst, w, s, 1);
    gradient(t, r.at[2], src, d_dst, s);
    return r;
}

static int same_bytes(const struct results *a, const struct results *b)
{
    int same = 1;

    for (int i = 0; i < 3; i++)
        same &= !memcmp(a->at[i], b->at[i], a->count[i] * sizeof(float));
    return same;
}

static void mutant_product(float *m, const float *v, const float *u, size_t T, size_t C,
                           size_t width)
{
    ref.winograd_product(m, v, u, T - 1, C, width);
}

static void check_shape(const struct shape *s)
{
    static const enum moco_level levels[] = { MOCO_LEVEL_NEON, MOCO_LEVEL_AVX2,
                                              MOCO_LEVEL_AVX512 };
    float *src = random_image(s, s->I), *d_dst = random_image(s, s->O);
    float *w = random_weights(s->O * s->I * 9);
    struct results want = run_level(&ref, s, src, d_dst, w), got;
    struct moco_simd t = ref;

    check_pass(want.at[0], src, w, s, 0);
    check_pass(want.at[1], d_dst, w, s, 1);
    for (size_t o = 0; o < s->O; o += s->O > 8 ? s->O / 4 - 1 : 1)
        for (size_t i = 0; i < s->I; i += s->I > 8 ? s->I / 4 - 1 : 1)
            check_gradient(want.at[2], src, d_dst, s, o, i);
    t.winograd_product = mutant_product;
    got = run_level(&t, s, src, d_dst, w);
    CHECK_MSG(!same_bytes(&got, &want), "a product without its last row was not noticed");
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (moco_simd_at(&t, levels[i]))
            continue;
        got = run_level(&t, s, src, d_dst, w);
        CHECK_MSG(same_bytes(&got, &want), "%s: %zu to %zu channels, %zu x %zu, differs from ref",
                  t.name, s->I, s->O, s->H, s->W);
    }
}

int main(int argc, char **argv)
{
    state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    printf("checkwinograd: seed %llu\n", (unsigned long long)state);
    moco_simd_at(&ref, MOCO_LEVEL_REF);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_shape(&shapes[i]);
    return check_summary("checkwinograd");
}
