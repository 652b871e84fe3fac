/* loader_sample.c: a row of a batch: the two views of one sample, or of others in its place.
 *
 * Which images, which parameters and which replacements are functions of (seed, epoch, sample)
 * alone, so it makes no difference who draws a row. */
#define _GNU_SOURCE
#include "engine/data/loader_impl.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/missing.h"
#include "engine/data/part.h"

enum { REPLACEMENTS = 16 }; /* tried for an image that can not be read */

/* Views first..end-1 of image `index`, under the parameters of sample `from`. */
static int draw_image(const struct loader *loader, struct hand *hand, struct slot *slot, size_t b,
                      uint64_t index, uint64_t from, int first, int end)
{
    const struct source *source = loader->source;
    const struct policy *policy = loader->policy;
    float *dst[2] = { slot->batch.x_q, slot->batch.x_k };
    struct view views[2];
    int height, width, rc = part_size(source, (size_t)index, &hand->image, &height, &width);
    for (int i = first; i < end && rc == MOCO_OK; i++) {
        struct rng rng = rng_at(loader->seed, RNG_VIEW, slot->epoch, 2 * from + (uint64_t)i);
        augment_draw(&views[i], policy, height, width, &rng);
    }
    if (rc == MOCO_OK)
        rc = part_read(source, (size_t)index, &hand->image, views + first, end - first,
                       policy->side);
    if (rc == MOCO_OK && hand->image.channels != policy->channels)
        rc = error_set(MOCO_EFORMAT, "%s: image %llu has %d channels, but the views have %d",
                       source->where, (unsigned long long)index, hand->image.channels,
                       policy->channels);
    if (rc == MOCO_OK)
        image_fill(&hand->image, policy->mean);
    for (int i = first; i < end && rc == MOCO_OK; i++)
        rc = augment_apply(dst[i] + b * loader->view_floats, &hand->image, &views[i], policy,
                           &hand->scratch);
    return rc;
}

void loader_images(uint64_t image[2], const struct source *source, uint64_t seed, uint64_t epoch,
                   uint64_t sample, uint64_t from)
{
    uint64_t T = source_views(source);
    image[0] = image[1] = sample * T;
    if (T == 1)
        return;
    struct rng rng = rng_at(seed, RNG_PAIR, epoch, from);
    uint64_t a = rng_below(&rng, T), b = rng_below(&rng, T - 1);
    image[0] += a;
    image[1] += b + (b >= a);
}

/* The two views of a sample; `from`: whose parameters they have. */
static int draw_views(const struct loader *loader, struct hand *hand, struct slot *slot, size_t b,
                      uint64_t sample, uint64_t from)
{
    uint64_t image[2];
    loader_images(image, loader->source, loader->seed, slot->epoch, sample, from);
    if (image[0] == image[1])
        return draw_image(loader, hand, slot, b, image[0], from, 0, 2);
    int rc = draw_image(loader, hand, slot, b, image[0], from, 0, 1);
    return rc == MOCO_OK ? draw_image(loader, hand, slot, b, image[1], from, 1, 2) : rc;
}

/* Others in the place of a sample that can not be read. */
static int replace_sample(const struct loader *loader, struct hand *hand, struct slot *slot,
                          size_t b, int rc)
{
    int64_t *id = &slot->batch.ids[b];
    uint64_t from = slot->from[b];
    struct rng rng = rng_at(loader->seed, RNG_REPLACE, slot->epoch, from);
    struct bad_image *bad = &slot->batch.bad[b];
    *bad = (struct bad_image){ *id, strdup(error_text()) };
    if (!bad->why)
        return error_memory("a sentence", LOADER_SENTENCE);
    for (int i = 0; i < REPLACEMENTS && source_is_bad(rc); i++) {
        *id = (int64_t)rng_below(&rng, source_samples(loader->source));
        rc = draw_views(loader, hand, slot, b, (uint64_t)*id, from);
    }
    if (source_is_bad(rc))
        return error_set(rc, "an image and %d drawn in its place can not be read; the first: %s",
                         REPLACEMENTS, bad->why);
    return rc;
}

int loader_draw(const struct loader *loader, struct hand *hand, struct slot *slot, size_t b)
{
    uint64_t index = (uint64_t)slot->batch.ids[b];
    int rc = draw_views(loader, hand, slot, b, index, slot->from[b]);
    return source_is_bad(rc) ? replace_sample(loader, hand, slot, b, rc) : rc;
}
