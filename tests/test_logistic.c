/* test_logistic.c: what the linear probe solves with. The search on functions with known minima;
 * objective, gradient and the solver's optimum of logistic regression against double arithmetic. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/eval/lbfgs.h"
#include "engine/eval/linear_fit.h"
#include "tests/check.h"

static struct moco_simd simd;

/* ---- the search ---- */

/* Rosenbrock's valley: minimum 0 at (1, 1). */
static int valley(void *user, double *value, float *grad, const float *x)
{
    double a = 1.0 - x[0], b = x[1] - (double)x[0] * x[0];
    ++*(int *)user;
    *value = a * a + 100.0 * b * b;
    grad[0] = (float)(-2.0 * a - 400.0 * x[0] * b);
    grad[1] = (float)(200.0 * b);
    return MOCO_OK;
}

/* Σ i (x_i - i)² / 2 for i = 1..500: condition 500. */
static int bowl(void *user, double *value, float *grad, const float *x)
{
    (void)user;
    *value = 0.0;
    for (int i = 0; i < 500; i++) {
        double off = x[i] - (i + 1.0);
        *value += 0.5 * (i + 1) * off * off;
        grad[i] = (float)((i + 1) * off);
    }
    return MOCO_OK;
}

static int breaks(void *user, double *value, float *grad, const float *x)
{
    (void)value, (void)grad, (void)x;
    return ++*(int *)user < 3 ? bowl(NULL, value, grad, x) : error_set(MOCO_EIO, "broken");
}

static void searches(void)
{
    float x[500] = {-1.2f, 1.0f};
    struct lbfgs_result r;
    int calls = 0;

    CHECK(lbfgs_minimise(&r, x, 2, 1e-4, 200, valley, &calls) == MOCO_OK);
    CHECK_MSG(r.converged && fabsf(x[0] - 1) < 1e-3f && fabsf(x[1] - 1) < 1e-3f, "%g %g after %d",
              (double)x[0], (double)x[1], r.iterations);
    CHECK(calls == r.evaluations && r.iterations > 5 && r.iterations < 100);
    memset(x, 0, sizeof x);
    CHECK(lbfgs_minimise(&r, x, 500, 1e-1, 300, bowl, NULL) == MOCO_OK);
    CHECK_MSG(r.converged && fabsf(x[499] - 500) < 1e-3f && fabsf(x[0] - 1) < 0.2f, "%g %g, %d",
              (double)x[499], (double)x[0], r.iterations);
    memset(x, 0, sizeof x);
    CHECK(lbfgs_minimise(&r, x, 500, 1e-1, 3, bowl, NULL) == MOCO_OK);
    CHECK(!r.converged && r.iterations == 3 && r.gradient > 1e-1);
    calls = 0;
    CHECK(lbfgs_minimise(&r, x, 500, 1e-9, 300, breaks, &calls) == MOCO_EIO);
    CHECK(lbfgs_minimise(&r, x, 500, 0.0, 5000, bowl, NULL) == MOCO_OK);
    CHECK(r.iterations < 5000 && r.gradient < 1.0); /* it ends where digits end */
}

/* ---- logistic regression against double ---- */

struct problem {
    size_t n, D, C, wide;
    float *x, *w, *grad;
    int32_t *y;
};

/* Correlated columns; labels that depend on them, classes c > 0 rarer the larger `skew` is. */
static struct problem draw(size_t n, size_t D, size_t C, double skew)
{
    struct problem p = {.n = n, .D = D, .C = C, .wide = logistic_columns(D)};
    struct rng rng = rng_at(5, RNG_TEST, n, D);
    p.x = calloc(n * p.wide, sizeof *p.x);
    p.y = calloc(n, sizeof *p.y);
    p.w = calloc(C * p.wide, sizeof *p.w);
    p.grad = calloc(C * p.wide, sizeof *p.grad);
    for (size_t i = 0; i < n; i++) {
        float *row = p.x + i * p.wide;
        double best = -INFINITY, last = 0.0;
        for (size_t d = 0; d < D; d++)
            row[d] = (float)(last = 0.9 * last + 0.4 * rng_normal(&rng));
        row[D] = 1.0f;
        for (size_t c = 0; c < C; c++) {
            double s = 1.5 * row[c % D] - skew * (double)c + rng_normal(&rng);
            p.y[i] = s > best ? (int32_t)c : p.y[i];
            best = s > best ? s : best;
        }
    }
    for (size_t c = 0; c < C; c++)
        p.y[c] = (int32_t)c; /* each has an image */
    return p;
}

static void done(struct problem *p)
{
    free(p->x);
    free(p->y);
    free(p->w);
    free(p->grad);
}

/* The definition in logistic.h, sum by sum; grad: (C, wide). */
static double objective(double *grad, const struct problem *p, const float *w, double l2)
{
    double f = 0.0, *s = malloc(p->C * sizeof *s);
    memset(grad, 0, p->C * p->wide * sizeof *grad);
    for (size_t i = 0; i < p->n; i++) {
        const float *row = p->x + i * p->wide;
        double total = 0.0;
        for (size_t c = 0; c < p->C; c++) {
            s[c] = 0.0;
            for (size_t d = 0; d <= p->D; d++)
                s[c] += (double)row[d] * w[c * p->wide + d];
            total += exp(s[c]);
        }
        f += (log(total) - s[p->y[i]]) / (double)p->n;
        for (size_t c = 0; c < p->C; c++)
            for (size_t d = 0; d <= p->D; d++)
                grad[c * p->wide + d] +=
                    (exp(s[c]) / total - (p->y[i] == (int32_t)c)) * row[d] / (double)p->n;
    }
    for (size_t c = 0; c < p->C; c++)
        for (size_t d = 0; d < p->D; d++) {
            double weight = w[c * p->wide + d];
            f += 0.5 * l2 * weight * weight;
            grad[c * p->wide + d] += l2 * weight;
        }
    free(s);
    return f;
}

static double norm(const double *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void gradients(void)
{
    static const size_t sizes[][3] = {
        {1, 1, 2}, {63, 15, 3}, {64, 16, 16}, {65, 17, 17}, {1000, 37, 7}, {700, 5, 150},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct problem p = draw(sizes[i][0] + sizes[i][2], sizes[i][1], sizes[i][2], 0.1);
        size_t n = p.C * p.wide;
        double *wanted = malloc(n * sizeof *wanted), *off = malloc(n * sizeof *off), value;
        struct logistic q;
        struct rng rng = rng_at(6, RNG_TEST, i, 0);
        for (size_t c = 0; c < p.C; c++)
            for (size_t d = 0; d <= p.D; d++)
                p.w[c * p.wide + d] = (float)rng_normal(&rng);
        CHECK(logistic_open(&q, p.n, p.D, p.C, &simd) == MOCO_OK);
        q.x = p.x, q.y = p.y, q.n = p.n, q.l2 = 0.3;
        CHECK(logistic_value(&q, &value, p.grad, p.w) == MOCO_OK);
        double f = objective(wanted, &p, p.w, 0.3);
        CHECK_MSG(fabs(value - f) < 1e-6 * f, "case %zu: %.9g, not %.9g", i, value, f);
        for (size_t j = 0; j < n; j++)
            off[j] = p.grad[j] - wanted[j];
        CHECK_MSG(norm(off, n) < 1e-6 * norm(wanted, n), "case %zu: gradient off by %g of %g", i,
                  norm(off, n), norm(wanted, n));
        logistic_close(&q);
        free(wanted);
        free(off);
        done(&p);
    }
}

static void solve(struct problem *p, struct linear_result *r, double l2)
{
    struct rows rows = {.n = p->n, .D = p->D, .wide = p->wide, .classes = p->C, .y = p->y,
                        .x = p->x};
    memset(p->w, 0, p->C * p->wide * sizeof *p->w);
    CHECK_MSG(linear_solve(p->w, r, &rows, l2, &simd) == MOCO_OK, "%s", error_text());
}

/* At the optimum the gradient vanishes, and as intercepts bear no penalty, the mean probability of
 * each class is its share of the rows, however rare it is. */
static void optima(void)
{
    static const struct {
        size_t n, D, C;
        double skew, l2;
    } cases[] = {
        {1500, 40, 10, 0.1, 1e-1}, {1500, 40, 10, 0.1, 1e-3}, {1500, 40, 10, 0.1, 1e-5},
        {2000, 30, 3, 2.5, 1e-3},  {3000, 20, 2, 3.5, 1e-4},  {60, 200, 2, 0.0, 1e-2},
        {64, 3000, 8, 0.0, 10.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct problem p = draw(cases[i].n, cases[i].D, cases[i].C, cases[i].skew);
        struct linear_result r;
        size_t n = p.C * p.wide, rare = 0;
        double *grad = malloc(n * sizeof *grad), *first = malloc(n * sizeof *first);
        (void)objective(first, &p, p.w, cases[i].l2);
        solve(&p, &r, cases[i].l2);
        double f = objective(grad, &p, p.w, cases[i].l2);
        CHECK_MSG(norm(grad, n) < 1e-4 * norm(first, n), "case %zu: gradient %.2e of %.2e", i,
                  norm(grad, n), norm(first, n));
        CHECK_MSG(r.converged && fabs(r.loss - f) < 1e-6 * f, "case %zu: %g, not %g", i, r.loss, f);
        for (size_t c = 0; c < p.C; c++)
            CHECK_MSG(fabs(grad[c * p.wide + p.D]) < 1e-4, "case %zu class %zu: %g", i, c,
                      grad[c * p.wide + p.D]);
        for (size_t j = 0; j < p.n; j++)
            rare += p.y[j] == (int32_t)p.C - 1;
        CHECK(cases[i].skew < 2 || rare < p.n / 20);
        free(grad);
        free(first);
        done(&p);
    }
}

int main(void)
{
    CHECK(moco_simd_init(&simd, NULL) == 0);
    searches();
    gradients();
    optima();
    return check_summary("logistic");
}
