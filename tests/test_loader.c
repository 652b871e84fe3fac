/* test_loader: batches of the loader: the same bytes for any number of workers, in parts and after a
 * jump into the middle of an epoch; failures. */
#define _GNU_SOURCE
#include "engine/data/loader.h"
#include "tests/files.h"

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
        if (batch && workers == 0)
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

static int read_badly(const struct source *source, size_t index, struct image *out)
{
    int rc = image_resize(out, 3, 4, 4);
    if (rc != MOCO_OK)
        return rc;
    memset(out->pixels, 0, 48 * sizeof(float));
    return index == 3 ? error_set(MOCO_EIO, "%s: image 3 is gone", source->kind) : MOCO_OK;
}

static void test_loader_failure(int workers)
{
    struct source source = { .kind = "bad", .count = B, .channels = 3, .read = read_badly };
    struct policy policy = small_policy();
    struct loader *loader;
    const struct batch *batch;
    CHECK(open_loader(&loader, &source, &policy, B + 1, 1, workers) == MOCO_EARG);
    CHECK(open_loader(&loader, &source, &policy, B, 1, workers) == MOCO_OK);
    error_set(MOCO_OK, "%s", "");
    CHECK(loader_next(loader, &batch) == MOCO_EIO && !strcmp(error_text(), "bad: image 3 is gone"));
    CHECK(loader_next(loader, &batch) == MOCO_EIO);
    loader_close(&loader);
}

static void test_loader(void)
{
    struct source *source = must_open("synthetic:n=26,side=16");
    if (!source)
        return;
    run_loader(source, 0);
    run_loader(source, 1);
    run_loader(source, 3);
    run_parts(source, 0);
    run_parts(source, 2);
    test_order();
    test_loader_failure(0);
    test_loader_failure(2);
    source_close(&source);
}

int main(void)
{
    test_loader();
    return check_summary("loader");
}
