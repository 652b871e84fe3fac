/* winograd_pass.c: forward pass and data gradient, spread over the threads; see winograd_plan.h. */
#include <omp.h>

#include "engine/net/winograd_plan.h"

enum { P = MOCO_WINOGRAD_POINTS, SLICE = 32, SPAN = 4, UNITS = 8 };

/* A pass from one image to another. Outputs are worked on in groups: u(group)(36, C, width), m
 * alike, both with a pad behind each point or slot. */
struct pass {
    const struct winograd *w;
    const struct course *course;
    const struct moco_image *from, *to;
    moco_winograd_gather_fn *gather;
    moco_winograd_scatter_fn *scatter;
    void *dst;
    const void *src;
    const float *weights;
    int turned;
    size_t C, O, width; /* channels in, outputs in whole vectors, outputs of a full group */
    size_t groups;      /* of outputs */
    size_t batch;       /* groups that a team multiplies at a time: some units for each thread */
    int late;           /* one chunk only: weights are transformed batch by batch, so that they are
                           read from cache */
    float *u, *v, *m;   /* v and m of the first thread */
    size_t u_step, v_step, m_step; /* between points or slots */
};

static void open_pass(struct pass *p, const struct winograd *w, enum conv_direction direction)
{
    int back = direction == CONV_BACKWARD_DATA;
    const struct moco_winograd *t = &w->transforms;
    *p = (struct pass){ .w = w, .course = &w->courses[direction], .turned = back,
                        .from = back ? &w->out : &w->in, .to = back ? &w->in : &w->out,
                        .gather = back ? t->d_dst : t->src, .scatter = back ? t->d_src : t->dst };
    p->C = winograd_channels(p->from);
    p->O = winograd_wide(p->to);
    p->width = winograd_least(p->O, w->simd.winograd_width);
    p->groups = (p->O + p->width - 1) / p->width;
    p->batch = winograd_least(p->groups, (UNITS * w->threads + w->slots - 1) / w->slots);
    p->late = p->course->shared && p->course->chunk == w->tiles;
    p->u_step = p->C * p->width + WINOGRAD_PAD;
    p->v_step = winograd_step(p->course, p->C);
    p->m_step = winograd_step(p->course, p->width);
}

static size_t group_width(const struct pass *p, size_t group)
{
    return winograd_least(p->width, p->O - group * p->width);
}

/* The weights of some groups, a slice of inputs of a group at a time, into the array from its
 * beginning. Called by a team. */
static void transform_weights(const struct pass *p, size_t first, size_t groups)
{
    const struct conv_shape *s = &p->w->shape;
    size_t slices = (p->C + SLICE - 1) / SLICE;
#pragma omp for schedule(static)
    for (size_t i = 0; i < slices * groups; i++) {
        size_t at = i / slices, in = i % slices * SLICE, width = group_width(p, first + at);
        p->w->transforms.weights(p->u + at * P * p->u_step + in * width, p->u_step, p->weights,
                                 (size_t)s->OC, (size_t)s->IC, (first + at) * p->width, width, in,
                                 winograd_least(SLICE, p->C - in), p->turned);
    }
}

/* The blocks of the image that a group of outputs covers; its padding has none. */
static void transform_back(const struct pass *p, const float *m, size_t group, size_t first,
                           size_t count)
{
    size_t lanes = p->to->lanes, block = group * p->width / lanes, width = group_width(p, group);
    size_t blocks = winograd_least(width / lanes, p->to->blocks - block);
    p->scatter(p->dst, m, p->m_step, width, p->to, block, blocks, first, count);
}

/* One slot of v with the weights of a group of outputs. */
static void multiply(const struct pass *p, float *m, const float *v, const float *u, size_t slot,
                     size_t width, size_t count)
{
    size_t point = moco_winograd_point((size_t)p->w->shape.stride, slot);
    p->w->simd.winograd_product(m + slot * p->m_step, v + slot * p->v_step, u + point * p->u_step,
                                count, p->C, width);
}

/* One thread, one chunk. */
static void own_pass(const struct pass *p, float *v, float *m, size_t first, size_t count)
{
    p->gather(v, p->v_step, p->C, p->src, p->from, first, count);
    for (size_t group = 0; group < p->groups; group++) {
        for (size_t i = 0; i < p->w->slots; i++)
            multiply(p, m, v, p->u + group * P * p->u_step, p->w->order[i], group_width(p, group),
                     count);
        transform_back(p, m, group, first, count);
    }
}

/* The team's part of a chunk and a batch of groups; omp for ends in a barrier. */
static void shared_batch(const struct pass *p, size_t group, size_t groups, size_t first,
                         size_t count)
{
    size_t slots = p->w->slots, spans = (count + SPAN - 1) / SPAN;
    const float *u = p->u + (p->late ? 0 : group) * P * p->u_step;
    if (p->late)
        transform_weights(p, group, groups);
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < slots * groups; i++)
        multiply(p, p->m + i % groups * slots * p->m_step, p->v, u + i % groups * P * p->u_step,
                 p->w->order[i / groups], group_width(p, group + i % groups), count);
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < spans * groups; i++) {
        size_t begin = i / groups * SPAN, at = i % groups;
        transform_back(p, p->m + at * slots * p->m_step + begin * group_width(p, group + at),
                       group + at, first + begin, winograd_least(SPAN, count - begin));
    }
}

/* The team's part of one chunk that all work on. */
static void shared_pass(const struct pass *p, size_t first, size_t count)
{
    size_t spans = (count + SPAN - 1) / SPAN;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < spans; i++)
        p->gather(p->v + i * SPAN * p->C, p->v_step, p->C, p->src, p->from, first + i * SPAN,
                  winograd_least(SPAN, count - i * SPAN));
    for (size_t group = 0; group < p->groups; group += p->batch)
        shared_batch(p, group, winograd_least(p->batch, p->groups - group), first, count);
}

static void run_pass(const struct pass *p)
{
    size_t tiles = p->w->tiles, chunk = p->course->chunk, chunks = (tiles + chunk - 1) / chunk;
    size_t v_floats = p->w->slots * p->v_step, own_floats = v_floats + p->w->slots * p->m_step;
#pragma omp parallel num_threads((int)p->w->threads)
    {
        if (!p->late)
            transform_weights(p, 0, p->groups);
        if (p->course->shared) {
            for (size_t first = 0; first < tiles; first += chunk)
                shared_pass(p, first, winograd_least(chunk, tiles - first));
        } else {
            float *v = p->v + (size_t)omp_get_thread_num() * own_floats;
#pragma omp for schedule(dynamic)
            for (size_t i = 0; i < chunks; i++)
                own_pass(p, v, v + v_floats, i * chunk, winograd_least(chunk, tiles - i * chunk));
        }
    }
}

static size_t u_floats(const struct pass *p)
{
    return (p->late ? p->batch : p->groups) * P * p->u_step;
}

size_t winograd_pass_floats(const struct winograd *w, enum conv_direction direction)
{
    struct pass p;
    open_pass(&p, w, direction);
    size_t v = w->slots * p.v_step, m = w->slots * p.m_step;
    return u_floats(&p) + (p.course->shared ? v + m * p.batch : (v + m) * w->threads);
}

void winograd_pass(const struct winograd *w, enum conv_direction direction, void *dst,
                   const void *src, const float *weights, float *scratch)
{
    struct pass p;
    open_pass(&p, w, direction);
    p.dst = dst;
    p.src = src;
    p.weights = weights;
    p.u = scratch;
    p.v = p.u + u_floats(&p);
    p.m = p.v + w->slots * p.v_step;
    run_pass(&p);
}
