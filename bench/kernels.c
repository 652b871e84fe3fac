/* kernels.c: the kernels of simd/ at the sizes that training meets, for every level.
 *
 * Each kernel works on one thread; here, as in the engine, the rows, planes or pieces are shared
 * out among the OpenMP team. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/eval/knn.h"
#include "engine/net/program.h"

enum { PIECE = 1 << 14, PARAMETERS = 25557032 };

/* Whatever a kernel needs; unused ones are NULL. */
struct data {
    float *a, *b, *c, *d, *e, *f, *g, *scratch;
    int32_t *labels;
    size_t stride; /* of the threads' scratch */
};

static struct data *data_of(struct bench *b)
{
    return b->state = calloc(1, sizeof(struct data));
}

static void data_close(struct bench *b)
{
    struct data *x = b->state;
    float *all[] = { x->a, x->b, x->c, x->d, x->e, x->f, x->g, x->scratch };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(x->labels);
    free(x);
}

static size_t share(size_t n, size_t thread, size_t team)
{
    return n * thread / team;
}

/* ---- (N, K, C): queries against a dictionary ---- */

static int queue_open(struct bench *b)
{
    struct data *x = data_of(b);
    size_t N = b->size[0], K = b->size[1], C = b->size[2];
    x->a = bench_unit_rows(N, C);
    x->b = bench_unit_rows(K, C);
    x->c = bench_unit_rows(N, C);
    x->d = bench_numbers(N * C);
    x->e = bench_numbers(2 * N);
    x->stride = (moco_infonce_scratch(C) + 15) / 16 * 16;
    x->scratch = bench_numbers(x->stride * (size_t)omp_get_max_threads());
    return 0;
}

static void infonce_run(struct bench *b)
{
    struct data *x = b->state;
    size_t N = b->size[0], C = b->size[2];
#pragma omp parallel
    {
        size_t me = (size_t)omp_get_thread_num(), team = (size_t)omp_get_num_threads();
        size_t first = share(N, me, team), n = share(N, me + 1, team) - first;
        if (n)
            b->simd.infonce(x->e + first, x->e + N + first, x->d + first * C, x->a + first * C,
                            x->c + first * C, x->b, NULL, NULL, n, b->size[1], C, 0.07f,
                            x->scratch + me * x->stride);
    }
}

static int logits_open(struct bench *b)
{
    queue_open(b);
    ((struct data *)b->state)->f = bench_numbers(b->size[0] * b->size[1]);
    return 0;
}

static void logits_run(struct bench *b)
{
    struct data *x = b->state;
    size_t N = b->size[0], K = b->size[1], C = b->size[2];
#pragma omp parallel
    {
        size_t me = (size_t)omp_get_thread_num(), team = (size_t)omp_get_num_threads();
        size_t first = share(N, me, team), n = share(N, me + 1, team) - first;
        b->simd.logits(x->f + first * K, x->a + first * C, x->b, n, K, C);
    }
}

static int softmax_open(struct bench *b)
{
    struct data *x = data_of(b);
    x->a = bench_numbers(b->size[0] * b->size[1]);
    x->b = bench_numbers(b->size[0] * b->size[1]);
    return 0;
}

static void softmax_run(struct bench *b)
{
    struct data *x = b->state;
    size_t K = b->size[1];
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < b->size[0]; i++)
        b->simd.softmax(x->b + i * K, x->a + i * K, 1, K, 0.07f);
}

/* ---- parameters ---- */

static int parameters_open(struct bench *b)
{
    struct data *x = data_of(b);
    x->a = bench_numbers(b->size[0]);
    x->b = bench_numbers(b->size[0]);
    x->c = bench_numbers(b->size[0]);
    x->d = bench_numbers(b->size[0]);
    return 0;
}

enum { EMA, SGD, SGD_EMA };

static void parameters_run(struct bench *b)
{
    struct data *x = b->state;
    size_t n = b->size[0];
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i += PIECE) {
        size_t m = n - i < PIECE ? n - i : PIECE;
        if (b->variant == EMA)
            b->simd.ema(x->a + i, x->b + i, m, 0.999f);
        else if (b->variant == SGD)
            b->simd.sgd(x->a + i, x->b + i, x->c + i, m, 1e-4f, 0.9f, 1e-4f);
        else
            b->simd.sgd_ema(x->a + i, x->b + i, x->d + i, x->c + i, m, 1e-4f, 0.9f, 1e-4f, 0.999f);
    }
}

/* ---- kNN: (queries, training rows, C) ---- */

static int knn_open(struct bench *b)
{
    struct data *x = data_of(b);
    size_t Q = b->size[0], K = b->size[1], C = b->size[2];
    x->a = bench_unit_rows(Q, C);
    x->b = bench_unit_rows(K, C);
    x->labels = malloc((Q + K) * sizeof *x->labels);
    for (size_t i = 0; i < Q + K; i++)
        x->labels[i] = (int32_t)(i % 10);
    return 0;
}

static void knn_run(struct bench *b)
{
    struct data *x = b->state;
    struct knn_config config = { .k = 200, .T = 0.1f, .classes = 10 };
    knn_classify(NULL, x->labels + b->size[1], x->b, x->labels, b->size[1], x->a, b->size[0],
                 b->size[2], &config, &b->simd);
}

/* ---- BatchNorm + addition + ReLU as the engine runs it: (B, C, side) ---- */

/* a: src, b: add or d_src, c: dst, d: d_dst and d_add, e: what a norm keeps and its parameters,
 * g: what the ReLU let through. */
static int bn_open(struct bench *b)
{
    struct data *x = data_of(b);
    size_t C = b->size[1], n = b->size[0] * C * b->size[2] * b->size[2];
    x->a = bench_numbers(n);
    x->b = bench_numbers(n);
    x->c = bench_numbers(n);
    x->d = bench_numbers(n);
    x->e = bench_numbers((NORM_SAVED + 6) * C);
    for (size_t i = C; i < 2 * C; i++)
        x->e[i] = 1.0f; /* inverse deviations, should the backward pass come first */
    x->f = bench_numbers(norm_partial_floats((int)b->size[0], (int)C, b->simd.lanes));
    x->g = bench_numbers(n / 32);
    x->scratch = bench_numbers(norm_coef_floats(1, (int)C, b->simd.lanes));
    return 0;
}

static struct norm_pass bn_pass(const struct bench *b)
{
    struct data *x = b->state;
    return (struct norm_pass){ .kernels = &b->simd.activation[MOCO_FP32],
                               .B = (int)b->size[0], .C = (int)b->size[1],
                               .pixels = (int)(b->size[2] * b->size[2]), .lanes = b->simd.lanes,
                               .splits = 1, .partial = x->f, .coef = x->scratch };
}

static void bn_forward_run(struct bench *b)
{
    struct data *x = b->state;
    struct norm_pass pass = bn_pass(b);
    float *more = x->e + NORM_SAVED * b->size[1];
    size_t C = b->size[1];
    norm_forward(&pass, x->c, (uint8_t *)x->g, x->a, x->b, more, more + C, more + 2 * C,
                 more + 3 * C, x->e, 1, NET_TRAIN);
}

static void bn_backward_run(struct bench *b)
{
    struct data *x = b->state;
    struct norm_pass pass = bn_pass(b);
    float *more = x->e + NORM_SAVED * b->size[1];
    size_t C = b->size[1];
    norm_backward(&pass, x->b, x->d, more + 4 * C, more + 5 * C, (uint8_t *)x->g, x->a, more, x->e,
                  1);
}

/* ---- ---- */

static void add_all(const struct moco_simd *simd)
{
    const double GIGA = 65536.0 * 256 * 128, P = PARAMETERS;
    const double activations = 128.0 * 64 * 32 * 32 * sizeof(float);
    const struct bench all[] = {
        { .name = "infonce/256/65536/128", .size = { 256, 65536, 128 }, .flops = 4 * GIGA,
          .open = queue_open, .run = infonce_run },
        { .name = "infonce/128/4096/128", .size = { 128, 4096, 128 }, .flops = GIGA / 8,
          .open = queue_open, .run = infonce_run },
        { .name = "logits/256/65536/128", .size = { 256, 65536, 128 }, .flops = 2 * GIGA,
          .open = logits_open, .run = logits_run },
        { .name = "softmax/256/65536", .size = { 256, 65536 }, .bytes = 8.0 * 256 * 65536,
          .open = softmax_open, .run = softmax_run },
        { .name = "ema/25557032", .size = { PARAMETERS }, .bytes = 12 * P, .variant = EMA,
          .open = parameters_open, .run = parameters_run },
        { .name = "sgd/25557032", .size = { PARAMETERS }, .bytes = 20 * P, .variant = SGD,
          .open = parameters_open, .run = parameters_run },
        { .name = "sgd_ema/25557032", .size = { PARAMETERS }, .bytes = 28 * P, .variant = SGD_EMA,
          .open = parameters_open, .run = parameters_run },
        { .name = "knn/2000/50000/128", .size = { 2000, 50000, 128 }, .flops = 2 * 2e3 * 5e4 * 128,
          .open = knn_open, .run = knn_run },
        { .name = "knn/2000/50000/512", .size = { 2000, 50000, 512 }, .flops = 2 * 2e3 * 5e4 * 512,
          .open = knn_open, .run = knn_run },
        { .name = "bn_add_relu_fwd/128/64/32", .size = { 128, 64, 32 }, .bytes = 4 * activations,
          .open = bn_open, .run = bn_forward_run },
        { .name = "bn_add_relu_bwd/128/64/32", .size = { 128, 64, 32 }, .bytes = 8 * activations,
          .open = bn_open, .run = bn_backward_run },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct bench b = all[i];
        b.simd = *simd;
        b.close = data_close;
        if (!bench_too_slow(&b))
            bench_add(&b, simd->name);
    }
}

void bench_kernels(const struct moco_simd *levels, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_all(&levels[i]);
}
