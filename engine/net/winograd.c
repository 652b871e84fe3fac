/* winograd.c: 3x3 convolutions by our own kernels, spread over the threads; simd/winograd.h has the
 * formulas.
 *
 * The batch is a list of tiles; a chunk of them is transformed, multiplied at the 36 points, and
 * transformed back. Few channels: each thread takes its own chunks, small enough for its L2, and
 * the shared weights stream past. Many channels: weights outgrow the caches, so all threads work
 * on one larger chunk and share out the points, each point's weights being read once a chunk.
 * The weight gradient goes the same two ways: sums private to a thread, or points shared out.
 * Work whose result does not depend on who does it is dealt out as threads become free, because
 * cores are often shared; private sums follow a fixed schedule, so that runs repeat bit for bit. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/net/conv_impl.h"

enum { P = MOCO_WINOGRAD_POINTS, SHARED_CHUNK = 128, PAD = 16, SLICE = 32 };

/* How one direction is worked off. */
struct course {
    int shared;   /* threads share chunks */
    size_t chunk; /* tiles */
};

struct winograd {
    struct conv_shape shape;
    struct moco_simd simd;
    struct moco_image in, out; /* of the forward direction */
    size_t tiles, threads, scratch_bytes;
    struct course courses[3];
};

static size_t channels(const struct moco_image *image)
{
    return image->blocks * image->lanes;
}

/* Rows of products are whole vectors. */
static size_t wide(const struct moco_image *image)
{
    return (channels(image) + 15) / 16 * 16;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

int winograd_fits(const struct conv_shape *s)
{
    return s->kernel == 3 && s->stride == 1 && s->pad == 1 && !s->src_plain;
}

static struct moco_image image_of(const struct conv_shape *s, int C)
{
    size_t lanes = (size_t)s->lanes;
    return (struct moco_image){ ((size_t)C + lanes - 1) / lanes, lanes, (size_t)s->H,
                                (size_t)s->W };
}

/* Chunks of a thread's own: both transformed arrays in about half a megabyte. */
static size_t own_chunk(size_t floats_a_tile)
{
    size_t tiles = (size_t)(480 << 10) / (P * floats_a_tile * sizeof(float)) / 6 * 6;
    return tiles < 12 ? 12 : tiles > 48 ? 48 : tiles;
}

static void set_courses(struct winograd *w)
{
    size_t I = channels(&w->in), O = wide(&w->out);
    size_t width = w->simd.winograd_width;
    w->courses[CONV_FORWARD] = (struct course){ I > 128, own_chunk(I + least(O, width)) };
    w->courses[CONV_BACKWARD_DATA] =
        (struct course){ channels(&w->out) > 128, own_chunk(channels(&w->out) + least(I, width)) };
    w->courses[CONV_BACKWARD_WEIGHTS] = (struct course){ I * O > 64 * 64, own_chunk(I + O) };
    for (int i = 0; i < 3; i++) {
        if (w->courses[i].shared)
            w->courses[i].chunk = SHARED_CHUNK;
        w->courses[i].chunk = least(w->courses[i].chunk, w->tiles);
    }
}

/* Distance between the points of an array with `row` floats a tile. The pad keeps the 36 streams
 * out of the same cache sets. */
static size_t point_of(const struct course *c, size_t row)
{
    return c->chunk * row + PAD;
}

static size_t pass_floats(const struct winograd *w, const struct course *c,
                          const struct moco_image *from, const struct moco_image *to)
{
    size_t u = P * channels(from) * wide(to), v = P * point_of(c, channels(from));
    size_t m = P * point_of(c, c->shared ? wide(to) : least(wide(to), w->simd.winograd_width));
    return u + (v + m) * (c->shared ? 1 : w->threads);
}

static size_t grad_floats(const struct winograd *w, const struct course *c)
{
    size_t s = P * channels(&w->in) * wide(&w->out);
    size_t v = P * point_of(c, channels(&w->in)), y = P * point_of(c, wide(&w->out));
    return (s + v + y) * (c->shared ? 1 : w->threads);
}

static size_t scratch_of(const struct winograd *w, unsigned directions)
{
    size_t most = 0, floats[3] = {
        pass_floats(w, &w->courses[CONV_FORWARD], &w->in, &w->out),
        pass_floats(w, &w->courses[CONV_BACKWARD_DATA], &w->out, &w->in),
        grad_floats(w, &w->courses[CONV_BACKWARD_WEIGHTS]),
    };
    for (int i = 0; i < 3; i++)
        if (directions & conv_bit((enum conv_direction)i) && floats[i] > most)
            most = floats[i];
    return arena_round(most * sizeof(float));
}

int winograd_open(struct winograd **out, const struct conv_shape *shape,
                  const struct moco_simd *simd, unsigned directions)
{
    struct winograd *w = calloc(1, sizeof *w);
    *out = w;
    if (!w)
        return error_memory("a convolution", sizeof *w);
    w->shape = *shape;
    w->simd = *simd;
    w->in = image_of(shape, shape->IC);
    w->out = image_of(shape, shape->OC);
    w->tiles = (size_t)shape->B * ((w->in.H + 3) / 4) * ((w->in.W + 3) / 4);
    w->threads = (size_t)omp_get_max_threads();
    set_courses(w);
    w->scratch_bytes = scratch_of(w, directions);
    return MOCO_OK;
}

void winograd_close(struct winograd **conv)
{
    free(*conv);
    *conv = NULL;
}

size_t winograd_scratch_bytes(const struct winograd *conv)
{
    return conv->scratch_bytes;
}

/* ---- forward pass and data gradient ---- */

/* A pass from one image to another. Groups of outputs: u(group)(36, C, width), m alike. */
struct pass {
    const struct winograd *w;
    const struct course *course;
    const struct moco_image *from, *to;
    float *dst;
    const float *src, *weights;
    int turned;
    size_t C, O, width; /* channels in, outputs in whole vectors, outputs of a full group */
    float *u, *v, *m;   /* v and m of the first thread */
    size_t v_point;
};

static size_t group_width(const struct pass *p, size_t first)
{
    return least(p->width, p->O - first);
}

/* All weights, a slice of inputs of a group of outputs at a time. Called by a team. */
static void transform_weights(const struct pass *p)
{
    const struct conv_shape *s = &p->w->shape;
    size_t slices = (p->C + SLICE - 1) / SLICE, groups = (p->O + p->width - 1) / p->width;
#pragma omp for schedule(static)
    for (size_t i = 0; i < slices * groups; i++) {
        size_t out = i / slices * p->width, in = i % slices * SLICE, width = group_width(p, out);
        p->w->simd.winograd_weights(p->u + P * p->C * out + in * width, p->C * width, p->weights,
                                    (size_t)s->OC, (size_t)s->IC, out, width, in,
                                    least(SLICE, p->C - in), p->turned);
    }
}

/* The blocks of the image that a group of outputs covers; its padding has none. */
static void transform_back(const struct pass *p, const float *m, size_t m_point, size_t out,
                           size_t first, size_t count)
{
    size_t lanes = p->to->lanes, block = out / lanes, width = group_width(p, out);
    size_t blocks = least(width / lanes, p->to->blocks - block);
    p->w->simd.winograd_dst(p->dst, m, m_point, width, p->to, block, blocks, first, count);
}

/* One thread, one chunk. */
static void own_pass(const struct pass *p, float *v, float *m, size_t first, size_t count)
{
    const struct moco_simd *simd = &p->w->simd;
    simd->winograd_src(v, p->v_point, p->src, p->from, first, count);
    for (size_t out = 0; out < p->O; out += p->width) {
        size_t width = group_width(p, out), m_point = point_of(p->course, width);
        for (size_t i = 0; i < P; i++)
            simd->winograd_product(m + i * m_point, v + i * p->v_point,
                                   p->u + P * p->C * out + i * p->C * width, count, p->C, width);
        transform_back(p, m, m_point, out, first, count);
    }
}

/* The team's part of one chunk that all work on; omp for ends in a barrier. */
static void shared_pass(const struct pass *p, size_t first, size_t count)
{
    const struct moco_simd *simd = &p->w->simd;
    size_t groups = (p->O + p->width - 1) / p->width, span = 4;
    size_t spans = (count + span - 1) / span;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < spans; i++)
        simd->winograd_src(p->v + i * span * p->C, p->v_point, p->src, p->from, first + i * span,
                           least(span, count - i * span));
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < P * groups; i++) {
        size_t at = i / groups, out = i % groups * p->width, width = group_width(p, out);
        simd->winograd_product(p->m + P * p->course->chunk * out + at * p->course->chunk * width,
                               p->v + at * p->v_point,
                               p->u + P * p->C * out + at * p->C * width, count, p->C, width);
    }
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < spans * groups; i++) {
        size_t out = i % groups * p->width, width = group_width(p, out), begin = i / groups * span;
        transform_back(p, p->m + P * p->course->chunk * out + begin * width,
                       p->course->chunk * width, out, first + begin, least(span, count - begin));
    }
}

static void run_pass(struct pass *p)
{
    size_t tiles = p->w->tiles, chunk = p->course->chunk, chunks = (tiles + chunk - 1) / chunk;
    size_t m_floats = P * point_of(p->course, least(p->O, p->width));
    size_t v_floats = P * p->v_point;
#pragma omp parallel num_threads((int)p->w->threads)
    {
        transform_weights(p);
        if (p->course->shared) {
            for (size_t first = 0; first < tiles; first += chunk)
                shared_pass(p, first, least(chunk, tiles - first));
        } else {
            float *v = p->v + (size_t)omp_get_thread_num() * (v_floats + m_floats);
#pragma omp for schedule(dynamic)
            for (size_t i = 0; i < chunks; i++)
                own_pass(p, v, v + v_floats, i * chunk, least(chunk, tiles - i * chunk));
        }
    }
}

static void open_pass(struct pass *p, const struct winograd *w, enum conv_direction direction,
                      float *dst, const float *src, const float *weights, float *scratch)
{
    int back = direction == CONV_BACKWARD_DATA;
    *p = (struct pass){ .w = w, .course = &w->courses[direction], .from = back ? &w->out : &w->in,
                        .to = back ? &w->in : &w->out, .dst = dst, .src = src,
                        .weights = weights, .turned = back, .width = w->simd.winograd_width };
    p->C = channels(p->from);
    p->O = wide(p->to);
    p->v_point = point_of(p->course, p->C);
    p->u = scratch;
    p->v = p->u + P * p->C * p->O;
    p->m = p->v + P * p->v_point;
}

/* ---- weight gradient ---- */

struct grad {
    const struct winograd *w;
    float *d_weights;
    const float *src, *d_dst;
    size_t I, O;      /* inputs with their padding, outputs in whole vectors */
    float *s, *v, *y; /* the first thread's: s(36, I, O), v(36, chunk, I), y(36, chunk, O) */
    size_t v_point, y_point;
};

static void transform_both(const struct grad *g, float *v, float *y, size_t first, size_t count)
{
    const struct winograd *w = g->w;
    w->simd.winograd_src(v, g->v_point, g->src, &w->in, first, count);
    w->simd.winograd_dst_grad(y, g->y_point, g->O, g->d_dst, &w->out, first, count);
}

static void add_point(const struct grad *g, size_t at, float *s, const float *v, const float *y,
                      size_t count)
{
    g->w->simd.winograd_product_grad(s + at * g->I * g->O, v + at * g->v_point,
                                     y + at * g->y_point, count, g->I, g->O);
}

static void shared_grad(const struct grad *g, size_t first, size_t count)
{
    size_t span = 4, spans = (count + span - 1) / span;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < spans; i++)
        transform_both(g, g->v + i * span * g->I, g->y + i * span * g->O, first + i * span,
                       least(span, count - i * span));
#pragma omp for schedule(dynamic)
    for (size_t at = 0; at < P; at++)
        add_point(g, at, g->s, g->v, g->y, count);
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

static void run_grad(const struct grad *g)
{
    const struct winograd *w = g->w;
    const struct course *c = &w->courses[CONV_BACKWARD_WEIGHTS];
    size_t chunks = (w->tiles + c->chunk - 1) / c->chunk, sums = P * g->I * g->O;
    size_t stride = sums + P * (g->v_point + g->y_point);
    size_t I = (size_t)w->shape.IC, slices = (I + 7) / 8;
#pragma omp parallel num_threads((int)w->threads)
    {
        size_t mine = c->shared ? 0 : (size_t)omp_get_thread_num() * stride;
        float *s = g->s + mine, *v = g->v + mine, *y = g->y + mine;
        if (c->shared) {
#pragma omp for schedule(static)
            for (size_t at = 0; at < P; at++)
                memset(s + at * g->I * g->O, 0, g->I * g->O * sizeof *s);
#pragma omp single
            memset(y, 0, P * g->y_point * sizeof *y); /* the padding of its rows */
            for (size_t i = 0; i < chunks; i++)
                shared_grad(g, i * c->chunk, least(c->chunk, w->tiles - i * c->chunk));
        } else {
            memset(s, 0, sums * sizeof *s);
            memset(y, 0, P * g->y_point * sizeof *y);
#pragma omp for schedule(static)
            for (size_t i = 0; i < chunks; i++) {
                size_t count = least(c->chunk, w->tiles - i * c->chunk);
                transform_both(g, v, y, i * c->chunk, count);
                for (size_t at = 0; at < P; at++)
                    add_point(g, at, s, v, y, count);
            }
            gather_sums(g, stride);
        }
#pragma omp for schedule(static)
        for (size_t i = 0; i < slices; i++)
            w->simd.winograd_weights_grad(g->d_weights, g->s, g->I * g->O, g->O,
                                          (size_t)w->shape.OC, I, i * 8, least(8, I - i * 8));
    }
}

static void open_grad(struct grad *g, const struct winograd *w, float *d_weights, const float *src,
                      const float *d_dst, float *scratch)
{
    const struct course *c = &w->courses[CONV_BACKWARD_WEIGHTS];
    *g = (struct grad){ .w = w, .d_weights = d_weights, .src = src, .d_dst = d_dst,
                        .I = channels(&w->in), .O = wide(&w->out) };
    g->v_point = point_of(c, g->I);
    g->y_point = point_of(c, g->O);
    g->s = scratch;
    g->v = g->s + P * g->I * g->O;
    g->y = g->v + P * g->v_point;
}

void winograd_run(struct winograd *conv, enum conv_direction direction, float *out, const float *a,
                  const float *b, void *scratch)
{
    if (direction == CONV_BACKWARD_WEIGHTS) {
        struct grad g;
        open_grad(&g, conv, out, a, b, scratch);
        run_grad(&g);
    } else {
        struct pass p;
        open_pass(&p, conv, direction, out, a, b, scratch);
        run_pass(&p);
    }
}
