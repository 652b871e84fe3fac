/* direct_plan.h: what the passes of a direct convolution share. Private to direct.c, direct_pass.c
 * and direct_grad.c.
 *
 * A thread makes rows for a chunk of pixels (simd/direct.h), few enough that they and the products
 * stay in its second cache, and multiplies them with the packed weights. Long rows are made and
 * multiplied in parts of some 256 numbers, a part of the weights then being in the caches; the
 * parts' products are added up in their order. Where parts begin and end follows from the layer's
 * sizes alone, neither from the lanes of a block nor from the threads. */
#ifndef MOCO_ENGINE_NET_DIRECT_PLAN_H
#define MOCO_ENGINE_NET_DIRECT_PLAN_H

#include "engine/net/conv_impl.h"

struct direct {
    struct conv_shape shape;
    struct moco_simd simd;
    struct moco_direct copies;
    struct moco_image in, out; /* of the forward direction */
    size_t threads, scratch_bytes;
};

/* Taps and channels of the rows of one part. */
struct direct_part {
    size_t tap, taps, block, blocks;
    size_t rows;   /* numbers of a row: taps * blocks * lanes */
    size_t before; /* those of the parts before it */
};

/* How rows of `taps` taps of an image are cut: some taps with all channels, or some channels of a
 * tap. */
struct direct_cut {
    size_t taps, taps_each, blocks_each, count, channel_parts;
};

static inline size_t direct_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t direct_channels(const struct moco_image *image)
{
    return image->blocks * image->lanes;
}

/* In whole vectors, whatever the lanes. */
static inline size_t direct_wide(const struct moco_image *image)
{
    return (direct_channels(image) + 15) / 16 * 16;
}

struct direct_cut direct_cut(const struct moco_image *image, size_t taps, size_t most);
struct direct_part direct_part(const struct moco_image *image, const struct direct_cut *cut,
                               size_t i);

/* Forward pass and data gradient, and their scratch. */
size_t direct_pass_floats(const struct direct *c, enum conv_direction direction);
void direct_pass(const struct direct *c, enum conv_direction direction, void *dst,
                 const void *src, const float *weights, float *scratch);

/* Weight gradient, and its scratch. */
size_t direct_grad_floats(const struct direct *c);
void direct_grad(const struct direct *c, float *d_weights, const void *src, const void *d_dst,
                 float *scratch);

#endif
