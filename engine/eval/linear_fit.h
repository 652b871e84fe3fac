/* linear_fit.h: what the files of the linear probe share; nobody else includes it.
 *
 * linear.c makes rows of features and judges; linear_solver.c and linear_sgd.c find weights. */
#ifndef MOCO_ENGINE_EVAL_LINEAR_FIT_H
#define MOCO_ENGINE_EVAL_LINEAR_FIT_H

#include "engine/eval/linear.h"
#include "engine/eval/logistic.h"

/* Training rows, put in an order in which the last `held` are every fifth of each class. */
struct rows {
    size_t n, held;
    size_t D, wide;  /* features; columns of x: features, a one, zeros */
    size_t classes;  /* that have training images */
    int32_t *number; /* by label: its place among them, -1 where there is none */
    size_t *from;    /* (n) place in side->index */
    int32_t *y;      /* (n) numbers of the classes */
    float *x;        /* (n, wide); NULL with LINEAR_MOCO */
};

/* x: (wide) = a row of D features, (f - mean) scale where those are given. Whether all are
 * finite. */
int linear_row(float *x, const float *f, size_t D, size_t wide, const float *mean,
               const float *scale);

/* The sentence about image `at` of a side where linear_row() failed. */
int linear_refuse(const struct score_side *side, size_t at);

/* w: (classes, wide), zeros before. */
int linear_solve(float *w, struct linear_result *out, const struct rows *train, double l2,
                 const struct moco_simd *simd);
int linear_sgd(float *w, struct linear_result *out, const struct rows *train,
               const struct score_side *side, const struct embed *embed,
               const struct policy *policy, const struct linear_config *config,
               const struct moco_simd *simd);

#endif
