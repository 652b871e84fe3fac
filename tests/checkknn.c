/* checkknn.c: knn_scan and knn_cut of every level against the plain C specification, byte by byte,
 * and the specification against a full sort.
 *
 * Each buffer ends flush against an unreadable page and has a painted strip before it. The values
 * are those that hurt a threshold: rising, all equal, few levels, NaN, infinities, signed zeros.
 * Mutants that forget a tail must be caught in the same run. Usage: checkknn [seed] */
#define _DEFAULT_SOURCE
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "simd/simd.h"

enum { SLOTS = 12, SLOT_BYTES = 4 << 20, STRIP = 64, PAINT = 0xa5, K_MAX = 2100 };
enum fill { UNIFORM, EQUAL, LEVELS, RISING, FALLING, NEGATIVE, ZEROS, NANS, INFINITE, HUGE_VALUES,
            FILLS };

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct shape {
    size_t B, K, D, k, room;
    enum fill fill;
    int labelled;
};

static struct moco_simd ref;
static unsigned long checks, failures;
static int silent;
static uint64_t state;
static unsigned char *slot_end[SLOTS], *slot_start[SLOTS];

static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static float uniform(void)
{
    return (float)(int64_t)(next() >> 40) / (float)(1 << 23) - 1.0f;
}

__attribute__((format(printf, 2, 3))) static void expect(int ok, const char *format, ...)
{
    va_list args;

    checks++;
    if (ok)
        return;
    if (failures++ < 20 && !silent) {
        fputs("checkknn: ", stderr);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
    }
}

static void open_slots(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (int i = 0; i < SLOTS; i++) {
        unsigned char *p = mmap(NULL, SLOT_BYTES + page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED || mprotect(p + SLOT_BYTES, page, PROT_NONE)) {
            perror("checkknn: mmap");
            exit(2);
        }
        slot_end[i] = p + SLOT_BYTES;
    }
}

/* The slot's last `bytes` bytes; the strip before them is painted. */
static void *take(int slot, size_t bytes)
{
    if (bytes + STRIP > SLOT_BYTES)
        abort();
    slot_start[slot] = slot_end[slot] - bytes;
    memset(slot_start[slot] - STRIP, PAINT, STRIP);
    return slot_start[slot];
}

static void strips_intact(const char *level)
{
    int ok = 1;

    for (int i = 0; i < SLOTS; i++)
        for (int j = 1; slot_start[i] && j <= STRIP; j++)
            ok &= slot_start[i][-j] == PAINT;
    expect(ok, "%s wrote before a buffer", level);
}

static float value(enum fill fill)
{
    switch (fill) {
    case EQUAL: return 0.5f;
    case LEVELS: return (float)(next() % 3) / 4.0f;
    case NEGATIVE: return -0.5f - (float)(next() % 100) / 100.0f;
    case ZEROS: return next() % 8 ? (next() % 2 ? 0.0f : -0.0f) : uniform();
    case NANS: return next() % 16 ? uniform() : NAN;
    case INFINITE: return next() % 16 ? uniform() : next() % 2 ? INFINITY : -INFINITY;
    case HUGE_VALUES: return uniform() * 1e20f;
    default: return uniform();
    }
}

static float *take_keys(int slot, const struct shape *x)
{
    float *keys = take(slot, x->K * x->D * sizeof *keys);

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
    float *q = take(slot, x->B * x->D * sizeof *q);

    for (size_t i = 0; i < x->B * x->D; i++)
        q[i] = x->fill == UNIFORM || x->fill == ZEROS ? uniform() : 1.0f;
    return q;
}

static int32_t *take_labels(int slot, const struct shape *x)
{
    int32_t *labels = x->labelled ? take(slot, x->K * sizeof *labels) : NULL;

    for (size_t j = 0; labels && j < x->K; j++)
        labels[j] = (int32_t)(next() % 4) - 1;
    return labels;
}

/* Empty lists in four slots from `slot` on. */
static struct moco_knn take_lists(int slot, const struct shape *x)
{
    size_t places = x->B * (x->room + MOCO_KNN_SPARE);
    struct moco_knn best = {.k = x->k, .room = x->room};

    best.s = take(slot, places * sizeof *best.s);
    best.index = take(slot + 1, places * sizeof *best.index);
    best.floor = take(slot + 2, x->B * sizeof *best.floor);
    best.count = take(slot + 3, x->B * sizeof *best.count);
    memset(best.s, PAINT, places * sizeof *best.s);
    memset(best.index, PAINT, places * sizeof *best.index);
    for (size_t b = 0; b < x->B; b++) {
        best.floor[b] = -INFINITY;
        best.count[b] = 0;
    }
    return best;
}

static void same(const char *level, const struct moco_knn *got, const struct moco_knn *want,
                 const struct shape *x, const char *when)
{
    for (size_t b = 0; b < x->B; b++) {
        size_t at = b * (x->room + MOCO_KNN_SPARE), n = want->count[b];
        int ok = got->count[b] == n && n <= x->room &&
                 !memcmp(got->floor + b, want->floor + b, sizeof(float)) &&
                 !memcmp(got->s + at, want->s + at, n * sizeof(float)) &&
                 !memcmp(got->index + at, want->index + at, n * sizeof(uint32_t));

        expect(ok, "%s, %s: list %zu of %zu differs (K %zu D %zu k %zu room %zu fill %d labels %d):"
               " %u, ref %zu", level, when, b, x->B, x->K, x->D, x->k, x->room, (int)x->fill,
               x->labelled, got->count[b], n);
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
            if (s[j] > -INFINITY && (!labels || labels[j] >= 0))
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
static void check(const struct moco_simd *t, const struct shape *x)
{
    uint32_t first = (uint32_t)next() >> 1;
    float *q = take_queries(0, x), *keys = take_keys(1, x);
    int32_t *labels = take_labels(2, x);
    float *scratch = take(3, (moco_knn_scratch(x->D) + 15) / 16 * 16 * sizeof *scratch);
    struct moco_knn want = take_lists(4, x), got = take_lists(8, x), rest = got;
    size_t cut = x->K ? next() % x->K : 0, rows = x->B / 2;

    rest.s += rows * (x->room + MOCO_KNN_SPARE);
    rest.index += rows * (x->room + MOCO_KNN_SPARE);
    rest.floor += rows;
    rest.count += rows;
    ref.knn_scan(&want, q, keys, labels, x->B, x->K, x->D, first, scratch);
    t->knn_scan(&rest, q + rows * x->D, keys, labels, x->B - rows, x->K, x->D, first, scratch);
    t->knn_scan(&got, q, keys, labels, rows, cut, x->D, first, scratch);
    t->knn_scan(&got, q, keys + cut * x->D, labels ? labels + cut : NULL, rows, x->K - cut, x->D,
                first + (uint32_t)cut, scratch);
    same(t->name, &got, &want, x, "scan");
    cut_all(&ref, &want, x->B);
    cut_all(t, &got, x->B);
    same(t->name, &got, &want, x, "cut");
    if (t->knn_scan == ref.knn_scan)
        oracle(&got, q, keys, labels, x, first);
    strips_intact(t->name);
}

static void check_level(const struct moco_simd *t)
{
    static const size_t rows[] = {0, 1, 2, 5, 6, 7, 12, 13};
    static const size_t keys[] = {0, 1, 15, 16, 17, 63, 64, 65, 127, 129, 500, 1000, K_MAX};
    static const size_t columns[] = {1, 3, 7, 8, 9, 16, 17, 33};
    static const size_t nearest[] = {1, 2, 15, 16, 17, 64, 200, 3000};

    for (size_t i = 0; i < COUNT(keys); i++)
        for (size_t j = 0; j < COUNT(nearest); j++)
            for (int fill = 0; fill < FILLS; fill++) {
                size_t k = nearest[j], rooms[] = {k + 1, k + 7, 2 * k, 4 * k + 3};
                struct shape x = {.B = rows[next() % COUNT(rows)], .K = keys[i],
                                  .D = columns[next() % COUNT(columns)], .k = k,
                                  .room = rooms[next() % 4], .fill = (enum fill)fill,
                                  .labelled = next() % 3 == 0};

                x.room = x.room > k ? x.room : k + 1;
                check(t, &x);
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

static void check_mutants(void)
{
    const struct shape x = {.B = 3, .K = 89, .D = 5, .k = 20, .room = 41, .fill = RISING};
    unsigned long before = failures, caught[2];
    struct moco_simd t = ref;

    silent = 1;
    t.knn_scan = mutant_scan;
    check(&t, &x);
    caught[0] = failures - before;
    t = ref;
    t.knn_cut = mutant_cut;
    check(&t, &x);
    caught[1] = failures - before - caught[0];
    failures = before;
    silent = 0;
    for (int i = 0; i < 2; i++)
        expect(caught[i] > 0, "mutant %d went unnoticed", i);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20180505;
    struct moco_simd t;
    char levels[64] = "";

    state = seed;
    printf("checkknn: seed %llu\n", (unsigned long long)seed);
    open_slots();
    moco_simd_at(&ref, MOCO_LEVEL_REF);
    check_mutants();
    for (enum moco_level level = MOCO_LEVEL_REF; level <= MOCO_LEVEL_AVX512; level++) {
        if (moco_simd_at(&t, level))
            continue;
        strcat(strcat(levels, " "), t.name);
        check_level(&t);
    }
    if (failures)
        printf("checkknn: %lu of %lu checks failed\n", failures, checks);
    else
        printf("checkknn: %lu checks, levels%s\n", checks, levels);
    return failures != 0;
}
