/* knn_scan.c: see knn_scan.h.
 *
 * A team's threads take groups of test rows; where these are few, the training rows are split too
 * and each part's lists are merged in the order of the parts, so that the neighbours are the same.
 * simd->knn_scan keeps a list of candidates for each test row; memory is that of the lists alone.
 * What ranks high enough in a sample of the training rows is a floor that hardly more than k rows
 * exceed, so that few join the lists; a test row for which fewer than k do is scanned again. */
#include "engine/eval/knn_scan.h"

#include <math.h>
#include <string.h>

#include "engine/base/watch.h"

/* A group has at least GROUP_MIN test rows, so that packing the training rows for it is cheap, and
 * at most GROUP_MAX, or what LIST_BYTES hold. */
enum { GROUP_MIN = 96, GROUP_MAX = 1024, PART_MIN = 1024, PANEL = 64, LIST_BYTES = 16 << 20 };
enum { PIECE = 64 * PANEL };
enum { ROOM = 2 }; /* a list holds so many times k */
/* One panel of STRIDE is sampled where k is at least SAMPLE_K and a part has at least SAMPLE_MIN
 * times k training rows; a list of the sample holds SAMPLE_ROOM times the floor's rank. */
enum { STRIDE = 13, SAMPLE_MIN = 16, SAMPLE_K = 32, SAMPLE_ROOM = 3 };

/* The sample holds k / STRIDE of the k nearest on average; so far above that, training rows in
 * random order leave fewer than k above the floor less than once in 1e4 lists. */
static size_t sample_rank(const struct knn_task *t)
{
    double mean = (double)t->k / STRIDE;

    if (t->k < SAMPLE_K || t->n_train / t->parts / SAMPLE_MIN < t->k)
        return 0;
    return (size_t)(mean + 5.0 * sqrt(mean) + 1.0);
}

/* Groups of test rows for all threads; what threads they leave over share the training rows. */
static void share_out(struct knn_task *t)
{
    size_t rows = LIST_BYTES / (t->room * (sizeof(float) + sizeof(uint32_t))), rounds;

    rows = knn_least(knn_most(rows, 1), GROUP_MAX);
    t->groups = knn_most(knn_least(t->n_test / GROUP_MIN, (size_t)t->threads), 1);
    t->parts = knn_least((size_t)t->threads / t->groups, knn_most(t->n_train / PART_MIN, 1));
    rounds = knn_most((t->n_test + t->groups * rows - 1) / (t->groups * rows), 1);
    t->rows = knn_most((t->n_test + t->groups * rounds - 1) / (t->groups * rounds), 1);
}

void knn_divide(struct knn_task *t)
{
    t->room = knn_most(knn_least(ROOM * t->k, t->n_train), t->k + 1);
    share_out(t);
    t->rank = sample_rank(t);
    t->again = knn_least(t->rows, GROUP_MIN);
}

/* Where part p of the training rows begins: whole panels. */
static size_t part_start(const struct knn_task *t, size_t p)
{
    return p == t->parts ? t->n_train : t->n_train / PANEL * p / t->parts * PANEL;
}

static void lists_clear(const struct moco_knn *lists, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        lists->floor[i] = -INFINITY;
        lists->count[i] = 0;
    }
}

static size_t list_at(const struct moco_knn *lists, size_t row)
{
    return row * (lists->room + MOCO_KNN_SPARE);
}

/* Candidates `from` to `to` of one list join another, as if their rows had come one by one. */
static void join(const struct knn_task *t, const struct moco_knn *into,
                 const struct moco_knn *other, size_t row, size_t from, size_t to)
{
    size_t at = list_at(into, row);

    for (size_t i = list_at(other, row) + from; i < list_at(other, row) + to; i++) {
        if (!(other->s[i] > into->floor[row]))
            continue;
        into->s[at + into->count[row]] = other->s[i];
        into->index[at + into->count[row]] = other->index[i];
        if (++into->count[row] == into->room)
            t->simd->knn_cut(into, row);
    }
}

/* Training rows from..end-1 against `rows` test rows, whole panels at a time so that a stop is
 * heard between them; after one the lists mean nothing. */
static void scan(const struct knn_task *t, const struct moco_knn *lists, const float *test,
                 size_t rows, size_t from, size_t end, const struct knn_bench *b)
{
    for (size_t at = from; at < end && !watch_all(t->stopped); at += PIECE) {
        size_t to = knn_least(at + PIECE, end);

        t->simd->knn_scan(lists, test, t->train + at * t->D, t->labels + at, rows, to - at, t->D,
                          (uint32_t)at, b->scratch);
    }
}

/* Lists of the sample alone; what ranks rank-th there becomes the floor. */
static void scan_sample(const struct knn_task *t, const struct knn_bench *b, const float *test,
                        size_t rows, size_t from, size_t end)
{
    lists_clear(&b->sample, rows);
    for (size_t j = from; j < end; j += STRIDE * PANEL)
        scan(t, &b->sample, test, rows, j, knn_least(j + PANEL, end), b);
    for (size_t i = 0; i < rows; i++) {
        t->simd->knn_cut(&b->sample, i);
        b->best.floor[i] = b->sample.floor[i];
        b->joined[i] = 0;
    }
}

/* All training rows join in their order; the sample's have been scored. */
static void scan_rest(const struct knn_task *t, const struct knn_bench *b, const float *test,
                      size_t rows, size_t from, size_t end)
{
    for (size_t j = from; j < end; j += STRIDE * PANEL) {
        size_t sampled = knn_least(j + PANEL, end);

        for (size_t i = 0; i < rows; i++) {
            const uint32_t *index = b->sample.index + list_at(&b->sample, i);
            size_t to = b->joined[i];

            while (to < b->sample.count[i] && index[to] < sampled)
                to++;
            join(t, &b->best, &b->sample, i, b->joined[i], to);
            b->joined[i] = (uint32_t)to;
        }
        scan(t, &b->best, test, rows, sampled, knn_least(j + STRIDE * PANEL, end), b);
    }
}

/* Lists with fewer than k above their provisional floor are made anew without one. */
static void scan_again(const struct knn_task *t, const struct knn_bench *b, const float *test,
                       size_t rows, size_t from, size_t end)
{
    size_t row[GROUP_MIN], i = 0, n;

    do {
        for (n = 0; i < rows && n < t->again; i++)
            if (b->best.count[i] < t->k && b->best.floor[i] > -INFINITY) {
                memcpy(b->rows + n * t->D, test + i * t->D, t->D * sizeof *test);
                row[n++] = i;
            }
        if (n == 0)
            return;
        lists_clear(&b->again, n);
        scan(t, &b->again, b->rows, n, from, end, b);
        for (size_t j = 0; j < n; j++) {
            size_t to = list_at(&b->best, row[j]), at = list_at(&b->again, j);

            b->best.count[row[j]] = b->again.count[j];
            b->best.floor[row[j]] = b->again.floor[j];
            memcpy(b->best.s + to, b->again.s + at, b->again.count[j] * sizeof *b->again.s);
            memcpy(b->best.index + to, b->again.index + at,
                   b->again.count[j] * sizeof *b->again.index);
        }
    } while (i < rows);
}

void knn_scan_part(const struct knn_task *t, const struct knn_bench *b, size_t first, size_t rows,
                      size_t part)
{
    size_t from = part_start(t, part), end = part_start(t, part + 1);
    const float *test = t->test + first * t->D;

    lists_clear(&b->best, rows);
    if (t->rank == 0) {
        scan(t, &b->best, test, rows, from, end, b);
        return;
    }
    scan_sample(t, b, test, rows, from, end);
    scan_rest(t, b, test, rows, from, end);
    scan_again(t, b, test, rows, from, end);
}

void knn_merge(const struct knn_task *t, const struct knn_bench *parts, size_t row)
{
    for (size_t p = 1; p < t->parts; p++)
        join(t, &parts[0].best, &parts[p].best, row, 0, parts[p].best.count[row]);
    t->simd->knn_cut(&parts[0].best, row);
}

static size_t lists_bytes(size_t rows, size_t room)
{
    return 2 * arena_round(rows * (room + MOCO_KNN_SPARE) * sizeof(float)) +
           2 * arena_round(rows * sizeof(float));
}

size_t knn_bench_bytes(const struct knn_task *t)
{
    size_t sample = arena_round(t->rows * sizeof(uint32_t)) +
                    arena_round(t->again * t->D * sizeof(float)) +
                    lists_bytes(t->rows, SAMPLE_ROOM * t->rank) + lists_bytes(t->again, t->room);

    return arena_round(moco_knn_scratch(t->D) * sizeof(float)) +
           arena_round(2 * t->k * sizeof(struct knn_neighbour)) +
           arena_round(t->classes * sizeof(double)) + lists_bytes(t->rows, t->room) +
           (t->rank ? sample : 0);
}

static struct moco_knn lists_take(struct arena *arena, size_t rows, size_t k, size_t room)
{
    size_t places = rows * (room + MOCO_KNN_SPARE);

    return (struct moco_knn){ .k = k, .room = room,
                              .s = arena_take(arena, places * sizeof(float)),
                              .index = arena_take(arena, places * sizeof(uint32_t)),
                              .floor = arena_take(arena, rows * sizeof(float)),
                              .count = arena_take(arena, rows * sizeof(uint32_t)) };
}

struct knn_bench knn_bench_take(struct arena *arena, const struct knn_task *t)
{
    struct knn_bench b = { .best = lists_take(arena, t->rows, t->k, t->room),
                       .scratch = arena_take(arena, moco_knn_scratch(t->D) * sizeof *b.scratch),
                       .ranked = arena_take(arena, 2 * t->k * sizeof *b.ranked),
                       .votes = arena_take(arena, t->classes * sizeof *b.votes) };

    if (t->rank == 0)
        return b;
    b.sample = lists_take(arena, t->rows, t->rank, SAMPLE_ROOM * t->rank);
    b.joined = arena_take(arena, t->rows * sizeof *b.joined);
    b.again = lists_take(arena, t->again, t->k, t->room);
    b.rows = arena_take(arena, t->again * t->D * sizeof *b.rows);
    return b;
}
