/* linear.c: the head's linear layers, on the kernels of queue-wide products.
 *
 * The weights W (out, in) of a ResNet-50's head are 16 MiB that a batch of 16 rows meets once in
 * each direction, so each pass reads them as they lie, a slice at a time for all rows of the batch.
 * Threads share the slices out; every number is one FMA chain, or stages of one, whatever the
 * split: same bits. */
#include "engine/net/program.h"

#include <string.h>

/* Outputs of a forward slice, rows of the batch that meet it at a time, and rows of W whose
 * gradient is one piece of work; multiples of the kernels' register tiles. */
enum { SLICE = 64, ROWS = 96, PIECE = 24, VECTOR = 16 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t padded(size_t n)
{
    return (n + VECTOR - 1) / VECTOR * VECTOR;
}

/* dst's columns first..first+n-1 for the rows of the batch that begin at `row`. */
static void forward_slice(const struct moco_simd *simd, const struct linear *layer, float *dst,
                          const float *src, const float *params, size_t row, size_t rows,
                          size_t first)
{
    size_t in = (size_t)layer->in, out = (size_t)layer->out, n = least(out - first, SLICE);
    float part[ROWS * SLICE];
    simd->logits(part, src + row * in, params + layer->weight + first * in, rows, n, in);
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < n; o++)
            dst[(row + r) * out + first + o] =
                part[r * n + o] + (layer->biased ? params[layer->bias + first + o] : 0.0f);
}

void linear_forward(const struct moco_simd *simd, const struct linear *layer, float *dst,
                    const float *src, const float *params, int B)
{
    size_t out = (size_t)layer->out, batch = (size_t)B;
#pragma omp parallel for collapse(2) schedule(static)
    for (size_t first = 0; first < out; first += SLICE)
        for (size_t row = 0; row < batch; row += ROWS)
            forward_slice(simd, layer, dst, src, params, row, least(batch - row, ROWS), first);
}

size_t linear_room(const struct linear *layer, int B)
{
    size_t in = padded((size_t)layer->in), out = (size_t)layer->out;
    return in * ((size_t)B + out);
}

/* d_src(B, in) = d_dst(B, out) W, a slice of columns at a time: room(B, padded in) takes the
 * products, panel(out, width) the columns of W. */
static void source_gradient(const struct moco_simd *simd, const struct linear *layer, float *d_src,
                            const float *d_dst, const float *weight, size_t B, float *room)
{
    size_t in = (size_t)layer->in, out = (size_t)layer->out, width = simd->winograd_width;
    float *panels = room + B * padded(in);
#pragma omp parallel for schedule(static)
    for (size_t first = 0; first < in; first += width) {
        size_t n = least(in - first, width), wide = padded(n);
        float *panel = panels + first * out, *product = room + B * first;
        for (size_t o = 0; o < out; o++) {
            memcpy(panel + o * wide, weight + o * in + first, n * sizeof *panel);
            memset(panel + o * wide + n, 0, (wide - n) * sizeof *panel);
        }
        simd->winograd_product(product, d_dst, panel, B, out, wide);
        for (size_t b = 0; b < B; b++)
            memcpy(d_src + b * in + first, product + b * wide, n * sizeof *product);
    }
}

/* sum(out, padded in) += d_dst(B, out)ᵀ y(B, padded in), in stages of the kernel. */
static void add_products(const struct moco_simd *simd, float *sum, const float *d_dst,
                         const float *y, size_t B, size_t out, size_t wide)
{
#pragma omp parallel for schedule(static)
    for (size_t o = 0; o < out; o += PIECE)
        simd->winograd_product_grad(sum + o * wide, d_dst + o, out, y, B, least(out - o, PIECE),
                                    wide);
}

/* grads(out, in) += d_dstᵀ src; rows that are not whole vectors go through room. */
static void weight_gradient(const struct moco_simd *simd, const struct linear *layer, float *grads,
                            const float *d_dst, const float *src, size_t B, float *room)
{
    size_t in = (size_t)layer->in, out = (size_t)layer->out, wide = padded(in);
    float *y = room, *sum = room + B * wide;
    if (in == wide) {
        add_products(simd, grads, d_dst, src, B, out, wide);
        return;
    }
    memset(room, 0, (B + out) * wide * sizeof *room);
    for (size_t b = 0; b < B; b++)
        memcpy(y + b * wide, src + b * in, in * sizeof *y);
    add_products(simd, sum, d_dst, y, B, out, wide);
    for (size_t o = 0; o < out; o++)
        for (size_t i = 0; i < in; i++)
            grads[o * in + i] += sum[o * wide + i];
}

void linear_backward(const struct moco_simd *simd, const struct linear *layer, float *d_src,
                     float *grads, const float *d_dst, const float *src, const float *params,
                     int B, float *room)
{
    size_t out = (size_t)layer->out, batch = (size_t)B;
    if (d_src)
        source_gradient(simd, layer, d_src, d_dst, params + layer->weight, batch, room);
    weight_gradient(simd, layer, grads + layer->weight, d_dst, src, batch, room);
    for (size_t n = 0; n < batch && layer->biased; n++)
        for (size_t o = 0; o < out; o++)
            grads[layer->bias + o] += d_dst[n * out + o];
}
