/* lbfgs.c: the search; see lbfgs.h. */
#include "engine/eval/lbfgs.h"

#include <math.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

enum { MEMORY = 12, TRIES = 40 };

/* Near the minimum values differ by less than they are rounded. There a step counts as low enough
 * where the slope at its end is, if the value has risen by no more than this share (Hager and Zhang
 * 2005, section 1: the approximate Wolfe conditions). */
static const double noise = 1e-6;

struct search {
    lbfgs_fn *fn;
    void *user;
    size_t n;
    int evaluations;
    struct arena arena;
    float *x, *grad;            /* (n) where the search stands */
    float *next, *next_grad;    /* (n) the point being tried */
    float *direction;           /* (n) */
    float *step[MEMORY];        /* (n) each: x' - x */
    float *change[MEMORY];      /* (n) each: grad' - grad */
    double curvature[MEMORY];   /* step · change, above 0 */
    int kept, newest;
};

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void add(float *y, double factor, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(y[i] + factor * x[i]);
}

static int search_open(struct search *s, size_t n)
{
    size_t bytes = n * sizeof(float);
    int err = arena_open(&s->arena, (4 + 2 * MEMORY) * arena_round(bytes), "the search");
    if (err)
        return err;
    s->grad = arena_take(&s->arena, bytes);
    s->next = arena_take(&s->arena, bytes);
    s->next_grad = arena_take(&s->arena, bytes);
    s->direction = arena_take(&s->arena, bytes);
    for (int i = 0; i < MEMORY; i++) {
        s->step[i] = arena_take(&s->arena, bytes);
        s->change[i] = arena_take(&s->arena, bytes);
    }
    return MOCO_OK;
}

/* direction = -H grad by the two loops over the memory; H begins as a multiple of 1. */
static void find_direction(struct search *s)
{
    double alpha[MEMORY];
    for (size_t i = 0; i < s->n; i++)
        s->direction[i] = -s->grad[i];
    for (int j = 0; j < s->kept; j++) {
        int i = (s->newest - j + MEMORY) % MEMORY;
        alpha[i] = dot(s->step[i], s->direction, s->n) / s->curvature[i];
        add(s->direction, -alpha[i], s->change[i], s->n);
    }
    if (s->kept) {
        const float *y = s->change[s->newest];
        double scale = s->curvature[s->newest] / dot(y, y, s->n);
        for (size_t i = 0; i < s->n; i++)
            s->direction[i] = (float)(scale * s->direction[i]);
    }
    for (int j = s->kept - 1; j >= 0; j--) {
        int i = (s->newest - j + MEMORY) % MEMORY;
        double beta = dot(s->change[i], s->direction, s->n) / s->curvature[i];
        add(s->direction, alpha[i] - beta, s->step[i], s->n);
    }
}

static int evaluate(struct search *s, double length, double *value)
{
    for (size_t i = 0; i < s->n; i++)
        s->next[i] = (float)(s->x[i] + length * s->direction[i]);
    s->evaluations++;
    return s->fn(s->user, value, s->next_grad, s->next);
}

/* Finds a point that is low enough and far enough along the direction. *found: 0 where rounding
 * leaves none. */
static int find_length(struct search *s, double first, double *value, int *found)
{
    double low = 0.0, high = INFINITY, length = first, start = *value;
    double slope = dot(s->grad, s->direction, s->n);
    *found = 0;
    for (int i = 0; i < TRIES && slope < 0.0; i++) {
        double tried;
        int err = evaluate(s, length, &tried);
        if (err)
            return err;
        double end = dot(s->next_grad, s->direction, s->n);
        int low_enough = tried <= start + 1e-4 * length * slope ||
                         (tried <= start + noise * fabs(start) && end <= -0.8 * slope);
        if (!low_enough) {
            high = length;
        } else if (end < 0.9 * slope) {
            low = length;
        } else {
            *value = tried;
            *found = 1;
            return MOCO_OK;
        }
        length = isinf(high) ? 2.0 * low : 0.5 * (low + high);
    }
    return MOCO_OK;
}

/* Takes the point that was found, and what it says about the curvature. */
static void advance(struct search *s)
{
    int i = (s->newest + 1) % MEMORY;
    for (size_t j = 0; j < s->n; j++) {
        s->step[i][j] = s->next[j] - s->x[j];
        s->change[i][j] = s->next_grad[j] - s->grad[j];
    }
    memcpy(s->x, s->next, s->n * sizeof *s->x);
    memcpy(s->grad, s->next_grad, s->n * sizeof *s->grad);
    double along = dot(s->step[i], s->change[i], s->n);
    double size = sqrt(dot(s->step[i], s->step[i], s->n) * dot(s->change[i], s->change[i], s->n));
    if (!(along > 1e-6 * size)) /* no curvature that rounding leaves to be seen */
        return;
    s->curvature[i] = along;
    s->newest = i;
    s->kept += s->kept < MEMORY;
}

static int search(struct search *s, struct lbfgs_result *out, double tolerance, int iterations)
{
    int found = 1, err = s->fn(s->user, &out->value, s->grad, s->x);
    s->evaluations++;
    while (!err) {
        out->gradient = sqrt(dot(s->grad, s->grad, s->n));
        out->converged = out->gradient <= tolerance;
        if (out->converged || out->iterations == iterations)
            break;
        find_direction(s);
        double first = s->kept ? 1.0 : 1.0 / out->gradient;
        err = find_length(s, first, &out->value, &found);
        if (err || (!found && !s->kept))
            break;
        if (found)
            advance(s);
        else
            s->kept = 0; /* once more, straight down */
        out->iterations++;
    }
    out->evaluations = s->evaluations;
    return err;
}

int lbfgs_minimise(struct lbfgs_result *out, float *x, size_t n, double tolerance, int iterations,
                   lbfgs_fn *fn, void *user)
{
    struct search s = { .fn = fn, .user = user, .n = n, .x = x, .newest = MEMORY - 1 };
    *out = (struct lbfgs_result){ .value = NAN };
    int err = search_open(&s, n);
    if (!err)
        err = search(&s, out, tolerance, iterations);
    arena_close(&s.arena);
    return err;
}
