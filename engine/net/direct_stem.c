/* direct_stem.c: stems on plain images of few channels by our own kernels.
 *
 * Copied into blocks, three channels would be multiplied as 8 or 16. Here the numbers that meet
 * one tap of one channel lie in a row, pixel beside pixel, v(I kernel^2, pixels), so that rows are
 * copied whole; a source row is first split by the remainders of its columns by the stride. The
 * products are those of direct_plan.h the other way about: the kernel of the weight gradient makes
 * the forward pass, as it sums over rows, that of the forward pass the weight gradient. The
 * gradient's pixels are cut into pieces, whose number depends on the layer alone, and whose sums
 * are added up in order: any number of threads gives the same bytes. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/net/direct_plan.h"

enum { MOST_CHANNELS = 7, PIXELS = 96, STAGE = MOCO_WINOGRAD_STAGE, PIECES = 16, EDGE = 16 };

struct stem {
    struct conv_shape shape;
    struct moco_simd simd;
    struct moco_direct copies;
    struct moco_image out;
    struct moco_grid grid; /* of the outputs */
    size_t K, O;           /* numbers that meet an output, and outputs in whole vectors */
    size_t width, pixels, threads;
};

int stem_fits(const struct conv_shape *s)
{
    return s->src_plain && s->IC <= MOST_CHANNELS &&
           s->kernel * s->kernel <= MOCO_DIRECT_TAPS && s->kernel < EDGE;
}

int stem_open(struct stem **out, const struct conv_shape *shape, const struct moco_simd *simd)
{
    struct stem *c = *out = calloc(1, sizeof *c);
    size_t lanes = (size_t)shape->lanes, H = (size_t)shape->OH, W = (size_t)shape->OW;
    if (!c)
        return error_memory("a convolution", sizeof *c);
    c->shape = *shape;
    c->simd = *simd;
    c->copies = simd->activation[shape->number].direct;
    c->out = (struct moco_image){ ((size_t)shape->OC + lanes - 1) / lanes, lanes, H, W };
    c->grid = (struct moco_grid){ H, W, 1 };
    c->K = (size_t)(shape->IC * shape->kernel * shape->kernel);
    c->O = direct_wide(&c->out);
    c->width = direct_least(c->O, simd->winograd_width);
    c->pixels = (size_t)shape->B * H * W;
    c->threads = (size_t)omp_get_max_threads();
    return MOCO_OK;
}

void stem_close(struct stem **stem)
{
    free(*stem);
    *stem = NULL;
}

/* to[i] = column x + i stride of a row, for i < n; zeros outside the image. */
static void copy_columns(float *to, const float *row, long x, long stride, long W, long n)
{
    long low = x < 0 ? (stride - 1 - x) / stride : 0, high = x < W ? (W - x - 1) / stride + 1 : 0;
    low = low < n ? low : n;
    high = high < n ? high : n;
    for (long i = 0; i < low; i++)
        to[i] = 0.0f;
    if (stride == 1 && high > low)
        memcpy(to + low, row + x + low, (size_t)(high - low) * sizeof *to);
    else
        for (long i = low; i < high; i++)
            to[i] = row[x + i * stride];
    for (long i = high > low ? high : low; i < n; i++)
        to[i] = 0.0f;
}

/* phase(stride, PIXELS + EDGE): the columns x, x + stride, ... of a row in the first, x + 1, ... in
 * the next. Without a row: zeros. */
static void split_row(const struct stem *c, float phase[][PIXELS + EDGE], const float *row, long x,
                      size_t n)
{
    for (long p = 0; p < c->shape.stride; p++)
        if (row)
            copy_columns(phase[p], row, x + p, c->shape.stride, c->shape.W, (long)n);
        else
            memset(phase[p], 0, n * sizeof phase[p][0]);
}

/* Column t.. of v: `run` outputs of one row from (y, x) of image n on. */
static void gather_run(const struct stem *c, float *v, size_t ld, const float *src, size_t n,
                       size_t y, size_t x, size_t run)
{
    const struct conv_shape *s = &c->shape;
    size_t kernel = (size_t)s->kernel, stride = (size_t)s->stride;
    float phase[EDGE][PIXELS + EDGE];
    for (size_t i = 0; i < (size_t)s->IC * kernel; i++) {
        long row = (long)(y * stride + i % kernel) - s->pad, H = s->H, W = s->W;
        const float *plane = src + (n * (size_t)s->IC + i / kernel) * (size_t)(H * W);
        split_row(c, phase, row < 0 || row >= H ? NULL : plane + row * W,
                  (long)(x * stride) - s->pad, run + (kernel - 1) / stride);
        for (size_t k = 0; k < kernel; k++)
            memcpy(v + (i * kernel + k) * ld, phase[k % stride] + k / stride, run * sizeof *v);
    }
}

/* v(K, ld) of `count` pixels. */
static void gather(const struct stem *c, float *v, size_t ld, const float *src, size_t first,
                   size_t count)
{
    size_t W = c->grid.columns, each = c->grid.rows * W;
    for (size_t t = 0, run; t < count; t += run) {
        size_t at = (first + t) % each;
        run = direct_least(W - at % W, count - t);
        gather_run(c, v + t, ld, src, (first + t) / each, at / W, at % W, run);
    }
}

/* All K numbers as the channels of one tap. */
static struct moco_weights weights_of(const struct stem *c, const struct moco_tap *tap)
{
    return (struct moco_weights){ .O = (size_t)c->shape.OC, .I = c->K, .size = 1, .tap = tap,
                                  .taps = 1, .ins = c->K, .outs = c->O };
}

/* scratch: u(K, O), then for each thread v(K, PIXELS) and m(PIXELS, O) */
static void forward(const struct stem *c, void *dst, const float *src, const float *weights,
                    float *scratch)
{
    struct moco_tap here = { 0, 0, 0 };
    struct moco_weights all = weights_of(c, &here);
    size_t own = PIXELS * (c->K + c->O);
    c->simd.direct_weights(scratch, weights, &all, 0);
#pragma omp parallel for schedule(dynamic) num_threads((int)c->threads)
    for (size_t first = 0; first < c->pixels; first += PIXELS) {
        float *v = scratch + c->K * c->O + (size_t)omp_get_thread_num() * own;
        float *m = v + c->K * PIXELS;
        size_t n = direct_least(PIXELS, c->pixels - first);
        gather(c, v, PIXELS, src, first, n);
        memset(m, 0, n * c->O * sizeof *m);
        c->simd.winograd_product_grad(m, v, PIXELS, scratch, c->K, n, c->O);
        c->copies.scatter(dst, m, c->O, &c->out, 0, c->out.blocks, &c->grid, &here, first, n);
    }
}

static size_t pieces_of(const struct stem *c)
{
    return direct_least(PIECES, (c->pixels + STAGE - 1) / STAGE);
}

/* s(group)(K, width) of one piece; own: v(K, STAGE), y(STAGE, width) */
static void sum_piece(const struct stem *c, float *s, float *own, const float *src,
                      const void *d_dst, size_t begin, size_t end)
{
    struct moco_tap here = { 0, 0, 0 };
    float *y = own + c->K * STAGE;
    memset(s, 0, c->K * c->O * sizeof *s);
    memset(y, 0, STAGE * c->width * sizeof *y); /* the padding of its rows */
    for (size_t first = begin; first < end; first += STAGE) {
        size_t n = direct_least(STAGE, end - first), lanes = c->out.lanes;
        gather(c, own, n, src, first, n);
        for (size_t o = 0; o < c->O; o += c->width) {
            size_t width = direct_least(c->width, c->O - o), block = o / lanes;
            c->copies.gather(y, width, d_dst, &c->out, block,
                             direct_least(width / lanes, c->out.blocks - block), &c->grid, &here,
                             1, first, n);
            c->simd.winograd_product_add(s + o * c->K, own, y, c->K, n, width);
        }
    }
}

static void add_sums(const struct stem *c, float *d_weights, float *s)
{
    struct moco_tap here = { 0, 0, 0 };
    struct moco_weights some = weights_of(c, &here);
    for (size_t piece = 1; piece < pieces_of(c); piece++)
        for (size_t i = 0; i < c->K * c->O; i++)
            s[i] += s[piece * c->K * c->O + i];
    for (; some.first_out < c->O; some.first_out += c->width) {
        some.outs = direct_least(c->width, c->O - some.first_out);
        c->simd.direct_weights_grad(d_weights, s + some.first_out * c->K, some.outs, &some);
    }
}

/* scratch: the pieces' sums, then each thread's own */
static void backward(const struct stem *c, float *d_weights, const float *src, const void *d_dst,
                     float *scratch)
{
    size_t pieces = pieces_of(c), stages = (c->pixels + STAGE - 1) / STAGE;
    size_t piece = (stages + pieces - 1) / pieces * STAGE, own = STAGE * (c->K + c->width);
#pragma omp parallel for schedule(dynamic) num_threads((int)c->threads)
    for (size_t i = 0; i < pieces; i++)
        sum_piece(c, scratch + i * c->K * c->O,
                  scratch + pieces * c->K * c->O + (size_t)omp_get_thread_num() * own, src, d_dst,
                  direct_least(i * piece, c->pixels), direct_least((i + 1) * piece, c->pixels));
    add_sums(c, d_weights, scratch);
}

size_t stem_scratch_bytes(const struct stem *c)
{
    size_t pass = c->K * c->O + c->threads * PIXELS * (c->K + c->O);
    size_t grad = pieces_of(c) * c->K * c->O + c->threads * STAGE * (c->K + c->width);
    return arena_round((pass > grad ? pass : grad) * sizeof(float));
}

void stem_run(struct stem *stem, enum conv_direction direction, void *out, const float *src,
              const void *b, void *scratch)
{
    if (direction == CONV_FORWARD)
        forward(stem, out, src, b, scratch);
    else
        backward(stem, out, src, b, scratch);
}
