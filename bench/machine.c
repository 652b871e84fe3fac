/* machine.c: the limits that rates are compared with, measured rather than looked up. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/base/arena.h"
#include "engine/net/encoder.h"
#include "engine/run/machine.h"

enum { TRIAD = 32 << 20, SGEMM = 2048, TRIES = 3 };

static char sentence[200];

int bench_fail(const char *text)
{
    snprintf(sentence, sizeof sentence, "%s", text);
    return -1;
}

const char *bench_failed(void)
{
    return sentence;
}

int bench_too_slow(const struct bench *bench)
{
    return bench->simd.name && strcmp(bench->simd.name, "ref") == 0 && bench->flops > 3e8 &&
           !getenv("MOCO_BENCH_ALL");
}

int bench_threads(void)
{
    return omp_get_max_threads();
}

float *bench_numbers(size_t n)
{
    float *p = aligned_alloc(64, (n * sizeof *p + 63) / 64 * 64);
    if (!p)
        abort(); /* a benchmark program without memory has nothing to report */
    arena_huge_pages(p, n * sizeof *p);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        uint32_t x = (uint32_t)i * 2654435761u;
        x = (x ^ x >> 15) * 2246822519u;
        p[i] = (float)(int32_t)((x ^ x >> 13) & 0xffffff) / (float)(1 << 23) - 1.0f;
    }
    return p;
}

float *bench_unit_rows(size_t rows, size_t D)
{
    struct moco_simd simd;
    float *p = bench_numbers(rows * D), *norms = bench_numbers(rows);
    moco_simd_init(&simd, NULL);
    simd.row_normalise(p, norms, p, rows, D);
    free(norms);
    return p;
}

double bench_peak_flops(void)
{
    static double peak;
    struct moco_simd simd;
    if (peak == 0 && !moco_simd_init(&simd, NULL))
        for (int i = 0; i < TRIES; i++) {
            double rate = machine_peak_flops(&simd);
            peak = rate > peak ? rate : peak;
        }
    return peak;
}

double bench_triad_bytes(void)
{
    static double best;
    if (best == 0)
        for (int i = 0; i < TRIES; i++) {
            double rate = machine_triad_bytes();
            best = rate > best ? rate : best;
        }
    return best;
}

static void triad(float *a, const float *b, size_t n)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++)
        a[i] += 0.5f * b[i];
}

#if defined(__x86_64__)
void bench_auto_avx2(struct moco_simd *out);
void bench_auto_avx512(struct moco_simd *out);

int bench_auto(struct moco_simd *out, const char *level)
{
    if (strcmp(level, "avx2") == 0)
        bench_auto_avx2(out);
    else if (strcmp(level, "avx512") == 0)
        bench_auto_avx512(out);
    else
        return -1;
    return 0;
}
#else
/* The baseline has vectors already: ref is what the compiler makes of it. */
int bench_auto(struct moco_simd *out, const char *level)
{
    (void)out, (void)level;
    return -1;
}
#endif

struct arrays {
    float *a, *b, *c;
};

static int arrays_open(struct bench *bench)
{
    struct arrays *s = calloc(1, sizeof *s);
    size_t n = bench->size[0];
    s->a = bench_numbers(n);
    s->b = bench_numbers(n);
    s->c = bench_numbers(n);
    bench->state = s;
    return 0;
}

static void arrays_close(struct bench *bench)
{
    struct arrays *s = bench->state;
    free(s->a);
    free(s->b);
    free(s->c);
    free(s);
}

static void triad_run(struct bench *bench)
{
    struct arrays *s = bench->state;
    triad(s->a, s->b, bench->size[0]);
}

#ifdef MOCO_ONEDNN
static void sgemm_run(struct bench *bench)
{
    struct arrays *s = bench->state;
    net_sgemm(s->c, s->a, s->b, SGEMM, SGEMM, SGEMM);
}

static void add_sgemm(void)
{
    struct bench g = { .name = "sgemm/2048", .size = { (size_t)SGEMM * SGEMM },
                       .flops = 2.0 * SGEMM * SGEMM * SGEMM, .open = arrays_open,
                       .run = sgemm_run, .close = arrays_close };
    bench_add(&g, NULL);
}
#else
static void add_sgemm(void)
{
}
#endif

void bench_limits(void)
{
    struct bench t = { .name = "triad", .size = { TRIAD }, .bytes = 12.0 * TRIAD,
                       .open = arrays_open, .run = triad_run, .close = arrays_close };
    bench_add(&t, NULL);
    add_sgemm();
}
