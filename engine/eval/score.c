/* score.c: kNN accuracy of an encoder on two labelled sets; see score.h. */
#include "engine/eval/score.h"

#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/eval/knn.h"

static void side_close(struct score_side *side)
{
    free(side->index);
    free(side->labels);
    if (side->owned)
        source_close(&side->source);
    *side = (struct score_side){0};
}

/* Lists the labelled images of side->source. Of a split, part 0 and 1 are the 80 and the 20 %. */
static int side_list(struct score_side *side, int part)
{
    const struct source *source = side->source;
    size_t labelled = 0;
    side->index = malloc((source->count + 1) * sizeof *side->index);
    side->labels = malloc((source->count + 1) * sizeof *side->labels);
    if (!side->index || !side->labels)
        return error_memory("labels", source->count * sizeof *side->index);
    for (size_t i = 0; i < source->count; i++) {
        if (source_label(source, i) < 0)
            continue;
        int test = labelled++ % 5 == 4;
        if (part >= 0 && test != part)
            continue;
        side->index[side->n] = i;
        side->labels[side->n++] = source_label(source, i);
    }
    if (!side->n)
        return error_set(MOCO_EARG, "accuracy needs labels, and %s has none; give class folders or "
                                    "a label file", source->where);
    return MOCO_OK;
}

static int finish(struct score_sets *sets, int split, int rc)
{
    if (!rc)
        rc = side_list(&sets->train, split ? 0 : -1);
    if (!rc)
        rc = side_list(&sets->test, split ? 1 : -1);
    if (rc) {
        score_close(sets);
        return rc;
    }
    int a = sets->train.source->classes, b = sets->test.source->classes;
    sets->classes = a > b ? a : b;
    return MOCO_OK;
}

int score_open(struct score_sets *sets, const char *train, const char *test)
{
    *sets = (struct score_sets){.train.owned = 1, .test.owned = 1};
    int rc = source_open(&sets->train.source, train);
    if (!rc)
        rc = source_open(&sets->test.source, test);
    return finish(sets, 0, rc);
}

int score_split(struct score_sets *sets, struct source *source)
{
    *sets = (struct score_sets){.train.source = source, .test.source = source};
    return finish(sets, 1, MOCO_OK);
}

void score_close(struct score_sets *sets)
{
    side_close(&sets->train);
    side_close(&sets->test);
}

size_t score_bytes(const struct score_sets *sets, size_t D)
{
    return (sets->train.n + sets->test.n) * D * sizeof(float) + sets->test.n * sizeof(int32_t);
}

size_t score_columns(const struct embed *embed, const struct policy *policy)
{
    return embed ? embed_dim(embed->net, embed->feature) : embed_pixel_dim(policy);
}

int score_features(float **out, const struct score_side *side, const struct embed *embed,
                   const struct policy *policy, int raw, const struct moco_simd *simd)
{
    size_t bytes = side->n * score_columns(embed, policy) * sizeof **out;
    *out = malloc(bytes);
    if (!*out)
        return error_memory("features", bytes);
    if (!embed)
        return embed_pixels(*out, side->source, side->index, side->n, policy, raw, simd);
    struct embed with = *embed;
    with.raw = raw;
    return embed_source(*out, &with, side->source, side->index, side->n, policy);
}

int score_run(double *top1, const struct score_sets *sets, const struct embed *embed,
              const struct policy *policy, int k, double T, const struct moco_simd *simd)
{
    const struct score_side *train = &sets->train, *test = &sets->test;
    struct knn_config config = {.k = k, .T = (float)T, .classes = sets->classes};
    size_t D = score_columns(embed, policy);
    float *x = NULL, *y = NULL;
    int32_t *predicted = malloc(test->n * sizeof *predicted);
    int rc = predicted ? MOCO_OK : error_memory("predictions", test->n * sizeof *predicted);
    if (!rc)
        rc = score_features(&x, train, embed, policy, 0, simd);
    if (!rc)
        rc = score_features(&y, test, embed, policy, 0, simd);
    if (!rc)
        rc = knn_classify(NULL, predicted, x, train->labels, train->n, y, test->n, D, &config,
                          simd);
    if (!rc)
        *top1 = knn_accuracy(predicted, test->labels, test->n);
    free(predicted);
    free(x);
    free(y);
    return rc;
}

size_t score_place(const float *scores, size_t classes, size_t y)
{
    size_t before = 0;
    for (size_t c = 0; c < classes; c++)
        before += scores[c] > scores[y] || (scores[c] == scores[y] && c < y);
    return before;
}
