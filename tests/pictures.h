/* pictures.h: small labelled images in memory, for tests of what is done with features. */
#ifndef MOCO_TESTS_PICTURES_H
#define MOCO_TESTS_PICTURES_H

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/eval/score.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE, COUNT = 240 };

struct picture {
    struct source source;
    float pixels[COUNT * PIXELS];
    int32_t labels[COUNT];
    size_t index[COUNT];
    int32_t listed[COUNT];
    uint32_t *poke; /* a word that reading changes by one bit */
};

static inline int read_picture(const struct source *source, size_t index, struct image *out)
{
    const struct picture *p = source->state;
    int rc = image_resize(out, 1, SIDE, SIDE);
    if (rc)
        return rc;
    memcpy(out->pixels, p->pixels + index * PIXELS, PIXELS * sizeof(float));
    if (p->poke && index == 7)
        *p->poke ^= 1;
    return MOCO_OK;
}

/* Classes in turn: noise, and `signal` at a place that the class decides, or as many times `shift`
 * everywhere as the class has as its number, which crops and flips leave alone. */
static inline struct picture *shifted(size_t n, int classes, float signal, float shift,
                                      uint64_t seed)
{
    struct picture *p = calloc(1, sizeof *p);
    p->source = (struct source){.kind = "test", .where = "memory", .count = n, .channels = 1,
                                .height = SIDE, .width = SIDE, .classes = classes,
                                .labels = p->labels, .read = read_picture, .state = p};
    for (size_t i = 0; i < n; i++) {
        struct rng rng = rng_at(seed, RNG_TEST, 1, i);
        p->labels[i] = (int32_t)(i % (size_t)classes);
        for (size_t j = 0; j < PIXELS; j++)
            p->pixels[i * PIXELS + j] = (float)rng_normal(&rng) + shift * (float)p->labels[i];
        p->pixels[i * PIXELS + 5 * (size_t)p->labels[i]] += signal;
    }
    return p;
}

static inline struct picture *picture(size_t n, int classes, float signal, uint64_t seed)
{
    return shifted(n, classes, signal, 0.0f, seed);
}

static inline struct score_side side_of(struct picture *p)
{
    struct score_side side = {.source = &p->source, .index = p->index, .labels = p->listed};
    for (size_t i = 0; i < p->source.count; i++)
        if (p->labels[i] >= 0) {
            p->index[side.n] = i;
            p->listed[side.n++] = p->labels[i];
        }
    return side;
}

static inline struct score_sets sets_of(struct picture *train, struct picture *test, int classes)
{
    return (struct score_sets){.train = side_of(train), .test = side_of(test), .classes = classes};
}

static inline struct policy plain(void)
{
    struct policy policy = {.side = SIDE, .channels = 1};
    policy.std[0] = 1.0f;
    return policy;
}

#endif
