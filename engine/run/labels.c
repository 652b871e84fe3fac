/* labels.c: see labels.h. Images are visited in an order that follows from the seed, and each class
 * keeps the first that come: with a larger fraction the same ones stay, and more. */
#include "engine/run/labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"

/* room: (classes) how many of each may still be kept; order: (count). */
static void hide(int32_t *labels, const struct source *source, const uint32_t *order,
                 size_t *room)
{
    for (size_t i = 0; i < source->count; i++) {
        int32_t *label = &labels[order[i]];
        if (*label < 0)
            continue;
        if (room[*label])
            room[*label]--;
        else
            *label = -1;
    }
}

static void count_room(size_t *room, const struct source *source, double fraction)
{
    for (size_t i = 0; i < source->count; i++)
        if (source->labels[i] >= 0)
            room[source->labels[i]]++;
    for (int c = 0; c < source->classes; c++)
        room[c] = (size_t)ceil(fraction * (double)room[c] - 1e-9); /* 0.07 of 100 are 7 */
}

int labels_choose(int32_t **out, const struct source *source, double fraction, uint64_t seed)
{
    size_t n = source->count;
    *out = NULL;
    if (!source->labels)
        return MOCO_OK;
    int32_t *labels = malloc(n * sizeof *labels);
    uint32_t *order = malloc(n * sizeof *order);
    size_t *room = calloc((size_t)source->classes + 1, sizeof *room);
    int rc = labels && order && room ? MOCO_OK : error_memory("the labels", 2 * n * sizeof *labels);
    if (!rc) {
        struct rng rng = rng_at(seed, RNG_LABELS, 0, 0);
        memcpy(labels, source->labels, n * sizeof *labels);
        rng_permutation(&rng, order, n);
        count_room(room, source, fraction);
        hide(labels, source, order, room);
        *out = labels;
    } else {
        free(labels);
    }
    free(order);
    free(room);
    return rc;
}

int labels_list(int64_t **out, size_t *n, const struct source *source, const int32_t *labels)
{
    size_t samples = source_samples(source), views = source_views(source);
    *n = 0;
    *out = malloc((samples + 1) * sizeof **out);
    if (!*out)
        return error_memory("the labelled images", samples * sizeof **out);
    for (size_t i = 0; i < samples; i++)
        if (labels[i * views] >= 0)
            (*out)[(*n)++] = (int64_t)i;
    return MOCO_OK;
}
