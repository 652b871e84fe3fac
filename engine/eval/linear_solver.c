/* linear_solver.c: weights by L-BFGS, and the choice of l2 on held-out rows; see linear.h.
 *
 * The path runs from strong to weak, each fit beginning where the one before ended, and ends once
 * two fits in a row have left more loss on the held-out rows than the best. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/watch.h"
#include "engine/eval/lbfgs.h"
#include "engine/eval/linear_fit.h"

enum { ITERATIONS = 2000 };

/* Of the gradient's norm, as a share of that at zero weights: along the path, and at the end. */
static const double roughly = 1e-3, closely = 3e-5;

/* l2 falls from 1000 to 1e-6 in half decades. */
enum { PATH = 19 };

static double path_l2(int i)
{
    return pow(10.0, 3.0 - 0.5 * i);
}

static double gradient_at_zero(struct logistic *p, float *room, const float *zeros)
{
    double value, sum = 0.0;
    size_t n = p->classes * p->wide;
    (void)logistic_value(p, &value, room, zeros);
    for (size_t i = 0; i < n; i++)
        sum += (double)room[i] * room[i];
    return sqrt(sum);
}

/* Mean -log p of the rows first..last-1, without the penalty. */
static double loss_of(struct logistic *p, const struct rows *train, size_t first, size_t last,
                      const float *w, float *room)
{
    double value, l2 = p->l2;
    p->x = train->x + first * train->wide;
    p->y = train->y + first;
    p->n = last - first;
    p->l2 = 0.0;
    (void)logistic_value(p, &value, room, w);
    p->l2 = l2;
    return value;
}

static void take_rows(struct logistic *p, const struct rows *train, size_t n)
{
    p->x = train->x;
    p->y = train->y;
    p->n = n;
}

/* w ends at the best fit of the path. room: (2, classes, wide); the first half holds zeros. */
static int choose(double *l2, float *w, struct logistic *p, const struct rows *train, float *room)
{
    struct lbfgs_result fit;
    size_t n = p->classes * p->wide, fitted = train->n - train->held;
    float *best = malloc(n * sizeof *best), *spare = room + n;
    double least = INFINITY, first;
    int err = best ? MOCO_OK : error_memory("weights", n * sizeof *best);
    take_rows(p, train, fitted);
    first = err ? 0.0 : gradient_at_zero(p, spare, room);
    for (int i = 0, worse = 0; i < PATH && worse < 2 && !err; i++) {
        take_rows(p, train, fitted);
        p->l2 = path_l2(i);
        watch_part("linear, solver", "fits at most", 0, PATH + 1);
        err = watch_step((size_t)i);
        if (!err)
            err = lbfgs_minimise(&fit, w, n, roughly * first, ITERATIONS, logistic_value, p);
        double loss = err ? NAN : loss_of(p, train, fitted, train->n, w, spare);
        worse = loss < least ? 0 : worse + 1;
        if (!(loss < least))
            continue;
        least = loss;
        *l2 = p->l2;
        memcpy(best, w, n * sizeof *w);
    }
    if (!err)
        memcpy(w, best, n * sizeof *w);
    free(best);
    return err;
}

static int solve(float *w, struct linear_result *out, struct logistic *p, const struct rows *train,
                 double l2, float *room)
{
    struct lbfgs_result fit = {0};
    int err = MOCO_OK;
    if (l2 < 0.0)
        err = train->held ? choose(&l2, w, p, train, room)
                          : error_set(MOCO_EARG, "l2 can not be chosen: no class has five training "
                                      "images; give --l2");
    if (err)
        return err;
    take_rows(p, train, train->n);
    double first = gradient_at_zero(p, room + p->classes * p->wide, room);
    p->l2 = l2;
    err = watch_step(PATH);
    if (!err)
        err = lbfgs_minimise(&fit, w, p->classes * p->wide, closely * first, ITERATIONS,
                         logistic_value, p);
    out->l2 = l2;
    out->loss = fit.value;
    out->gradient = first > 0.0 ? fit.gradient / first : 0.0;
    out->iterations = fit.iterations;
    out->converged = fit.converged;
    return err;
}

int linear_solve(float *w, struct linear_result *out, const struct rows *train, double l2,
                 const struct moco_simd *simd)
{
    struct logistic p;
    size_t n = train->classes * train->wide;
    float *room = calloc(2 * n, sizeof *room);
    if (!room)
        return error_memory("weights", 2 * n * sizeof *room);
    int err = logistic_open(&p, train->n, train->D, train->classes, simd);
    if (!err) {
        err = solve(w, out, &p, train, l2, room);
        logistic_close(&p);
    }
    free(room);
    return err;
}
