/* lbfgs.h: minimises a smooth function of many variables.
 *
 * L-BFGS (Nocedal and Wright 2006, algorithms 7.4 and 7.5): the newest MEMORY steps and the changes
 * of the gradient along them stand in for the inverse Hessian. A step's length is found by
 * bisection for the weak Wolfe conditions (Lewis and Overton 2013), which needs no assumption but
 * smoothness. Numbers are floats, sums over them doubles, in one order: the result depends on
 * neither threads nor clock. */
#ifndef MOCO_ENGINE_EVAL_LBFGS_H
#define MOCO_ENGINE_EVAL_LBFGS_H

#include <stddef.h>

/* value and grad(n) at x(n). MOCO_OK or an error, which ends the search. */
typedef int lbfgs_fn(void *user, double *value, float *grad, const float *x);

struct lbfgs_result {
    double value;    /* at the end */
    double gradient; /* its norm there */
    int iterations, evaluations;
    int converged;   /* gradient <= tolerance; 0: out of iterations, or of digits */
};

/* x: (n), the start and then the result: the best point that was seen. tolerance: of the gradient's
 * norm. */
int lbfgs_minimise(struct lbfgs_result *out, float *x, size_t n, double tolerance, int iterations,
                   lbfgs_fn *fn, void *user);

#endif
