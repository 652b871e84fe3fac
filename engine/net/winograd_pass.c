/* winograd_pass.c: forward pass and data gradient, spread over the threads; see winograd_plan.h. */
#include <omp.h>

#include "engine/net/winograd_plan.h"

enum { P = MOCO_WINOGRAD_POINTS, SLICE = 32, SPAN = 4 };

/* A pass from one image to another. Groups of outputs: u(group)(36, C, width), m alike. */
struct pass {
    const struct winograd *w;
    const struct course *course;
    const struct moco_image *from, *to;
    moco_winograd_gather_fn *gather;
    moco_winograd_scatter_fn *scatter;
    float *dst;
    const float *src, *weights;
    int turned;
    size_t C, O, width; /* channels in, outputs in whole vectors, outputs of a full group */
    float *u, *v, *m;   /* v and m of the first thread */
    size_t v_step;
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
    p->v_step = winograd_step(p->course, p->C);
}

static size_t group_width(const struct pass *p, size_t first)
{
    return winograd_least(p->width, p->O - first);
}

/* All weights, a slice of inputs of a group of outputs at a time. Called by a team. */
static void transform_weights(const struct pass *p)
{
    const struct conv_shape *s = &p->w->shape;
    size_t slices = (p->C + SLICE - 1) / SLICE, groups = (p->O + p->width - 1) / p->width;
#pragma omp for schedule(static)
    for (size_t i = 0; i < slices * groups; i++) {
        size_t out = i / slices * p->width, in = i % slices * SLICE, width = group_width(p, out);
        p->w->transforms.weights(p->u + P * p->C * out + in * width, p->C * width, p->weights,
                                 (size_t)s->OC, (size_t)s->IC, out, width, in,
                                 winograd_least(SLICE, p->C - in), p->turned);
    }
}

/* The blocks of the image that a group of outputs covers; its padding has none. */
static void transform_back(const struct pass *p, const float *m, size_t m_step, size_t out,
                           size_t first, size_t count)
{
    size_t lanes = p->to->lanes, block = out / lanes, width = group_width(p, out);
    size_t blocks = winograd_least(width / lanes, p->to->blocks - block);
    p->scatter(p->dst, m, m_step, width, p->to, block, blocks, first, count);
}

/* One slot of v with the weights of a group of outputs. */
static void multiply(const struct pass *p, float *m, const float *v, size_t slot, size_t out,
                     size_t count)
{
    size_t width = group_width(p, out);
    size_t point = moco_winograd_point((size_t)p->w->shape.stride, slot);
    p->w->simd.winograd_product(m, v + slot * p->v_step,
                                p->u + P * p->C * out + point * p->C * width, count, p->C, width);
}

/* One thread, one chunk. */
static void own_pass(const struct pass *p, float *v, float *m, size_t first, size_t count)
{
    p->gather(v, p->v_step, p->C, p->src, p->from, first, count);
    for (size_t out = 0; out < p->O; out += p->width) {
        size_t m_step = winograd_step(p->course, group_width(p, out));
        for (size_t i = 0; i < p->w->slots; i++) {
            size_t slot = p->w->order[i];
            multiply(p, m + slot * m_step, v, slot, out, count);
        }
        transform_back(p, m, m_step, out, first, count);
    }
}

/* The team's part of one chunk that all work on; omp for ends in a barrier. */
static void shared_pass(const struct pass *p, size_t first, size_t count)
{
    size_t groups = (p->O + p->width - 1) / p->width, slots = p->w->slots;
    size_t spans = (count + SPAN - 1) / SPAN, chunk = p->course->chunk;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < spans; i++)
        p->gather(p->v + i * SPAN * p->C, p->v_step, p->C, p->src, p->from, first + i * SPAN,
                  winograd_least(SPAN, count - i * SPAN));
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < slots * groups; i++) {
        size_t slot = p->w->order[i / groups], out = i % groups * p->width;
        multiply(p, p->m + chunk * (slots * out + slot * group_width(p, out)), p->v, slot, out,
                 count);
    }
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < spans * groups; i++) {
        size_t out = i % groups * p->width, width = group_width(p, out), begin = i / groups * SPAN;
        transform_back(p, p->m + slots * chunk * out + begin * width, chunk * width, out,
                       first + begin, winograd_least(SPAN, count - begin));
    }
}

static void run_pass(const struct pass *p)
{
    size_t tiles = p->w->tiles, chunk = p->course->chunk, chunks = (tiles + chunk - 1) / chunk;
    size_t v_floats = p->w->slots * p->v_step;
    size_t m_floats = p->w->slots * winograd_step(p->course, p->width);
#pragma omp parallel num_threads((int)p->w->threads)
    {
        transform_weights(p);
        if (p->course->shared) {
            for (size_t first = 0; first < tiles; first += chunk)
                shared_pass(p, first, winograd_least(chunk, tiles - first));
        } else {
            float *v = p->v + (size_t)omp_get_thread_num() * (v_floats + m_floats);
#pragma omp for schedule(dynamic)
            for (size_t i = 0; i < chunks; i++)
                own_pass(p, v, v + v_floats, i * chunk, winograd_least(chunk, tiles - i * chunk));
        }
    }
}

size_t winograd_pass_floats(const struct winograd *w, enum conv_direction direction)
{
    struct pass p;
    open_pass(&p, w, direction);
    size_t u = P * p.C * p.O, v = w->slots * p.v_step;
    size_t m = w->slots * winograd_step(p.course, p.course->shared ? p.O : p.width);
    return u + (v + m) * (p.course->shared ? 1 : w->threads);
}

void winograd_pass(const struct winograd *w, enum conv_direction direction, float *dst,
                   const float *src, const float *weights, float *scratch)
{
    struct pass p;
    open_pass(&p, w, direction);
    p.dst = dst;
    p.src = src;
    p.weights = weights;
    p.u = scratch;
    p.v = p.u + P * p.C * p.O;
    p.m = p.v + w->slots * p.v_step;
    run_pass(&p);
}
