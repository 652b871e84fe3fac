/* test_pack.c: packed files. What comes out is what went in, to the bit, for every kind of number;
 * sizes, labels and names too. Scaled images against sums in double precision. Nothing is written
 * over, nothing half-written stays; every truncation and every changed byte is noticed, and values
 * that cannot be are refused although their checksums are right. */
#define _GNU_SOURCE
#include <omp.h>
#include <stdint.h>
#include <zlib.h>

#include "engine/data/loader.h"
#include "engine/data/format/pack.h"
#include "engine/data/format/raw.h"
#include "tests/files.h"

static struct pack_report report;

static int pack(const char *out, const char *spec, int side, double max_bad)
{
    struct moco_simd simd;
    const struct pack_options options = { .side = side, .max_bad = max_bad, .simd = &simd };
    struct source *source = NULL;
    int rc = source_open_lenient(&source, spec);
    CHECK(moco_simd_init(&simd, NULL) == MOCO_OK);
    CHECK_MSG(rc == MOCO_OK, "%s: %s", spec, error_text());
    if (rc == MOCO_OK)
        rc = pack_write(&report, at(out), source, &options);
    source_close(&source);
    return rc;
}

static void must_pack(const char *out, const char *spec, int side)
{
    CHECK_MSG(pack(out, spec, side, 0.01) == MOCO_OK, "%s: %s", spec, error_text());
}

static int exists(const char *name)
{
    struct stat info;
    return lstat(at(name), &info) == 0;
}

/* ---- there and back ---- */

static void same_image(const struct source *a, const struct source *b, size_t i)
{
    struct image x = { 0 }, y = { 0 };
    CHECK_MSG(!a->read(a, i, &x) && !b->read(b, i, &y), "%s", error_text());
    int same = x.channels == y.channels && x.height == y.height && x.width == y.width;
    size_t n = (size_t)x.channels * (size_t)x.height * (size_t)x.width;
    CHECK_MSG(same && !memcmp(x.pixels, y.pixels, n * sizeof(float)), "image %zu of %s", i,
              a->where);
    CHECK(source_label(a, i) == source_label(b, i));
    const char *p = a->name ? a->name(a, i) : NULL, *q = b->name ? b->name(b, i) : NULL;
    CHECK(p == q || (p && q && !strcmp(p, q)));
    image_close(&x);
    image_close(&y);
}

static void same_set(const char *spec, const char *packed)
{
    struct source *a = must_open(spec), *b = must_open(spec_of("", packed, ""));
    if (!a || !b)
        return;
    CHECK(!strcmp(b->kind, "packed") && a->count == b->count && a->channels == b->channels);
    CHECK(a->height == b->height && a->width == b->width && a->dtype == b->dtype);
    CHECK(source_views(a) == source_views(b));
    CHECK(a->classes == b->classes && !a->class_names == !b->class_names);
    for (int c = 0; a->class_names && b->class_names && c < a->classes; c++)
        CHECK(!strcmp(a->class_names[c], b->class_names[c]));
    for (size_t i = 0; i < a->count && i < b->count; i++)
        same_image(a, b, i);
    source_close(&a);
    source_close(&b);
}

static void put_pnm(const char *name, int channels, int height, int width, int most)
{
    unsigned char bytes[8192];
    size_t size = (size_t)snprintf((char *)bytes, 64, "P%d\n%d %d\n%d\n", channels == 3 ? 6 : 5,
                                   width, height, most);
    size_t n = (size_t)(channels * height * width) * (most > 255 ? 2 : 1);
    for (size_t i = 0; i < n; i++)
        bytes[size + i] = (unsigned char)((i * 29 + i / 7 + size) % (most > 255 ? 256 :
                                                                     (size_t)most + 1));
    put(name, bytes, size + n);
}

static void make_folder(void)
{
    mkdir(at("set"), 0777);
    mkdir(at("set/cat"), 0777);
    mkdir(at("set/dog"), 0777);
    put_pnm("set/cat/a.pgm", 1, 5, 7, 255);
    put_pnm("set/cat/b.ppm", 3, 31, 40, 255);
    put_pnm("set/dog/deep.ppm", 3, 6, 5, 65535);
    put_pnm("set/dog/odd.pgm", 1, 9, 4, 200);
    put_pnm("set/loose.ppm", 3, 1, 1, 255);
}

/* Bytes of the file without header, index, texts and the gaps before images. */
static size_t numbers_of(const char *name)
{
    unsigned char *bytes;
    size_t size = get(&bytes, name), count = raw_get(bytes + 24, 8), sum = 0;
    const unsigned char *entry = bytes + raw_get(bytes + 32, 8);
    for (size_t i = 0; i < count; i++, entry += PACK_ENTRY) {
        CHECK(raw_get(entry, 8) % PACK_ALIGN == 0);
        sum += raw_get(bytes + 60, 4) * raw_get(entry + 8, 4) * raw_get(entry + 12, 4) *
               raw_size((enum source_dtype)raw_get(entry + 28, 4));
    }
    CHECK(size == raw_get(bytes + 16, 8));
    free(bytes);
    return sum;
}

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

static void put_npy(const char *name, const char *header, const void *data, size_t size)
{
    unsigned char bytes[256] = "\x93NUMPY\1";
    size_t length = strlen(header);
    bytes[8] = (unsigned char)length;
    memcpy(bytes + 10, header, length);
    memcpy(bytes + 10 + length, data, size);
    put(name, bytes, 10 + length + size);
}

static void test_numbers(void)
{
    static const uint32_t bits[] = { 0, 0x80000000, 0x7fc00001, 0xff800000, 1, 0x3f800001 };
    static const int16_t shorts[] = { -32768, 32767, 0, -1, 77, 5 };
    static const uint16_t halves[] = { 0, 0x8000, 1, 0x3ff, 0x7bff, 0xfc00 };
    static const uint16_t words[] = { 0, 257, 65535, 1, 256, 300 };
    static const double doubles[] = { 0, 0.1, -1e300, 1e-300, 65536.5, 3 };
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
    char header[128];
    put_npy("y.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n", labels, 16);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, "
                 "'shape': (2, 3, 1, 1), }\n", rows[i].type);
        put_npy("x.npy", header, rows[i].data, 6 * rows[i].size);
        char spec[2400];
        snprintf(spec, sizeof spec, "npy:%s,%s", at("x.npy"), at("y.npy"));
        must_pack("x.pack", spec, 0);
        same_set(spec, "x.pack");
        CHECK_MSG(numbers_of("x.pack") == rows[i].kept, "%s: %zu bytes", rows[i].type,
                  numbers_of("x.pack"));
    }
    must_pack("s.pack", "synthetic:n=20,side=9", 0);
    same_set("synthetic:n=20,side=9", "s.pack");
    put_npy("v.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 1, 1), }\n", bytes,
            6);
    char views[2400];
    snprintf(views, sizeof views, "npy:%s:views", at("v.npy"));
    must_pack("v.pack", views, 0);
    same_set(views, "v.pack");
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

/* ---- scaled ---- */

/* Output o of an axis, as resample.h defines it. */
static double weight(int j, int o, double scale)
{
    double w = 1 - fabs(j + 0.5 - scale * (o + 0.5)) / scale;
    return w > 0 ? w : 0;
}

static double smaller_pixel(const struct image *x, int c, int y0, int x0, double down, double right)
{
    double sum = 0, total = 0;
    for (int i = 0; i < x->height; i++)
        for (int j = 0; j < x->width; j++) {
            double w = weight(i, y0, down) * weight(j, x0, right);
            sum += w * (double)x->pixels[(c * x->height + i) * x->width + j];
            total += w;
        }
    return sum / total;
}

static void compare_scaled(const struct image *in, const struct image *out, int side)
{
    int shorter = in->height < in->width ? in->height : in->width;
    CHECK(out->height == in->height * side / shorter && out->width == in->width * side / shorter);
    double worst = 0;
    for (int c = 0; c < out->channels; c++)
        for (int y = 0; y < out->height; y++)
            for (int x = 0; x < out->width; x++) {
                double want = smaller_pixel(in, c, y, x, (double)in->height / out->height,
                                            (double)in->width / out->width);
                double got = (double)out->pixels[(c * out->height + y) * out->width + x];
                worst = fmax(worst, fabs(got - want));
            }
    CHECK_MSG(worst < 0.501 / 255, "off by %g steps of 8 bits", 255 * worst);
}

static void test_side(void)
{
    struct image in = { 0 }, out = { 0 };
    static const int sizes[][2] = { { 31, 40 }, { 40, 21 }, { 64, 13 }, { 9, 9 }, { 8, 30 } };
    char name[64];
    mkdir(at("large"), 0777);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "large/%d.ppm", i);
        put_pnm(name, i == 3 ? 1 : 3, sizes[i][0], sizes[i][1], 255);
    }
    must_pack("large.pack", spec_of("folder", "large", ""), 8);
    CHECK(report.written == 5 && report.scaled == 4);
    struct source *a = must_open(spec_of("folder", "large", ""));
    struct source *b = must_open(spec_of("", "large.pack", ""));
    for (size_t i = 0; a && b && i < 5; i++) {
        CHECK(!a->read(a, i, &in) && !b->read(b, i, &out));
        compare_scaled(&in, &out, 8);
    }
    CHECK(b && b->dtype == DTYPE_U8 && numbers_of("large.pack") == 3 * 8 * (10 + 15 + 39 + 8 + 30));
    image_close(&in);
    image_close(&out);
    source_close(&a);
    source_close(&b);
}

/* ---- what is left out, what is not written over ---- */

static void test_bad_images(void)
{
    mkdir(at("some"), 0777);
    mkdir(at("some/a"), 0777);
    mkdir(at("some/z"), 0777);
    put("some/a/0.png", "\x89PNG\r\n\x1a\n no png", 15);
    put("some/z/1.pgm", "P5\n3 3\n255\nabc", 14);
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "some/%c/%d.pgm", i < 4 ? 'a' : 'z', i + 2);
        put_pnm(name, 1, 4, 4, 255);
    }
    CHECK(pack("some.pack", spec_of("folder", "some", ""), 0, 0.1) == MOCO_EFORMAT);
    CHECK_MSG(strstr(error_text(), "2 of the first 6 images") && strstr(error_text(), "0.png"),
              "%s", error_text());
    CHECK(!exists("some.pack") && !exists("some.pack.part"));
    CHECK(!pack("some.pack", spec_of("folder", "some", ""), 0, 0.2));
    CHECK(report.written == 8 && report.bad == 2 && strstr(report.sentence[1], "1.pgm"));
    struct source *source = must_open(spec_of("", "some.pack", ""));
    CHECK(source && source->count == 8 && source->classes == 2 && source_label(source, 7) == 1);
    CHECK(source && !strcmp(source->name(source, 4), "z/6.pgm"));
    source_close(&source);
    /* All images of the last class are bad: its name stays. */
    for (int i = 4; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "some/z/%d.pgm", i + 2);
        put(name, "P5", 2);
    }
    CHECK(!pack("some.pack", spec_of("folder", "some", ""), 0, 0.6));
    source = must_open(spec_of("", "some.pack", ""));
    CHECK(source && source->classes == 2 && !strcmp(source->class_names[1], "z"));
    source_close(&source);
    mkdir(at("none"), 0777);
    put("none/0.pgm", "P5", 2);
    CHECK(pack("none.pack", spec_of("folder", "none", ""), 0, 1) == MOCO_EFORMAT);
    CHECK(strstr(error_text(), "no image can be read") && !exists("none.pack"));
}

#ifdef MOCO_FITS
/* A cube of `planes` 3 x 2 planes of bytes, cut off where `cut` says. */
static void put_cube(const char *name, int planes, int cut)
{
    char bytes[2 * 2880];
    memset(bytes, ' ', 2880);
    memset(bytes + 2880, 0, 2880);
    const char *cards[] = { "SIMPLE  =                    T", "BITPIX  =                    8",
                            "NAXIS   =                    3", "NAXIS1  =                    3",
                            "NAXIS2  =                    2", NULL, "END" };
    char last[40];
    snprintf(last, sizeof last, "NAXIS3  = %20d", planes);
    cards[5] = last;
    for (int i = 0; i < 7; i++)
        memcpy(bytes + 80 * i, cards[i], strlen(cards[i]));
    for (int i = 0; i < 6 * planes; i++)
        bytes[2880 + i] = (char)(7 * i + planes);
    put(name, bytes, cut ? 2880 : sizeof bytes);
}

/* Of a sample with a bad image none is packed, the others stay together. */
static void test_views(void)
{
    mkdir(at("cubes"), 0777), mkdir(at("cubes/k"), 0777), mkdir(at("whole"), 0777);
    mkdir(at("whole/k"), 0777);
    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "cubes/k/%d.fits", i);
        put_cube(name, i == 3 ? 2 : 3, i == 1);
        snprintf(name, sizeof name, "whole/k/%d.fits", i);
        if (i != 1 && i != 3)
            put_cube(name, 3, 0);
    }
    const char *spec = spec_of("fits", "cubes", ":pages=views");
    CHECK(pack("views.pack", spec, 0, 0.3) == MOCO_EFORMAT);
    CHECK_MSG(strstr(error_text(), "2 of the first 4 samples") && strstr(error_text(), "of all 5"),
              "%s", error_text());
    CHECK_MSG(!pack("views.pack", spec_of("fits", "cubes", ":pages=views"), 0, 0.4), "%s",
              error_text());
    CHECK(report.written == 9 && report.bad == 2 && strstr(report.sentence[1], "3.fits has 2"));
    char whole[1200];
    snprintf(whole, sizeof whole, "%s", spec_of("fits", "whole", ":pages=views"));
    same_set(whole, "views.pack");
    struct source *source = must_open(spec_of("", "views.pack", ""));
    CHECK(source && source->views == 3 && source->count == 9);
    source_close(&source);
}
#else
static void test_views(void)
{
}
#endif

static void test_replacing(void)
{
    unsigned char *bytes = NULL;
    put("mine.txt", "precious", 8);
    mkdir(at("dir"), 0777);
    CHECK(pack("mine.txt", "synthetic:n=4", 0, 1) == MOCO_EIO);
    CHECK(strstr(error_text(), "no packed file") && get(&bytes, "mine.txt") == 8);
    CHECK(!memcmp(bytes, "precious", 8) && !exists("mine.txt.part"));
    free(bytes);
    CHECK(pack("dir", "synthetic:n=4", 0, 1) == MOCO_EIO);
    CHECK(pack("no/folder", "synthetic:n=4", 0, 1) == MOCO_EIO);
    must_pack("again.pack", "synthetic:n=4,side=8", 0);
    must_pack("again.pack", "synthetic:n=6,side=8", 0);
    same_set("synthetic:n=6,side=8", "again.pack");
    must_pack("again.pack", spec_of("packed", "again.pack", ""), 0); /* itself */
    same_set("synthetic:n=6,side=8", "again.pack");
    /* A failure leaves the older file. */
    CHECK(pack("again.pack", spec_of("folder", "none", ""), 0, 1) != MOCO_OK);
    same_set("synthetic:n=6,side=8", "again.pack");
}

/* ---- damage ---- */

static void test_truncations(void)
{
    unsigned char *bytes;
    size_t size = get(&bytes, "set.pack");
    for (size_t n = 0; n < size; n += n < 400 ? 1 : 13) {
        put("cut.pack", bytes, n);
        must_refuse(spec_of("packed", "cut.pack", ""), n < 8 ? "does not start" : "truncated");
    }
    put("cut.pack", bytes, size);
    FILE *file = fopen(at("cut.pack"), "ab");
    CHECK(file && fputc(0, file) == 0);
    fclose(file);
    must_refuse(spec_of("packed", "cut.pack", ""), "goes on behind");
    free(bytes);
}

/* Reads all; *open: it could be opened. The number of images that were refused. */
static size_t refused(const char *name, int *opened)
{
    struct source *source = NULL;
    struct image image = { 0 };
    size_t bad = 0;
    *opened = source_open(&source, spec_of("packed", name, "")) == MOCO_OK;
    for (size_t i = 0; *opened && i < source->count; i++)
        for (int twice = 0; twice < 2; twice++) {
            int rc = source->read(source, i, &image);
            CHECK(rc == MOCO_OK || (rc == MOCO_EDAMAGED && strstr(error_text(), "checksum")));
            bad += rc != MOCO_OK;
        }
    image_close(&image);
    source_close(&source);
    return bad / 2;
}

/* Every byte of header, index and texts; of images every 7th. Gaps between images mean nothing. */
static void test_changes(void)
{
    unsigned char *bytes;
    size_t size = get(&bytes, "set.pack"), index = raw_get(bytes + 32, 8), found = 0;
    for (size_t i = 0; i < size; i += i >= PACK_HEADER && i < index ? 7 : 1) {
        int opened;
        bytes[i] ^= 16;
        put("bad.pack", bytes, size);
        size_t bad = refused("bad.pack", &opened);
        bytes[i] ^= 16;
        if (i < PACK_HEADER || i >= index)
            CHECK_MSG(!opened, "byte %zu of %zu was changed", i, size);
        else
            CHECK_MSG(opened && bad <= 1, "byte %zu: %zu images", i, bad);
        found += bad;
    }
    CHECK_MSG(found > (index - PACK_HEADER) / 14, "%zu changes were found", found);
    free(bytes);
}

/* Puts the checksums of header and tables right. */
static void mend(unsigned char *bytes)
{
    uint64_t index = raw_get(bytes + 32, 8), texts = raw_get(bytes + 40, 8);
    uLong sum = crc32_z(0, bytes + index, raw_get(bytes + 24, 8) * PACK_ENTRY);
    raw_put(bytes + 56, crc32_z(sum, bytes + texts, raw_get(bytes + 48, 8)), 4);
    raw_put(bytes + 12, 0, 4);
    raw_put(bytes + 12, crc32_z(0, bytes, PACK_HEADER), 4);
}

static void test_values(void)
{
    static const struct {
        int entry; /* of the index; -1: the header */
        size_t at, size;
        uint64_t value;
        const char *part;
    } rows[] = {
        { 1, 0, 8, 64, "entry 1" },              { 1, 0, 8, UINT64_MAX - 8, "entry 1" },
        { 4, 0, 8, 1 << 20, "entry 4" },         { 0, 8, 4, 0, "entry 0" },
        { 0, 8, 4, UINT32_MAX, "entry 0" },      { 3, 12, 4, 1 << 20, "entry 3" },
        { 0, 12, 4, 0x7fffffff, "entry 0" },     { 2, 16, 4, 2, "entry 2" },
        { 2, 16, 4, UINT32_MAX - 1, "entry 2" }, { 1, 24, 4, 5000, "entry 1" },
        { 1, 28, 4, 6, "entry 1" },              { -1, 8, 4, 2, "version 2" },
        { -1, 60, 4, 0, "channels" },            { -1, 60, 4, UINT32_MAX, "channels" },
        { -1, 60, 4, 4, "entry" },               { -1, 64, 4, 6, "channels" },
        { -1, 68, 4, 1, "entry" },               { -1, 68, 4, 1 << 21, "channels" },
        { -1, 72, 4, 1, "names" },               { -1, 72, 4, UINT32_MAX, "names" },
        { -1, 80, 4, 0, "of a sample" },         { -1, 80, 4, 2, "of a sample" },
        { -1, 80, 4, UINT32_MAX, "of a sample" },
    };
    unsigned char *bytes;
    size_t size = get(&bytes, "set.pack"), index = raw_get(bytes + 32, 8);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t place = rows[i].entry < 0 ? 0 : index + (size_t)rows[i].entry * PACK_ENTRY;
        unsigned char *field = bytes + place + rows[i].at;
        uint64_t kept = raw_get(field, rows[i].size);
        raw_put(field, rows[i].value, rows[i].size);
        mend(bytes);
        put("bad.pack", bytes, size);
        must_refuse(spec_of("packed", "bad.pack", ""), rows[i].part);
        raw_put(field, kept, rows[i].size);
    }
    mend(bytes);
    put("bad.pack", bytes, size);
    same_set(spec_of("folder", "set", ""), "bad.pack");
    free(bytes);
}

/* Places of tables, where mend() would read outside. */
static void test_tables(void)
{
    static const struct {
        size_t at;
        uint64_t value;
    } rows[] = { { 24, 1 << 20 }, { 24, UINT64_MAX / 32 }, { 24, 0 }, { 32, UINT64_MAX - 10 },
                 { 40, 1 << 30 }, { 48, UINT64_MAX - 200 } };
    unsigned char *bytes;
    size_t size = get(&bytes, "set.pack");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t kept = raw_get(bytes + rows[i].at, 8);
        raw_put(bytes + rows[i].at, rows[i].value, 8);
        raw_put(bytes + 12, 0, 4);
        raw_put(bytes + 12, crc32_z(0, bytes, PACK_HEADER), 4);
        put("bad.pack", bytes, size);
        must_refuse(spec_of("packed", "bad.pack", ""), "the index");
        raw_put(bytes + rows[i].at, kept, 8);
    }
    free(bytes);
}

int main(void)
{
    if (files_begin())
        return 1;
    test_folder();
    test_numbers();
    test_halves();
    test_parts();
    test_batches();
    test_threads();
    test_side();
    test_bad_images();
    test_views();
    test_replacing();
    test_truncations();
    test_changes();
    test_values();
    test_tables();
    files_end();
    return check_summary("pack");
}
