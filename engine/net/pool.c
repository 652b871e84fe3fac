/* pool.c: max-pooling 3x3 stride 2 padding 1 of the imagenet stem, and the global average.
 *
 * A plane is one sample's channel block (H, W, lanes). The gradient of the maximum goes to the
 * first of equal pixels in row order, as in PyTorch; it is found again instead of being stored. */
#include "engine/net/program.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES_MAX = 16, PART = 4 };

/* Part of a pixel's lanes, and a mask of it: the compiler's portable vectors, because it does not
 * find them in the loops by itself (the gradient of 16 x 64 x 112 x 112: 22 ms instead of 6). */
typedef float part __attribute__((vector_size(PART * sizeof(float)), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(PART * sizeof(float))));

/* The window of output position o along an axis of `size`: [*from, *to). */
static inline void window(int *from, int *to, int o, int size)
{
    *from = 2 * o - 1 < 0 ? 0 : 2 * o - 1;
    *to = 2 * o + 2 > size ? size : 2 * o + 2;
}

static inline part choose(mask where, part a, part b)
{
    return (part)((where & (mask)a) | (~where & (mask)b));
}

/* The maximum in one window, of the lanes that src opens with. */
static inline part largest(const float *src, int oh, int ow, int H, int W, int lanes)
{
    part most = { -INFINITY, -INFINITY, -INFINITY, -INFINITY };
    int h0, h1, w0, w1;
    window(&h0, &h1, oh, H);
    window(&w0, &w1, ow, W);
    for (int h = h0; h < h1; h++)
        for (int w = w0; w < w1; w++) {
            part x = *(const part *)(src + (size_t)(h * W + w) * (size_t)lanes);
            most = choose(x > most, x, most);
        }
    return most;
}

/* The first pixel of the window that holds the maximum takes the gradient. */
static inline void give_back(float *d_src, part gradient, const float *src, int oh, int ow, int H,
                             int W, int lanes)
{
    part most = largest(src, oh, ow, H, W, lanes), none = { 0 };
    int h0, h1, w0, w1;
    window(&h0, &h1, oh, H);
    window(&w0, &w1, ow, W);
    for (int h = h0; h < h1; h++)
        for (int w = w0; w < w1; w++) {
            size_t at = (size_t)(h * W + w) * (size_t)lanes;
            mask here = *(const part *)(src + at) == most;
            *(part *)(d_src + at) += choose(here, gradient, none);
            gradient = choose(here, none, gradient);
        }
}

static size_t pooled_pixels(int H, int W)
{
    return (size_t)((H - 1) / 2 + 1) * (size_t)((W - 1) / 2 + 1);
}

void maxpool_forward(float *dst, const float *src, size_t planes, int H, int W, int lanes)
{
    size_t in = (size_t)H * (size_t)W * (size_t)lanes, OW = (size_t)(W - 1) / 2 + 1;
#pragma omp parallel for schedule(static)
    for (long p = 0; p < (long)planes; p++)
        for (size_t i = 0; i < pooled_pixels(H, W); i++)
            for (int l = 0; l < lanes; l += PART)
                *(part *)(dst + ((size_t)p * pooled_pixels(H, W) + i) * (size_t)lanes + l) =
                    largest(src + (size_t)p * in + l, (int)(i / OW), (int)(i % OW), H, W, lanes);
}

void maxpool_backward(float *d_src, const float *d_dst, const float *src, size_t planes, int H,
                      int W, int lanes)
{
    size_t in = (size_t)H * (size_t)W * (size_t)lanes, OW = (size_t)(W - 1) / 2 + 1;
#pragma omp parallel for schedule(static)
    for (long p = 0; p < (long)planes; p++) {
        float *to = d_src + (size_t)p * in;
        const float *from = d_dst + (size_t)p * pooled_pixels(H, W) * (size_t)lanes;
        memset(to, 0, in * sizeof *to);
        for (size_t i = 0; i < pooled_pixels(H, W); i++)
            for (int l = 0; l < lanes; l += PART)
                give_back(to + l, *(const part *)(from + i * (size_t)lanes + l),
                          src + (size_t)p * in + l, (int)(i / OW), (int)(i % OW), H, W, lanes);
    }
}

void avgpool_forward(float *dst, const float *src, int B, int C, int pixels, int lanes)
{
    int blocks = (C + lanes - 1) / lanes;
#pragma omp parallel for schedule(static)
    for (long i = 0; i < (long)B * blocks; i++) {
        const float *plane = src + (size_t)i * (size_t)(pixels * lanes);
        int first = (int)(i % blocks) * lanes;
        double sum[LANES_MAX] = { 0 };
        for (int p = 0; p < pixels * lanes; p += lanes)
            for (int l = 0; l < lanes; l++)
                sum[l] += plane[p + l];
        for (int l = 0; l < lanes && first + l < C; l++)
            dst[(size_t)(i / blocks) * (size_t)C + (size_t)(first + l)] = (float)(sum[l] / pixels);
    }
}

void avgpool_backward(float *d_src, const float *d_dst, int B, int C, int pixels, int lanes)
{
    int blocks = (C + lanes - 1) / lanes;
#pragma omp parallel for schedule(static)
    for (long i = 0; i < (long)B * blocks; i++) {
        float *plane = d_src + (size_t)i * (size_t)(pixels * lanes), d[LANES_MAX] = { 0 };
        int first = (int)(i % blocks) * lanes;
        for (int l = 0; l < lanes && first + l < C; l++)
            d[l] = d_dst[(size_t)(i / blocks) * (size_t)C + (size_t)(first + l)] / (float)pixels;
        for (int p = 0; p < pixels * lanes; p += lanes)
            memcpy(plane + p, d, (size_t)lanes * sizeof *d);
    }
}
