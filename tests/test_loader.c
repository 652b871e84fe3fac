/* test_loader: batches of the loader: the same bytes for any number of workers, in parts and after
 * a jump into the middle of an epoch; images that can not be read; a queue that is bounded, sleeps
 * when it is full and stops when it is told to. The thread sanitizer runs this program. */
#define _GNU_SOURCE
#include <time.h>
#include <zlib.h>

#include "engine/data/loader.h"
#include "engine/data/order.h"
#include "tests/files.h"

/* The thread sanitizer does not see the barriers of gcc's OpenMP runtime and takes them for races:
 * there the loader runs with workers only. */
#ifdef __SANITIZE_THREAD__
enum { FIRST = 1 };
#else
enum { FIRST = 0 };
#endif

enum { N = 26, B = 4, SIDE = 8, STEPS = N / B, BATCH = B * 3 * SIDE * SIDE };

static float kept[2 * STEPS + 1][2][BATCH];
static int64_t kept_ids[2 * STEPS + 1][B];

static struct policy small_policy(void)
{
    struct policy policy = { .side = SIDE, .channels = 3, .scale_lo = 0.2f, .scale_hi = 1.0f,
                             .ratio_lo = 0.75f, .ratio_hi = 4.0f / 3.0f, .flip_p = 0.5f };
    policy.std[0] = policy.std[1] = policy.std[2] = 1.0f;
    return policy;
}

static int open_loader(struct loader **out, const struct source *source,
                       const struct policy *policy, size_t size, int parts, int workers)
{
    struct loader_config config = { .B = size, .parts = parts, .seed = 5, .workers = workers };
    return loader_open(out, source, policy, &config);
}

static void compare_batch(const struct batch *batch, size_t i, int workers)
{
    int same = !memcmp(batch->ids, kept_ids[i], sizeof kept_ids[0]) &&
               !memcmp(batch->x_q, kept[i][0], sizeof kept[0][0]) &&
               !memcmp(batch->x_k, kept[i][1], sizeof kept[0][0]);
    CHECK_MSG(same, "batch %zu differs with %d workers", i, workers);
}

static void keep_batch(const struct batch *batch, size_t i)
{
    memcpy(kept_ids[i], batch->ids, sizeof kept_ids[0]);
    memcpy(kept[i][0], batch->x_q, sizeof kept[0][0]);
    memcpy(kept[i][1], batch->x_k, sizeof kept[0][0]);
}

static void run_loader(const struct source *source, int workers)
{
    struct policy policy = small_policy();
    struct loader *loader;
    const struct batch *batch;
    CHECK(open_loader(&loader, source, &policy, B, 1, workers) == MOCO_OK);
    CHECK(loader_steps(loader) == STEPS);
    CHECK(loader_seek(loader, 0, 0) == MOCO_OK);
    for (size_t i = 0; i <= 2 * STEPS; i++) {
        CHECK_MSG(loader_next(loader, &batch) == MOCO_OK, "%s", error_text());
        if (batch && workers == FIRST)
            keep_batch(batch, i);
        else if (batch)
            compare_batch(batch, i, workers);
    }
    CHECK(loader_seek(loader, 1, 2) == MOCO_OK);
    for (size_t i = STEPS + 2; i <= 2 * STEPS; i++) {
        CHECK(loader_next(loader, &batch) == MOCO_OK);
        if (batch)
            compare_batch(batch, i, workers);
    }
    CHECK(loader_seek(loader, 0, STEPS) != MOCO_OK);
    loader_close(&loader);
    CHECK(loader == NULL);
}

/* In parts the batches are the same, and an epoch has no part more. */
static void run_parts(const struct source *source, int workers)
{
    enum { PARTS = 2, ROWS = B / PARTS };
    struct policy policy = small_policy();
    struct loader *loader;
    const struct batch *part;
    CHECK(open_loader(&loader, source, &policy, B, 3, workers) == MOCO_EARG);
    CHECK(open_loader(&loader, source, &policy, B, PARTS, workers) == MOCO_OK);
    CHECK(loader_steps(loader) == STEPS);
    CHECK(loader_seek(loader, 0, 1) == MOCO_OK);
    for (size_t i = PARTS; i < 2 * STEPS * PARTS; i++) {
        size_t first = i % PARTS * ROWS, view = sizeof kept[0][0] / B;
        CHECK_MSG(loader_next(loader, &part) == MOCO_OK, "%s", error_text());
        CHECK(!memcmp(part->ids, kept_ids[i / PARTS] + first, ROWS * sizeof *part->ids));
        CHECK(!memcmp(part->x_k, (char *)kept[i / PARTS][1] + first * view, ROWS * view));
    }
    loader_close(&loader);
}

/* No image twice in an epoch; two epochs differ in order. */
static void test_order(void)
{
    for (size_t epoch = 0; epoch < 2; epoch++) {
        int seen[N] = { 0 };
        for (size_t i = 0; i < STEPS * B; i++) {
            int64_t id = kept_ids[epoch * STEPS + i / B][i % B];
            CHECK(id >= 0 && id < N && !seen[id]++);
        }
    }
    CHECK(memcmp(kept_ids[0], kept_ids[STEPS], STEPS * sizeof kept_ids[0]) != 0);
    CHECK(memcmp(kept[0][0], kept[0][1], sizeof kept[0][0]) != 0);
}

/* ---- samples that are drawn more often ---- */

enum { EXTRA = 3, LISTED = 4, MORE = N / (B - EXTRA), BATCHES = 2 * MORE };
static const int64_t listed[LISTED] = { 2, 3, 11, 25 };
static int64_t extra_ids[BATCHES][B];
static float extra_views[BATCHES][BATCH];

static int open_extra(struct loader **out, const struct source *source,
                      const struct policy *policy, size_t count, int parts, int workers)
{
    struct loader_config config = { .B = B, .parts = parts, .seed = 5, .workers = workers,
                                    .extra = EXTRA, .extra_ids = listed, .extra_count = count };
    return loader_open(out, source, policy, &config);
}

/* The same batches for any number of workers and after a jump. */
static void run_extra(const struct source *source, int workers)
{
    struct policy policy = small_policy();
    struct loader *loader;
    const struct batch *batch;
    policy.noise = 0.1f; /* tells streams apart where two crops are the same */
    CHECK(open_extra(&loader, source, &policy, 0, 1, workers) == MOCO_EARG);
    CHECK(open_extra(&loader, source, &policy, LISTED, 2, workers) == MOCO_EARG);
    CHECK(open_extra(&loader, source, &policy, LISTED, 1, workers) == MOCO_OK);
    CHECK(loader_steps(loader) == MORE);
    for (size_t i = 0; i < 2 * BATCHES - MORE - 1; i++) {
        size_t at = i < BATCHES ? i : i - BATCHES + MORE + 1;
        if (i == BATCHES)
            CHECK(loader_seek(loader, 1, 1) == MOCO_OK);
        CHECK_MSG(loader_next(loader, &batch) == MOCO_OK, "%s", error_text());
        if (workers == FIRST && i < BATCHES) {
            memcpy(extra_ids[at], batch->ids, sizeof extra_ids[0]);
            memcpy(extra_views[at], batch->x_q, sizeof extra_views[0]);
        }
        CHECK_MSG(!memcmp(extra_ids[at], batch->ids, sizeof extra_ids[0]) &&
                      !memcmp(extra_views[at], batch->x_q, sizeof extra_views[0]),
                  "batch %zu differs with %d workers", at, workers);
    }
    loader_close(&loader);
}

/* Whether two places of the batches show the same numbers. */
static int same_view(size_t a, size_t b)
{
    size_t view = BATCH / B;
    return !memcmp(extra_views[a / B] + a % B * view, extra_views[b / B] + b % B * view,
                   view * sizeof(float));
}

/* The first rows go through all samples once an epoch. The last ones go through the list round by
 * round, also across the end of an epoch; no two visits of a sample have the same view. */
static void test_extra(void)
{
    int seen[2][N] = { { 0 } }, listed_seen[N] = { 0 };
    for (size_t i = 0; i < BATCHES * B; i++) {
        int64_t id = extra_ids[i / B][i % B];
        size_t place = i / B * EXTRA + i % B - (B - EXTRA);
        if (i % B < B - EXTRA) {
            CHECK(!seen[i / B / MORE][id]++);
        } else {
            CHECK(id == 2 || id == 3 || id == 11 || id == 25);
            CHECK(listed_seen[id]++ == (int)(place / LISTED));
        }
        for (size_t j = 0; j < i; j++)
            CHECK_MSG(extra_ids[j / B][j % B] != id || !same_view(i, j), "places %zu and %zu", i,
                      j);
    }
}

/* ---- images that can not be read ---- */

enum { BROKEN = 7 }; /* every seventh image, or all */
static int all_broken;

static int is_broken(size_t index)
{
    return all_broken || index % BROKEN == 3;
}

static int read_badly(const struct source *source, size_t index, struct image *out)
{
    int rc = image_resize(out, 3, 4, 4);
    if (rc != MOCO_OK)
        return rc;
    for (int i = 0; i < 48; i++)
        out->pixels[i] = (float)(index + 1);
    return is_broken(index) ? error_set(MOCO_EIO, "%s: image %zu is gone", source->kind, index)
                            : MOCO_OK;
}

/* Rows in the place of broken images hold others, and the batch names each broken one once. */
static void check_bad(const struct batch *batch, const int64_t *order)
{
    size_t n = 0;
    char want[64];
    for (size_t b = 0; b < B; b++) {
        size_t row = b * 3 * SIDE * SIDE;
        CHECK(!is_broken((size_t)batch->ids[b]));
        CHECK(fabsf(batch->x_q[row] - (float)(batch->ids[b] + 1)) < 1e-3f * (float)N);
        if (!is_broken((size_t)order[b])) {
            CHECK(batch->ids[b] == order[b]);
            continue;
        }
        snprintf(want, sizeof want, "bad: image %lld is gone", (long long)order[b]);
        CHECK(n < batch->bad_count && batch->bad[n].id == order[b] &&
              !strcmp(batch->bad[n].why, want));
        n++;
    }
    CHECK(batch->bad_count == n);
}

static void run_broken(int workers)
{
    struct source source = { .kind = "bad", .count = N, .channels = 3, .read = read_badly };
    struct policy policy = small_policy();
    struct loader *loader;
    const struct batch *batch;
    struct order order;
    int64_t ids[N];
    size_t seen = 0;
    CHECK(order_open(&order, N, ORDER_WINDOW, 5) == MOCO_OK);
    CHECK(open_loader(&loader, &source, &policy, B, 1, workers) == MOCO_OK);
    for (size_t i = 0; i < 2 * STEPS; i++) {
        CHECK_MSG(loader_next(loader, &batch) == MOCO_OK, "%s", error_text());
        order_take(&order, ids, i / STEPS, i % STEPS * B, B);
        if (!batch)
            continue;
        check_bad(batch, ids);
        seen += batch->bad_count;
        if (workers == FIRST)
            keep_batch(batch, i);
        else
            compare_batch(batch, i, workers);
    }
    CHECK_MSG(seen >= 4, "only %zu broken images were met", seen);
    CHECK(loader_seek(loader, 1, 3) == MOCO_OK);
    for (size_t i = STEPS + 3; i < 2 * STEPS; i++)
        if (loader_next(loader, &batch) == MOCO_OK)
            compare_batch(batch, i, workers);
        else
            CHECK_MSG(0, "%s", error_text());
    loader_close(&loader);
    order_close(&order);
}

/* Where nothing can be read, the sentence is the first image's, whoever drew it. */
static void test_loader_failure(int workers)
{
    struct source source = { .kind = "bad", .count = N, .channels = 3, .read = read_badly };
    struct policy policy = small_policy();
    struct loader *loader;
    const struct batch *batch;
    char want[64];
    snprintf(want, sizeof want, "the first: bad: image %lld is gone", (long long)kept_ids[0][0]);
    CHECK(open_loader(&loader, &source, &policy, N + 1, 1, workers) == MOCO_EARG);
    CHECK(open_loader(&loader, &source, &policy, B, 1, workers) == MOCO_OK);
    all_broken = 1;
    error_set(MOCO_OK, "%s", "");
    CHECK(loader_next(loader, &batch) == MOCO_EIO && batch == NULL);
    CHECK_MSG(strstr(error_text(), want), "no \"%s\" in \"%s\"", want, error_text());
    CHECK(loader_next(loader, &batch) == MOCO_EIO);
    loader_close(&loader);
    all_broken = 0;
}

/* ---- the queue ---- */

static size_t reads; /* atomic */

static int read_counted(const struct source *source, size_t index, struct image *out)
{
    __atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED);
    return read_badly(source, index, out);
}

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Nobody asks: three batches beside the caller's are made, then all sleep. */
static void test_full(int workers)
{
    struct source source = { .kind = "bad", .count = N, .channels = 3, .read = read_counted };
    struct policy policy = small_policy();
    const struct timespec pause = { 0, 100000000 };
    struct loader *loader;
    const struct batch *batch;
    reads = 0;
    CHECK(open_loader(&loader, &source, &policy, B, 1, workers) == MOCO_OK);
    CHECK(loader_next(loader, &batch) == MOCO_OK);
    size_t before = 0;
    for (int i = 0; i < 50 && before != __atomic_load_n(&reads, __ATOMIC_RELAXED); i++) {
        before = __atomic_load_n(&reads, __ATOMIC_RELAXED);
        nanosleep(&pause, NULL);
    }
    double busy = cpu_seconds();
    nanosleep(&pause, NULL);
    busy = cpu_seconds() - busy;
    CHECK(__atomic_load_n(&reads, __ATOMIC_RELAXED) == before);
    CHECK_MSG(before >= 4 * B && before <= 4 * B + 4 * B * 2 / BROKEN + 16, "%zu images were read",
              before);
    CHECK_MSG(busy < 0.05, "%.3f s of work where all should sleep", busy);
    loader_close(&loader);
}

/* Closed or sent elsewhere at any moment. */
static void test_stops(int workers)
{
    struct source source = { .kind = "bad", .count = N, .channels = 3, .read = read_badly };
    struct policy policy = small_policy();
    struct loader *loader;
    const struct batch *batch;
    for (size_t i = 0; i < 60; i++) {
        CHECK(open_loader(&loader, &source, &policy, B, 1, workers) == MOCO_OK);
        for (size_t n = 0; n < i % 7; n++)
            CHECK(loader_next(loader, &batch) == MOCO_OK);
        if (i % 2) {
            CHECK(loader_seek(loader, 1, i % STEPS) == MOCO_OK);
            CHECK(loader_next(loader, &batch) == MOCO_OK);
        }
        loader_close(&loader);
    }
}

/* ---- files ---- */

static unsigned char *put_chunk(unsigned char *at, const char *type, const void *data, size_t size)
{
    memcpy(at + 4, type, 4);
    if (size)
        memcpy(at + 8, data, size);
    uint32_t length = (uint32_t)size, crc = (uint32_t)crc32(0, at + 4, (unsigned)(size + 4));
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(length >> (24 - 8 * i));
        at[8 + size + (size_t)i] = (unsigned char)(crc >> (24 - 8 * i));
    }
    return at + 12 + size;
}

/* A colour PNG of 12 x 10 pixels. */
static void put_png(const char *name, int seed)
{
    static const unsigned char head[] = { 0, 0, 0, 12, 0, 0, 0, 10, 8, 2, 0, 0, 0 };
    unsigned char rows[10][37], packed[600], file[900] = "\x89PNG\r\n\x1a\n", *end = file + 8;
    uLongf size = sizeof packed;
    for (int y = 0; y < 10; y++)
        for (int x = 0; x < 37; x++)
            rows[y][x] = (unsigned char)(x ? x * seed + y * 11 : 0);
    CHECK(compress(packed, &size, rows[0], sizeof rows) == Z_OK);
    end = put_chunk(end, "IHDR", head, sizeof head);
    end = put_chunk(end, "IDAT", packed, size);
    end = put_chunk(end, "IEND", NULL, 0);
    put(name, file, (size_t)(end - file));
}

/* Decoders that threads run side by side, parts of images among them. */
static void test_files(void)
{
    char name[64];
    mkdir(at("png"), 0777);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "png/%02d.png", i);
        put_png(name, i + 1);
    }
    struct source *source = must_open(at("png"));
    for (int workers = FIRST; source && workers < 4; workers++)
        run_loader(source, workers);
    source_close(&source);
}

int main(void)
{
    struct source *source = must_open("synthetic:n=26,side=16");
    if (!source || files_begin())
        return 1;
    for (int workers = FIRST; workers < 5; workers++)
        run_loader(source, workers);
    test_order();
    for (int workers = FIRST; workers < 4; workers++)
        run_parts(source, workers);
    for (int workers = FIRST; workers < 4; workers++)
        run_extra(source, workers);
    test_extra();
    source_close(&source);
    for (int workers = FIRST; workers < 5; workers++)
        run_broken(workers);
    for (int workers = FIRST; workers < 4; workers++)
        test_loader_failure(workers);
    for (int workers = 1; workers < 5; workers += 3) {
        test_full(workers);
        test_stops(workers);
    }
    test_files();
    files_end();
    return check_summary("loader");
}
