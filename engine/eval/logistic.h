/* logistic.h: multinomial logistic regression: its objective, gradient and scores.
 *
 *   f(W) = (1/n) Σ_i -log softmax(W x_i)[y_i]  +  (l2/2) Σ W², the intercepts left out
 *
 * (scikit-learn's LogisticRegression with C = 1 / (l2 n)). Rows are D features, a one for the
 * intercept, and zeros up to whole vectors of the kernels: logistic_columns(D) in all. Rows are
 * summed in pieces whose number follows from the sizes alone, so the bytes do not depend on the
 * number of threads. */
#ifndef MOCO_ENGINE_EVAL_LOGISTIC_H
#define MOCO_ENGINE_EVAL_LOGISTIC_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "simd/simd.h"

struct logistic {
    const float *x;    /* (n, wide); borrowed, may be changed between calls */
    const int32_t *y;  /* (n) in 0..classes-1; the same */
    size_t n;          /* at most the n that it was opened with */
    double l2;
    size_t D, wide, classes;
    const struct moco_simd *simd;
    struct arena arena; /* all below */
    size_t pieces;      /* of the rows */
    float *sums;        /* (pieces, classes, wide) gradients */
    double *losses;     /* (pieces) */
    double *penalties;  /* (classes) */
    float *turned;      /* Wᵀ, a slice of the classes at a time */
    float *scratch;     /* (threads, stride) logits of a block, and of one of its slices */
    size_t stride;
    int threads;
};

/* Columns of X and W for D features. */
size_t logistic_columns(size_t D);

/* Makes room for at most n rows; x, y, n and l2 are the caller's to set. */
int logistic_open(struct logistic *problem, size_t n, size_t D, size_t classes,
                  const struct moco_simd *simd);
void logistic_close(struct logistic *problem);

/* f and its gradient at w; grad, w: (classes, wide). An lbfgs_fn of a struct logistic. */
int logistic_value(void *problem, double *value, float *grad, const float *w);

/* -log softmax(s)[y] of one row of logits; s: (classes) becomes its gradient. */
double logistic_row(float *s, size_t classes, size_t y);

/* scores: (n, classes) = X Wᵀ, for x: (n, wide). */
void logistic_scores(float *scores, const float *x, const float *w, size_t n, size_t wide,
                     size_t classes, const struct moco_simd *simd);

#endif
