/* bench.h: what a benchmark is, in C; shim.cc hands each to Google Benchmark.
 *
 * A benchmark opens its data, makes one iteration as often as it is asked to, and closes. What an
 * iteration computes and moves stands beside it, so that each line can show GFLOP/s or GB/s and
 * the share of what this machine was measured to reach. Threads: OMP_NUM_THREADS. */
#ifndef MOCO_BENCH_BENCH_H
#define MOCO_BENCH_BENCH_H

#include <stddef.h>

#include "simd/simd.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BENCH_PARTS = 6 };

struct bench {
    char name[96];              /* without the level */
    struct moco_simd simd;      /* kernels to be measured */
    size_t size[4];             /* as the name lists them */
    int variant;                /* the file's own */
    double flops, bytes, items; /* of one iteration; 0: not shown */
    const char *label;          /* printed behind the line, or NULL */
    const char *parts[BENCH_PARTS]; /* of an iteration, for counters in ms; NULL after the last */
    double part_seconds[BENCH_PARTS]; /* run() adds to them */
    int (*open)(struct bench *bench); /* 0, or not 0 with a sentence in bench_failed() */
    void (*run)(struct bench *bench);
    void (*close)(struct bench *bench);
    void *state;
};

/* Takes a copy; the name ends in /level where `simd` has a name. */
void bench_add(const struct bench *bench, const char *level);

/* Why open() refused: one sentence. */
int bench_fail(const char *sentence);
const char *bench_failed(void);

/* Each file registers its rows, for every level from `levels` or for the best one. */
void bench_kernels(const struct moco_simd *levels, size_t count);
void bench_losses(const struct moco_simd *levels, size_t count);
void bench_norm_dnnl(const struct moco_simd *best);
void bench_convolutions(const struct moco_simd *levels, size_t count);
void bench_views(const struct moco_simd *levels, size_t count, const struct moco_simd *best);
void bench_stages(const struct moco_simd *best);

/* jpeg.c: an RGB image, three bytes a pixel, as a JPEG file; 0, or -1. */
int bench_write_jpeg(const char *path, const unsigned char *pixels, int width, int height);

/* machine.c: limits, measured once, on first use, with all threads. */
double bench_peak_flops(void);   /* FMA on registers and L1, per second */
double bench_triad_bytes(void);  /* a += s b in place, per second */
void bench_limits(void);         /* registers `triad` and `sgemm/2048` */
int bench_threads(void);         /* OMP_NUM_THREADS, or all */

/* n floats in [-1, 1), 64-byte aligned, first touched by the threads that will use them. */
float *bench_numbers(size_t n);
/* The same as rows of unit length. */
float *bench_unit_rows(size_t rows, size_t D);

/* Rows of the reference that take many seconds are left out unless MOCO_BENCH_ALL is set. */
int bench_too_slow(const struct bench *bench);

/* auto.c: the reference kernels as the compiler vectorises them for `level`; 0, or -1 where it has
 * none. */
int bench_auto(struct moco_simd *out, const char *level);

#ifdef __cplusplus
}
#endif

#endif
