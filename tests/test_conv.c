/* test_conv.c: our convolutions, Winograd's of 3x3 and direct ones of any size, give the same bytes
 * at every level, whatever the lanes of a block and the width of a product, and, but for the weight
 * gradient of small Winograd layers, for any number of threads, on float and on bfloat16
 * activations. What they give, and what comes of plain images of 1 to 33 channels whoever computes,
 * is what loops in double give. Convolutions of bfloat16 by the library, with the CPU's
 * instructions or in float on copies, are those of float on rounded operands, rounded once. Results
 * are compared by channel and pixel, without the padding. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/net/conv_impl.h"
#include "tests/check.h"
#include "tests/levels.h"

enum { DST, D_SRC, D_W, RESULTS, THREADS = 3 };

/* (B, C, H, W) and (OC, IC, 3, 3) in canonical order. */
struct results {
    float *at[RESULTS];
    size_t count[RESULTS];
};

static void *room(size_t floats)
{
    void *p;

    if (posix_memalign(&p, 64, (floats + 16) * sizeof(float)))
        abort();
    return memset(p, 0, floats * sizeof(float));
}

/* Numbers in -1..1 that only depend on where they are. */
static float value(size_t i)
{
    return (float)((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f;
}

struct blocks {
    size_t B, C, pixels, lanes;
};

static size_t blocked(const struct blocks *s)
{
    return s->B * ((s->C + s->lanes - 1) / s->lanes * s->lanes) * s->pixels;
}

/* Where value i of the canonical order stands. */
static size_t place(const struct blocks *s, size_t i)
{
    size_t n = i / (s->C * s->pixels), c = i / s->pixels % s->C, at = i % s->pixels;
    size_t per = (s->C + s->lanes - 1) / s->lanes;

    return ((n * per + c / s->lanes) * s->pixels + at) * s->lanes + c % s->lanes;
}

/* The values of an image as they are, or as the nearest bfloat16 numbers are. */
static float *image(const struct blocks *s, const struct moco_simd *simd, int rounded)
{
    size_t n = blocked(s);
    float *p = room(n);
    moco_bf16 *half = room(n);

    for (size_t i = 0; i < s->B * s->C * s->pixels; i++)
        p[place(s, i)] = value(i);
    if (rounded) {
        simd->narrow(half, p, n);
        simd->widen(p, half, n);
    }
    free(half);
    return p;
}

/* Floats in the numbers of a shape, in place. */
static void *as_numbers(float *p, size_t n, enum moco_number number, const struct moco_simd *simd)
{
    moco_bf16 *half;

    if (number == MOCO_FP32)
        return p;
    half = room(n);
    simd->narrow(half, p, n);
    free(p);
    return half;
}

/* A blocked array becomes canonical, and float. */
static float *unblock(void *numbers, const struct blocks *s, size_t *count,
                      enum moco_number number, const struct moco_simd *simd)
{
    float *out = room(*count = s->B * s->C * s->pixels), *p = numbers;

    if (number == MOCO_BF16) {
        p = room(blocked(s));
        simd->widen(p, numbers, blocked(s));
        free(numbers);
    }
    for (size_t i = 0; i < *count; i++)
        out[i] = p[place(s, i)];
    free(p);
    return out;
}

/* rounded: operands are bfloat16 numbers, whatever they are stored as. */
static void run(struct results *r, struct conv_shape shape, const struct moco_simd *simd,
                int rounded)
{
    size_t B = (size_t)shape.B, taps = (size_t)(shape.kernel * shape.kernel);
    size_t n = (size_t)shape.IC * (size_t)shape.OC * taps, lanes = shape.lanes = simd->lanes;
    enum moco_number number = shape.number, plain = shape.src_plain ? MOCO_FP32 : number;
    struct blocks in = {B, (size_t)shape.IC, (size_t)(shape.H * shape.W),
                        shape.src_plain ? 1 : lanes};
    struct blocks out = {B, (size_t)shape.OC, (size_t)(shape.OH * shape.OW), lanes};
    struct blocks weights = {1, 1, n, 1};
    void *src = as_numbers(image(&in, simd, rounded), blocked(&in), plain, simd);
    void *d_dst = as_numbers(image(&out, simd, rounded), blocked(&out), number, simd);
    void *dst = room(blocked(&out)), *d_src = room(blocked(&in));
    float *w = image(&weights, simd, rounded), *d_w = room(n);
    struct conv *conv;

    if (conv_open(&conv, &shape, simd, "test"))
        abort();
    void *scratch = room(conv_scratch_bytes(conv) / sizeof(float));
    CHECK(!conv_forward(conv, dst, src, w, scratch));
    CHECK(shape.src_plain || !conv_backward_data(conv, d_src, d_dst, w, scratch));
    CHECK(!conv_backward_weights(conv, d_w, src, d_dst, scratch));
    conv_close(&conv);
    r->at[DST] = unblock(dst, &out, &r->count[DST], number, simd);
    r->at[D_SRC] = unblock(d_src, &in, &r->count[D_SRC], plain, simd);
    r->at[D_W] = d_w;
    r->count[D_W] = n;
    free(src);
    free(d_dst);
    free(w);
    free(scratch);
}

static void drop(struct results *r)
{
    for (int i = 0; i < RESULTS; i++)
        free(r->at[i]);
}

static int same(const struct results *a, const struct results *b, int i)
{
    return !memcmp(a->at[i], b->at[i], a->count[i] * sizeof(float));
}

/* Winograd's layers with more weights than this deal out points instead of private sums. */
static int private_sums(const struct conv_shape *s)
{
    return s->policy == CONV_OWN && s->kernel == 3 &&
           (s->IC + 15) / 16 * ((s->OC + 15) / 16) <= 4 * 4;
}

static void check_shape(const struct conv_shape *s, const struct moco_simd *tables, size_t count)
{
    static const char *const names[] = {"dst", "d_src", "d_w"};
    struct results first, want, got;

    for (int threads = 1; threads <= THREADS; threads++) {
        omp_set_num_threads(threads);
        run(&want, *s, &tables[0], 0);
        if (threads == 1)
            first = want;
        for (int i = 0; i < RESULTS; i++)
            CHECK_MSG(same(&want, &first, i) || (i == D_W && private_sums(s)),
                      "%d to %d channels: %s differs with %d threads", s->IC, s->OC, names[i],
                      threads);
        for (size_t t = 1; t < count; t++) {
            run(&got, *s, &tables[t], 0);
            for (int i = 0; i < RESULTS; i++)
                CHECK_MSG(same(&got, &want, i), "%d to %d channels, %dx%d / %d, number %d, %d "
                          "threads: %s of %s is not ref's", s->IC, s->OC, s->kernel, s->kernel,
                          s->stride, (int)s->number, threads, names[i], tables[t].name);
            drop(&got);
        }
        if (threads > 1)
            drop(&want);
    }
    drop(&first);
}

/* The largest distance, in what rounding to bfloat16 may cost and a little for the order of sums;
 * where the results are float, in 2^-16 of the largest number. */
static double distance(const float *got, const float *want, size_t n, int is_float)
{
    double most = 0, size = 0;

    for (size_t i = 0; i < n; i++)
        size = fabs((double)want[i]) > size ? fabs((double)want[i]) : size;
    for (size_t i = 0; i < n; i++) {
        double place = is_float ? size / 65536 : fabs((double)want[i]) / 256 + size / 65536;
        double off = fabs((double)got[i] - (double)want[i]);

        if (!(off <= most * place))
            most = off / place;
    }
    return n && size == 0 ? 99 : most;
}

static void check_library(const struct conv_shape *s, const struct moco_simd *tables, size_t count)
{
    static const char *const names[] = {"dst", "d_src", "d_w"};
    struct conv_shape half = *s;
    struct results want, got;

    half.number = MOCO_BF16;
    for (size_t t = 0; t < count; t++) {
        run(&want, *s, &tables[t], 1);
        run(&got, half, &tables[t], 0);
        for (int i = 0; i < RESULTS; i++) {
            double off = i == D_SRC && s->src_plain
                             ? 0 : distance(got.at[i], want.at[i], want.count[i], i == D_W);

            CHECK_MSG(off <= 1.01, "%d to %d channels, %dx%d / %d, %s: %s is off by %g places",
                      s->IC, s->OC, s->kernel, s->kernel, s->stride, tables[t].name, names[i], off);
        }
        drop(&want);
        drop(&got);
    }
}

static void test_library(const struct moco_simd *tables, size_t count)
{
    static const struct conv_shape shapes[] = {
        {3, 3, 16, 15, 15, 8, 8, 7, 2, 3, 0, 1, CONV_ONEDNN, MOCO_FP32},
        {3, 3, 32, 9, 9, 9, 9, 3, 1, 1, 0, 1, CONV_ONEDNN, MOCO_FP32},
        {3, 5, 16, 15, 15, 8, 8, 7, 2, 3, 0, 1, CONV_DIRECT, MOCO_FP32},
        {3, 20, 32, 9, 9, 9, 9, 3, 1, 1, 0, 1, CONV_ONEDNN, MOCO_FP32},
        {3, 32, 48, 7, 7, 7, 7, 1, 1, 0, 0, 0, CONV_ONEDNN, MOCO_FP32},
        {3, 32, 64, 9, 9, 5, 5, 1, 2, 0, 0, 0, CONV_ONEDNN, MOCO_FP32},
        {3, 32, 32, 9, 9, 9, 9, 3, 1, 1, 0, 0, CONV_DIRECT, MOCO_FP32},
        {3, 16, 32, 9, 9, 5, 5, 3, 2, 1, 0, 0, CONV_ONEDNN, MOCO_FP32},
        {3, 24, 20, 9, 9, 9, 9, 3, 1, 1, 0, 0, CONV_DIRECT, MOCO_FP32},
    };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_library(&shapes[i], tables, count);
}

/* ---- against double ---- */

/* What an operand's number is worth. */
static double operand(size_t i, int rounded, const struct moco_simd *simd)
{
    float x = value(i);
    moco_bf16 half;

    if (rounded) {
        simd->narrow(&half, &x, 1);
        simd->widen(&x, &half, 1);
    }
    return (double)x;
}

/* One number of dst, and what it gives to d_src and d_w, in double. */
static void one_output(double *const at[RESULTS], const struct conv_shape *s, size_t index,
                       const struct moco_simd *simd)
{
    int x = (int)(index % (size_t)s->OW), y = (int)(index / (size_t)s->OW % (size_t)s->OH);
    size_t plane = (size_t)(s->OH * s->OW), taps = (size_t)(s->kernel * s->kernel);
    size_t o = index / plane % (size_t)s->OC, b = index / plane / (size_t)s->OC;
    int half = s->number == MOCO_BF16;
    double gradient = operand(index, half, simd);

    for (size_t i = 0; i < (size_t)s->IC * taps; i++) {
        int v = y * s->stride - s->pad + (int)(i % taps) / s->kernel;
        int u = x * s->stride - s->pad + (int)(i % taps) % s->kernel;
        size_t channel = b * (size_t)s->IC + i / taps, w = o * (size_t)s->IC * taps + i;
        if (v < 0 || v >= s->H || u < 0 || u >= s->W)
            continue;
        size_t pixel = (channel * (size_t)s->H + (size_t)v) * (size_t)s->W + (size_t)u;
        at[DST][index] += operand(pixel, half, simd) * (double)value(w);
        at[D_W][w] += operand(pixel, half, simd) * gradient;
        at[D_SRC][pixel] += gradient * (double)value(w);
    }
}

static double worst(const float *got, const double *want, size_t n)
{
    double off = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        off = fmax(off, fabs((double)got[i] - want[i]));
        size = fmax(size, fabs(want[i]));
    }
    return size > 0 ? off / size : 99;
}

static void check_exact(const struct conv_shape *s, const struct moco_simd *simd)
{
    static const char *const names[] = {"dst", "d_src", "d_w"};
    struct results got;
    double *want[RESULTS];
    run(&got, *s, simd, 0);
    for (int i = 0; i < RESULTS; i++)
        if (!(want[i] = calloc(got.count[i], sizeof *want[i])))
            abort();
    for (size_t i = 0; i < got.count[DST]; i++)
        one_output(want, s, i, simd);
    for (int i = 0; i < RESULTS; i++) {
        double most = s->number == MOCO_BF16 && i != D_W ? 1.0 / 256 : 3e-5;
        double off = i == D_SRC && s->src_plain ? 0 : worst(got.at[i], want[i], got.count[i]);
        CHECK_MSG(off < most, "%d to %d channels, %dx%d / %d, policy %d, number %d, %s: %s is off "
                  "by %g", s->IC, s->OC, s->kernel, s->kernel, s->stride, (int)s->policy,
                  (int)s->number, simd->name, names[i], off);
        free(want[i]);
    }
    drop(&got);
}

static int here(enum conv_policy policy)
{
    return CONV_HAS_ONEDNN || policy != CONV_ONEDNN;
}

/* Stems on plain images of any number of channels. */
static void test_stems(const struct moco_simd *tables, size_t count)
{
    static const int channels[] = {1, 3, 4, 13, 33};
    static const enum conv_policy policies[] = {CONV_AUTO, CONV_OWN, CONV_ONEDNN, CONV_DIRECT};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (size_t p = 0; p < 4; p++)
            for (size_t t = 0; t < count && here(policies[p]); t++) {
                struct conv_shape small = {2, channels[i], 10, 9, 9, 9, 9, 3, 1, 1, 0, 1,
                                           policies[p], MOCO_FP32};
                struct conv_shape large = {2, channels[i], 10, 15, 15, 8, 8, 7, 2, 3, 0, 1,
                                           policies[p], MOCO_FP32};
                check_exact(&small, &tables[t]);
                check_exact(&large, &tables[t]);
            }
}

/* Direct convolutions: of the networks' sizes, of 5x5 on any sides, and of few pixels; with rows
 * that are cut between taps and between channels. */
static void test_direct(const struct moco_simd *tables, size_t count)
{
    static const struct conv_shape shapes[] = {
        {3, 24, 40, 13, 11, 13, 11, 1, 1, 0, 0, 0, CONV_OWN, MOCO_FP32},
        {2, 272, 72, 5, 7, 5, 7, 1, 1, 0, 0, 0, CONV_OWN, MOCO_FP32},
        {3, 16, 24, 13, 8, 7, 4, 1, 2, 0, 0, 0, CONV_OWN, MOCO_FP32},
        {1, 10, 280, 3, 1, 2, 1, 1, 2, 0, 0, 0, CONV_OWN, MOCO_FP32},
        {2, 12, 20, 15, 18, 8, 9, 7, 2, 3, 0, 0, CONV_OWN, MOCO_FP32},
        {2, 33, 17, 7, 9, 7, 9, 5, 1, 2, 0, 0, CONV_OWN, MOCO_FP32},
        {2, 40, 9, 10, 7, 5, 4, 5, 2, 2, 0, 0, CONV_OWN, MOCO_FP32},
        {2, 3, 20, 15, 18, 8, 9, 7, 2, 3, 0, 1, CONV_OWN, MOCO_FP32},
        {2, 20, 24, 7, 6, 7, 6, 3, 1, 1, 0, 0, CONV_OWN_DIRECT, MOCO_FP32},
        {2, 20, 24, 7, 6, 4, 3, 3, 2, 1, 0, 0, CONV_OWN_DIRECT, MOCO_FP32},
    };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (enum moco_number number = 0; number < MOCO_NUMBERS; number++) {
            struct conv_shape s = shapes[i];
            s.number = number;
            check_shape(&s, tables, count);
            check_exact(&s, &tables[0]);
        }
}

/* Nothing is left to the library where our own kernels are asked for, nor in a build without it. */
static void test_choice(const struct moco_simd *simd)
{
    struct conv_shape s = {2, 16, 16, 8, 8, 8, 8, 1, 1, 0, simd->lanes, 0, CONV_OWN, MOCO_FP32};
    struct conv *conv;
    for (int kernel = 1; kernel <= 3; kernel += 2)
        for (int i = 0; i < 3; i++) {
            s.kernel = kernel;
            s.pad = kernel / 2;
            CHECK(!conv_open(&conv, &s, simd, "test"));
            CHECK(!strcmp(conv_kind(conv, (enum conv_direction)i),
                          kernel == 3 ? "own" : "direct"));
            conv_close(&conv);
        }
    s.policy = CONV_ONEDNN;
    CHECK(conv_open(&conv, &s, simd, "test") == (CONV_HAS_ONEDNN ? MOCO_OK : MOCO_EUNSUPPORTED));
    CHECK(CONV_HAS_ONEDNN || strstr(error_text(), "without"));
    conv_close(&conv);
}

int main(void)
{
    static const int channels[][2] = {{8, 8}, {24, 20}, {40, 40}, {136, 72}};
    struct moco_simd tables[TABLES_MAX];
    size_t count = all_tables(tables);

    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (int stride = 1; stride <= 2; stride++) {
            int side = 13 * stride, out = 13;
            struct conv_shape shape = {4, channels[i][0], channels[i][1], side, side, out, out, 3,
                                       stride, 1, 0, 0, CONV_OWN, MOCO_FP32};

            check_shape(&shape, tables, count);
            shape.number = MOCO_BF16;
            check_shape(&shape, tables, count);
        }
    test_direct(tables, count);
    test_choice(&tables[0]);
    if (CONV_HAS_ONEDNN)
        test_library(tables, count);
    test_stems(tables, count);
    return check_summary("conv");
}
