/* conv.c: who computes which direction of a convolution; see conv.h. */
#include "engine/net/conv.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/net/conv_impl.h"

struct conv {
    struct conv_shape shape;
    unsigned own; /* directions that our own kernels compute */
    struct winograd *winograd;
    struct onednn *onednn;
};

/* Ours wherever they fit. Against oneDNN on one Zen 4 thread: with AVX2 1.8 to 3.7 times as fast;
 * with AVX-512, where oneDNN has a Winograd too, 1.2 to 3 times on small layers and level on large
 * ones. Stride 2 on two Zen 5 threads, AVX-512, width 64: 1.1 to 1.8 times as fast. The reference
 * level has no fast code. */
static unsigned own_directions(const struct conv_shape *s, const struct moco_simd *simd)
{
    if (!winograd_fits(s) || s->policy == CONV_ONEDNN || s->policy == CONV_DIRECT)
        return 0;
    if (s->policy == CONV_OWN)
        return CONV_ALL;
    return strcmp(simd->name, "ref") ? CONV_ALL : 0;
}

int conv_open(struct conv **out, const struct conv_shape *shape, const struct moco_simd *simd,
              const char *name)
{
    struct conv *c = calloc(1, sizeof *c);
    int err = MOCO_OK;

    *out = c;
    if (!c)
        return error_memory("a convolution", sizeof *c);
    c->shape = *shape;
    c->own = own_directions(shape, simd);
    if (c->own)
        err = winograd_open(&c->winograd, shape, simd, c->own);
    if (!err && c->own != CONV_ALL)
        err = onednn_open(&c->onednn, shape, CONV_ALL & ~c->own, name);
    if (err)
        conv_close(out);
    return err;
}

void conv_close(struct conv **conv)
{
    struct conv *c = *conv;
    if (!c)
        return;
    winograd_close(&c->winograd);
    onednn_close(&c->onednn);
    free(c);
    *conv = NULL;
}

const struct conv_shape *conv_get_shape(const struct conv *conv)
{
    return &conv->shape;
}

const char *conv_kind(const struct conv *conv, enum conv_direction direction)
{
    return conv->own & conv_bit(direction) ? "own" : "onednn";
}

size_t conv_scratch_bytes(const struct conv *conv)
{
    size_t own = conv->winograd ? winograd_scratch_bytes(conv->winograd) : 0;
    size_t library = conv->onednn ? onednn_scratch_bytes(conv->onednn) : 0;
    return own > library ? own : library;
}

static int run(struct conv *c, enum conv_direction direction, float *out, const float *a,
               const float *b, void *scratch)
{
    if (!(c->own & conv_bit(direction)))
        return onednn_run(c->onednn, direction, out, a, b, scratch);
    winograd_run(c->winograd, direction, out, a, b, scratch);
    return MOCO_OK;
}

int conv_forward(struct conv *c, float *dst, const float *src, const float *weights, void *scratch)
{
    return run(c, CONV_FORWARD, dst, src, weights, scratch);
}

int conv_backward_data(struct conv *c, float *d_src, const float *d_dst, const float *weights,
                       void *scratch)
{
    return run(c, CONV_BACKWARD_DATA, d_src, d_dst, weights, scratch);
}

int conv_backward_weights(struct conv *c, float *d_weights, const float *src, const float *d_dst,
                          void *scratch)
{
    return run(c, CONV_BACKWARD_WEIGHTS, d_weights, src, d_dst, scratch);
}
