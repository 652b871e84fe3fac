/* losses.c: the kernels of the other methods, and normalising: rows shared out among the team.
 *
 * The bank of NCE and of the sampled softmax is larger than the caches (64 MiB), and each query
 * gathers its own rows of it, so these lines show what random access leaves of the peak. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"

enum { BANK = 1 << 17 };

struct rows {
    float *a, *b, *d_a, *d_b; /* (B, D) */
    float *bank;              /* (BANK, D) */
    float *scores;            /* (B, M) */
    float *loss, *top1;       /* (B) */
    int64_t *own, *index;     /* (B), (B, M) */
    int32_t *different;       /* (B) */
};

/* size: (B, D) or (B, M, D). */
static size_t columns(const struct bench *b)
{
    return b->size[2] ? b->size[2] : b->size[1];
}

static void rows_close(struct bench *b)
{
    struct rows *x = b->state;
    float *all[] = { x->a, x->b, x->d_a, x->d_b, x->bank, x->scores, x->loss, x->top1 };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(x->own);
    free(x->index);
    free(x->different);
    free(x);
}

static int pairs_open(struct bench *b)
{
    struct rows *x = b->state = calloc(1, sizeof *x);
    size_t B = b->size[0], D = columns(b);
    if (!x || !(x->different = calloc(B, sizeof *x->different)))
        return bench_fail("out of memory");
    x->a = bench_unit_rows(B, D);
    x->b = bench_unit_rows(B, D);
    x->d_a = bench_numbers(B * D);
    x->d_b = bench_numbers(B * D);
    x->loss = bench_numbers(B);
    x->top1 = bench_numbers(B);
    for (size_t i = 0; i < B; i++)
        x->different[i] = i & 1;
    return 0;
}

static int gathered_open(struct bench *b)
{
    size_t B = b->size[0], M = b->size[1], D = columns(b);
    if (pairs_open(b))
        return -1;
    struct rows *x = b->state;
    x->bank = bench_unit_rows(BANK, D);
    x->scores = bench_numbers(B * M);
    x->own = malloc(B * sizeof *x->own);
    x->index = malloc(B * M * sizeof *x->index);
    if (!x->own || !x->index)
        return bench_fail("out of memory");
    for (size_t i = 0; i < B; i++)
        x->own[i] = (int64_t)(i * 509 % BANK);
    for (size_t i = 0; i < B * M; i++)
        x->index[i] = (int64_t)((uint32_t)i * 2654435761u >> 15);
    return 0;
}

enum { NORMALISE, NORMALISE_GRAD, MARGIN, GATHER, NCE, SAMPLED };

/* Rows i0..i0+n-1. T and the constants of NCE are those of instance discrimination. */
static void piece(struct bench *b, size_t i0, size_t n)
{
    struct rows *x = b->state;
    const struct moco_simd *k = &b->simd;
    size_t M = b->size[1], D = columns(b), at = i0 * D, many = i0 * M;
    if (b->variant == NORMALISE)
        k->row_normalise(x->d_a + at, x->loss + i0, x->a + at, n, D);
    else if (b->variant == NORMALISE_GRAD)
        k->row_normalise_grad(x->d_b + at, x->b + at, x->a + at, x->loss + i0, n, D);
    else if (b->variant == MARGIN)
        k->margin(x->loss + i0, x->top1 + i0, x->d_a + at, x->d_b + at, x->a + at, x->b + at,
                  x->different + i0, n, D, 1.0f);
    else if (b->variant == GATHER)
        k->gather_logits(x->scores + many, x->a + at, x->bank, x->index + many, n, M, D);
    else if (b->variant == NCE)
        k->nce(x->loss + i0, x->top1 + i0, x->d_a + at, x->a + at, x->bank, x->own + i0,
               x->index + many, n, M, D, 0.07f, 4.0f);
    else
        k->sampled(x->loss + i0, x->top1 + i0, x->d_a + at, x->a + at, x->bank, x->own + i0,
                   x->index + many, n, M, D, 0.07f, 3.5f);
}

static void rows_run(struct bench *b)
{
#pragma omp parallel
    {
        size_t me = (size_t)omp_get_thread_num(), team = (size_t)omp_get_num_threads();
        size_t first = b->size[0] * me / team, end = b->size[0] * (me + 1) / team;
        if (end > first)
            piece(b, first, end - first);
    }
}

void bench_losses(const struct moco_simd *levels, size_t count)
{
    const double rows = 65536.0 * 128 * sizeof(float), products = 256.0 * 4096 * 128;
    const struct bench all[] = {
        { .name = "row_normalise/65536/128", .size = { 65536, 128 }, .bytes = 2 * rows,
          .variant = NORMALISE, .open = pairs_open },
        { .name = "row_normalise_grad/65536/128", .size = { 65536, 128 }, .bytes = 3 * rows,
          .variant = NORMALISE_GRAD, .open = pairs_open },
        { .name = "margin/65536/128", .size = { 65536, 128 }, .bytes = 4 * rows,
          .variant = MARGIN, .open = pairs_open },
        { .name = "gather_logits/256/4096/128", .size = { 256, 4096, 128 },
          .flops = 2 * products, .variant = GATHER, .open = gathered_open },
        { .name = "nce/256/4096/128", .size = { 256, 4096, 128 }, .flops = 4 * products,
          .variant = NCE, .open = gathered_open },
        { .name = "sampled/256/4096/128", .size = { 256, 4096, 128 }, .flops = 4 * products,
          .variant = SAMPLED, .open = gathered_open },
    };
    for (size_t l = 0; l < count; l++)
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            struct bench b = all[i];
            b.simd = levels[l];
            b.run = rows_run;
            b.close = rows_close;
            if (!bench_too_slow(&b))
                bench_add(&b, b.simd.name);
        }
}
