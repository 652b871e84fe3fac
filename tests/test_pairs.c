/* test_pairs: samples of several images: an axis of an array (:views) and a second source
 * (--positive). Each view comes from another image of the same sample, with parameters of its own;
 * labels, kNN's split and the order go by samples. */
#define _GNU_SOURCE
#include "engine/data/loader.h"
#include "engine/eval/score.h"
#include "engine/run/train.h"
#include "simd/simd.h"
#include "tests/files.h"

enum { N = 13, T = 3, SIDE = 6, PLANE = SIDE * SIDE, B = 4 };

/* Every pixel of image t of sample s is 10 s + t: a view tells what it was made of. */
static void put_arrays(void)
{
    static float x[N * T * PLANE], one[N * PLANE], colour[N * T * PLANE * 2];
    int16_t labels[N * T];
    for (int i = 0; i < N * T * PLANE; i++) {
        x[i] = (float)(i / PLANE / T * 10 + i / PLANE % T);
        colour[2 * i] = x[i], colour[2 * i + 1] = -x[i];
    }
    for (int i = 0; i < N * PLANE; i++)
        one[i] = (float)(i / PLANE * 10);
    for (int i = 0; i < N * T; i++)
        labels[i] = (int16_t)(i % 5);
    put_npy("x.npy", "<f4", "13, 3, 6, 6", x, sizeof x);
    put_npy("c.npy", "<f4", "13, 3, 6, 6, 2", colour, sizeof colour);
    put_npy("one.npy", "<f4", "13, 1, 6, 6", one, sizeof one);
    put_npy("y.npy", "<i2", "13,", labels, N * sizeof *labels);
    put_npy("all.npy", "<i2", "39,", labels, sizeof labels);
    put_npy("few.npy", "<i2", "12,", labels, 12 * sizeof *labels);
}

static void constant(const struct source *source, size_t index, int channel, float value)
{
    struct image image = { 0 };
    CHECK_MSG(source->read(source, index, &image) == MOCO_OK, "%s", error_text());
    int plane = image.height * image.width;
    for (int i = 0; i < plane && image.channels > channel; i++)
        CHECK_MSG(image.pixels[channel * plane + i] == value, "image %zu: %g, not %g", index,
                  (double)image.pixels[channel * plane + i], (double)value);
    image_close(&image);
}

static void test_axis(void)
{
    char spec[2600];
    snprintf(spec, sizeof spec, "npy:%s,%s:views", at("x.npy"), at("y.npy"));
    struct source *source = must_open(spec);
    CHECK(source && source->count == N * T && source->views == T && source_samples(source) == N);
    CHECK(source && source->channels == 1 && source->height == SIDE);
    CHECK(source && source_label(source, 7) == 2 && source_label(source, 8) == 2 &&
          source_label(source, 9) == 3);
    if (source)
        constant(source, 5 * T + 2, 0, 52);
    source_close(&source);
    source = must_open(spec_of("", "c.npy", ":views:nhwc"));
    CHECK(source && source->count == N * T && source->channels == 2 && source->width == SIDE);
    if (source)
        constant(source, 4 * T + 1, 1, -41);
    source_close(&source);
    source = must_open(spec_of("npy", "x.npy", "")); /* without the word they are channels */
    CHECK(source && source->count == N && source->channels == T && source_views(source) == 1);
    source_close(&source);
    snprintf(spec, sizeof spec, "npy:%s:views,%s", at("x.npy"), at("all.npy"));
    source = must_open(spec);
    CHECK(source && source_label(source, 7) == 2 && source_label(source, 8) == 3);
    source_close(&source);
    snprintf(spec, sizeof spec, "npy:%s:views,%s", at("x.npy"), at("few.npy"));
    must_refuse(spec, "labels need 13 whole numbers");
    must_refuse(spec_of("npy", "c.npy", ""), "5 dimensions");
    must_refuse(spec_of("npy", "y.npy", ":views"), "1 dimensions");
}

/* ---- the loader ---- */

static struct policy policy(void)
{
    return (struct policy){ .side = 4, .channels = 1, .scale_lo = 0.3f, .scale_hi = 1.0f,
                            .ratio_lo = 0.75f, .ratio_hi = 4.0f / 3.0f, .std = { 1 } };
}

/* Every sample once an epoch, two different images of it, all pairs in the long run. */
static void test_loader(const char *spec, int views)
{
    struct source *source = must_open(spec);
    struct policy p = policy();
    int met[T][T] = { { 0 } };
    int64_t kept[60][B];
    float pixels[60][B];
    for (int workers = 0; source && workers < 3; workers++) {
        const struct loader_config config = { .B = B, .parts = 1, .seed = 3, .workers = workers };
        struct loader *loader = NULL;
        const struct batch *batch;
        CHECK_MSG(loader_open(&loader, source, &p, &config) == MOCO_OK, "%s", error_text());
        if (!loader)
            break;
        CHECK(loader_steps(loader) == N / B);
        for (int i = 0; i < 60 && loader_next(loader, &batch) == MOCO_OK; i++)
            for (int b = 0; b < B; b++) {
                int q = (int)lrintf(batch->x_q[b * 16]), k = (int)lrintf(batch->x_k[b * 16]);
                CHECK(batch->ids[b] >= 0 && batch->ids[b] < N);
                CHECK_MSG(q / 10 == batch->ids[b] && k / 10 == batch->ids[b] && q % 10 < views &&
                          k % 10 < views, "sample %lld: images %d and %d",
                          (long long)batch->ids[b], q, k);
                CHECK(q != k || views == 1);
                if (workers == 0)
                    met[q % 10][k % 10]++, kept[i][b] = batch->ids[b], pixels[i][b] = (float)k;
                else
                    CHECK(kept[i][b] == batch->ids[b] && pixels[i][b] == (float)k);
            }
        loader_close(&loader);
    }
    for (int a = 0; a < views; a++)
        for (int b = 0; b < views; b++)
            CHECK_MSG(views == 1 || (met[a][b] > 240 / 2 / views / (views - 1)) == (a != b),
                      "images %d and %d: %d times", a, b, met[a][b]);
    source_close(&source);
}

/* ---- a second source ---- */

static void put_positive(void)
{
    static float x[N * 8 * 4];
    for (int i = 0; i < N * 8 * 4; i++)
        x[i] = (float)(i / 32 * 10 + 1);
    put_npy("p.npy", "<f4", "13, 8, 4", x, sizeof x); /* of another size */
    put_npy("p3.npy", "<f4", "13, 3, 8, 4", x, 0);
    put_npy("p2.npy", "<f4", "13, 2, 8, 2", x, sizeof x);
    put_npy("short.npy", "<f4", "12, 8, 4", x, sizeof x / N * 12);
}

static struct source *open_pair(const char *spec, const char *positive)
{
    struct source *source = NULL;
    char first[1400], second[1400];
    snprintf(first, sizeof first, "%s", spec);
    snprintf(second, sizeof second, "%s", positive);
    CHECK_MSG(source_open_pair(&source, first, second, 0) == MOCO_OK, "%s", error_text());
    return source;
}

static void refuse_pair(const char *spec, const char *positive, const char *part)
{
    struct source *source = NULL;
    CHECK(source_open_pair(&source, spec, positive, 0) == MOCO_EARG && source == NULL);
    CHECK_MSG(strstr(error_text(), part), "no \"%s\" in \"%s\"", part, error_text());
}

static void test_pair(void)
{
    char spec[2600];
    struct policy p = policy();
    const struct loader_config config = { .B = B, .parts = 1, .seed = 3 };
    struct loader *loader = NULL;
    const struct batch *batch;
    int first = 0;
    snprintf(spec, sizeof spec, "npy:%s,%s", at("one.npy"), at("y.npy"));
    struct source *source = open_pair(spec, at("p.npy"));
    if (!source)
        return;
    CHECK(source->count == 2 * N && source->views == 2 && source_samples(source) == N);
    CHECK(source->height == 0 && source->width == 0 && source->pixels_max == PLANE);
    CHECK(source_label(source, 6) == 3 && source_label(source, 7) == 3 && source->classes == 5);
    constant(source, 2, 0, 10), constant(source, 3, 0, 11);
    CHECK_MSG(loader_open(&loader, source, &p, &config) == MOCO_OK, "%s", error_text());
    for (int i = 0; loader && i < 30 && loader_next(loader, &batch) == MOCO_OK; i++)
        for (int b = 0; b < B; b++) {
            int q = (int)lrintf(batch->x_q[b * 16]), k = (int)lrintf(batch->x_k[b * 16]);
            int own = (int)batch->ids[b] * 10, other = own + 1;
            CHECK_MSG((q == own && k == other) || (q == other && k == own), "%d: %d and %d",
                      (int)batch->ids[b], q, k);
            first += q == own;
        }
    CHECK_MSG(first > 30 && first < 90, "the first source gave the query %d of 120 times", first);
    loader_close(&loader);
    source_close(&source);
    refuse_pair(at("one.npy"), at("short.npy"), "has 12: both need the same number");
    refuse_pair(spec_of("npy", "x.npy", ":views"), spec_of("npy", "x.npy", ""),
                "several images a sample");
    refuse_pair(at("one.npy"), at("p2.npy"), "have 1 channels, those of");
}

/* ---- crops are not shared ---- */

static void test_geometry(void)
{
    static float ramp[N * 2 * PLANE];
    struct policy p = policy();
    const struct loader_config config = { .B = B, .parts = 1, .seed = 3 };
    struct loader *loader = NULL;
    const struct batch *batch;
    int same = 0;
    for (int i = 0; i < N * 2 * PLANE; i++)
        ramp[i] = (float)(i % PLANE); /* both images of all samples are the same ramp */
    put_npy("ramp.npy", "<f4", "13, 2, 6, 6", ramp, sizeof ramp);
    struct source *source = must_open(spec_of("npy", "ramp.npy", ":views"));
    if (!source)
        return;
    CHECK(loader_open(&loader, source, &p, &config) == MOCO_OK);
    for (int i = 0; i < 12 && loader_next(loader, &batch) == MOCO_OK; i++)
        for (int b = 0; b < B; b++)
            same += !memcmp(batch->x_q + b * 16, batch->x_k + b * 16, 16 * sizeof(float));
    CHECK_MSG(same < 24, "%d of 48 pairs have the same crop", same);
    loader_close(&loader);
    source_close(&source);
}

/* ---- the rest of a run ---- */

static void test_split(void)
{
    char spec[2600];
    struct score_sets sets;
    snprintf(spec, sizeof spec, "npy:%s,%s:views", at("x.npy"), at("y.npy"));
    struct source *source = must_open(spec);
    CHECK(source && score_split(&sets, source) == MOCO_OK);
    CHECK(sets.train.n == (N - 2) * T && sets.test.n == 2 * T);
    for (size_t i = 0; i < sets.test.n; i++)
        CHECK(sets.test.index[i] / T % 5 == 4);
    score_close(&sets);
    source_close(&source);
}

static int train(const char *out, const char *data, const char *positive, int resume)
{
    const char *const settings[][2] = {
        { "width", "8" }, { "side", "8" }, { "batch-size", "4" }, { "moco-k", "4" },
        { "moco-dim", "16" }, { "bn-splits", "1" }, { "epochs", "2" }, { "threads", "1" },
        { "positive", positive }, { "resume", resume ? "1" : "0" },
    };
    struct moco_simd simd;
    struct config config;
    moco_simd_init(&simd, NULL);
    config_default(&config);
    snprintf(config.value.data, sizeof config.value.data, "%s", data);
    snprintf(config.value.out, sizeof config.value.out, "%s", at(out));
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK_MSG(config_set(&config, settings[i][0], settings[i][1], FROM_FLAG) == MOCO_OK,
                  "%s", error_text());
    return train_run(&config, &simd, NULL);
}

static void test_train(void)
{
    char one[1100], p[1100];
    snprintf(one, sizeof one, "%s", at("one.npy"));
    snprintf(p, sizeof p, "%s", at("p.npy"));
    CHECK_MSG(train("run", one, p, 0) == MOCO_OK, "%s", error_text());
    CHECK(train("run", one, p, 1) == MOCO_OK);
    CHECK(train("run", one, "", 1) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "was started on 26 images"), "%s", error_text());
    CHECK_MSG(train("axis", spec_of("npy", "x.npy", ":views"), "", 0) == MOCO_OK, "%s",
              error_text());
}

/* ---- by name ---- */

/* A grey level of 16 n in n.pgm, or in n.ppm. */
static void put_level(const char *folder, int n, int colour)
{
    char name[60];
    unsigned char bytes[16 + 16 * 3];
    int head = snprintf((char *)bytes, 16, "P%d 4 4 255\n", colour ? 6 : 5);
    memset(bytes + head, 16 * n, 16 * 3);
    snprintf(name, sizeof name, "%s/%02d.%s", folder, n, colour ? "ppm" : "pgm");
    put(name, bytes, (size_t)head + (colour ? 48 : 16));
}

static void test_names(void)
{
    struct source *source;
    struct image image = { 0 };
    mkdir(at("A"), 0777), mkdir(at("A/x"), 0777), mkdir(at("A/y"), 0777);
    mkdir(at("B"), 0777), mkdir(at("B/x"), 0777), mkdir(at("B/y"), 0777);
    for (int n = 1; n < 15; n++)
        put_level(n < 8 ? "A/x" : "A/y", n, 0);
    for (int n = 0; n < 14; n++)
        put_level(n < 8 ? "B/x" : "B/y", n, 1); /* other endings, colours beside grey */
    source = open_pair(spec_of("folder", "A", ""), spec_of("folder", "B", ""));
    CHECK(source && source->count == 2 * 13 && source->channels == 3 && source->classes == 2);
    for (size_t i = 0; source && i < source->count; i++) {
        CHECK(!source->read(source, i, &image) && image.channels == 3);
        CHECK(lrintf(image.pixels[47] * 255) == 16 * (long)(i / 2 + 1)); /* 1 to 13 */
        CHECK(source_label(source, i) == (i / 2 + 1 < 8 ? 0 : 1));
    }
    CHECK(source && account_total(&source->account) == 2);
    CHECK_MSG(source && strstr(source->note, "y/14.pgm") && strstr(source->note, "x/00.ppm"), "%s",
              source ? source->note : "");
    source_close(&source);
    /* The old way, as it was asked for. */
    CHECK(!source_open_pair(&source, spec_of("folder", "A", ""), spec_of("folder", "B", ""), 1));
    CHECK(source && source->count == 2 * 14);
    CHECK(source && !source->read(source, 1, &image) && lrintf(image.pixels[0] * 255) == 0);
    source_close(&source);
    put_level("B/y", 13, 0); /* 13.pgm beside 13.ppm */
    refuse_pair(spec_of("folder", "A", ""), spec_of("folder", "B", ""), "--positive-by index");
    mkdir(at("C"), 0777);
    put_level("C", 1, 0);
    refuse_pair(spec_of("folder", "A", ""), spec_of("folder", "C", ""), "no image of");
    /* One side without names: by order. */
    put_npy("levels.npy", "<f4", "14, 4, 4", (float[14 * 16]){ 0 }, 14 * 16 * 4);
    source = open_pair(spec_of("folder", "A", ""), spec_of("npy", "levels.npy", ""));
    CHECK(source && source->count == 28);
    source_close(&source);
    image_close(&image);
}

int main(void)
{
    if (files_begin())
        return 1;
    put_arrays();
    put_positive();
    test_axis();
    test_loader(spec_of("npy", "x.npy", ":views"), T);
    test_loader(spec_of("npy", "one.npy", ":views"), 1);
    test_pair();
    test_geometry();
    test_split();
    test_train();
    test_names();
    files_end();
    return check_summary("pairs");
}
