/* direct_grad.c: the weight gradient, spread over the threads; see direct_plan.h.
 *
 * The sums d_w(taps, in, out) are cut into fields of at most 128 x 256. A field is summed by one
 * thread over all pixels, 64 at a time; where there are few fields, the pixels are cut into pieces
 * too, whose sums are then added up in order. Pieces follow from the layer's sizes alone, so any
 * number of threads gives the same bytes. */
#include <omp.h>
#include <string.h>

#include "engine/net/direct_plan.h"

enum { ROWS = 128, COLUMNS = 256, CHUNK = 2 * MOCO_WINOGRAD_STAGE, TASKS = 16 };

struct grad {
    const struct direct *c;
    float *d_weights;
    const void *src, *d_dst;
    struct moco_tap taps[MOCO_DIRECT_TAPS];
    struct direct_cut cut;
    size_t O, columns, spans; /* outputs in whole vectors, those of a field, fields along them */
    size_t fields, pieces, piece; /* fields, pieces of the pixels, pixels of one */
    size_t pixels;
    float *s, *own; /* s(piece, field, ROWS, columns) where there are pieces; the first thread's */
};

static void open_grad(struct grad *g, const struct direct *c)
{
    const struct conv_shape *s = &c->shape;
    size_t taps = (size_t)(s->kernel * s->kernel), chunks;
    *g = (struct grad){ .c = c, .O = direct_wide(&c->out),
                        .pixels = (size_t)s->B * c->out.H * c->out.W };
    for (size_t i = 0; i < taps; i++)
        g->taps[i] = (struct moco_tap){ (int)i / s->kernel - s->pad, (int)i % s->kernel - s->pad,
                                        i };
    g->cut = direct_cut(&c->in, taps, ROWS);
    g->columns = direct_least(g->O, COLUMNS);
    g->spans = (g->O + g->columns - 1) / g->columns;
    g->fields = g->cut.count * g->spans;
    chunks = (g->pixels + CHUNK - 1) / CHUNK;
    g->pieces = direct_least((TASKS + g->fields - 1) / g->fields, chunks);
    g->piece = (chunks + g->pieces - 1) / g->pieces * CHUNK;
}

/* Sums of a field, and rows of both images; behind them two halves of a thread's own. */
static size_t field_floats(const struct grad *g)
{
    return ROWS * g->columns;
}

static size_t own_floats(const struct grad *g)
{
    return field_floats(g) + CHUNK * (ROWS + g->columns);
}

/* The outputs of a field. */
static void span_of(const struct grad *g, size_t field, size_t *first, size_t *count)
{
    *first = field % g->spans * g->columns;
    *count = direct_least(g->columns, g->O - *first);
}

static void sum_field(const struct grad *g, float *s, float *v, size_t field, size_t begin,
                      size_t end)
{
    const struct direct *c = g->c;
    struct direct_part part = direct_part(&c->in, &g->cut, field / g->spans);
    struct moco_grid grid = { c->out.H, c->out.W, (size_t)c->shape.stride };
    struct moco_grid same = { c->out.H, c->out.W, 1 };
    struct moco_tap here = { 0, 0, 0 };
    size_t first, count, lanes = c->out.lanes;
    float *y = v + CHUNK * ROWS;
    span_of(g, field, &first, &count);
    memset(s, 0, part.rows * count * sizeof *s);
    memset(y, 0, CHUNK * count * sizeof *y); /* the padding of its rows */
    for (size_t pixel = begin; pixel < end; pixel += CHUNK) {
        size_t n = direct_least(CHUNK, end - pixel), block = first / lanes;
        c->copies.gather(v, part.rows, g->src, &c->in, part.block, part.blocks, &grid,
                         g->taps + part.tap, part.taps, pixel, n);
        c->copies.gather(y, count, g->d_dst, &c->out, block,
                         direct_least(count / lanes, c->out.blocks - block), &same, &here, 1,
                         pixel, n);
        c->simd.winograd_product_grad(s, v, part.rows, y, n, part.rows, count);
    }
}

static void add_field(const struct grad *g, const float *s, size_t field)
{
    const struct conv_shape *shape = &g->c->shape;
    struct direct_part part = direct_part(&g->c->in, &g->cut, field / g->spans);
    size_t lanes = g->c->in.lanes;
    struct moco_weights which = {
        .O = (size_t)shape->OC, .I = (size_t)shape->IC,
        .size = (size_t)(shape->kernel * shape->kernel), .tap = g->taps + part.tap,
        .taps = part.taps, .first_in = part.block * lanes, .ins = part.blocks * lanes,
    };
    span_of(g, field, &which.first_out, &which.outs);
    g->c->simd.direct_weights_grad(g->d_weights, s, which.outs, &which);
}

/* The pieces' sums of a field into those of the first. */
static void gather_pieces(const struct grad *g, size_t field)
{
    size_t first, n;
    float *to = g->s + field * field_floats(g);
    span_of(g, field, &first, &n);
    n *= direct_part(&g->c->in, &g->cut, field / g->spans).rows;
    for (size_t piece = 1; piece < g->pieces; piece++) {
        const float *from = to + piece * g->fields * field_floats(g);
        for (size_t i = 0; i < n; i++)
            to[i] += from[i];
    }
}

static void run_team(const struct grad *g)
{
    float *own = g->own + (size_t)omp_get_thread_num() * own_floats(g);
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < g->fields * g->pieces; i++) {
        size_t field = i % g->fields, begin = i / g->fields * g->piece;
        float *s = g->pieces > 1 ? g->s + i * field_floats(g) : own;
        size_t end = direct_least(begin + g->piece, g->pixels);
        sum_field(g, s, own + field_floats(g), field, direct_least(begin, end), end);
        if (g->pieces == 1)
            add_field(g, s, field);
    }
#pragma omp for schedule(dynamic)
    for (size_t field = 0; field < (g->pieces > 1 ? g->fields : 0); field++) {
        gather_pieces(g, field);
        add_field(g, g->s + field * field_floats(g), field);
    }
}

static size_t sums_floats(const struct grad *g)
{
    return g->pieces > 1 ? g->pieces * g->fields * field_floats(g) : 0;
}

size_t direct_grad_floats(const struct direct *c)
{
    struct grad g;
    open_grad(&g, c);
    return sums_floats(&g) + own_floats(&g) * c->threads;
}

void direct_grad(const struct direct *c, float *d_weights, const void *src, const void *d_dst,
                 float *scratch)
{
    struct grad g;
    open_grad(&g, c);
    g.d_weights = d_weights;
    g.src = src;
    g.d_dst = d_dst;
    g.s = scratch;
    g.own = scratch + sums_floats(&g);
#pragma omp parallel num_threads((int)c->threads)
    run_team(&g);
}
