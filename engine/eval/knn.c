/* knn.c: weighted nearest neighbours (Wu et al. 2018, section 3.4).
 *
 * A team's threads take groups of test rows; where these are few, the training rows are split too
 * and each part's lists are merged in the order of the parts, so that the neighbours are the same.
 * simd->knn_scan keeps a list of candidates for each test row; memory is that of the lists alone.
 * What ranks high enough in a sample of the training rows is a floor that hardly more than k rows
 * exceed, so that few join the lists; a test row for which fewer than k do is scanned again.
 * score_c = Σ exp(s / T), summed in double in order of rank with the largest similarity taken off,
 * so that argmax holds where exp(s / T) would not. */
#include "engine/eval/knn.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

/* A group has at least GROUP_MIN test rows, so that packing the training rows for it is cheap, and
 * at most GROUP_MAX, or what LIST_BYTES hold. */
enum { GROUP_MIN = 96, GROUP_MAX = 1024, PART_MIN = 1024, PANEL = 64, LIST_BYTES = 16 << 20 };
enum { ROOM = 2 }; /* a list holds so many times k */
/* One panel of STRIDE is sampled where k is at least SAMPLE_K and a part has at least SAMPLE_MIN
 * times k training rows; a list of the sample holds SAMPLE_ROOM times the floor's rank. */
enum { STRIDE = 13, SAMPLE_MIN = 16, SAMPLE_K = 32, SAMPLE_ROOM = 3 };

struct task {
    float *scores;              /* (n_test, classes) or NULL */
    int32_t *predicted;         /* (n_test) */
    const float *train, *test;  /* (n_train, D), (n_test, D) */
    const int32_t *labels;      /* (n_train) */
    size_t n_train, n_test, D;
    size_t k, room, classes;
    size_t groups, rows, parts; /* groups at a time; test rows of each; parts of training rows */
    size_t rank;                /* in the sample, of a provisional floor; 0: there is no sample */
    size_t again;               /* test rows at a time that are scanned again */
    double T;
    int threads;
    const struct moco_simd *simd;
};

/* What one thread works in. */
struct bench {
    struct moco_knn best;       /* (rows, room) */
    struct moco_knn sample;     /* (rows, SAMPLE_ROOM rank), if there is one, */
    uint32_t *joined;           /* (rows) how many of that have joined best */
    struct moco_knn again;      /* (again, room) of test rows that it misled, */
    float *rows;                /* (again, D) the rows themselves */
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

/* The sample holds k / STRIDE of the k nearest on average; so far above that, training rows in
 * random order leave fewer than k above the floor less than once in 1e4 lists. */
static size_t sample_rank(const struct task *t)
{
    double mean = (double)t->k / STRIDE;

    if (t->k < SAMPLE_K || t->n_train / t->parts / SAMPLE_MIN < t->k)
        return 0;
    return (size_t)(mean + 5.0 * sqrt(mean) + 1.0);
}

/* Where part p of the training rows begins: whole panels. */
static size_t part_start(const struct task *t, size_t p)
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
static void join(const struct task *t, const struct moco_knn *into, const struct moco_knn *other,
                 size_t row, size_t from, size_t to)
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

/* Training rows from..end-1 against `rows` test rows. */
static void scan(const struct task *t, const struct moco_knn *lists, const float *test,
                 size_t rows, size_t from, size_t end, const struct bench *b)
{
    t->simd->knn_scan(lists, test, t->train + from * t->D, t->labels + from, rows, end - from,
                      t->D, (uint32_t)from, b->scratch);
}

/* Lists of the sample alone; what ranks rank-th there becomes the floor. */
static void scan_sample(const struct task *t, const struct bench *b, const float *test, size_t rows,
                        size_t from, size_t end)
{
    lists_clear(&b->sample, rows);
    for (size_t j = from; j < end; j += STRIDE * PANEL)
        scan(t, &b->sample, test, rows, j, least(j + PANEL, end), b);
    for (size_t i = 0; i < rows; i++) {
        t->simd->knn_cut(&b->sample, i);
        b->best.floor[i] = b->sample.floor[i];
        b->joined[i] = 0;
    }
}

/* All training rows join in their order; the sample's have been scored. */
static void scan_rest(const struct task *t, const struct bench *b, const float *test, size_t rows,
                      size_t from, size_t end)
{
    for (size_t j = from; j < end; j += STRIDE * PANEL) {
        size_t sampled = least(j + PANEL, end);

        for (size_t i = 0; i < rows; i++) {
            const uint32_t *index = b->sample.index + list_at(&b->sample, i);
            size_t to = b->joined[i];

            while (to < b->sample.count[i] && index[to] < sampled)
                to++;
            join(t, &b->best, &b->sample, i, b->joined[i], to);
            b->joined[i] = (uint32_t)to;
        }
        scan(t, &b->best, test, rows, sampled, least(j + STRIDE * PANEL, end), b);
    }
}

/* Lists with fewer than k above their provisional floor are made anew without one. */
static void scan_again(const struct task *t, const struct bench *b, const float *test, size_t rows,
                       size_t from, size_t end)
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

/* One group's lists of one part, for `rows` test rows from `first` on. */
static void scan_part(const struct task *t, const struct bench *b, size_t first, size_t rows,
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

/* The lists of the later parts join the first one's. */
static void merge(const struct task *t, const struct bench *parts, size_t row)
{
    for (size_t p = 1; p < t->parts; p++)
        join(t, &parts[0].best, &parts[p].best, row, 0, parts[p].best.count[row]);
    t->simd->knn_cut(&parts[0].best, row);
}

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
static struct neighbour *rank(struct neighbour *x, struct neighbour *spare, size_t n)
{
    uint32_t start[4][256] = { { 0 } };

    for (size_t i = 0; i < n; i++)
        for (int byte = 0; byte < 4; byte++)
            start[byte][x[i].order >> 8 * byte & 255]++;
    for (int byte = 0; byte < 4; byte++) {
        uint32_t before = 0, *at = start[byte];
        struct neighbour *other = spare;

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
static void vote(const struct task *t, const struct bench *b, const struct neighbour *near,
                 size_t count, size_t row)
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
    vote(t, b, rank(b->ranked, b->ranked + t->k, count), count, row);
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
                scan_part(t, benches + task, row, least(end - row, t->rows), task % t->parts);
        }
#pragma omp for schedule(dynamic, 16)
        for (size_t row = first; row < end; row++) {
            size_t group = (row - first) / t->rows;

            decide(t, benches + omp_get_thread_num(), benches + group * t->parts,
                   (row - first) % t->rows, row);
        }
    }
}

static size_t lists_bytes(size_t rows, size_t room)
{
    return 2 * arena_round(rows * (room + MOCO_KNN_SPARE) * sizeof(float)) +
           2 * arena_round(rows * sizeof(float));
}

static size_t bench_bytes(const struct task *t)
{
    size_t sample = arena_round(t->rows * sizeof(uint32_t)) +
                    arena_round(t->again * t->D * sizeof(float)) +
                    lists_bytes(t->rows, SAMPLE_ROOM * t->rank) + lists_bytes(t->again, t->room);

    return arena_round(moco_knn_scratch(t->D) * sizeof(float)) +
           arena_round(2 * t->k * sizeof(struct neighbour)) +
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

static struct bench bench_take(struct arena *arena, const struct task *t)
{
    struct bench b = { .best = lists_take(arena, t->rows, t->k, t->room),
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
    struct bench *benches;
    struct arena arena;
    int err = check(&t, config);

    if (err)
        return err;
    t.classes = (size_t)config->classes;
    t.k = least((size_t)config->k, n_train);
    t.room = most(least(ROOM * t.k, n_train), t.k + 1);
    divide(&t);
    t.rank = sample_rank(&t);
    t.again = least(t.rows, GROUP_MIN);
    benches = calloc((size_t)t.threads, sizeof *benches);
    if (!benches)
        return error_memory("the neighbours", (size_t)t.threads * sizeof *benches);
    err = arena_open(&arena, (size_t)t.threads * bench_bytes(&t), "the neighbours");
    for (int i = 0; !err && i < t.threads; i++)
        benches[i] = bench_take(&arena, &t);
    for (size_t row = 0; !err && row < n_test; row += t.groups * t.rows)
        classify_round(&t, benches, row);
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
