/* winograd_plan.h: what the passes of a Winograd convolution share: sizes, slots, courses.
 * Private to winograd.c, winograd_pass.c and winograd_grad.c.
 *
 * The batch is a list of tiles; a chunk of them is transformed, multiplied slot by slot, and
 * transformed back. Few channels: each thread takes its own chunks, small enough for its L2, and
 * the shared weights stream past. Many channels: weights outgrow the caches, so all threads work
 * on one larger chunk and share out the slots, each point's weights being read once a chunk.
 * The weight gradient goes the same two ways: sums private to a thread, or points shared out.
 * Work whose result does not depend on who does it is dealt out as threads become free, because
 * cores are often shared; private sums follow a fixed schedule, so that runs repeat bit for bit. */
#ifndef MOCO_ENGINE_NET_WINOGRAD_PLAN_H
#define MOCO_ENGINE_NET_WINOGRAD_PLAN_H

#include "engine/net/conv_impl.h"

enum { WINOGRAD_PAD = 16 };

/* How one direction is worked off. */
struct course {
    int shared;   /* threads share chunks */
    size_t chunk; /* tiles */
};

struct winograd {
    struct conv_shape shape;
    struct moco_simd simd;
    struct moco_winograd transforms;
    struct moco_image in, out; /* of the forward direction */
    size_t tiles, threads, scratch_bytes;
    size_t slots; /* of a transformed tile */
    /* Slots in the order of their points, those of the same weights together; point p has
     * order[first[p]..first[p + 1] - 1]. */
    unsigned char order[MOCO_WINOGRAD_SLOTS], first[MOCO_WINOGRAD_POINTS + 1];
    struct course courses[3];
};

static inline size_t winograd_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t winograd_channels(const struct moco_image *image)
{
    return image->blocks * image->lanes;
}

/* Rows of products are whole vectors. */
static inline size_t winograd_wide(const struct moco_image *image)
{
    return (winograd_channels(image) + 15) / 16 * 16;
}

/* Distance between the slots of an array with `row` floats a tile. The pad keeps the streams out of
 * the same cache sets. */
static inline size_t winograd_step(const struct course *c, size_t row)
{
    return c->chunk * row + WINOGRAD_PAD;
}

/* Forward pass and data gradient, and their scratch. */
size_t winograd_pass_floats(const struct winograd *w, enum conv_direction direction);
void winograd_pass(const struct winograd *w, enum conv_direction direction, void *dst,
                   const void *src, const float *weights, float *scratch);

/* Weight gradient, and its scratch. */
size_t winograd_grad_floats(const struct winograd *w);
void winograd_grad(const struct winograd *w, float *d_weights, const void *src, const void *d_dst,
                   float *scratch);

#endif
