/* pool.c: max-pooling 3x3 stride 2 padding 1 of the imagenet stem, and the global average.
 *
 * A plane is one sample's channel block (H, W, lanes). The gradient of the maximum goes to the
 * first of equal pixels in row order, as in PyTorch; it is found again instead of being stored.
 * Each function is written once for both kinds of number, and compiled for each. */
#include "engine/net/program.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES_MAX = 16, PART = 4 };

#define INLINE static inline __attribute__((always_inline))

/* Part of a pixel's lanes, and a mask of it: the compiler's portable vectors, because it does not
 * find them in the loops by itself (the gradient of 16 x 64 x 112 x 112: 22 ms instead of 6). */
typedef float part __attribute__((vector_size(PART * sizeof(float)), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(PART * sizeof(float))));
typedef uint32_t words __attribute__((vector_size(PART * sizeof(float))));
typedef moco_bf16 halves
    __attribute__((vector_size(PART * sizeof(moco_bf16)), aligned(2), may_alias));

INLINE words choose_words(words where, words a, words b)
{
    return (where & a) | (~where & b);
}

INLINE part choose(mask where, part a, part b)
{
    return (part)choose_words((words)where, (words)a, (words)b);
}

/* Rounded as simd.h says. */
INLINE halves narrowed(part x)
{
    words bits = (words)x, sign = bits & 0x80000000u, size = bits & 0x7fffffffu;
    words nearest = bits + 0x7fff + (bits >> 16 & 1);
    words tiny = (words)(size < 0x00800000u), nan = (words)(size > 0x7f800000u);
    bits = choose_words(nan, bits | 0x00400000u, choose_words(tiny, sign, nearest));
    return __builtin_convertvector(bits >> 16, halves);
}

INLINE part load(enum moco_number number, const void *from, size_t at)
{
    if (number == MOCO_FP32)
        return *(const part *)((const float *)from + at);
    return (part)(__builtin_convertvector(*(const halves *)((const moco_bf16 *)from + at), words)
                  << 16);
}

INLINE void store(enum moco_number number, void *to, size_t at, part x)
{
    if (number == MOCO_FP32)
        *(part *)((float *)to + at) = x;
    else
        *(halves *)((moco_bf16 *)to + at) = narrowed(x);
}

/* A plane of images that are pooled; the window of output position o along an axis of `size` is
 * [*from, *to). */
struct pooling {
    int H, W, lanes;
};

INLINE void window(int *from, int *to, int o, int size)
{
    *from = 2 * o - 1 < 0 ? 0 : 2 * o - 1;
    *to = 2 * o + 2 > size ? size : 2 * o + 2;
}

/* The maximum in one window, of the lanes that stand `at` the beginning of a plane. */
INLINE part largest(enum moco_number number, const void *src, size_t at, int oh, int ow,
                    const struct pooling *p)
{
    part most = { -INFINITY, -INFINITY, -INFINITY, -INFINITY };
    int h0, h1, w0, w1;
    window(&h0, &h1, oh, p->H);
    window(&w0, &w1, ow, p->W);
    for (int h = h0; h < h1; h++)
        for (int w = w0; w < w1; w++) {
            part x = load(number, src, at + (size_t)(h * p->W + w) * (size_t)p->lanes);
            most = choose(x > most, x, most);
        }
    return most;
}

/* The first pixel of the window that holds the maximum takes the gradient. */
INLINE void give_back(enum moco_number number, void *d_src, part gradient, const void *src,
                      size_t at, int oh, int ow, const struct pooling *p)
{
    part most = largest(number, src, at, oh, ow, p), none = { 0 };
    int h0, h1, w0, w1;
    window(&h0, &h1, oh, p->H);
    window(&w0, &w1, ow, p->W);
    for (int h = h0; h < h1; h++)
        for (int w = w0; w < w1; w++) {
            size_t pixel = at + (size_t)(h * p->W + w) * (size_t)p->lanes;
            mask here = load(number, src, pixel) == most;
            store(number, d_src, pixel,
                  load(number, d_src, pixel) + choose(here, gradient, none));
            gradient = choose(here, none, gradient);
        }
}

static size_t pooled_pixels(int H, int W)
{
    return (size_t)((H - 1) / 2 + 1) * (size_t)((W - 1) / 2 + 1);
}

INLINE void forward_plane(enum moco_number number, void *dst, const void *src, size_t plane,
                          const struct pooling *p)
{
    size_t lanes = (size_t)p->lanes, from = plane * (size_t)(p->H * p->W) * lanes;
    size_t OW = (size_t)(p->W - 1) / 2 + 1, pixels = pooled_pixels(p->H, p->W);
    for (size_t i = 0; i < pixels; i++)
        for (size_t l = 0; l < lanes; l += PART)
            store(number, dst, (plane * pixels + i) * lanes + l,
                  largest(number, src, from + l, (int)(i / OW), (int)(i % OW), p));
}

void maxpool_forward(enum moco_number number, void *dst, const void *src, size_t planes, int H,
                     int W, int lanes)
{
    const struct pooling p = { H, W, lanes };
#pragma omp parallel for schedule(static)
    for (size_t plane = 0; plane < planes; plane++)
        if (number == MOCO_FP32)
            forward_plane(MOCO_FP32, dst, src, plane, &p);
        else
            forward_plane(MOCO_BF16, dst, src, plane, &p);
}

INLINE void backward_plane(enum moco_number number, void *d_src, const void *d_dst,
                           const void *src, size_t plane, const struct pooling *p)
{
    size_t lanes = (size_t)p->lanes, in = (size_t)(p->H * p->W) * lanes;
    size_t OW = (size_t)(p->W - 1) / 2 + 1, pixels = pooled_pixels(p->H, p->W);
    size_t bytes = number == MOCO_FP32 ? sizeof(float) : sizeof(moco_bf16);
    memset((char *)d_src + plane * in * bytes, 0, in * bytes);
    for (size_t i = 0; i < pixels; i++)
        for (size_t l = 0; l < lanes; l += PART)
            give_back(number, d_src, load(number, d_dst, (plane * pixels + i) * lanes + l), src,
                      plane * in + l, (int)(i / OW), (int)(i % OW), p);
}

void maxpool_backward(enum moco_number number, void *d_src, const void *d_dst, const void *src,
                      size_t planes, int H, int W, int lanes)
{
    const struct pooling p = { H, W, lanes };
#pragma omp parallel for schedule(static)
    for (size_t plane = 0; plane < planes; plane++)
        if (number == MOCO_FP32)
            backward_plane(MOCO_FP32, d_src, d_dst, src, plane, &p);
        else
            backward_plane(MOCO_BF16, d_src, d_dst, src, plane, &p);
}

/* ---- the average ---- */

void avgpool_forward(enum moco_number number, float *dst, const void *src, int B, int C,
                     int pixels, int lanes)
{
    int blocks = (C + lanes - 1) / lanes;
#pragma omp parallel for schedule(static)
    for (long i = 0; i < (long)B * blocks; i++) {
        size_t plane = (size_t)i * (size_t)(pixels * lanes);
        int first = (int)(i % blocks) * lanes;
        double sum[LANES_MAX] = { 0 };
        for (int p = 0; p < pixels; p++)
            for (int l = 0; l < lanes; l += PART) {
                part x = load(number, src, plane + (size_t)(p * lanes + l));
                for (int j = 0; j < PART; j++)
                    sum[l + j] += x[j];
            }
        for (int l = 0; l < lanes && first + l < C; l++)
            dst[(size_t)(i / blocks) * (size_t)C + (size_t)(first + l)] = (float)(sum[l] / pixels);
    }
}

void avgpool_backward(enum moco_number number, void *d_src, const float *d_dst, int B, int C,
                      int pixels, int lanes)
{
    int blocks = (C + lanes - 1) / lanes;
#pragma omp parallel for schedule(static)
    for (long i = 0; i < (long)B * blocks; i++) {
        size_t plane = (size_t)i * (size_t)(pixels * lanes);
        int first = (int)(i % blocks) * lanes;
        float d[LANES_MAX] = { 0 };
        for (int l = 0; l < lanes && first + l < C; l++)
            d[l] = d_dst[(size_t)(i / blocks) * (size_t)C + (size_t)(first + l)] / (float)pixels;
        for (int p = 0; p < pixels; p++)
            for (int l = 0; l < lanes; l += PART)
                store(number, d_src, plane + (size_t)(p * lanes + l), *(const part *)(d + l));
    }
}
