/* knn.c: weighted nearest neighbours (Wu et al. 2018, section 3.4).
 *
 * A team's threads take groups of test rows; where these are few, the training rows are split too
 * and each part's lists are merged in the order of the parts, so that the neighbours are the same.
 * simd->knn_scan keeps a list of candidates for each test row; memory is that of the lists alone.
 * score_c = Σ exp(s / T), summed in double in order of rank with the largest similarity taken off,
 * so that argmax holds where exp(s / T) would not. */
#include "engine/eval/knn.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

/* A group has at least GROUP_MIN test rows, so that packing the training rows for it is cheap, and
 * at most GROUP_MAX, or what LIST_BYTES hold. */
enum { GROUP_MIN = 96, GROUP_MAX = 1024, PART_MIN = 1024, PANEL = 64, LIST_BYTES = 16 << 20 };
enum { ROOM = 2 }; /* a list holds so many times k */

struct task {
    float *scores;              /* (n_test, classes) or NULL */
    int32_t *predicted;         /* (n_test) */
    const float *train, *test;  /* (n_train, D), (n_test, D) */
    const int32_t *labels;      /* (n_train) */
    size_t n_train, n_test, D;
    size_t k, room, classes;
    size_t groups, rows, parts; /* groups at a time; test rows of each; parts of training rows */
    double T;
    int threads;
    const struct moco_simd *simd;
};

/* What one thread works in. */
struct bench {
    struct moco_knn best;       /* (rows, room) */
    float *scratch;             /* of knn_scan */
    struct neighbour *ranked;   /* (2, k) */
    double *votes;              /* (classes) */
};

/* `order` rises as the similarity falls. */
struct neighbour {
    uint32_t order;
    int32_t label;
    float s;
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Groups of test rows for all threads; what threads they leave over share the training rows. */
static void divide(struct task *t)
{
    size_t rows = LIST_BYTES / (t->room * (sizeof(float) + sizeof(uint32_t))), rounds;

    rows = least(most(rows, 1), GROUP_MAX);
    t->groups = most(least(t->n_test / GROUP_MIN, (size_t)t->threads), 1);
    t->parts = least((size_t)t->threads / t->groups, most(t->n_train / PART_MIN, 1));
    rounds = most((t->n_test + t->groups * rows - 1) / (t->groups * rows), 1);
    t->rows = most((t->n_test + t->groups * rounds - 1) / (t->groups * rounds), 1);
}

/* Where part p of the training rows begins: whole panels. */
static size_t part_start(const struct task *t, size_t p)
{
    return p == t->parts ? t->n_train : t->n_train / PANEL * p / t->parts * PANEL;
}

/* One group's lists of one part, for `rows` test rows from `first` on. */
static void scan(const struct task *t, const struct bench *b, size_t first, size_t rows,
                 size_t part)
{
    size_t from = part_start(t, part), n = part_start(t, part + 1) - from;

    for (size_t i = 0; i < rows; i++) {
        b->best.floor[i] = -INFINITY;
        b->best.count[i] = 0;
    }
    t->simd->knn_scan(&b->best, t->test + first * t->D, t->train + from * t->D, t->labels + from,
                      rows, n, t->D, (uint32_t)from, b->scratch);
}

/* The lists of the later parts join the first one's, as if their rows had come one by one. */
static void merge(const struct task *t, const struct bench *parts, size_t row)
{
    const struct moco_knn *into = &parts[0].best;
    size_t at = row * (t->room + MOCO_KNN_SPARE);

    for (size_t p = 1; p < t->parts; p++)
        for (size_t i = 0; i < parts[p].best.count[row]; i++) {
            float s = parts[p].best.s[at + i];

            if (!(s > into->floor[row]))
                continue;
            into->s[at + into->count[row]] = s;
            into->index[at + into->count[row]] = parts[p].best.index[at + i];
            if (++into->count[row] == t->room)
                t->simd->knn_cut(into, row);
        }
    t->simd->knn_cut(into, row);
}

/* An integer that falls as x rises, the same for both zeros. */
static uint32_t falling(float x)
{
    uint32_t bits;

    x += 0.0f;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 1u << 31);
}

/* Nearest first, equals in the order they had: one pass a byte. Ends where it began. */
static void rank(struct neighbour *x, struct neighbour *spare, size_t n)
{
    for (int shift = 0; shift < 32; shift += 8) {
        size_t start[257] = { 0 };
        struct neighbour *other = spare;

        for (size_t i = 0; i < n; i++)
            start[(x[i].order >> shift & 255) + 1]++;
        for (size_t i = 0; i < 256; i++)
            start[i + 1] += start[i];
        for (size_t i = 0; i < n; i++)
            spare[start[x[i].order >> shift & 255]++] = x[i];
        spare = x;
        x = other;
    }
}

/* The vote of one test row's neighbours, nearest first. */
static void vote(const struct task *t, const struct bench *b, size_t count, size_t row)
{
    double nearest = count ? b->ranked[0].s : 0.0;
    double *votes = b->votes;
    size_t winner = 0;

    for (size_t c = 0; c < t->classes; c++)
        votes[c] = 0.0;
    for (size_t i = 0; i < count; i++)
        votes[b->ranked[i].label] += exp((b->ranked[i].s - nearest) / t->T);
    for (size_t c = 1; c < t->classes; c++)
        winner = votes[c] > votes[winner] ? c : winner;
    t->predicted[row] = (int32_t)winner;
    for (size_t c = 0; t->scores && c < t->classes; c++)
        t->scores[row * t->classes + c] =
            votes[c] > 0.0 ? (float)(votes[c] * exp(nearest / t->T)) : 0.0f;
}

/* Test row `row`, the i-th of the group that `parts` scanned; b is the calling thread's own. */
static void decide(const struct task *t, const struct bench *b, const struct bench *parts,
                   size_t i, size_t row)
{
    const struct moco_knn *best = &parts[0].best;
    size_t at = i * (t->room + MOCO_KNN_SPARE), count;

    merge(t, parts, i);
    count = best->count[i];
    for (size_t j = 0; j < count; j++) {
        float s = best->s[at + j];

        b->ranked[j] = (struct neighbour){ falling(s), t->labels[best->index[at + j]], s };
    }
    rank(b->ranked, b->ranked + t->k, count);
    vote(t, b, count, row);
}

/* Test rows from `first` on, at most groups * rows: the scans, then the decisions. */
static void classify_round(const struct task *t, const struct bench *benches, size_t first)
{
    size_t end = least(first + t->groups * t->rows, t->n_test);

#pragma omp parallel num_threads(t->threads)
    {
#pragma omp for schedule(dynamic)
        for (size_t task = 0; task < t->groups * t->parts; task++) {
            size_t row = first + task / t->parts * t->rows;

            if (row < end)
                scan(t, benches + task, row, least(end - row, t->rows), task % t->parts);
        }
#pragma omp for schedule(dynamic, 16)
        for (size_t row = first; row < end; row++) {
            size_t group = (row - first) / t->rows;

            decide(t, benches + omp_get_thread_num(), benches + group * t->parts,
                   (row - first) % t->rows, row);
        }
    }
}

static void benches_close(struct bench *benches, size_t n)
{
    for (size_t i = 0; benches && i < n; i++) {
        free(benches[i].best.s);
        free(benches[i].best.index);
        free(benches[i].best.floor);
        free(benches[i].best.count);
        free(benches[i].scratch);
        free(benches[i].ranked);
        free(benches[i].votes);
    }
    free(benches);
}

static int bench_open(struct bench *b, const struct task *t)
{
    size_t lists = t->rows * (t->room + MOCO_KNN_SPARE);

    b->best = (struct moco_knn){ .k = t->k, .room = t->room };
    b->best.s = malloc(lists * sizeof *b->best.s);
    b->best.index = malloc(lists * sizeof *b->best.index);
    b->best.floor = malloc(t->rows * sizeof *b->best.floor);
    b->best.count = malloc(t->rows * sizeof *b->best.count);
    b->scratch = aligned_alloc(64, moco_knn_scratch(t->D) * sizeof *b->scratch);
    b->ranked = malloc(2 * t->k * sizeof *b->ranked);
    b->votes = malloc(t->classes * sizeof *b->votes);
    return b->best.s && b->best.index && b->best.floor && b->best.count && b->scratch &&
           b->ranked && b->votes;
}

static int benches_open(struct bench **out, const struct task *t)
{
    size_t n = (size_t)t->threads;
    struct bench *benches = calloc(n, sizeof *benches);

    for (size_t i = 0; benches && i < n; i++)
        if (!bench_open(benches + i, t))
            goto fail;
    if (benches) {
        *out = benches;
        return MOCO_OK;
    }
fail:
    benches_close(benches, n);
    return error_memory("the neighbours", n * t->rows * t->room * 2 * sizeof(float));
}

static int check(const struct task *t, const struct knn_config *config)
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
    struct task t = { .scores = scores, .predicted = predicted, .train = train, .test = test,
                      .labels = train_labels, .n_train = n_train, .n_test = n_test, .D = D,
                      .T = config->T, .threads = omp_get_max_threads(), .simd = simd };
    struct bench *benches = NULL;
    int err = check(&t, config);

    if (err)
        return err;
    t.classes = (size_t)config->classes;
    t.k = least((size_t)config->k, n_train);
    t.room = most(least(ROOM * t.k, n_train), t.k + 1);
    divide(&t);
    err = benches_open(&benches, &t);
    if (err)
        return err;
    for (size_t row = 0; row < n_test; row += t.groups * t.rows)
        classify_round(&t, benches, row);
    benches_close(benches, (size_t)t.threads);
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
