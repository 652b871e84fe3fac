/* linear.c: the head's linear layers, on the dot-product kernel.
 *
 * dst = src W^T + b is (B, in) . (out, in)^T, the shape of simd's `logits`; the two gradients have
 * that shape too once an operand is transposed. Rows are split over the threads: same bits. */
#include "engine/net/program.h"

/* out(M, N) = a(M, D) . b(N, D)^T, rows of `a` split over the threads. */
static void product(const struct moco_simd *simd, float *out, const float *a, const float *b,
                    size_t M, size_t N, size_t D)
{
    enum { ROWS = 12 }; /* a multiple of the kernels' register tile */
    long chunks = (long)((M + ROWS - 1) / ROWS);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < chunks; i++) {
        size_t first = (size_t)i * ROWS, rows = M - first < ROWS ? M - first : ROWS;
        simd->logits(out + first * N, a + first * D, b, rows, N, D);
    }
}

static void transpose(float *dst, const float *src, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            dst[c * rows + r] = src[r * columns + c];
}

size_t linear_room(const struct linear *layer, int B)
{
    size_t in = (size_t)layer->in, out = (size_t)layer->out;
    return 2 * in * out + (in + out) * (size_t)B;
}

void linear_forward(const struct moco_simd *simd, const struct linear *layer, float *dst,
                    const float *src, const float *params, int B)
{
    size_t in = (size_t)layer->in, out = (size_t)layer->out;
    product(simd, dst, src, params + layer->weight, (size_t)B, out, in);
    for (size_t n = 0; n < (size_t)B; n++)
        for (size_t o = 0; o < out; o++)
            dst[n * out + o] += params[layer->bias + o];
}

void linear_backward(const struct moco_simd *simd, const struct linear *layer, float *d_src,
                     float *grads, const float *d_dst, const float *src, const float *params,
                     int B, float *room)
{
    size_t in = (size_t)layer->in, out = (size_t)layer->out, rows = (size_t)B;
    float *weight_t = room, *d_weight = weight_t + in * out; /* (in, out), (out, in) */
    float *d_dst_t = d_weight + in * out, *src_t = d_dst_t + out * rows; /* (out, B), (in, B) */

    if (d_src) {
        transpose(weight_t, params + layer->weight, out, in);
        product(simd, d_src, d_dst, weight_t, rows, in, out);
    }
    transpose(d_dst_t, d_dst, rows, out);
    transpose(src_t, src, rows, in);
    product(simd, d_weight, d_dst_t, src_t, out, in, rows);
    for (size_t i = 0; i < in * out; i++)
        grads[layer->weight + i] += d_weight[i];
    for (size_t n = 0; n < rows; n++)
        for (size_t o = 0; o < out; o++)
            grads[layer->bias + o] += d_dst[n * out + o];
}
