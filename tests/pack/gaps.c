/* gaps.c: numbers that are missing stay missing in a packed file, in integers and floats, also
 * where all numbers of a type are taken and where images are made smaller; files without any are of
 * version 1. */
#include "tests/pack/pack.h"

#include "engine/data/missing.h"
#include "engine/data/part.h"

enum { WIDE = 256, HIGH = 257 };

/* A set in memory: one image whose numbers nobody guards. */
struct memory {
    struct source source;
    const float *pixels;
    size_t missing;
};

static int read_memory(const struct source *source, size_t index, struct image *out)
{
    const struct memory *m = (const struct memory *)(const void *)source;
    size_t n = (size_t)source->channels * (size_t)source->height * (size_t)source->width;
    int rc = image_resize(out, source->channels, source->height, source->width);
    (void)index;
    if (!rc)
        memcpy(out->pixels, m->pixels, n * sizeof(float));
    out->missing = m->missing;
    return rc;
}

static struct memory memory_of(const float *pixels, int height, int width, enum source_dtype dtype)
{
    struct memory m = { .source = { .count = 1, .channels = 1, .height = height, .width = width,
                                    .dtype = dtype, .read = read_memory }, .pixels = pixels };
    for (int i = 0; i < height * width; i++)
        m.missing += isnan(pixels[i]) != 0;
    return m;
}

/* Packs and gives back the file, opened. */
static struct source *packed(const struct memory *m, int side)
{
    struct moco_simd simd;
    CHECK(moco_simd_init(&simd, NULL) == MOCO_OK);
    struct pack_options options = { .side = side, .simd = &simd };
    CHECK_MSG(!pack_write(&report, at("g.pack"), &m->source, &options), "%s", error_text());
    return must_open(spec_of("packed", "g.pack", ""));
}

static unsigned version_of(const char *name)
{
    unsigned char *bytes;
    size_t size = get(&bytes, name);
    unsigned version = size > 8 ? bytes[8] : 0;
    free(bytes);
    return version;
}

static void check_type(enum source_dtype dtype, const float *x, int height, int width, size_t kept)
{
    struct memory m = memory_of(x, height, width, dtype);
    struct image image = { 0 };
    struct source *source = packed(&m, 0);
    CHECK(source && !source->read(source, 0, &image) && image.missing == m.missing);
    for (int i = 0; i < height * width && image.pixels; i++)
        CHECK(isnan(x[i]) ? isnan(image.pixels[i]) : image.pixels[i] == x[i]);
    CHECK_MSG(numbers_of("g.pack") == kept, "%zu bytes", numbers_of("g.pack"));
    CHECK(version_of("g.pack") == 2);
    image_close(&image);
    source_close(&source);
}

static void test_types(void)
{
    static float all[HIGH * WIDE];
    const float bytes[] = { 0, 1, NAN, 2 / 255.0f }, shorts[] = { 0, -32768, NAN, 1 };
    check_type(DTYPE_U8, bytes, 2, 2, 4);
    check_type(DTYPE_U16, bytes, 2, 2, 4);
    check_type(DTYPE_I16, shorts, 2, 2, 8);
    check_type(DTYPE_F16, shorts, 2, 2, 8);
    check_type(DTYPE_F32, shorts, 2, 2, 16);
    check_type(DTYPE_F64, shorts, 2, 2, 16);
    for (int i = 0; i < HIGH * WIDE; i++)
        all[i] = i == 7 ? NAN : (float)(i % 256) / 255.0f;
    check_type(DTYPE_U8, all, 8, WIDE, 4 * 8 * WIDE); /* no byte is left for it */
    for (int i = 0; i < HIGH * WIDE; i++)
        all[i] = i == 7 ? NAN : (float)(i % 65536 - 32768);
    all[65536 + 7] = 9 - 32768;
    all[65536 + 9] = 7 - 32768;
    check_type(DTYPE_I16, all, HIGH, WIDE, 4 * HIGH * WIDE);
    all[65536 + 9] = 0; /* 7 - 32768 is free */
    check_type(DTYPE_I16, all, HIGH, WIDE, 2 * HIGH * WIDE);
}

/* A part of an image with gaps is judged by the whole; one without is read as a part. */
static void test_parts(void)
{
    float x[6 * 8];
    struct image image = { 0 };
    for (int i = 0; i < 48; i++)
        x[i] = i < 46 ? NAN : (float)i;
    struct memory m = memory_of(x, 6, 8, DTYPE_F32);
    struct source *source = packed(&m, 0);
    struct part part = { .divisor = 1, .top = 5, .left = 6, .height = 1, .width = 2 };
    CHECK(source && source->read_part(source, 0, &image, &part) == MOCO_EFORMAT);
    CHECK_MSG(strstr(error_text(), "no value in 46 of 48"), "%s", error_text());
    source_close(&source);
    for (int i = 0; i < 48; i++)
        x[i] = i == 3 ? NAN : (float)i;
    m = memory_of(x, 6, 8, DTYPE_F32);
    source = packed(&m, 0);
    CHECK(source && !source->read_part(source, 0, &image, &part) && image.missing == 1);
    CHECK(image.height == 6 && part.top == 0 && part.height == 6 && part.width == 8);
    image_close(&image);
    source_close(&source);
}

/* Of 8 x 8 blocks of 4 x 4: one of 10s, one of 10s with gaps, one of gaps, one of 30s. */
static void test_smaller(void)
{
    float x[64];
    struct image image = { 0 };
    for (int y = 0; y < 8; y++)
        for (int k = 0; k < 8; k++)
            x[8 * y + k] = y < 4 ? (k == 6 && y == 1 ? NAN : 10) : k < 4 ? NAN : 30;
    struct memory m = memory_of(x, 8, 8, DTYPE_I16);
    struct source *source = packed(&m, 2);
    CHECK(source && !source->read(source, 0, &image) && image.height == 2);
    if (image.pixels) {
        CHECK_MSG(isnan(image.pixels[2]) && image.missing == 1, "%g", (double)image.pixels[2]);
        for (int i = 0; i < 4; i++) /* never a part of a gap */
            CHECK_MSG(i == 2 || (image.pixels[i] >= 10 && image.pixels[i] <= 30), "%g",
                      (double)image.pixels[i]);
    }
    image_close(&image);
    source_close(&source);
}

/* What nothing declares missing is left out, or filled and declared from then on. */
static void test_found(void)
{
    float mean, std;
    put_npy("f.npy", "<f4", "2, 1, 1, 2", (const float[]){ 1, 2, NAN, 3 }, 16);
    CHECK(pack("f.pack", spec_of("npy", "f.npy", ""), 0, 0.5) == MOCO_OK && report.bad == 1);
    CHECK(report.written == 1 && version_of("f.pack") == 1);
    struct source *source = NULL;
    struct moco_simd simd;
    CHECK(!source_open_lenient(&source, spec_of("npy", "f.npy", "")));
    CHECK(moco_simd_init(&simd, NULL) == MOCO_OK);
    missing_allow(source, 0.5);
    struct pack_options options = { .simd = &simd };
    CHECK(!pack_write(&report, at("f.pack"), source, &options) && report.written == 2);
    source_close(&source);
    source = must_open(spec_of("packed", "f.pack", ""));
    CHECK(source && !source_statistics(source, &mean, &std, 9) && mean == 2);
    source_close(&source);
}

void test_gaps(void)
{
    test_types();
    test_parts();
    test_smaller();
    test_found();
}
