/* same.c: what comes out of a packed file is what went in, to the bit, for every kind of number;
 * sizes, labels and names too; parts of images, batches, and any number of threads. */
#include "tests/pack/pack.h"

#include <omp.h>
#include <stdint.h>

#include "engine/data/format/raw.h"
#include "engine/data/loader.h"

static void test_folder(void)
{
    make_folder();
    must_pack("set.pack", spec_of("folder", "set", ""), 0);
    CHECK(report.written == 5 && report.bad == 0 && report.scaled == 0);
    same_set(spec_of("folder", "set", ""), "set.pack");
    /* 8 bits stay 8 though the set has 16; 200 as white is nothing that 16 bits hold. */
    CHECK(numbers_of("set.pack") == 3 * (35 + 1240 + 2 * 30 + 4 * 36 + 1));
    same_set(spec_of("packed", "set.pack", ""), "set.pack");
}

static void test_numbers(void)
{
    static const uint32_t bits[] = { 0, 0x80000000, 0x7f7fffff, 0xff7fffff, 1, 0x3f800001 };
    static const int16_t shorts[] = { -32768, 32767, 0, -1, 77, 5 };
    static const uint16_t halves[] = { 0, 0x8000, 1, 0x3ff, 0x7bff, 0xfbff };
    static const uint16_t words[] = { 0, 257, 65535, 1, 256, 300 };
    static const double doubles[] = { 0, 0.1, -1e30, 1e-300, 65536.5, 3 };
    static const unsigned char bytes[] = { 0, 1, 2, 128, 254, 255 };
    static const int64_t labels[] = { 1, -1 };
    static const struct {
        const char *type;
        const void *data;
        size_t size, kept;
    } rows[] = {
        /* 0, 257 and 65535 of 16 bits are 8; f64 is read as f32 */
        { "|u1", bytes, 1, 6 },   { "<u2", words, 2, 9 }, { "<i2", shorts, 2, 12 },
        { "<f2", halves, 2, 12 }, { "<f4", bits, 4, 24 }, { "<f8", doubles, 8, 24 },
    };
    char spec[2400];
    put_npy("y.npy", "<i8", "2,", labels, 16);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_npy("x.npy", rows[i].type, "2, 3, 1, 1", rows[i].data, 6 * rows[i].size);
        snprintf(spec, sizeof spec, "npy:%s,%s", at("x.npy"), at("y.npy"));
        must_pack("x.pack", spec, 0);
        same_set(spec, "x.pack");
        CHECK_MSG(numbers_of("x.pack") == rows[i].kept, "%s: %zu bytes", rows[i].type,
                  numbers_of("x.pack"));
    }
}

/* A sample of several images, and a set that no file holds. */
static void test_sets(void)
{
    static const unsigned char bytes[] = { 0, 1, 2, 128, 254, 255 };
    char spec[2400];
    put_npy("v.npy", "|u1", "2, 3, 1, 1", bytes, 6);
    snprintf(spec, sizeof spec, "npy:%s:views", at("v.npy"));
    must_pack("v.pack", spec, 0);
    same_set(spec, "v.pack");
    must_pack("s.pack", "synthetic:n=20,side=9", 0);
    same_set("synthetic:n=20,side=9", "s.pack");
}

/* Nearest, ties to even, for every half and the floats around it. */
static void test_halves(void)
{
    for (uint32_t h = 0; h < 0x7c00; h++) {
        unsigned char in[2] = { (unsigned char)h, (unsigned char)(h >> 8) }, out[2];
        unsigned char next[2] = { (unsigned char)(h + 1), (unsigned char)((h + 1) >> 8) };
        float x, y;
        raw_floats(&x, in, 1, 1, DTYPE_F16, 0);
        raw_floats(&y, next, 1, 1, DTYPE_F16, 0);
        float middle = h < 0x7bff ? x + (y - x) / 2 : 65520.0f;
        pack_numbers(out, &x, 1, DTYPE_F16);
        CHECK(!memcmp(in, out, 2));
        pack_numbers(out, &middle, 1, DTYPE_F16);
        CHECK_MSG(!memcmp(h & 1 ? next : in, out, 2), "%x", h);
        middle = nextafterf(middle, 1e9f);
        pack_numbers(out, &middle, 1, DTYPE_F16);
        CHECK_MSG(!memcmp(next, out, 2), "%x", h);
    }
}

static void test_parts(void)
{
    struct source *source = must_open(spec_of("", "set.pack", ""));
    struct image whole = { 0 }, piece = { 0 };
    CHECK(source && !source->read(source, 1, &whole) && whole.width == 40);
    struct part part = { 8, 3, 11, 20, 17, 1 };
    CHECK(!source->read_part(source, 1, &piece, &part));
    CHECK(part.divisor == 1 && part.top == 3 && part.left == 11 && part.height == 20 &&
          part.width == 17 && piece.height == 20 && piece.width == 17 && piece.channels == 3);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 20; y++)
            CHECK(!memcmp(piece.pixels + (c * 20 + y) * 17,
                          whole.pixels + (c * 31 + 3 + y) * 40 + 11, 17 * sizeof(float)));
    part = (struct part){ 1, 3, 11, 29, 17, 0 };
    CHECK(source->read_part(source, 1, &piece, &part) == MOCO_EARG);
    image_close(&whole);
    image_close(&piece);
    source_close(&source);
}

/* Batches from the folder and from the packed file are the same bytes. */
static void test_batches(void)
{
    struct policy policy = { .side = 8, .channels = 3, .scale_lo = 0.2f, .scale_hi = 1,
                             .ratio_lo = 0.75f, .ratio_hi = 4 / 3.0f, .std = { 1, 1, 1 } };
    struct source *source[2] = { must_open(spec_of("folder", "set", "")),
                                 must_open(spec_of("packed", "set.pack", "")) };
    struct loader *loader[2];
    const struct batch *batch[2];
    if (!source[0] || !source[1])
        return;
    for (int i = 0; i < 2; i++) {
        struct loader_config config = { .B = 5, .parts = 1, .seed = 3, .workers = i };
        CHECK(!loader_open(&loader[i], source[i], &policy, &config));
    }
    for (int n = 0; n < 10; n++) {
        CHECK(!loader_next(loader[0], &batch[0]) && !loader_next(loader[1], &batch[1]));
        CHECK(!memcmp(batch[0]->x_q, batch[1]->x_q, 5 * 3 * 64 * sizeof(float)) &&
              !memcmp(batch[0]->x_k, batch[1]->x_k, 5 * 3 * 64 * sizeof(float)));
    }
    for (int i = 0; i < 2; i++)
        loader_close(&loader[i]), source_close(&source[i]);
}

static void test_threads(void)
{
    unsigned char *one = NULL, *four = NULL;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    must_pack("one.pack", "synthetic:n=100,side=12", 8);
    omp_set_num_threads(4);
    must_pack("four.pack", "synthetic:n=100,side=12", 8);
    omp_set_num_threads(threads);
    size_t size = get(&one, "one.pack");
    CHECK(size > 0 && get(&four, "four.pack") == size && !memcmp(one, four, size));
    free(one);
    free(four);
}

void test_same(void)
{
    test_folder();
    test_numbers();
    test_sets();
    test_halves();
    test_parts();
    test_batches();
    test_threads();
}
