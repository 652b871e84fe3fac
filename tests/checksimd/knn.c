/* knn.c: checks of the selection of neighbours, and of the specification against a full sort.
 *
 * The values are those that hurt a threshold: rising, all equal, few levels, NaN, infinities,
 * signed zeros. Some lists open with a floor. */
#include <stdlib.h>

#include "tests/checksimd/harness.h"

enum { K_MAX = 2100 };
enum values { RANDOM, ALL_EQUAL, LEVELS, RISING, FALLING, NEGATIVE, ZEROS, NANS, INFINITE,
              HUGE_ONES, VALUES };

struct shape {
    size_t B, K, D, k, room;
    enum values fill;
    int labelled;
    float floor; /* that the lists open with */
};

static float value(enum values fill)
{
    switch (fill) {
    case ALL_EQUAL: return 0.5f;
    case LEVELS: return (float)(next_random() % 3) / 4.0f;
    case NEGATIVE: return -0.5f - (float)(next_random() % 100) / 100.0f;
    case ZEROS: return next_random() % 8 ? (next_random() % 2 ? 0.0f : -0.0f) : uniform();
    case NANS: return next_random() % 16 ? uniform() : NAN;
    case INFINITE: return next_random() % 16 ? uniform() : next_random() % 2 ? INFINITY : -INFINITY;
    case HUGE_ONES: return uniform() * 1e20f;
    default: return uniform();
    }
}

static float *take_keys(int slot, const struct shape *x)
{
    float *keys = take_bytes(slot, x->K * x->D * sizeof *keys);

    for (size_t i = 0; i < x->K * x->D; i++)
        keys[i] = value(x->fill);
    for (size_t j = 0; (x->fill == RISING || x->fill == FALLING) && j < x->K; j++)
        for (size_t d = 0; d < x->D; d++)
            keys[j * x->D + d] = (float)(x->fill == RISING ? j : x->K - j) / 1024.0f - 1.0f;
    return keys;
}

/* Positive queries: the similarities are ordered as the keys are. */
static float *take_queries(int slot, const struct shape *x)
{
    float *q = take_bytes(slot, x->B * x->D * sizeof *q);

    for (size_t i = 0; i < x->B * x->D; i++)
        q[i] = x->fill == RANDOM || x->fill == ZEROS ? uniform() : 1.0f;
    return q;
}

static int32_t *take_labels(int slot, const struct shape *x)
{
    int32_t *labels = x->labelled ? take_bytes(slot, x->K * sizeof *labels) : NULL;

    for (size_t j = 0; labels && j < x->K; j++)
        labels[j] = (int32_t)(next_random() % 4) - 1;
    return labels;
}

/* Empty lists in four slots from `slot` on. */
static struct moco_knn take_lists(int slot, const struct shape *x)
{
    size_t places = x->B * (x->room + MOCO_KNN_SPARE);
    struct moco_knn best = {.k = x->k, .room = x->room};

    best.s = take_bytes(slot, places * sizeof *best.s);
    best.index = take_bytes(slot + 1, places * sizeof *best.index);
    best.floor = take_bytes(slot + 2, x->B * sizeof *best.floor);
    best.count = take_bytes(slot + 3, x->B * sizeof *best.count);
    memset(best.s, PAINT, places * sizeof *best.s);
    memset(best.index, PAINT, places * sizeof *best.index);
    for (size_t b = 0; b < x->B; b++) {
        best.floor[b] = x->floor;
        best.count[b] = 0;
    }
    return best;
}

static void same_lists(const struct moco_simd *t, const struct moco_knn *got,
                       const struct moco_knn *want, const struct shape *x, const char *when)
{
    for (size_t b = 0; b < x->B; b++) {
        size_t at = b * (x->room + MOCO_KNN_SPARE), n = want->count[b];
        int ok = got->count[b] == n && n <= x->room &&
                 !memcmp(got->floor + b, want->floor + b, sizeof(float)) &&
                 !memcmp(got->s + at, want->s + at, n * sizeof(float)) &&
                 !memcmp(got->index + at, want->index + at, n * sizeof(uint32_t));

        expect(ok, "%s, %s: list %zu of %zu differs (K %zu D %zu k %zu room %zu fill %d labels %d):"
               " %u, ref %zu", t->name, when, b, x->B, x->K, x->D, x->k, x->room, (int)x->fill,
               x->labelled, got->count[b], n);
        digest_reference(t, MOCO_FP32, want->s + at, n);
        for (size_t i = 0; i < n; i++)
            digest_reference(t, MOCO_FP32, &(float){(float)want->index[at + i]}, 1);
    }
}

static const float *sorted_by;

static int nearer(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

    if (sorted_by[i] != sorted_by[j])
        return sorted_by[i] > sorted_by[j] ? -1 : 1;
    return (i > j) - (i < j);
}

static int lower(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

    return (i > j) - (i < j);
}

/* The first k of a full sort, in the order of their indices, are what a cut leaves. */
static void oracle(const struct moco_knn *best, const float *q, const float *keys,
                   const int32_t *labels, const struct shape *x, uint32_t first)
{
    static float s[K_MAX];
    static uint32_t order[K_MAX];

    for (size_t b = 0; b < x->B; b++) {
        size_t at = b * (x->room + MOCO_KNN_SPARE), n = 0, kept;
        int ok;

        ref.logits(s, q + b * x->D, keys, 1, x->K, x->D);
        for (size_t j = 0; j < x->K; j++)
            if (s[j] > x->floor && (!labels || labels[j] >= 0))
                order[n++] = (uint32_t)j;
        sorted_by = s;
        qsort(order, n, sizeof *order, nearer);
        kept = n < x->k ? n : x->k;
        qsort(order, kept, sizeof *order, lower);
        ok = best->count[b] == kept;
        for (size_t i = 0; ok && i < kept; i++)
            ok = best->index[at + i] == first + order[i] && best->s[at + i] == s[order[i]];
        expect(ok, "ref: list %zu is not the %zu nearest (K %zu D %zu room %zu fill %d)", b, x->k,
               x->K, x->D, x->room, (int)x->fill);
    }
}

static void cut_all(const struct moco_simd *t, const struct moco_knn *best, size_t B)
{
    for (size_t b = 0; b < B; b++)
        t->knn_cut(best, b);
}

/* All keys at once for ref; for the level in two calls, and the queries in two as well. */
static void knn(const struct moco_simd *t, const struct shape *x)
{
    uint32_t first = (uint32_t)next_random() >> 1;
    float *q = take_queries(0, x), *keys = take_keys(1, x);
    int32_t *labels = take_labels(2, x);
    float *scratch = take_bytes(3, (moco_knn_scratch(x->D) + 15) / 16 * 16 * sizeof *scratch);
    struct moco_knn want = take_lists(4, x), got = take_lists(8, x), rest = got;
    size_t cut = x->K ? next_random() % x->K : 0, rows = x->B / 2;

    rest.s += rows * (x->room + MOCO_KNN_SPARE);
    rest.index += rows * (x->room + MOCO_KNN_SPARE);
    rest.floor += rows;
    rest.count += rows;
    ref.knn_scan(&want, q, keys, labels, x->B, x->K, x->D, first, scratch);
    t->knn_scan(&rest, q + rows * x->D, keys, labels, x->B - rows, x->K, x->D, first, scratch);
    t->knn_scan(&got, q, keys, labels, rows, cut, x->D, first, scratch);
    t->knn_scan(&got, q, keys + cut * x->D, labels ? labels + cut : NULL, rows, x->K - cut, x->D,
                first + (uint32_t)cut, scratch);
    same_lists(t, &got, &want, x, "scan");
    cut_all(&ref, &want, x->B);
    cut_all(t, &got, x->B);
    same_lists(t, &got, &want, x, "cut");
    if (t->knn_scan == ref.knn_scan)
        oracle(&got, q, keys, labels, x, first);
    strips_intact("knn", t->name);
}

void check_knn(const struct moco_simd *t)
{
    static const size_t rows[] = {0, 1, 2, 5, 6, 7, 12, 13};
    static const size_t keys[] = {0, 1, 15, 16, 17, 63, 64, 65, 127, 129, 500, 1000, K_MAX};
    static const size_t columns[] = {1, 3, 7, 8, 9, 16, 17, 33};
    static const size_t nearest[] = {1, 2, 15, 16, 17, 64, 200, 3000};

    for (size_t i = 0; i < COUNT(keys); i++)
        for (size_t j = 0; j < COUNT(nearest); j++)
            for (int fill = 0; fill < VALUES; fill++) {
                size_t k = nearest[j], rooms[] = {k + 1, k + 7, 2 * k, 4 * k + 3};
                struct shape x = {.B = rows[next_random() % COUNT(rows)], .K = keys[i],
                                  .D = columns[next_random() % COUNT(columns)], .k = k,
                                  .room = rooms[next_random() % 4], .fill = (enum values)fill,
                                  .labelled = next_random() % 3 == 0,
                                  .floor = next_random() % 3 ? -INFINITY : value(RANDOM)};

                x.room = x.room > k ? x.room : k + 1;
                knn(t, &x);
            }
}

/* Mutants: right but for their tails. */

static void mutant_scan(const struct moco_knn *best, const float *q, const float *keys,
                        const int32_t *labels, size_t B, size_t K, size_t D, uint32_t first,
                        float *scratch)
{
    ref.knn_scan(best, q, keys, labels, B, K / 16 * 16, D, first, scratch);
}

static void mutant_cut(const struct moco_knn *best, size_t b)
{
    best->count[b] -= best->count[b] % 16;
    ref.knn_cut(best, b);
}

static void some(const struct moco_simd *t)
{
    const struct shape x = {.B = 3, .K = 89, .D = 5, .k = 20, .room = 41, .fill = RISING,
                            .floor = -INFINITY};

    knn(t, &x);
}

void mutants_knn(void)
{
    struct moco_simd t = ref;

    t.knn_scan = mutant_scan;
    must_catch("knn_scan", some, &t);
    t = ref;
    t.knn_cut = mutant_cut;
    must_catch("knn_cut", some, &t);
}
