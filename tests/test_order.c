/* test_order: the order of an epoch. Small sets keep the permutation that they always had; of large
 * ones each image comes once, windows stay within their chunks and are well mixed inside, epochs
 * differ, a jump lands where walking would, and sets of a hundred million images and more need no
 * memory for it: they are loaded under a limit of address space from files that are nothing but a
 * hole. */
#define _GNU_SOURCE
#include <malloc.h>
#include <sys/resource.h>

#include "engine/base/rng.h"
#include "engine/data/loader.h"
#include "engine/data/order.h"
#include "tests/files.h"

enum { MIB = 1 << 20 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* takes terabytes of addresses for itself */
#else
enum { SANITIZED = 0 };
#endif

/* ---- small sets ---- */

static void test_small(void)
{
    enum { N = 1000 };
    uint32_t want[N];
    int64_t got[N];
    struct order order;
    CHECK(order_open(&order, N, N, 9) == MOCO_OK && order_bytes(N, N) == 4 * N);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        struct rng rng = rng_at(9, RNG_ORDER, epoch, 0);
        rng_permutation(&rng, want, N);
        order_take(&order, got, epoch, 0, N);
        int same = 1;
        for (int i = 0; i < N; i++)
            same &= got[i] == want[i];
        CHECK_MSG(same, "epoch %d is another permutation", (int)epoch);
    }
    order_close(&order);
    CHECK(order_open(&order, N, ORDER_WINDOW_MIN - 1, 9) == MOCO_EARG);
    CHECK(order_open(&order, N, ORDER_WINDOW_MAX + 1, 9) == MOCO_EARG);
}

/* ---- the permutation without a table ---- */

static void one_to_one(uint64_t n)
{
    struct permuter p;
    unsigned char *seen = calloc(n, 1);
    size_t moved = 0;
    permuter_set(&p, n, 3, 1, n);
    for (uint64_t i = 0; seen && i < n; i++) {
        uint64_t j = permuter_at(&p, i);
        CHECK_MSG(j < n && !seen[j]++, "n = %llu: %llu twice", (unsigned long long)n,
                  (unsigned long long)j);
        moved += i != j;
    }
    CHECK_MSG(n < 100 || moved > n - n / 8, "n = %llu: %zu moved", (unsigned long long)n, moved);
    free(seen);
}

/* ---- large sets ---- */

enum { COUNT = 1000003, WINDOW = 65536, CHUNKS = COUNT / ORDER_CHUNK };

static int64_t *walk(struct order *order, uint64_t epoch)
{
    int64_t *ids = malloc(COUNT * sizeof *ids);
    for (size_t i = 0; ids && i < COUNT; i += 997)
        order_take(order, ids + i, epoch, i, COUNT - i < 997 ? COUNT - i : 997);
    return ids;
}

static void each_once(const int64_t *ids)
{
    unsigned char *seen = calloc(COUNT, 1);
    size_t bad = 0;
    for (size_t i = 0; seen && i < COUNT; i++)
        bad += ids[i] < 0 || ids[i] >= COUNT || seen[ids[i]]++;
    CHECK_MSG(seen && !bad, "%zu images of an epoch are wrong or come twice", bad);
    free(seen);
}

/* Any place, in any sequence, from a fresh order: as walking there. */
static void jumps(const int64_t *ids)
{
    struct order order;
    int64_t id;
    struct rng rng = rng_at(1, RNG_TEST, 0, 0);
    CHECK(order_open(&order, COUNT, WINDOW, 5) == MOCO_OK);
    for (int i = 0; i < 2000; i++) {
        size_t place = (size_t)rng_below(&rng, COUNT);
        if (i % 100 == 99)
            order_take(&order, &id, 7, place, 1); /* another epoch between */
        order_take(&order, &id, 0, place, 1);
        CHECK_MSG(id == ids[place], "place %zu: %lld, not %lld", place, (long long)id,
                  (long long)ids[place]);
    }
    order_close(&order);
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t *sorted_copy(const int64_t *ids, size_t n)
{
    int64_t *copy = malloc(n * sizeof *copy);
    if (!copy)
        abort();
    memcpy(copy, ids, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, ascending);
    return copy;
}

/* The images of a window are runs of neighbours: one a chunk. */
static void local(const int64_t *ids, size_t first, size_t n)
{
    int64_t *copy = sorted_copy(ids + first, n);
    size_t runs = 1;
    for (size_t i = 1; i < n; i++)
        runs += copy[i] != copy[i - 1] + 1;
    CHECK_MSG(runs <= n / ORDER_CHUNK + 2 && runs > n / ORDER_CHUNK / 2, "%zu runs in %zu images",
              runs, n);
    double mean = 0, away = 6.0 * COUNT / sqrt(12.0 * (double)(n / ORDER_CHUNK));
    for (size_t i = 0; i < n; i++)
        mean += (double)copy[i] / (double)n;
    CHECK_MSG(fabs(mean - COUNT / 2.0) < away, "a window's mean is %.0f", mean);
    free(copy);
}

/* Chi-square of 16 parts of the window's places by 16 parts of the ranks of its images; 225 degrees
 * of freedom, deviation 21. Returned for the mean over many windows. */
static double chi_square(const int64_t *ids, size_t n)
{
    double table[16][16] = { { 0 } }, sum = 0, want = (double)n / 256;
    int64_t *copy = sorted_copy(ids, n);
    for (size_t i = 0; i < n; i++) {
        int64_t *at = bsearch(&ids[i], copy, n, sizeof *copy, ascending);
        table[i * 16 / n][(size_t)(at - copy) * 16 / n]++;
    }
    for (int i = 0; i < 256; i++)
        sum += (table[i / 16][i % 16] - want) * (table[i / 16][i % 16] - want) / want;
    free(copy);
    return sum;
}

/* Successive images are neighbours, or of one chunk, as seldom as in a uniform permutation. */
static void mixed(const int64_t *ids, size_t n)
{
    size_t next = 0, near = 0;
    for (size_t i = 1; i < n; i++) {
        next += llabs((long long)(ids[i] - ids[i - 1])) == 1;
        near += llabs((long long)(ids[i] - ids[i - 1])) < ORDER_CHUNK;
    }
    double share = (double)near / ORDER_CHUNK; /* n * (1024 / n) of the same chunk by chance */
    CHECK_MSG(next < 16, "%zu neighbours follow each other", next);
    CHECK_MSG(share > 0.8 && share < 1.6, "images of one chunk follow at %.2f of chance", share);
}

static void test_large(void)
{
    struct order order;
    double chi = 0;
    int windows = 0;
    CHECK(order_open(&order, COUNT, WINDOW, 5) == MOCO_OK);
    CHECK(order.whole == NULL && order_bytes(COUNT, WINDOW) == 0 && order.windows == 16);
    int64_t *first = walk(&order, 0), *second = walk(&order, 1), *again = walk(&order, 0);
    if (!first || !second || !again)
        abort();
    each_once(first);
    each_once(second);
    jumps(first);
    CHECK(memcmp(first, again, COUNT * sizeof *first) == 0);
    size_t same = 0;
    for (size_t i = 0; i < COUNT; i++)
        same += first[i] == second[i];
    CHECK_MSG(same < 16, "%zu images keep their place", same);
    for (uint64_t w = 0; w < order.windows; w++, windows += 2) {
        size_t from = (size_t)(w * CHUNKS / order.windows) * ORDER_CHUNK;
        size_t end = (size_t)((w + 1) * CHUNKS / order.windows) * ORDER_CHUNK;
        end = w + 1 == order.windows ? COUNT : end; /* with those left over */
        CHECK(end - from <= WINDOW + ORDER_CHUNK);
        local(first, from, end - from);
        mixed(first + from, end - from);
        chi += chi_square(first + from, end - from) + chi_square(second + from, end - from);
    }
    chi /= windows;
    CHECK_MSG(fabs(chi - 225) < 5 * 21 / sqrt(windows), "chi-square of windows is %.1f", chi);
    free(first), free(second), free(again);
    order_close(&order);
}

/* Over the epochs an image meets every part of the order, and every other image's part. */
static void test_epochs(void)
{
    enum { N = 4099, EPOCHS = 1600 };
    struct order order;
    int64_t ids[N];
    double part[16] = { 0 }, together = 0, chi = 0;
    CHECK(order_open(&order, N, 256, 11) == MOCO_OK);
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        size_t at[2] = { 0, 0 };
        order_take(&order, ids, epoch, 0, N);
        for (size_t i = 0; i < N; i++)
            if (ids[i] == 7 || ids[i] == 2000)
                at[ids[i] == 2000] = i;
        part[at[0] * 16 / N]++;
        together += at[0] * 16 / N == at[1] * 16 / N;
    }
    for (int i = 0; i < 16; i++)
        chi += (part[i] - EPOCHS / 16.0) * (part[i] - EPOCHS / 16.0) / (EPOCHS / 16.0);
    CHECK_MSG(chi < 45, "an image's place over the epochs: chi-square %.1f of 15 degrees", chi);
    CHECK_MSG(fabs(together - EPOCHS / 16.0) < 50, "two images meet in %.0f epochs", together);
    order_close(&order);
}

/* ---- files of many GB ---- */

static uint64_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A .npy of `count` images of side x side bytes, all zero, without a block on the disk. */
static int put_hole(const char *name, uint64_t count, int side)
{
    char head[129] = "\x93NUMPY\1\0\x76", text[118];
    uint64_t size = count * (uint64_t)(side * side);
    snprintf(text, sizeof text,
             "{'descr': '|u1', 'fortran_order': False, 'shape': (%llu, %d, %d), }",
             (unsigned long long)count, side, side);
    snprintf(head + 10, sizeof head - 10, "%-117s\n", text);
    put(name, head, 128);
    return truncate(at(name), (off_t)(128 + size)) == 0;
}

static void some_batches(struct loader *loader, uint64_t count)
{
    static const double where[] = { 0, 0.5, 0.999 };
    const struct batch *batch;
    int64_t largest = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t step = (size_t)(where[i] * (double)loader_steps(loader));
        CHECK(loader_seek(loader, i, step) == MOCO_OK);
        for (int n = 0; n < 2; n++) {
            CHECK_MSG(loader_next(loader, &batch) == MOCO_OK, "%s", error_text());
            for (size_t b = 0; batch && b < 64; b++) {
                CHECK(batch->ids[b] >= 0 && (uint64_t)batch->ids[b] < count);
                largest = batch->ids[b] > largest ? batch->ids[b] : largest;
            }
        }
    }
    CHECK_MSG(largest > (int64_t)(0.9 * (double)count), "the largest of 384 images is %lld of %llu",
              (long long)largest, (unsigned long long)count);
}

static void load_hole(const char *name, uint64_t count, int side)
{
    struct policy policy = { .side = 4, .channels = 1, .scale_lo = 0.5f, .scale_hi = 1.0f,
                             .ratio_lo = 0.75f, .ratio_hi = 4.0f / 3.0f, .std = { 1 } };
    const struct loader_config config = { .B = 64, .parts = 1, .seed = 2, .workers = 2 };
    struct source *source = must_open(at(name));
    struct loader *loader = NULL;
    float mean, std;
    if (!source)
        return;
    CHECK(source->count == count && !source->labels && source->height == side);
    size_t bytes = loader_bytes(source, &policy, &config);
    CHECK_MSG(bytes < MIB, "a loader of %zu bytes", bytes);
    CHECK_MSG(source_statistics(source, &mean, &std, 100) == MOCO_OK, "%s", error_text());
    CHECK_MSG(loader_open(&loader, source, &policy, &config) == MOCO_OK, "%s", error_text());
    if (loader)
        some_batches(loader, count);
    loader_close(&loader);
    source_close(&source);
}

/* The limit leaves the mapping, two threads' stacks and 16 MiB; a permutation takes 640 MiB. */
static void test_hole(uint64_t count, int side)
{
    struct rlimit before, less;
    if (!put_hole("hole.npy", count, side)) {
        printf("left out: no file of %llu images can be made here\n", (unsigned long long)count);
        return;
    }
    CHECK(getrlimit(RLIMIT_AS, &before) == 0);
    less = before;
    less.rlim_cur = address_space() + count * (uint64_t)(side * side) + (16 + 2 * 9) * MIB;
    if (!SANITIZED)
        CHECK(setrlimit(RLIMIT_AS, &less) == 0);
    load_hole("hole.npy", count, side);
    CHECK(setrlimit(RLIMIT_AS, &before) == 0);
}

int main(void)
{
    if (files_begin())
        return 1;
#ifdef M_ARENA_MAX /* glibc: each would reserve 64 MiB of addresses */
    mallopt(M_ARENA_MAX, 1);
#endif
    test_small();
    for (uint64_t n = 1; n < 300; n++)
        one_to_one(n);
    one_to_one(4095), one_to_one(4096), one_to_one(4097), one_to_one(65537), one_to_one(1000003);
    test_large();
    test_epochs();
    test_hole(160000000, 8);
    test_hole(5000000000, 1);
    files_end();
    return check_summary("order");
}
