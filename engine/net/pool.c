/* pool.c: max-pooling 3x3 stride 2 padding 1 of the imagenet stem, and the global average.
 *
 * A plane is one sample's channel block (H, W, lanes). The gradient of the maximum goes to the
 * first of equal pixels in row order, as in PyTorch; it is found again instead of being stored. */
#include "engine/net/program.h"

#include <math.h>
#include <string.h>

/* The window of output position o along an axis of `size`: [*from, *to). */
static void window(int *from, int *to, int o, int size)
{
    *from = 2 * o - 1 < 0 ? 0 : 2 * o - 1;
    *to = 2 * o + 2 > size ? size : 2 * o + 2;
}

static void pool_pixel(float *dst, const float *src, int oh, int ow, int H, int W, int lanes)
{
    int h0, h1, w0, w1;
    window(&h0, &h1, oh, H);
    window(&w0, &w1, ow, W);
    for (int l = 0; l < lanes; l++)
        dst[l] = -INFINITY;
    for (int h = h0; h < h1; h++)
        for (int w = w0; w < w1; w++) {
            const float *x = src + (size_t)(h * W + w) * (size_t)lanes;
            for (int l = 0; l < lanes; l++)
                dst[l] = x[l] > dst[l] ? x[l] : dst[l];
        }
}

void maxpool_forward(float *dst, const float *src, size_t planes, int H, int W, int lanes)
{
    int OH = (H - 1) / 2 + 1, OW = (W - 1) / 2 + 1;
    size_t in = (size_t)H * (size_t)W * (size_t)lanes, out = (size_t)(OH * OW) * (size_t)lanes;
#pragma omp parallel for schedule(static)
    for (long p = 0; p < (long)planes; p++)
        for (int oh = 0; oh < OH; oh++)
            for (int ow = 0; ow < OW; ow++)
                pool_pixel(dst + (size_t)p * out + (size_t)(oh * OW + ow) * (size_t)lanes,
                           src + (size_t)p * in, oh, ow, H, W, lanes);
}

static void unpool_pixel(float *d_src, const float *d_dst, const float *src, int oh, int ow, int H,
                         int W, int lanes)
{
    int h0, h1, w0, w1;
    window(&h0, &h1, oh, H);
    window(&w0, &w1, ow, W);
    for (int l = 0; l < lanes; l++) {
        size_t best = (size_t)(h0 * W + w0) * (size_t)lanes + (size_t)l;
        for (int h = h0; h < h1; h++)
            for (int w = w0; w < w1; w++) {
                size_t at = (size_t)(h * W + w) * (size_t)lanes + (size_t)l;
                if (src[at] > src[best])
                    best = at;
            }
        d_src[best] += d_dst[l];
    }
}

void maxpool_backward(float *d_src, const float *d_dst, const float *src, size_t planes, int H,
                      int W, int lanes)
{
    int OH = (H - 1) / 2 + 1, OW = (W - 1) / 2 + 1;
    size_t in = (size_t)H * (size_t)W * (size_t)lanes, out = (size_t)(OH * OW) * (size_t)lanes;
#pragma omp parallel for schedule(static)
    for (long p = 0; p < (long)planes; p++) {
        float *d_plane = d_src + (size_t)p * in;
        memset(d_plane, 0, in * sizeof *d_plane);
        for (int oh = 0; oh < OH; oh++)
            for (int ow = 0; ow < OW; ow++)
                unpool_pixel(d_plane,
                             d_dst + (size_t)p * out + (size_t)(oh * OW + ow) * (size_t)lanes,
                             src + (size_t)p * in, oh, ow, H, W, lanes);
    }
}

void avgpool_forward(float *dst, const float *src, int B, int C, int pixels, int lanes)
{
    int blocks = (C + lanes - 1) / lanes;
    for (int n = 0; n < B; n++)
        for (int c = 0; c < C; c++) {
            const float *plane = src + (size_t)(n * blocks + c / lanes) * (size_t)(pixels * lanes);
            double sum = 0;
            for (int i = 0; i < pixels; i++)
                sum += plane[(size_t)(i * lanes + c % lanes)];
            dst[(size_t)n * (size_t)C + (size_t)c] = (float)(sum / pixels);
        }
}

void avgpool_backward(float *d_src, const float *d_dst, int B, int C, int pixels, int lanes)
{
    int blocks = (C + lanes - 1) / lanes;
    for (int n = 0; n < B; n++)
        for (int b = 0; b < blocks; b++)
            for (int i = 0; i < pixels; i++) {
                float *d = d_src + ((size_t)(n * blocks + b) * (size_t)pixels + (size_t)i) *
                                       (size_t)lanes;
                for (int l = 0; l < lanes; l++) {
                    int c = b * lanes + l;
                    d[l] = c < C ? d_dst[(size_t)n * (size_t)C + (size_t)c] / (float)pixels : 0;
                }
            }
}
