/* test_missing: numbers without a value. NaN and infinities in arrays, which nothing declares:
 * which images are refused, what --max-missing lets pass, statistics and views without them, each
 * counted once; what a declared number is equal to. Files that declare have tests of their own
 * formats. */
#define _GNU_SOURCE
#include <float.h>

#include "engine/data/audit.h"
#include "engine/data/format/nodata.h"
#include "engine/data/format/raw.h"
#include "engine/data/missing.h"
#include "engine/data/part.h"
#include "engine/eval/linear.h"
#include "simd/simd.h"
#include "tests/files.h"

enum { IMAGES = 6, PIXELS = 8, SIDE = 4 };

static struct moco_simd simd;

/* Image i is (2, 2, 2): channel 0 has i, channel 1 10 + i. 1 has a NaN, 3 an infinity in each
 * channel, 4 nothing but NaN, 5 half of channel 0. */
static void put_gaps(const char *name)
{
    float x[IMAGES][PIXELS];
    for (int i = 0; i < IMAGES; i++)
        for (int p = 0; p < PIXELS; p++)
            x[i][p] = (float)(p < 4 ? i : 10 + i);
    x[1][2] = NAN;
    x[3][0] = INFINITY, x[3][7] = -INFINITY;
    for (int p = 0; p < PIXELS; p++)
        x[4][p] = p % 2 ? NAN : -NAN;
    x[5][0] = x[5][1] = NAN;
    put_npy(name, "<f4", "6, 2, 2, 2", x, sizeof x);
}

static struct source *open_gaps(double allowed)
{
    struct source *source = must_open(spec_of("npy", "gaps.npy", ""));
    if (source)
        missing_allow(source, allowed);
    return source;
}

static void test_refused(void)
{
    struct source *source = open_gaps(0);
    struct image image = { 0 };
    for (size_t i = 0; source && i < IMAGES; i++)
        CHECK((source->read(source, i, &image) == MOCO_ENOTFINITE) == (i != 0 && i != 2));
    CHECK(source_is_bad(MOCO_ENOTFINITE));
    must_not_read(source, 1, "image 1: NaN or infinite in 1 of 8 numbers");
    must_not_read(source, 1, "--max-missing 0.13 ");
    must_not_read(source, 3, "--max-missing 0.25 ");
    image_close(&image);
    source_close(&source);
}

static void test_allowed(void)
{
    static const float mean[] = { 100, 200 };
    const float want[] = { 3, 3, 3, 3, 13, 13, 13, 13 };
    char text[MISSING_TEXT];
    struct image image = { 0 };
    struct source *source = open_gaps(0.25);
    for (int turn = 0; source && turn < 2; turn++) /* each image counts once */
        for (size_t i = 0; i < IMAGES; i++)
            CHECK((source->read(source, i, &image) == MOCO_ENOTFINITE) == (i == 4));
    CHECK(source && source->read(source, 3, &image) == MOCO_OK && image.missing == 2);
    CHECK(image.pixels && isnan(image.pixels[0]) && isnan(image.pixels[7]) && image.pixels[1] == 3);
    image_fill(&image, mean);
    CHECK(image.missing == 0 && image.pixels[0] == 100 && image.pixels[7] == 200);
    CHECK(!memcmp(image.pixels + 1, want + 1, 6 * sizeof *want));
    struct missing_counts n = missing_count(source);
    CHECK_MSG(n.images == 5 && n.numbers == 40 && n.declared == 0 && n.found == 5 &&
              n.images_with == 3, "%d images, %d found", (int)n.images, (int)n.found);
    missing_text(text, source);
    CHECK_MSG(!strncmp(text, "12.5 % of the numbers of npy:", 29) && strstr(text, "3 of 5 images"),
              "%s", text);
    image_close(&image);
    source_close(&source);
}

/* Without a value at all an image is one only for those who allow all of it. */
static void test_most(void)
{
    struct image image = { 0 };
    float mean[2], std[2];
    struct source *source = open_gaps(1);
    CHECK(source && source->read(source, 4, &image) == MOCO_OK && image.missing == PIXELS);
    source_close(&source);
    source = open_gaps(0.99);
    must_not_read(source, 4, "8 of 8 numbers");
    source_close(&source);
    put_npy("none.npy", "<f4", "1, 2, 1, 2", (const float[]){ NAN, NAN, 5, 5 }, 16);
    source = must_open(spec_of("npy", "none.npy", ""));
    missing_allow(source, 0.5);
    CHECK(source_statistics(source, mean, std, 9) == MOCO_EFORMAT);
    CHECK_MSG(strstr(error_text(), "channel 0 has no value in any of 1 images"), "%s",
              error_text());
    image_close(&image);
    source_close(&source);
}

/* Channel 0 of images 0, 1, 2, 5 has 0 four times, 1 three, 2 four, 5 two times. */
static void test_statistics(void)
{
    float mean[2], std[2];
    struct audit audit;
    struct source *source = open_gaps(0.125);
    CHECK(source && source_statistics(source, mean, std, 100) == MOCO_OK);
    double m = (3 * 1 + 4 * 2) / 11.0, squares = (3 * 1 + 4 * 4) / 11.0; /* 5 has too many */
    CHECK_MSG(fabs((double)mean[0] - m) < 1e-6, "%g", (double)mean[0]);
    CHECK(fabs((double)std[0] - sqrt(squares - m * m)) < 1e-6);
    CHECK(fabs((double)mean[1] - (10 + 11 + 12) / 3.0) < 1e-6);
    CHECK(source && !audit_open(&audit, source, NULL, NULL));
    CHECK(audit.seen[AUDIT_NOT_FINITE] == 3 && audit.read == IMAGES);
    CHECK(fabs(audit.mean[0] - m) < 1e-12 && audit.low[0] == 0 && audit.high[0] == 2);
    CHECK(fabs(audit.std[0] - sqrt(squares - m * m)) < 1e-12);
    audit_close(&audit);
    source_close(&source);
}

/* A pixel without a value is 0 in the view, and a resize spreads no NaN. */
static void test_views(void)
{
    struct policy policy = { .side = SIDE, .channels = 2, .mean = { 5, 15 }, .std = { 2, 2 },
                             .simd = &simd };
    float x[2 * 2 * SIDE * SIDE];
    size_t index[] = { 5, 0 };
    struct source *source = open_gaps(0.25);
    CHECK(source && embed_decode(x, source, index, 2, &policy, NULL) == MOCO_OK);
    for (int i = 0; i < SIDE * SIDE; i++) /* 5 is the mean of channel 0 */
        CHECK_MSG(x[i] == 0 && x[2 * SIDE * SIDE + i] == -2.5f, "%g, %g", (double)x[i],
                  (double)x[2 * SIDE * SIDE + i]);
    struct augment_scratch scratch = { 0 };
    struct image image = { 0 };
    CHECK(source && source->read(source, 5, &image) == MOCO_OK);
    CHECK(augment_plain(x, &image, &policy, &scratch) == MOCO_EARG); /* not filled */
    augment_scratch_close(&scratch);
    image_close(&image);
    source_close(&source);
}

/* Both sets of a pair follow, each in its own words. */
static void test_pair(void)
{
    char text[MISSING_TEXT];
    struct image image = { 0 };
    struct source *source = NULL;
    char spec[1400];
    snprintf(spec, sizeof spec, "%s", spec_of("npy", "gaps.npy", ""));
    CHECK(!source_open_pair(&source, spec, spec_of("npy", "gaps.npy", ""), 0));
    must_not_read(source, 3, "image 1: NaN or infinite in 1 of 8");
    source_close(&source);
    CHECK(!source_open_pair(&source, spec, spec_of("npy", "gaps.npy", ""), 0));
    missing_allow(source, 0.25);
    for (size_t i = 0; source && i < 4; i++)
        CHECK(source->read(source, i, &image) == MOCO_OK);
    missing_text(text, source);
    CHECK_MSG(missing_count(source).images == 4 && strstr(text, "; 6.25 %"), "%s", text);
    image_close(&image);
    source_close(&source);
}

/* The probe learns and judges without them, and says so once a side. */
static void test_probe(void)
{
    enum { N = 40 };
    float x[N][PIXELS];
    int64_t y[N];
    struct score_sets sets;
    struct linear_result r;
    struct linear_config config = { .l2 = 1e-3 };
    struct policy policy = { .side = 2, .channels = 2, .std = { 1, 1 }, .simd = &simd };
    char spec[2400], other[2400];
    for (int i = 0; i < N; i++)
        for (int p = 0; p < PIXELS; p++)
            x[i][p] = (float)((i % 2 ? 1 : -1) * (1 + p) + i % 3 * 0.1);
    for (int i = 0; i < N; i++)
        y[i] = i % 2;
    x[7][3] = NAN, x[20][0] = INFINITY;
    put_npy("x.npy", "<f4", "40, 2, 2, 2", x, sizeof x);
    put_npy("y.npy", "<i8", "40,", y, sizeof y);
    snprintf(spec, sizeof spec, "npy:%s,%s", at("x.npy"), at("y.npy"));
    snprintf(other, sizeof other, "%s", spec);
    CHECK(!score_open(&sets, spec, other, NULL));
    CHECK_MSG(!linear_run(&r, NULL, &sets, NULL, &policy, &config, &simd), "%s", error_text());
    CHECK(sets.train.n == 38 && sets.test.n == 38 && r.top1 == 100.0);
    CHECK_MSG(strstr(sets.why, "2 of 40 images") && strstr(sets.why, "image 7: NaN"), "%s",
              sets.why);
    score_close(&sets);
}

/* ---- declared numbers ---- */

/* How many of the numbers are equal to what the text says; -1 where it says nothing. */
static int met(const char *text, enum source_dtype dtype, const void *numbers, size_t n)
{
    float x[8];
    struct nodata nodata = { .n = 0 };
    if (!nodata_add_text(&nodata, text, dtype))
        return -1;
    raw_floats(x, numbers, n, 1, dtype, raw_machine_big());
    return (int)nodata_mark(x, numbers, n, 1, dtype, raw_machine_big(), &nodata);
}

static void test_declared(void)
{
    static const unsigned char u8[] = { 0, 255, 7 };
    static const uint16_t u16[] = { 0, 65535, 255 }, f16[] = { 0xfc00, 0x7e00, 0xf0e2 };
    static const int16_t i16[] = { -32768, -9999, 0 };
    const float f32[] = { -FLT_MAX, FLT_MAX, -9999, NAN, -INFINITY, 0.1f };
    const double f64[] = { -DBL_MAX, -9999, 0.1, NAN, (double)-FLT_MAX, 1e300 };
    const struct {
        const char *text;
        enum source_dtype dtype;
        const void *numbers;
        size_t n;
        int met;
    } rows[] = {
        { "0", DTYPE_U8, u8, 3, 1 },          { "255", DTYPE_U8, u8, 3, 1 },
        { "-9999", DTYPE_U8, u8, 3, 0 },      { "7.5", DTYPE_U8, u8, 3, 0 },
        { "256", DTYPE_U8, u8, 3, 0 },        { "nan", DTYPE_U8, u8, 3, 0 },
        { "65535", DTYPE_U16, u16, 3, 1 },    { "2.55e2", DTYPE_U16, u16, 3, 1 },
        { "-32768", DTYPE_I16, i16, 3, 1 },   { "-9999.0 ", DTYPE_I16, i16, 3, 1 },
        { "32768", DTYPE_I16, i16, 3, 0 },    { "-inf", DTYPE_F16, f16, 3, 1 },
        { "-9999", DTYPE_F16, f16, 3, 1 },    { "-9999", DTYPE_F32, f32, 6, 1 },
        { "nan", DTYPE_F32, f32, 6, 1 },      { "-nan", DTYPE_F32, f32, 6, 1 },
        { " NaN", DTYPE_F32, f32, 6, 1 },     { "-inf", DTYPE_F32, f32, 6, 1 },
        { "-3.4028235e38", DTYPE_F32, f32, 6, 1 },
        { "-3.40282346638528860e+38", DTYPE_F32, f32, 6, 1 },
        { "-3.40282e+38", DTYPE_F32, f32, 6, 1 }, { "-3.4028235e+39", DTYPE_F32, f32, 6, 0 },
        { "-1.7976931348623157e308", DTYPE_F32, f32, 6, 0 },
        { "0.1", DTYPE_F32, f32, 6, 1 },      { "0.1", DTYPE_F64, f64, 6, 1 },
        { "-1.797693e+308", DTYPE_F64, f64, 6, 1 }, { "-3.4028235e+38", DTYPE_F64, f64, 6, 1 },
        { "1e300", DTYPE_F64, f64, 6, 1 },    { "nan", DTYPE_F64, f64, 6, 1 },
        { "none", DTYPE_F32, f32, 6, -1 },    { "", DTYPE_F32, f32, 6, -1 },
        { "1 2", DTYPE_F32, f32, 6, -1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int got = met(rows[i].text, rows[i].dtype, rows[i].numbers, rows[i].n);
        CHECK_MSG(got == rows[i].met, "'%s' of type %d is met %d times", rows[i].text,
                  (int)rows[i].dtype, got);
    }
}

int main(void)
{
    if (files_begin() || moco_simd_init(&simd, NULL))
        return 1;
    put_gaps("gaps.npy");
    test_refused();
    test_allowed();
    test_most();
    test_statistics();
    test_views();
    test_pair();
    test_probe();
    test_declared();
    files_end();
    return check_summary("missing");
}
