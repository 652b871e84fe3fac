/* winograd_grad.c: the weight gradient, spread over the threads; see winograd_plan.h. */
#include <omp.h>
#include <string.h>

#include "engine/net/winograd_plan.h"

enum { P = MOCO_WINOGRAD_POINTS, SPAN = 4, BACK = 8, ROWS_FLOATS = 32 << 10 };

struct grad {
    const struct winograd *w;
    const struct course *course;
    float *d_weights;
    const void *src, *d_dst;
    size_t I, O;      /* inputs with their padding, outputs in whole vectors */
    size_t rows;      /* inputs of which a thread sums a point at a time: they stay in its cache */
    size_t part;      /* inputs whose sums are kept; fewer than I where there is one chunk */
    /* the first thread's: s(36, part, O), v(slots, chunk, I), y(slots, chunk, O) */
    float *s, *v, *y;
    size_t s_step, v_step, y_step; /* between points or slots */
};

static void open_grad(struct grad *g, const struct winograd *w)
{
    const struct course *c = &w->courses[CONV_BACKWARD_WEIGHTS];
    size_t I = winograd_channels(&w->in), O = winograd_wide(&w->out);
    *g = (struct grad){ .w = w, .course = c, .I = I, .O = O, .v_step = winograd_step(c, I),
                        .y_step = winograd_step(c, O), .rows = I, .part = I };
    if (c->shared) {
        g->rows = winograd_least(I, (ROWS_FLOATS / O + BACK) / BACK * BACK);
        if (c->chunk == w->tiles)
            g->part = g->rows;
    }
    g->s_step = g->part * O + WINOGRAD_PAD;
}

/* One thread's arrays, in floats. */
static size_t own_floats(const struct grad *g)
{
    return P * g->s_step + g->w->slots * (g->v_step + g->y_step);
}

static void transform_both(const struct grad *g, float *v, float *y, size_t first, size_t count)
{
    const struct winograd *w = g->w;
    w->transforms.src(v, g->v_step, g->I, g->src, &w->in, first, count);
    w->transforms.d_dst_out(y, g->y_step, g->O, g->d_dst, &w->out, first, count);
}

/* A point's sums for some inputs; v begins at the first of them. */
static void add_point(const struct grad *g, size_t at, float *s, const float *v, const float *y,
                      size_t inputs, size_t count)
{
    const struct winograd *w = g->w;
    for (size_t i = w->first[at]; i < w->first[at + 1]; i++)
        w->simd.winograd_product_grad(s, v + w->order[i] * g->v_step, g->I,
                                      y + w->order[i] * g->y_step, count, inputs, g->O);
}

/* From sums to gradients for the inputs first..first+inputs-1, whose sums lie in s. By a team. */
static void transform_back(const struct grad *g, size_t first, size_t inputs)
{
    const struct conv_shape *shape = &g->w->shape;
    size_t last = winograd_least(first + inputs, (size_t)shape->IC);
    size_t slices = last > first ? (last - first + BACK - 1) / BACK : 0;
#pragma omp for schedule(static)
    for (size_t i = 0; i < slices; i++)
        g->w->transforms.weights_grad(g->d_weights, g->s + i * BACK * g->O, g->s_step, g->O,
                                      (size_t)shape->OC, (size_t)shape->IC, first + i * BACK,
                                      winograd_least(BACK, last - first - i * BACK));
}

/* The team's private sums into those of the first thread, in the order of the threads. */
static void gather_sums(const struct grad *g, size_t stride)
{
    size_t n = g->I * g->O, team = (size_t)omp_get_num_threads();
#pragma omp for schedule(static)
    for (size_t at = 0; at < P; at++)
        for (size_t t = 1; t < team; t++) {
            float *to = g->s + at * g->s_step;
            const float *from = to + t * stride;
            for (size_t i = 0; i < n; i++)
                to[i] += from[i];
        }
}

static void sum_own(const struct grad *g)
{
    size_t chunk = g->course->chunk, tiles = g->w->tiles, sums = P * g->s_step;
    size_t stride = own_floats(g), chunks = (tiles + chunk - 1) / chunk;
    float *s = g->s + (size_t)omp_get_thread_num() * stride, *v = s + sums;
    float *y = v + g->w->slots * g->v_step;
    memset(s, 0, sums * sizeof *s);
    memset(y, 0, g->w->slots * g->y_step * sizeof *y); /* the padding of its rows */
#pragma omp for schedule(static)
    for (size_t i = 0; i < chunks; i++) {
        size_t count = winograd_least(chunk, tiles - i * chunk);
        transform_both(g, v, y, i * chunk, count);
        for (size_t at = 0; at < P; at++)
            add_point(g, at, s + at * g->s_step, v, y, g->I, count);
    }
    gather_sums(g, stride);
    transform_back(g, 0, g->I);
}

/* The sums of the inputs first..first+inputs-1 over a chunk. The last points of stride 2 have the
 * most slots: they are dealt out first. */
static void shared_sums(const struct grad *g, size_t first, size_t inputs, size_t count, int begin)
{
    size_t parts = (inputs + g->rows - 1) / g->rows;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < P * parts; i++) {
        size_t at = P - 1 - i / parts, row = i % parts * g->rows;
        size_t n = winograd_least(g->rows, inputs - row);
        float *s = g->s + at * g->s_step + row * g->O;
        if (begin)
            memset(s, 0, n * g->O * sizeof *s);
        add_point(g, at, s, g->v + first + row, g->y, n, count);
    }
}

static void shared_chunk(const struct grad *g, size_t first, size_t count)
{
    size_t spans = (count + SPAN - 1) / SPAN;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < spans; i++)
        transform_both(g, g->v + i * SPAN * g->I, g->y + i * SPAN * g->O, first + i * SPAN,
                       winograd_least(SPAN, count - i * SPAN));
    for (size_t in = 0; in < g->I; in += g->part) {
        size_t inputs = winograd_least(g->part, g->I - in);
        shared_sums(g, in, inputs, count, first == 0);
        if (first + count == g->w->tiles)
            transform_back(g, in, inputs);
    }
}

static void sum_shared(const struct grad *g)
{
    size_t chunk = g->course->chunk, tiles = g->w->tiles;
#pragma omp single
    memset(g->y, 0, g->w->slots * g->y_step * sizeof *g->y); /* the padding of its rows */
    for (size_t first = 0; first < tiles; first += chunk)
        shared_chunk(g, first, winograd_least(chunk, tiles - first));
}

size_t winograd_grad_floats(const struct winograd *w)
{
    struct grad g;
    open_grad(&g, w);
    return own_floats(&g) * (g.course->shared ? 1 : w->threads);
}

void winograd_grad(const struct winograd *w, float *d_weights, const void *src, const void *d_dst,
                   float *scratch)
{
    struct grad g;
    open_grad(&g, w);
    g.d_weights = d_weights;
    g.src = src;
    g.d_dst = d_dst;
    g.s = scratch;
    g.v = g.s + P * g.s_step;
    g.y = g.v + w->slots * g.v_step;
#pragma omp parallel num_threads((int)w->threads)
    if (g.course->shared)
        sum_shared(&g);
    else
        sum_own(&g);
}
