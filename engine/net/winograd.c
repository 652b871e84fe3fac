/* winograd.c: 3x3 convolutions by our own kernels: which tiles, slots and chunks; see
 * winograd_plan.h, and simd/winograd.h for the formulas. */
#include <omp.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/net/winograd_plan.h"

enum { SHARED_CHUNK = 128 };

int winograd_fits(const struct conv_shape *s)
{
    return s->kernel == 3 && s->stride <= 2 && s->pad == 1 && !s->src_plain;
}

static struct moco_image image_of(const struct conv_shape *s, int C, int H, int W)
{
    size_t lanes = (size_t)s->lanes;
    return (struct moco_image){ ((size_t)C + lanes - 1) / lanes, lanes, (size_t)H, (size_t)W };
}

static void order_slots(struct winograd *w)
{
    size_t stride = (size_t)w->shape.stride, count = 0;
    w->slots = moco_winograd_slots(stride);
    for (size_t p = 0; p < MOCO_WINOGRAD_POINTS; p++) {
        w->first[p] = (unsigned char)count;
        for (size_t slot = 0; slot < w->slots; slot++)
            if (moco_winograd_point(stride, slot) == p)
                w->order[count++] = (unsigned char)slot;
    }
    w->first[MOCO_WINOGRAD_POINTS] = (unsigned char)count;
}

/* Chunks of a thread's own: both transformed arrays in about half a megabyte. */
static size_t own_chunk(size_t floats_a_tile)
{
    size_t tiles = (size_t)(480 << 10) / (floats_a_tile * sizeof(float)) / 6 * 6;
    return tiles < 12 ? 12 : tiles > 48 ? 48 : tiles;
}

/* Where the weight gradient's sums begin and end follows from its course, so that must not depend
 * on the lanes of a block: it counts inputs in whole vectors too. */
static void set_courses(struct winograd *w)
{
    size_t I = winograd_channels(&w->in), O = winograd_channels(&w->out);
    size_t inputs = winograd_wide(&w->in);
    size_t wide = winograd_wide(&w->out), width = w->simd.winograd_width, slots = w->slots;
    w->courses[CONV_FORWARD] =
        (struct course){ I > 128, own_chunk(slots * (I + winograd_least(wide, width))) };
    w->courses[CONV_BACKWARD_DATA] =
        (struct course){ O > 128, own_chunk(slots * (O + winograd_least(I, width))) };
    w->courses[CONV_BACKWARD_WEIGHTS] =
        (struct course){ inputs * wide > 64 * 64, own_chunk(slots * (inputs + wide)) };
    for (int i = 0; i < 3; i++) {
        if (w->courses[i].shared)
            w->courses[i].chunk = SHARED_CHUNK;
        w->courses[i].chunk = winograd_least(w->courses[i].chunk, w->tiles);
    }
}

static size_t scratch_of(const struct winograd *w, unsigned directions)
{
    size_t most = 0;
    for (int i = 0; i < 3; i++) {
        enum conv_direction direction = (enum conv_direction)i;
        size_t floats = direction == CONV_BACKWARD_WEIGHTS ? winograd_grad_floats(w)
                                                           : winograd_pass_floats(w, direction);
        if (directions & conv_bit(direction) && floats > most)
            most = floats;
    }
    return arena_round(most * sizeof(float));
}

int winograd_open(struct winograd **out, const struct conv_shape *shape,
                  const struct moco_simd *simd, unsigned directions)
{
    struct winograd *w = calloc(1, sizeof *w);
    *out = w;
    if (!w)
        return error_memory("a convolution", sizeof *w);
    w->shape = *shape;
    w->simd = *simd;
    w->transforms = simd->activation[shape->number].winograd[shape->stride - 1];
    w->in = image_of(shape, shape->IC, shape->H, shape->W);
    w->out = image_of(shape, shape->OC, shape->OH, shape->OW);
    w->tiles = (size_t)shape->B * ((w->out.H + 3) / 4) * ((w->out.W + 3) / 4);
    w->threads = (size_t)omp_get_max_threads();
    order_slots(w);
    set_courses(w);
    w->scratch_bytes = scratch_of(w, directions);
    return MOCO_OK;
}

void winograd_close(struct winograd **conv)
{
    free(*conv);
    *conv = NULL;
}

size_t winograd_scratch_bytes(const struct winograd *conv)
{
    return conv->scratch_bytes;
}

void winograd_run(struct winograd *conv, enum conv_direction direction, void *out, const void *a,
                  const void *b, void *scratch)
{
    if (direction == CONV_BACKWARD_WEIGHTS)
        winograd_grad(conv, out, a, b, scratch);
    else
        winograd_pass(conv, direction, out, a, b, scratch);
}
