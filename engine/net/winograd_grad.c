/* winograd_grad.c: the weight gradient, spread over the threads; see winograd_plan.h. */
#include <omp.h>
#include <string.h>

#include "engine/net/winograd_plan.h"

enum { P = MOCO_WINOGRAD_POINTS, SPAN = 4, BACK = 8 };

struct grad {
    const struct winograd *w;
    const struct course *course;
    const float *src, *d_dst;
    size_t I, O;      /* inputs with their padding, outputs in whole vectors */
    float *s, *v, *y; /* the first thread's: s(36, I, O), v(slots, chunk, I), y(slots, chunk, O) */
    size_t v_step, y_step;
};

static void open_grad(struct grad *g, const struct winograd *w)
{
    const struct course *c = &w->courses[CONV_BACKWARD_WEIGHTS];
    size_t I = winograd_channels(&w->in), O = winograd_wide(&w->out);
    *g = (struct grad){ .w = w, .course = c, .I = I, .O = O, .v_step = winograd_step(c, I),
                        .y_step = winograd_step(c, O) };
}

/* One thread's arrays, in floats. */
static size_t own_floats(const struct grad *g)
{
    return P * g->I * g->O + g->w->slots * (g->v_step + g->y_step);
}

static void transform_both(const struct grad *g, float *v, float *y, size_t first, size_t count)
{
    const struct winograd *w = g->w;
    w->transforms.src(v, g->v_step, g->I, g->src, &w->in, first, count);
    w->transforms.d_dst_out(y, g->y_step, g->O, g->d_dst, &w->out, first, count);
}

static void add_point(const struct grad *g, size_t at, float *s, const float *v, const float *y,
                      size_t count)
{
    const struct winograd *w = g->w;
    for (size_t i = w->first[at]; i < w->first[at + 1]; i++)
        w->simd.winograd_product_grad(s + at * g->I * g->O, v + w->order[i] * g->v_step,
                                      y + w->order[i] * g->y_step, count, g->I, g->O);
}

/* The last points of stride 2 have the most slots: they are dealt out first. */
static void shared_grad(const struct grad *g, size_t first, size_t count)
{
    size_t spans = (count + SPAN - 1) / SPAN;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < spans; i++)
        transform_both(g, g->v + i * SPAN * g->I, g->y + i * SPAN * g->O, first + i * SPAN,
                       winograd_least(SPAN, count - i * SPAN));
#pragma omp for schedule(dynamic)
    for (size_t at = 0; at < P; at++)
        add_point(g, P - 1 - at, g->s, g->v, g->y, count);
}

/* The team's private sums into those of the first thread, in the order of the threads. */
static void gather_sums(const struct grad *g, size_t stride)
{
    size_t n = g->I * g->O, team = (size_t)omp_get_num_threads();
#pragma omp for schedule(static)
    for (size_t at = 0; at < P; at++)
        for (size_t t = 1; t < team; t++) {
            float *to = g->s + at * n;
            const float *from = to + t * stride;
            for (size_t i = 0; i < n; i++)
                to[i] += from[i];
        }
}

static void sum_shared(const struct grad *g)
{
    size_t chunk = g->course->chunk, tiles = g->w->tiles, n = g->I * g->O;
#pragma omp for schedule(static)
    for (size_t at = 0; at < P; at++)
        memset(g->s + at * n, 0, n * sizeof *g->s);
#pragma omp single
    memset(g->y, 0, g->w->slots * g->y_step * sizeof *g->y); /* the padding of its rows */
    for (size_t first = 0; first < tiles; first += chunk)
        shared_grad(g, first, winograd_least(chunk, tiles - first));
}

static void sum_own(const struct grad *g)
{
    size_t chunk = g->course->chunk, tiles = g->w->tiles, sums = P * g->I * g->O;
    size_t stride = own_floats(g), chunks = (tiles + chunk - 1) / chunk;
    float *s = g->s + (size_t)omp_get_thread_num() * stride, *v = s + sums;
    float *y = v + g->w->slots * g->v_step;
    memset(s, 0, sums * sizeof *s);
    memset(y, 0, g->w->slots * g->y_step * sizeof *y);
#pragma omp for schedule(static)
    for (size_t i = 0; i < chunks; i++) {
        size_t count = winograd_least(chunk, tiles - i * chunk);
        transform_both(g, v, y, i * chunk, count);
        for (size_t at = 0; at < P; at++)
            add_point(g, at, s, v, y, count);
    }
    gather_sums(g, stride);
}

size_t winograd_grad_floats(const struct winograd *w)
{
    struct grad g;
    open_grad(&g, w);
    return own_floats(&g) * (g.course->shared ? 1 : w->threads);
}

void winograd_grad(const struct winograd *w, float *d_weights, const float *src,
                   const float *d_dst, float *scratch)
{
    size_t I = (size_t)w->shape.IC, slices = (I + BACK - 1) / BACK;
    struct grad g;
    open_grad(&g, w);
    g.src = src;
    g.d_dst = d_dst;
    g.s = scratch;
    g.v = g.s + P * g.I * g.O;
    g.y = g.v + w->slots * g.v_step;
#pragma omp parallel num_threads((int)w->threads)
    {
        if (g.course->shared)
            sum_shared(&g);
        else
            sum_own(&g);
#pragma omp for schedule(static)
        for (size_t i = 0; i < slices; i++)
            w->transforms.weights_grad(d_weights, g.s, g.I * g.O, g.O, (size_t)w->shape.OC, I,
                                       i * BACK, winograd_least(BACK, I - i * BACK));
    }
}
