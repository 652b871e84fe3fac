/* direct_pass.c: forward pass and data gradient, spread over the threads; see direct_plan.h. */
#include <omp.h>
#include <string.h>

#include "engine/net/direct_plan.h"

/* Numbers of a part of a row; floats of a chunk; its pixels; chunks for each thread, at least. */
enum { PART = 256, CHUNK_FLOATS = 120 << 10, PIXELS = 96, STEP = 12, SHARES = 4 };

/* A pass from one image to the pixels of another that stand `to_grid.step` apart from `corner` on:
 * all of them, or, in the data gradient, those of one remainder by the stride, which meet the same
 * taps. Outputs are worked on in groups: u(part)(group)(rows, width), m(group)(chunk, width). */
struct pass {
    const struct direct *c;
    const struct moco_image *from, *to;
    struct moco_grid grid, to_grid;
    struct moco_tap taps[MOCO_DIRECT_TAPS], corner;
    struct direct_cut cut;
    int turned;
    size_t O, width, groups; /* outputs in whole vectors, those of a full group */
    size_t pixels, chunk;
    size_t shares; /* threads that work on different groups of a chunk */
    void *dst;
    const void *src;
    const float *weights;
    float *u, *v; /* v(chunk, part), and behind it m, of the first thread */
};

static size_t chunk_of(const struct pass *p)
{
    size_t even = p->pixels / (p->c->threads * SHARES) / STEP * STEP;
    size_t cached = CHUNK_FLOATS / (PART + p->O) / STEP * STEP;
    size_t chunk = direct_least(direct_least(even, cached), PIXELS);
    return chunk < STEP ? STEP : chunk;
}

static void size_pass(struct pass *p, size_t taps)
{
    size_t chunks, wanted;
    p->cut = direct_cut(p->from, taps, PART);
    p->O = direct_wide(p->to);
    p->width = direct_least(p->O, p->c->simd.winograd_width);
    p->groups = (p->O + p->width - 1) / p->width;
    p->pixels = (size_t)p->c->shape.B * p->grid.rows * p->grid.columns;
    p->chunk = chunk_of(p);
    chunks = (p->pixels + p->chunk - 1) / p->chunk;
    wanted = chunks ? (2 * p->c->threads + chunks - 1) / chunks : 1;
    p->shares = chunks >= 2 * p->c->threads ? 1 : direct_least(wanted, p->groups);
}

static void open_forward(struct pass *p, const struct direct *c)
{
    const struct conv_shape *s = &c->shape;
    size_t taps = (size_t)(s->kernel * s->kernel);
    *p = (struct pass){ .c = c, .from = &c->in, .to = &c->out,
                        .grid = { c->out.H, c->out.W, (size_t)s->stride },
                        .to_grid = { c->out.H, c->out.W, 1 } };
    for (size_t i = 0; i < taps; i++)
        p->taps[i] = (struct moco_tap){ (int)i / s->kernel - s->pad, (int)i % s->kernel - s->pad,
                                        i };
    size_pass(p, taps);
}

/* Source pixels (y, x) with these remainders. Output pixel v meets y by tap k where
 * v stride - pad + k = y. */
static void open_backward(struct pass *p, const struct direct *c, int y, int x)
{
    const struct conv_shape *s = &c->shape;
    size_t stride = (size_t)s->stride, taps = 0;
    size_t rows = (c->in.H + stride - 1 - (size_t)y) / stride;
    size_t columns = (c->in.W + stride - 1 - (size_t)x) / stride;
    *p = (struct pass){ .c = c, .from = &c->out, .to = &c->in, .turned = 1,
                        .grid = { rows, columns, 1 }, .to_grid = { rows, columns, stride },
                        .corner = { y, x, 0 } };
    for (int i = 0; i < s->kernel * s->kernel; i++) {
        int v = y + s->pad - i / s->kernel, u = x + s->pad - i % s->kernel;
        if (v % s->stride == 0 && u % s->stride == 0)
            p->taps[taps++] = (struct moco_tap){ v / s->stride, u / s->stride, (size_t)i };
    }
    size_pass(p, taps);
}

static size_t group_width(const struct pass *p, size_t group)
{
    return direct_least(p->width, p->O - group * p->width);
}

/* The parts of all groups, by a team. */
static void pack_weights(const struct pass *p)
{
    const struct conv_shape *s = &p->c->shape;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < p->cut.count * p->groups; i++) {
        struct direct_part part = direct_part(p->from, &p->cut, i / p->groups);
        size_t group = i % p->groups, lanes = p->from->lanes;
        struct moco_weights which = {
            .O = (size_t)s->OC, .I = (size_t)s->IC, .size = (size_t)(s->kernel * s->kernel),
            .tap = p->taps + part.tap, .taps = part.taps, .first_in = part.block * lanes,
            .ins = part.blocks * lanes, .first_out = group * p->width,
            .outs = group_width(p, group),
        };
        p->c->simd.direct_weights(p->u + part.before * p->O + part.rows * which.first_out,
                                  p->weights, &which, p->turned);
    }
}

static float *group_of(const struct pass *p, float *m, size_t group)
{
    return m + group * p->width * p->chunk;
}

/* One part's rows, and their products with groups first..last-1. */
static void multiply_part(const struct pass *p, float *v, float *m, size_t i, size_t pixel,
                          size_t count, size_t first, size_t last)
{
    const struct direct *c = p->c;
    struct direct_part part = direct_part(p->from, &p->cut, i);
    moco_winograd_product_fn *product =
        i ? c->simd.winograd_product_add : c->simd.winograd_product;
    c->copies.gather(v, part.rows, p->src, p->from, part.block, part.blocks, &p->grid,
                     p->taps + part.tap, part.taps, pixel, count);
    for (size_t group = first; group < last; group++)
        product(group_of(p, m, group), v,
                p->u + part.before * p->O + part.rows * group * p->width, count, part.rows,
                group_width(p, group));
}

/* One thread, one chunk, groups first..last-1. Pixels that no tap meets become zero. */
static void run_chunk(const struct pass *p, float *v, size_t pixel, size_t count, size_t first,
                      size_t last)
{
    float *m = v + p->chunk * PART;
    size_t lanes = p->to->lanes;
    for (size_t i = 0; i < p->cut.count; i++)
        multiply_part(p, v, m, i, pixel, count, first, last);
    for (size_t group = first; group < last; group++) {
        size_t width = group_width(p, group), block = group * p->width / lanes;
        if (!p->cut.count)
            memset(group_of(p, m, group), 0, count * width * sizeof *m);
        p->c->copies.scatter(p->dst, group_of(p, m, group), width, p->to, block,
                             direct_least(width / lanes, p->to->blocks - block), &p->to_grid,
                             &p->corner, pixel, count);
    }
}

static size_t own_floats(const struct pass *p)
{
    return p->chunk * (PART + p->O);
}

static size_t u_floats(const struct pass *p)
{
    return p->cut.taps * direct_channels(p->from) * p->O;
}

static void run_pass(const struct pass *p)
{
    size_t chunks = (p->pixels + p->chunk - 1) / p->chunk;
#pragma omp parallel num_threads((int)p->c->threads)
    {
        float *v = p->v + (size_t)omp_get_thread_num() * own_floats(p);
        pack_weights(p);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < chunks * p->shares; i++) {
            size_t pixel = i / p->shares * p->chunk, share = i % p->shares;
            run_chunk(p, v, pixel, direct_least(p->chunk, p->pixels - pixel),
                      share * p->groups / p->shares, (share + 1) * p->groups / p->shares);
        }
    }
}

static void open_pass(struct pass *p, const struct direct *c, enum conv_direction direction,
                      int remainder)
{
    if (direction == CONV_FORWARD)
        open_forward(p, c);
    else
        open_backward(p, c, remainder / c->shape.stride, remainder % c->shape.stride);
}

/* Passes that a direction takes. */
static int passes(const struct direct *c, enum conv_direction direction)
{
    return direction == CONV_FORWARD ? 1 : c->shape.stride * c->shape.stride;
}

size_t direct_pass_floats(const struct direct *c, enum conv_direction direction)
{
    size_t most = 0;
    for (int i = 0; i < passes(c, direction); i++) {
        struct pass p;
        open_pass(&p, c, direction, i);
        size_t floats = u_floats(&p) + own_floats(&p) * c->threads;
        most = floats > most ? floats : most;
    }
    return most;
}

void direct_pass(const struct direct *c, enum conv_direction direction, void *dst,
                 const void *src, const float *weights, float *scratch)
{
    for (int i = 0; i < passes(c, direction); i++) {
        struct pass p;
        open_pass(&p, c, direction, i);
        p.dst = dst;
        p.src = src;
        p.weights = weights;
        p.u = scratch;
        p.v = scratch + u_floats(&p);
        run_pass(&p);
    }
}
