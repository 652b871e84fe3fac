/* knn_scan.h: the first half of knn.c: which training rows are nearest to each test row. A task is
 * what both halves know, a bench what a thread works in. */
#ifndef MOCO_ENGINE_EVAL_KNN_SCAN_H
#define MOCO_ENGINE_EVAL_KNN_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "simd/simd.h"

struct knn_task {
    float *scores;              /* (n_test, classes) or NULL */
    int32_t *predicted;         /* (n_test) */
    const float *train, *test;  /* (n_train, D), (n_test, D) */
    const int32_t *labels;      /* (n_train) */
    size_t n_train, n_test, D;
    size_t k, room, classes;
    size_t groups, rows, parts; /* groups at a time; test rows of each; parts of training rows */
    size_t rank;                /* in the sample, of a provisional floor; 0: there is no sample */
    size_t again;               /* test rows at a time that are scanned again */
    double T;
    int threads;
    int *stopped;               /* of watch_all() */
    const struct moco_simd *simd;
};

/* `order` rises as the similarity falls. */
struct knn_neighbour {
    uint32_t order;
    int32_t label;
    float s;
};

struct knn_bench {
    struct moco_knn best;       /* (rows, room) */
    struct moco_knn sample;     /* (rows, more than rank), if there is one, */
    uint32_t *joined;           /* (rows) how many of that have joined best */
    struct moco_knn again;      /* (again, room) of test rows that it misled, */
    float *rows;                /* (again, D) the rows themselves */
    float *scratch;             /* of knn_scan */
    struct knn_neighbour *ranked; /* (2, k) */
    double *votes;              /* (classes) */
};

/* What follows from sizes, k and threads: room, groups, rows, parts, rank and again. */
void knn_divide(struct knn_task *t);

/* A bench out of an arena, and its bytes. */
size_t knn_bench_bytes(const struct knn_task *t);
struct knn_bench knn_bench_take(struct arena *arena, const struct knn_task *t);

/* One group's lists of one part of the training rows, for `rows` test rows from `first` on. */
void knn_scan_part(const struct knn_task *t, const struct knn_bench *b, size_t first, size_t rows,
                   size_t part);

/* The lists of the later parts of test row `row` join the first one's, which is cut to k. */
void knn_merge(const struct knn_task *t, const struct knn_bench *parts, size_t row);

static inline size_t knn_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t knn_most(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
