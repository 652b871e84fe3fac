/* machine.c: the best of a few short runs; see machine.h. */
#include "engine/run/machine.h"

#include <omp.h>

#include "engine/base/arena.h"
#include "engine/base/clock.h"

enum { RUNS = 7, TRIAD = 32 << 20 };

/* Winograd's register tiles on operands that stay in L1: nothing here is nearer to the peak. */
enum { T = 24, C = 64, ROUNDS = 2000, WIDTH_MAX = 64 };

static double flops_of_run(const struct moco_simd *simd)
{
    double start = clock_seconds();
#pragma omp parallel
    {
        _Alignas(64) float v[T * C] = { 1 }, u[C * WIDTH_MAX] = { 1 }, m[T * WIDTH_MAX];
        for (int round = 0; round < ROUNDS; round++)
            simd->winograd_product(m, v, u, T, C, simd->winograd_width);
    }
    return 2.0 * T * C * (double)simd->winograd_width * ROUNDS * omp_get_max_threads() /
           (clock_seconds() - start);
}

double machine_peak_flops(const struct moco_simd *simd)
{
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        double rate = flops_of_run(simd);
        best = rate > best ? rate : best;
    }
    return best;
}

static double triad_bytes(float *a, const float *b)
{
    double start = clock_seconds();
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < TRIAD; i++)
        a[i] += 0.5f * b[i];
    return 3.0 * sizeof *a * TRIAD / (clock_seconds() - start);
}

/* In an arena, as the arrays of a run are: with huge pages where the system has them. */
double machine_triad_bytes(void)
{
    double best = 0;
    struct arena arena;
    if (arena_open(&arena, 2 * TRIAD * sizeof(float), "the triad's arrays"))
        return 0;
    float *a = arena_take(&arena, TRIAD * sizeof *a), *b = arena_take(&arena, TRIAD * sizeof *b);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < TRIAD; i++)
        a[i] = b[i] = 1.0f;
    for (int run = 0; run < RUNS; run++) {
        double rate = triad_bytes(a, b);
        best = rate > best ? rate : best;
    }
    arena_close(&arena);
    return best;
}
