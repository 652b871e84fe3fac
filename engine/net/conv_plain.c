/* conv_plain.c: the stem's convolution by way of a copy in blocks: for our own kernels, and of
 * images of many channels.
 *
 * oneDNN has fast code for plain images (B, C, H, W) of up to three channels. Beyond that its
 * weight gradient, and with many channels its forward pass too, is plain loops: of a 3x3 stem on 32
 * images of 4 x 32 x 32 it took 876 ms on two Zen 4 threads, and 0.9 here. Such images get what
 * other layers have: whole blocks of channels in a copy, those that are missing filled up with
 * zeros, and weights for them; an ordinary convolution does the rest. */
#include "engine/net/conv_impl.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

enum { PLAIN_MOST = 3 };

struct plain {
    struct conv_shape shape; /* as asked for */
    struct conv *inner;      /* of the copy, with all the channels of its blocks */
    size_t image, weights;   /* numbers of the copies */
    moco_narrow_fn *narrow;
};

static size_t bytes_of(size_t floats)
{
    return arena_round(floats * sizeof(float));
}

int plain_pays(const struct conv_shape *s)
{
    return s->IC > PLAIN_MOST;
}

int plain_open(struct plain **out, const struct conv_shape *shape, const struct moco_simd *simd,
               const char *name)
{
    struct plain *p = *out = calloc(1, sizeof *p);
    struct conv_shape inner = *shape;
    if (!p)
        return error_memory("a convolution", sizeof *p);
    inner.IC = (shape->IC + shape->lanes - 1) / shape->lanes * shape->lanes;
    inner.src_plain = 0;
    p->shape = *shape;
    p->image = (size_t)shape->B * (size_t)inner.IC * (size_t)shape->H * (size_t)shape->W;
    p->weights = (size_t)shape->OC * (size_t)inner.IC * (size_t)(shape->kernel * shape->kernel);
    p->narrow = simd->narrow;
    return conv_open(&p->inner, &inner, simd, name);
}

void plain_close(struct plain **plain)
{
    if (!*plain)
        return;
    conv_close(&(*plain)->inner);
    free(*plain);
    *plain = NULL;
}

const struct conv *plain_inner(const struct plain *plain)
{
    return plain->inner;
}

/* Weights, the copy, in bfloat16 the copy in float too. */
size_t plain_scratch_bytes(const struct plain *plain)
{
    size_t copies = plain->shape.number == MOCO_BF16 ? 2 : 1;
    return bytes_of(plain->weights) + copies * bytes_of(plain->image) +
           conv_scratch_bytes(plain->inner);
}

/* dst: (B, blocks, H, W, lanes); channels behind the last one 0. */
static void copy_blocked(float *dst, const float *src, const struct conv_shape *s)
{
    size_t lanes = (size_t)s->lanes, IC = (size_t)s->IC, blocks = (IC + lanes - 1) / lanes;
    size_t plane = (size_t)s->H * (size_t)s->W;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < (size_t)s->B * blocks; i++) {
        size_t first = i % blocks * lanes, some = IC - first < lanes ? IC - first : lanes;
        const float *from = src + (i / blocks * IC + first) * plane;
        float *to = dst + i * plane * lanes;
        if (some < lanes)
            memset(to, 0, plane * lanes * sizeof *to);
        for (size_t p = 0; p < plane; p++)
            for (size_t l = 0; l < some; l++)
                to[p * lanes + l] = from[l * plane + p];
    }
}

/* dst: (OC, channels of the copy, kernel, kernel); NULL leaves all at 0. */
static void fill_weights(const struct plain *p, float *dst, const float *weights)
{
    size_t OC = (size_t)p->shape.OC, room = p->weights / OC;
    size_t size = (size_t)p->shape.IC * (size_t)(p->shape.kernel * p->shape.kernel);
    memset(dst, 0, p->weights * sizeof *dst);
    for (size_t o = 0; weights && o < OC; o++)
        memcpy(dst + o * room, weights + o * size, size * sizeof *dst);
}

static void add_weights(const struct plain *p, float *d_weights, const float *filled)
{
    size_t OC = (size_t)p->shape.OC, room = p->weights / OC;
    size_t size = (size_t)p->shape.IC * (size_t)(p->shape.kernel * p->shape.kernel);
    for (size_t o = 0; o < OC; o++)
        for (size_t i = 0; i < size; i++)
            d_weights[o * size + i] += filled[o * room + i];
}

/* All threads, in pieces. */
static void narrow_all(const struct plain *p, moco_bf16 *dst, const float *src)
{
    enum { PIECE = 16 << 10 };
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < p->image; i += PIECE)
        p->narrow(dst + i, src + i, p->image - i < PIECE ? p->image - i : PIECE);
}

int plain_run(struct plain *p, enum conv_direction direction, void *out, const float *src,
              const void *b, void *scratch)
{
    float *weights = scratch;
    unsigned char *rest = (unsigned char *)scratch + bytes_of(p->weights);
    void *copy = rest;
    int forward = direction == CONV_FORWARD;
    copy_blocked(copy, src, &p->shape);
    rest += bytes_of(p->image);
    if (p->shape.number == MOCO_BF16) {
        narrow_all(p, (moco_bf16 *)(void *)rest, copy);
        copy = rest;
        rest += bytes_of(p->image);
    }
    fill_weights(p, weights, forward ? b : NULL);
    if (forward)
        return conv_forward(p->inner, out, copy, weights, rest);
    int err = conv_backward_weights(p->inner, weights, copy, b, rest);
    add_weights(p, out, weights);
    return err;
}
