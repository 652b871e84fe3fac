/* linear.h: a linear classifier on the features of a frozen encoder ("linear probe").
 *
 * Two protocols. LINEAR_SOLVER: features of evaluation views, each column brought to mean 0 and
 * deviation 1 by the training set, multinomial logistic regression (logistic.h) solved by L-BFGS;
 * unless it is given, l2 is the value that leaves the least loss on a fifth of the training set,
 * held out by class. LINEAR_MOCO (He et al. 2019, section 4.1): features of views that are drawn
 * anew each epoch (crop of 0.08 to 1 of the image, flip), SGD with momentum 0.9 and without weight
 * decay, batches of 256, learning rate 30, a tenth of it from 60 and from 80 % of the epochs on.
 * Its rows are brought to unit length, which the authors do not do: 30 suits features of that
 * size, and with others the loss jumps about in the hundreds.
 *
 * The encoder runs on its running statistics; a sum over all its bits before and after proves that
 * nothing in it moved. Equal calls give equal bytes with any number of threads. */
#ifndef MOCO_ENGINE_EVAL_LINEAR_H
#define MOCO_ENGINE_EVAL_LINEAR_H

#include "engine/eval/score.h"

enum linear_protocol { LINEAR_SOLVER, LINEAR_MOCO };

/* "solver" or "moco"; a sentence for another word. */
int linear_protocol_named(enum linear_protocol *out, const char *name);

struct linear_config {
    enum linear_protocol protocol;
    double l2;     /* solver; below 0: chosen */
    int epochs;    /* moco: 100 */
    double lr;     /* moco: 30 */
    uint64_t seed; /* moco: of views, order and first weights */
    void (*progress)(void *user, int epoch, double loss); /* moco: after each; or NULL */
    void *user;
};

struct class_score {
    size_t n, right; /* test images, and those of them that were classified rightly */
};

struct linear_result {
    double top1, top5;   /* percent; top5 is NAN where there are no more than five classes */
    double l2;           /* solver: used */
    double loss;         /* on the training set, at the end; solver: with its penalty */
    double gradient;     /* solver: norm of the gradient as a share of that at the start */
    int iterations;      /* solver: of the last fit */
    int converged;       /* solver: gradient is within the tolerance */
    size_t columns;      /* of the features */
};

/* embed NULL: raw pixels, with LINEAR_SOLVER only. classes: (sets->classes) or NULL. Images that
 * can not be read leave the sets, and sets->why says so. */
int linear_run(struct linear_result *out, struct class_score *classes,
               struct score_sets *sets, const struct embed *embed,
               const struct policy *policy, const struct linear_config *config,
               const struct moco_simd *simd);

#endif
