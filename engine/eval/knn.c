/* knn.c: weighted nearest neighbours (Wu et al. 2018, section 3.4).
 *
 * knn_scan.c finds the neighbours; here they are ranked and vote.
 * score_c = Σ exp(s / T), summed in double in order of rank with the largest similarity taken off,
 * so that argmax holds where exp(s / T) would not. */
#include "engine/eval/knn.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/watch.h"
#include "engine/eval/knn_scan.h"

/* An integer that falls as x rises, the same for both zeros. */
static uint32_t falling(float x)
{
    uint32_t bits;

    x += 0.0f;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 1u << 31);
}

/* Nearest first, equals in the order they had: one pass for each byte that is not the same in all.
 * Where the result lies: x or spare. */
static struct knn_neighbour *rank(struct knn_neighbour *x, struct knn_neighbour *spare, size_t n)
{
    uint32_t start[4][256] = { { 0 } };

    for (size_t i = 0; i < n; i++)
        for (int byte = 0; byte < 4; byte++)
            start[byte][x[i].order >> 8 * byte & 255]++;
    for (int byte = 0; byte < 4; byte++) {
        uint32_t before = 0, *at = start[byte];
        struct knn_neighbour *other = spare;

        if (n == 0 || at[x->order >> 8 * byte & 255] == n)
            continue;
        for (size_t i = 0; i < 256; i++) {
            uint32_t count = at[i];

            at[i] = before;
            before += count;
        }
        for (size_t i = 0; i < n; i++)
            spare[at[x[i].order >> 8 * byte & 255]++] = x[i];
        spare = x;
        x = other;
    }
    return x;
}

/* The vote of one test row's neighbours, nearest first. */
static void vote(const struct knn_task *t, const struct knn_bench *b,
                 const struct knn_neighbour *near, size_t count, size_t row)
{
    double nearest = count ? near[0].s : 0.0;
    double *votes = b->votes;
    size_t winner = 0;

    for (size_t c = 0; c < t->classes; c++)
        votes[c] = 0.0;
    for (size_t i = 0; i < count; i++)
        votes[near[i].label] += exp((near[i].s - nearest) / t->T);
    for (size_t c = 1; c < t->classes; c++)
        winner = votes[c] > votes[winner] ? c : winner;
    t->predicted[row] = (int32_t)winner;
    for (size_t c = 0; t->scores && c < t->classes; c++)
        t->scores[row * t->classes + c] =
            votes[c] > 0.0 ? (float)(votes[c] * exp(nearest / t->T)) : 0.0f;
}

/* Test row `row`, the i-th of the group that `parts` scanned; b is the calling thread's own. */
static void decide(const struct knn_task *t, const struct knn_bench *b,
                   const struct knn_bench *parts, size_t i, size_t row)
{
    const struct moco_knn *best = &parts[0].best;
    size_t at = i * (t->room + MOCO_KNN_SPARE), count;

    knn_merge(t, parts, i);
    count = best->count[i];
    for (size_t j = 0; j < count; j++) {
        float s = best->s[at + j];

        b->ranked[j] = (struct knn_neighbour){ falling(s), t->labels[best->index[at + j]], s };
    }
    vote(t, b, rank(b->ranked, b->ranked + t->k, count), count, row);
}

/* Test rows from `first` on, at most groups * rows: the scans, then the decisions. */
static void classify_round(const struct knn_task *t, const struct knn_bench *benches, size_t first)
{
    size_t end = knn_least(first + t->groups * t->rows, t->n_test);

#pragma omp parallel num_threads(t->threads)
    {
#pragma omp for schedule(dynamic)
        for (size_t task = 0; task < t->groups * t->parts; task++) {
            size_t row = first + task / t->parts * t->rows;

            if (row < end)
                knn_scan_part(t, benches + task, row, knn_least(end - row, t->rows),
                              task % t->parts);
        }
#pragma omp for schedule(dynamic, 16)
        for (size_t row = first; row < end; row++) {
            size_t group = (row - first) / t->rows;

            if (!watch_all(t->stopped))
                decide(t, benches + omp_get_thread_num(), benches + group * t->parts,
                       (row - first) % t->rows, row);
        }
    }
}

static int check(const struct knn_task *t, const struct knn_config *config)
{
    size_t voters = 0;

    if (config->k < 1 || config->classes < 1 || !(config->T > 0.0f) || t->D == 0)
        return error_set(MOCO_EARG, "k = %d, T = %g, %d classes, %zu columns: all must be above 0",
                         config->k, (double)config->T, config->classes, t->D);
    if (t->n_train > UINT32_MAX)
        return error_set(MOCO_EARG, "%zu training rows: at most %u", t->n_train, UINT32_MAX);
    for (size_t j = 0; j < t->n_train; j++) {
        if (t->labels[j] >= config->classes)
            return error_set(MOCO_EARG, "training row %zu has label %d, but there are only %d "
                             "classes", j, (int)t->labels[j], config->classes);
        voters += t->labels[j] >= 0;
    }
    if (voters == 0)
        return error_set(MOCO_EARG, "none of the %zu training rows has a label", t->n_train);
    return MOCO_OK;
}

int knn_classify(float *scores, int32_t *predicted, const float *train, const int32_t *train_labels,
                 size_t n_train, const float *test, size_t n_test, size_t D,
                 const struct knn_config *config, const struct moco_simd *simd)
{
    struct knn_task t = { .scores = scores, .predicted = predicted, .train = train, .test = test,
                          .labels = train_labels, .n_train = n_train, .n_test = n_test, .D = D,
                          .T = config->T, .threads = omp_get_max_threads(), .simd = simd };
    struct knn_bench *benches;
    struct arena arena;
    int err = check(&t, config), stopped = 0;

    if (err)
        return err;
    t.stopped = &stopped;
    t.classes = (size_t)config->classes;
    t.k = knn_least((size_t)config->k, n_train);
    knn_divide(&t);
    benches = calloc((size_t)t.threads, sizeof *benches);
    if (!benches)
        return error_memory("the neighbours", (size_t)t.threads * sizeof *benches);
    err = arena_open(&arena, (size_t)t.threads * knn_bench_bytes(&t), "the neighbours");
    for (int i = 0; !err && i < t.threads; i++)
        benches[i] = knn_bench_take(&arena, &t);
    for (size_t row = 0; !err && row < n_test; row += t.groups * t.rows) {
        err = watch_step(row);
        if (!err)
            classify_round(&t, benches, row);
        if (stopped)
            err = watch_end();
    }
    arena_close(&arena);
    free(benches);
    return err;
}

double knn_accuracy(const int32_t *predicted, const int32_t *labels, size_t n)
{
    size_t right = 0, labelled = 0;

    for (size_t i = 0; i < n; i++) {
        labelled += labels[i] >= 0;
        right += labels[i] >= 0 && predicted[i] == labels[i];
    }
    return labelled ? 100.0 * (double)right / (double)labelled : 0.0;
}
