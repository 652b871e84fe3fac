/* direct.c: convolutions of any size and stride by our own kernels; see direct_plan.h. */
#include <omp.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/net/direct_plan.h"

static struct moco_image image_of(const struct conv_shape *s, int C, int H, int W)
{
    size_t lanes = (size_t)s->lanes;
    return (struct moco_image){ ((size_t)C + lanes - 1) / lanes, lanes, (size_t)H, (size_t)W };
}

struct direct_cut direct_cut(const struct moco_image *image, size_t taps, size_t most)
{
    size_t wide = direct_wide(image), whole = direct_least(wide, most);
    struct direct_cut cut = { .taps = taps, .taps_each = most / whole,
                              .blocks_each = (whole + image->lanes - 1) / image->lanes };
    cut.channel_parts = (image->blocks + cut.blocks_each - 1) / cut.blocks_each;
    cut.count = (taps + cut.taps_each - 1) / cut.taps_each * cut.channel_parts;
    return cut;
}

struct direct_part direct_part(const struct moco_image *image, const struct direct_cut *cut,
                               size_t i)
{
    size_t tap = i / cut->channel_parts * cut->taps_each;
    size_t block = i % cut->channel_parts * cut->blocks_each;
    struct direct_part p = { .tap = tap, .taps = direct_least(cut->taps_each, cut->taps - tap),
                             .block = block,
                             .blocks = direct_least(cut->blocks_each, image->blocks - block) };
    p.rows = p.taps * p.blocks * image->lanes;
    p.before = (tap * image->blocks + block) * image->lanes;
    return p;
}

static size_t scratch_of(const struct direct *c, unsigned directions)
{
    size_t most = 0;
    for (int i = 0; i < 3; i++) {
        enum conv_direction direction = (enum conv_direction)i;
        size_t floats = direction == CONV_BACKWARD_WEIGHTS ? direct_grad_floats(c)
                                                           : direct_pass_floats(c, direction);
        if (directions & conv_bit(direction) && floats > most)
            most = floats;
    }
    return arena_round(most * sizeof(float));
}

int direct_open(struct direct **out, const struct conv_shape *shape,
                const struct moco_simd *simd, unsigned directions)
{
    struct direct *c = *out = calloc(1, sizeof *c);
    if (!c)
        return error_memory("a convolution", sizeof *c);
    if (shape->kernel * shape->kernel > MOCO_DIRECT_TAPS)
        return error_set(MOCO_EUNSUPPORTED, "a convolution of %d x %d: at most 8 x 8",
                         shape->kernel, shape->kernel);
    c->shape = *shape;
    c->simd = *simd;
    c->copies = simd->activation[shape->number].direct;
    c->in = image_of(shape, shape->IC, shape->H, shape->W);
    c->out = image_of(shape, shape->OC, shape->OH, shape->OW);
    c->threads = (size_t)omp_get_max_threads();
    c->scratch_bytes = scratch_of(c, directions);
    return MOCO_OK;
}

void direct_close(struct direct **conv)
{
    free(*conv);
    *conv = NULL;
}

size_t direct_scratch_bytes(const struct direct *conv)
{
    return conv->scratch_bytes;
}

void direct_run(struct direct *conv, enum conv_direction direction, void *out, const void *a,
                const void *b, void *scratch)
{
    if (direction == CONV_BACKWARD_WEIGHTS)
        direct_grad(conv, out, a, b, scratch);
    else
        direct_pass(conv, direction, out, a, b, scratch);
}
