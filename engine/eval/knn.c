/* knn.c: weighted nearest neighbours (Wu et al. 2018, section 3.4).
 *
 * Tiles of test rows meet tiles of training rows in simd->logits; each test row keeps its k best
 * so far in a heap whose root is the worst of them (lower similarity, then higher index), so memory
 * is that of the tiles and heaps alone. score_c = Σ exp(s / T), summed in double in order of rank
 * with the largest similarity taken off, so that argmax holds where exp(s / T) would not. */
#include "engine/eval/knn.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { TEST_ROWS = 16, TRAIN_ROWS = 512 };

struct neighbour {
    float s;
    size_t index;
};

struct task {
    float *scores;              /* (n_test, classes) or NULL */
    int32_t *predicted;         /* (n_test) */
    const float *train, *test;  /* (n_train, D), (n_test, D) */
    const int32_t *labels;      /* (n_train) */
    size_t n_train, n_test, D;
    size_t k, classes;
    double T;
    const struct moco_simd *simd;
};

/* What one thread works in. */
struct bench {
    float *tile;                /* (TEST_ROWS, TRAIN_ROWS) */
    struct neighbour *heaps;    /* (TEST_ROWS, k) */
    double *votes;              /* (classes) */
    size_t count[TEST_ROWS];    /* neighbours in each heap */
};

static int worse(struct neighbour a, struct neighbour b)
{
    return a.s < b.s || (a.s == b.s && a.index > b.index);
}

/* Puts x where the root was, and moves it down to its place among n. */
static void sift_down(struct neighbour *heap, size_t n, struct neighbour x)
{
    size_t at = 0;

    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], x))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = x;
}

static void sift_up(struct neighbour *heap, size_t at, struct neighbour x)
{
    while (at > 0 && worse(x, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = x;
}

/* Best first: the worst of those left goes to the end, again and again. */
static void rank(struct neighbour *heap, size_t n)
{
    while (n > 1) {
        struct neighbour root = heap[0], last = heap[--n];

        sift_down(heap, n, last);
        heap[n] = root;
    }
}

/* Offers n training rows, from `first` on, to one test row's heap. Rows come in rising order, so a
 * full heap takes only what is strictly nearer than its root. */
static void offer(const struct task *t, struct neighbour *heap, size_t *count, const float *s,
                  size_t first, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        struct neighbour x = { s[j], first + j };

        if (*count == t->k && !(x.s > heap[0].s))
            continue;
        if (t->labels[x.index] < 0)
            continue;
        if (*count < t->k)
            sift_up(heap, (*count)++, x);
        else
            sift_down(heap, t->k, x);
    }
}

/* The vote of one test row's neighbours, best first. */
static void vote(const struct task *t, double *votes, const struct neighbour *best, size_t count,
                 size_t row)
{
    double nearest = best[0].s;
    size_t winner = 0;

    for (size_t c = 0; c < t->classes; c++)
        votes[c] = 0.0;
    for (size_t i = 0; i < count; i++)
        votes[t->labels[best[i].index]] += exp((best[i].s - nearest) / t->T);
    for (size_t c = 1; c < t->classes; c++)
        winner = votes[c] > votes[winner] ? c : winner;
    t->predicted[row] = (int32_t)winner;
    for (size_t c = 0; t->scores && c < t->classes; c++)
        t->scores[row * t->classes + c] =
            votes[c] > 0.0 ? (float)(votes[c] * exp(nearest / t->T)) : 0.0f;
}

/* Test rows first..first+rows-1. */
static void classify_rows(const struct task *t, struct bench *b, size_t first, size_t rows)
{
    memset(b->count, 0, sizeof b->count);
    for (size_t j = 0; j < t->n_train; j += TRAIN_ROWS) {
        size_t n = t->n_train - j < TRAIN_ROWS ? t->n_train - j : TRAIN_ROWS;

        t->simd->logits(b->tile, t->test + first * t->D, t->train + j * t->D, rows, n, t->D);
        for (size_t i = 0; i < rows; i++)
            offer(t, b->heaps + i * t->k, &b->count[i], b->tile + i * n, j, n);
    }
    for (size_t i = 0; i < rows; i++) {
        rank(b->heaps + i * t->k, b->count[i]);
        vote(t, b->votes, b->heaps + i * t->k, b->count[i], first + i);
    }
}

static void benches_close(struct bench *benches, size_t n)
{
    for (size_t i = 0; benches && i < n; i++) {
        free(benches[i].tile);
        free(benches[i].heaps);
        free(benches[i].votes);
    }
    free(benches);
}

static int benches_open(struct bench **out, size_t n, const struct task *t)
{
    struct bench *benches = calloc(n, sizeof *benches);

    if (!benches)
        goto fail;
    for (size_t i = 0; i < n; i++) {
        benches[i].tile = malloc(sizeof(float) * TEST_ROWS * TRAIN_ROWS);
        benches[i].heaps = calloc(t->k, sizeof(struct neighbour) * TEST_ROWS);
        benches[i].votes = calloc(t->classes, sizeof(double));
        if (!benches[i].tile || !benches[i].heaps || !benches[i].votes)
            goto fail;
    }
    *out = benches;
    return MOCO_OK;
fail:
    benches_close(benches, n);
    return error_memory("the neighbours", n * t->k * TEST_ROWS * sizeof(struct neighbour));
}

static int check(const struct task *t, const struct knn_config *config)
{
    size_t voters = 0;

    if (config->k < 1 || config->classes < 1 || !(config->T > 0.0f) || t->D == 0)
        return error_set(MOCO_EARG, "k = %d, T = %g, %d classes, %zu columns: all must be above 0",
                         config->k, (double)config->T, config->classes, t->D);
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
    struct task t = { .scores = scores, .predicted = predicted, .train = train, .test = test,
                      .labels = train_labels, .n_train = n_train, .n_test = n_test, .D = D,
                      .T = config->T, .simd = simd };
    int threads = omp_get_max_threads(), err = check(&t, config);
    struct bench *benches = NULL;

    if (err)
        return err;
    t.classes = (size_t)config->classes;
    t.k = (size_t)config->k < n_train ? (size_t)config->k : n_train;
    err = benches_open(&benches, (size_t)threads, &t);
    if (err)
        return err;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < n_test; i += TEST_ROWS)
        classify_rows(&t, &benches[omp_get_thread_num()], i,
                      n_test - i < TEST_ROWS ? n_test - i : TEST_ROWS);
    benches_close(benches, (size_t)threads);
    return MOCO_OK;
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
