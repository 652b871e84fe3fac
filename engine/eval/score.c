/* score.c: kNN accuracy of an encoder on two labelled sets; see score.h. */
#include "engine/eval/score.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/size.h"
#include "engine/base/watch.h"
#include "engine/data/missing.h"
#include "engine/eval/knn.h"

enum { FIFTHS = 5 };

static void side_close(struct score_side *side)
{
    free(side->index);
    free(side->labels);
    if (side->owned)
        source_close(&side->source);
    *side = (struct score_side){0};
}

/* Lists the labelled images of side->source. Of a split, part 0 and 1 are the 80 and the 20 %. */
static int side_list(struct score_side *side, const int32_t *map, int part)
{
    const struct source *source = side->source;
    size_t labelled = 0, views = source_views(source); /* images of a sample stay on one side */
    side->index = malloc((source->count + 1) * sizeof *side->index);
    side->labels = malloc((source->count + 1) * sizeof *side->labels);
    if (!side->index || !side->labels)
        return error_memory("labels", source->count * sizeof *side->index);
    for (size_t i = 0; i < source->count; i++) {
        if (source_label(source, i) < 0) {
            side->unlabelled++;
            continue;
        }
        int test = (views > 1 ? i / views : labelled++) % FIFTHS == FIFTHS - 1;
        if (part >= 0 && test != part)
            continue;
        side->index[side->n] = i;
        side->labels[side->n++] = map[source_label(source, i)];
    }
    if (!side->n && labelled)
        return error_set(MOCO_EARG, "%s has %zu labelled images: every fifth is to be judged, so "
                                    "there must be five", source->where, labelled);
    if (!side->n)
        return error_set(MOCO_EARG, "accuracy needs labels, and %s has none; give class folders or "
                                    "a label file", source->where);
    return MOCO_OK;
}

static int side_open(struct score_sets *sets, struct score_side *side, int part)
{
    int32_t *map;
    int rc = classes_add(&map, &sets->numbering, side->source);
    if (!rc)
        rc = side_list(side, map, part);
    if (!rc && side->owned)
        account_leave(&side->source->account, side->unlabelled, "images without a label");
    free(map);
    return rc;
}

static int finish(struct score_sets *sets, const struct source *reference, int split, int rc)
{
    if (!rc)
        rc = classes_open(&sets->numbering, reference ? reference : sets->train.source);
    if (!rc)
        rc = side_open(sets, &sets->train, split ? 0 : -1);
    if (!rc && sets->test.source)
        rc = side_open(sets, &sets->test, split ? 1 : -1);
    if (!rc && !sets->test.source && source_views(sets->train.source) > 1)
        rc = error_set(MOCO_EARG, "%s has several images of a sample, which would come into "
                       "different fifths: give --test", sets->train.source->where);
    if (!rc && !sets->test.source && sets->train.n < FIFTHS)
        rc = error_set(MOCO_EARG, "%s has %zu labelled images: kNN of each fifth by the others "
                       "needs %d", sets->train.source->where, sets->train.n, FIFTHS);
    sets->classes = sets->numbering.count;
    if (!rc)
        score_note_unlabelled(sets);
    if (!rc && sets->test.source && !split)
        rc = score_compare_classes(sets);
    if (rc)
        score_close(sets);
    return rc;
}

int score_open(struct score_sets *sets, const char *train, const char *test,
               const struct source *reference)
{
    *sets = (struct score_sets){.train.owned = 1, .test.owned = 1};
    int rc = source_open(&sets->train.source, train);
    if (!rc && test)
        rc = source_open(&sets->test.source, test);
    return finish(sets, reference, 0, rc);
}

int score_split(struct score_sets *sets, struct source *source)
{
    *sets = (struct score_sets){.train.source = source, .test.source = source};
    return finish(sets, NULL, 1, MOCO_OK);
}

void score_close(struct score_sets *sets)
{
    side_close(&sets->train);
    side_close(&sets->test);
    classes_close(&sets->numbering);
}

void score_allow_missing(struct score_sets *sets, double share)
{
    missing_allow(sets->train.source, share);
    if (sets->test.source)
        missing_allow(sets->test.source, share);
}

size_t score_bytes(const struct score_sets *sets, size_t D)
{
    size_t test = sets->test.n ? sets->test.n : sets->train.n; /* fifths: copies */
    size_t n = sets->train.n + test;
    size_t row = size_add(size_mul(D, sizeof(float)), sizeof(int32_t) + 1);
    return size_add(size_mul(n, row), size_mul(test, sizeof(int32_t)));
}

size_t score_columns(const struct embed *embed, const struct policy *policy)
{
    return embed ? embed_dim(embed->net, embed->feature) : embed_pixel_dim(policy);
}

/* What kNN compares of a side. */
struct rows {
    float *x;        /* (n, D) */
    int32_t *labels; /* (n) */
    size_t n;
};

static void rows_close(struct rows *rows)
{
    free(rows->x);
    free(rows->labels);
}

static int rows_open(struct rows *rows, const struct score_side *side, size_t D)
{
    *rows = (struct rows){.n = side->n};
    rows->x = malloc(side->n * D * sizeof *rows->x);
    rows->labels = malloc(side->n * sizeof *rows->labels);
    if (!rows->x || !rows->labels)
        return error_memory("features for kNN", side->n * D * sizeof *rows->x);
    memcpy(rows->labels, side->labels, side->n * sizeof *rows->labels);
    return MOCO_OK;
}

/* Takes the images that could not be read out of the rows; none left is an error. */
static int leave_out(struct rows *rows, struct score_sets *sets, struct score_side *side,
                     const struct embed_bad *bad, size_t D)
{
    const char *where = side->source->where;
    side->left_out = bad->count;
    if (!bad->count)
        return MOCO_OK;
    embed_pack(rows->x, D * sizeof *rows->x, rows->n, bad);
    rows->n = embed_pack(rows->labels, sizeof *rows->labels, rows->n, bad);
    if (!rows->n)
        return error_set(MOCO_EFORMAT, "kNN: no image of %s can be read; the first: %s", where,
                         bad->why);
    score_note_left(sets, side, bad, "kNN is");
    return MOCO_OK;
}

static int features(struct rows *rows, struct score_sets *sets, struct score_side *side,
                    const struct embed *embed, const struct policy *policy, size_t D,
                    const struct moco_simd *simd)
{
    struct embed_bad *bad = calloc(1, sizeof *bad);
    int rc = rows_open(rows, side, D);
    if (bad)
        bad->at = calloc(side->n, 1);
    if (!rc && (!bad || !bad->at))
        rc = error_memory("marks of images", side->n);
    if (!rc && embed) {
        struct embed tolerant = *embed;
        tolerant.bad = bad;
        rc = embed_source(rows->x, &tolerant, side->source, side->index, side->n, policy);
    } else if (!rc) {
        rc = embed_pixels(rows->x, side->source, side->index, side->n, policy, 0, simd, bad);
    }
    if (!rc)
        rc = leave_out(rows, sets, side, bad, D);
    if (bad)
        free(bad->at);
    free(bad);
    return rc;
}

/* Two sets: the right of test in percent. */
static int run_sets(double *top1, const struct rows *train, const struct rows *test, size_t D,
                    const struct knn_config *config, const struct moco_simd *simd)
{
    int32_t *predicted = malloc(test->n * sizeof *predicted);
    if (!predicted)
        return error_memory("predictions", test->n * sizeof *predicted);
    int rc = knn_classify(NULL, predicted, train->x, train->labels, train->n, test->x, test->n, D,
                          config, simd);
    if (!rc)
        *top1 = knn_accuracy(predicted, test->labels, test->n);
    free(predicted);
    return rc;
}

/* A set dealt out anew: part 0 has all fifths but one, part 1 that one. */
struct deal {
    float *x[2];         /* (n[part], D) */
    int32_t *labels[2];  /* (n[part]) */
    int32_t *predicted;  /* (n[1]) */
    size_t n[2];
};

static void deal_out(struct deal *deal, const struct rows *all, size_t D, size_t fifth)
{
    deal->n[0] = deal->n[1] = 0;
    for (size_t i = 0; i < all->n; i++) {
        int part = i % FIFTHS == fifth;
        size_t at = deal->n[part]++;
        memcpy(deal->x[part] + at * D, all->x + i * D, D * sizeof *all->x);
        deal->labels[part][at] = all->labels[i];
    }
}

static int deal_open(struct deal *deal, size_t n, size_t D)
{
    size_t first = n - n / FIFTHS; /* at most; what is left, rounded up, is the other part */
    size_t rows = n + 1;
    deal->x[0] = malloc(rows * D * sizeof(float));
    deal->labels[0] = malloc(rows * sizeof(int32_t));
    deal->predicted = malloc(rows * sizeof(int32_t));
    if (!deal->x[0] || !deal->labels[0] || !deal->predicted)
        return error_memory("features in fifths", rows * D * sizeof(float));
    deal->x[1] = deal->x[0] + first * D;
    deal->labels[1] = deal->labels[0] + first;
    return MOCO_OK;
}

/* One set: every image is classified once, by the four fifths that it is not in. */
static int run_fifths(double *top1, const struct rows *all, size_t D,
                      const struct knn_config *config, const struct moco_simd *simd)
{
    struct deal deal = {0};
    double right = 0.0;
    int rc = all->n < FIFTHS ? error_set(MOCO_EFORMAT, "kNN: %zu images could be read, fifths of "
                                         "them need %d", all->n, FIFTHS)
                             : deal_open(&deal, all->n, D);
    for (size_t fifth = 0; fifth < FIFTHS && !rc; fifth++) {
        deal_out(&deal, all, D, fifth);
        watch_part("kNN, neighbours", "images", all->n / FIFTHS * fifth, all->n);
        rc = knn_classify(NULL, deal.predicted, deal.x[0], deal.labels[0], deal.n[0], deal.x[1],
                          deal.n[1], D, config, simd);
        if (!rc)
            right += knn_accuracy(deal.predicted, deal.labels[1], deal.n[1]) * (double)deal.n[1];
    }
    *top1 = right / (double)all->n;
    free(deal.x[0]);
    free(deal.labels[0]);
    free(deal.predicted);
    return rc;
}

int score_run(double *top1, struct score_sets *sets, const struct embed *embed,
              const struct policy *policy, int k, double T, const struct moco_simd *simd)
{
    struct knn_config config = {.k = k, .T = (float)T, .classes = sets->classes};
    size_t D = score_columns(embed, policy);
    struct rows train = {0}, test = {0};
    size_t n = sets->train.n, all = n + sets->test.n;
    sets->why[0] = '\0';
    watch_part("kNN", "images", 0, all);
    int rc = features(&train, sets, &sets->train, embed, policy, D, simd);
    watch_part("kNN", "images", n, all);
    if (!rc && sets->test.n)
        rc = features(&test, sets, &sets->test, embed, policy, D, simd);
    watch_part("kNN, neighbours", "images", 0, sets->test.n ? test.n : 0);
    if (!rc)
        rc = sets->test.n ? run_sets(top1, &train, &test, D, &config, simd)
                          : run_fifths(top1, &train, D, &config, simd);
    if (!rc)
        rc = score_count_unknown(sets, train.labels, train.n, test.labels, test.n);
    rows_close(&train);
    rows_close(&test);
    return rc;
}

/* Scores of one feature f: (D); of equals the first class wins. */
static int32_t classify(const struct score_layer *layer, const float *f, size_t D)
{
    double best = -INFINITY;
    int32_t found = 0;
    for (size_t k = 0; k < layer->classes; k++) {
        double sum = (double)layer->bias[k];
        for (size_t d = 0; d < D; d++)
            sum += (double)f[d] * (double)layer->weight[k * D + d];
        found = sum > best ? (int32_t)k : found;
        best = sum > best ? sum : best;
    }
    return found;
}

/* The test images that may count. */
static int unseen_side(struct score_side *out, const struct score_side *test, const int32_t *seen)
{
    *out = (struct score_side){.source = test->source};
    out->index = malloc((test->n + 1) * sizeof *out->index);
    out->labels = malloc((test->n + 1) * sizeof *out->labels);
    if (!out->index || !out->labels)
        return error_memory("labels", test->n * sizeof *out->index);
    for (size_t i = 0; i < test->n; i++) {
        if (seen && seen[test->index[i]] >= 0)
            continue;
        out->index[out->n] = test->index[i];
        out->labels[out->n++] = test->labels[i];
    }
    return MOCO_OK;
}

int score_classes(double *top1, struct score_sets *sets, const struct embed *embed,
                  const struct score_layer *layer, const struct policy *policy,
                  const struct moco_simd *simd)
{
    struct embed raw = *embed;
    struct score_side side;
    struct rows rows = {0};
    size_t D = score_columns(embed, policy), right = 0, told = strlen(sets->why);
    int rc = unseen_side(&side, &sets->test, layer->seen);
    *top1 = NAN;
    raw.raw = 1;
    watch_part("classifier", "images", 0, side.n);
    if (!rc && side.n)
        rc = features(&rows, sets, &side, &raw, policy, D, simd);
    sets->why[told] = '\0'; /* kNN has said so */
    for (size_t i = 0; i < rows.n && !rc; i++)
        right += classify(layer, rows.x + i * D, D) == rows.labels[i];
    if (!rc && rows.n)
        *top1 = 100.0 * (double)right / (double)rows.n;
    rows_close(&rows);
    side_close(&side);
    return rc;
}

size_t score_place(const float *scores, size_t classes, size_t y)
{
    size_t before = 0;
    for (size_t c = 0; c < classes; c++)
        before += scores[c] > scores[y] || (scores[c] == scores[y] && c < y);
    return before;
}
