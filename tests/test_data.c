/* test_data.c: every format written small and read back exactly, refusals. */
#define _GNU_SOURCE
#include <zlib.h>

#include "tests/files.h"

/* ---- cifar10 ---- */

enum { RECORD = 3073 };

static void test_cifar10(void)
{
    static unsigned char bytes[3 * RECORD];
    static float want[RECORD - 1];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    bytes[0] = 3, bytes[RECORD] = 9, bytes[2 * RECORD] = 0;
    mkdir(at("cifar"), 0777);
    put("cifar/data_batch_1.bin", bytes, 2 * RECORD);
    put("cifar/data_batch_2.bin", bytes + 2 * RECORD, RECORD);
    put("cifar/test_batch.bin", bytes + RECORD, RECORD);
    put("cifar/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n", 21);
    struct source *source = must_open(at("cifar"));
    if (!source)
        return;
    CHECK(!strcmp(source->kind, "cifar10") && source->count == 3 && source->classes == 10);
    CHECK(source_label(source, 0) == 3 && source_label(source, 1) == 9 &&
          source_label(source, 2) == 0);
    CHECK(source->class_names && !strcmp(source->class_names[9], "j"));
    for (size_t i = 0; i < 3; i++) {
        for (size_t p = 0; p < RECORD - 1; p++)
            want[p] = (float)bytes[i * RECORD + 1 + p] / 255.0f;
        same_pixels(source, i, want, 3, 32, 32);
    }
    source_close(&source);
    char spec[1100];
    snprintf(spec, sizeof spec, "%s:test", at("cifar"));
    source = must_open(spec);
    CHECK(source && source->count == 1 && source_label(source, 0) == 9);
    source_close(&source);
}

static void test_cifar10_refusals(void)
{
    static unsigned char bytes[2 * RECORD];
    mkdir(at("short"), 0777);
    put("short/data_batch_1.bin", bytes, 2 * RECORD - 1);
    must_refuse(at("short"), "3073");
    mkdir(at("label"), 0777);
    bytes[RECORD] = 10;
    put("label/data_batch_1.bin", bytes, 2 * RECORD);
    must_refuse(at("label"), "label 10 at byte 3073");
}

/* ---- idx ---- */

static void test_idx(void)
{
    static const unsigned char images[] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3,
                                            0, 1, 2, 3, 4, 5, 255, 254, 253, 252, 251, 250 };
    static const unsigned char labels[] = { 0, 0, 8, 1, 0, 0, 0, 2, 4, 1 };
    float want[6];
    put("a-images-idx3-ubyte", images, sizeof images);
    put("a-labels-idx1-ubyte", labels, sizeof labels);
    struct source *source = must_open(at("a-images-idx3-ubyte"));
    for (int i = 0; i < 6; i++)
        want[i] = (float)images[16 + 6 + i] / 255.0f;
    CHECK(source && source->count == 2 && source->classes == 5 && source_label(source, 0) == 4);
    same_pixels(source, 1, want, 1, 2, 3);
    source_close(&source);
    gzFile file = gzopen(at("b.gz"), "wb");
    CHECK(file && gzwrite(file, images, sizeof images) == (int)sizeof images);
    gzclose(file);
    source = must_open(at("b.gz"));
    CHECK(source && !strcmp(source->kind, "idx") && source->classes == 0 && !source->labels);
    same_pixels(source, 1, want, 1, 2, 3);
    source_close(&source);
}

static void test_idx_types(void)
{
    static const unsigned char images[] = { 0, 0, 11, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0,
                                            0, 1, 0xff, 0xfe, 1, 2 };
    static const unsigned char labels[] = { 0, 0, 12, 1, 0, 0, 0, 1, 0, 0, 1, 0 };
    char spec[2100];
    put("i16", images, sizeof images);
    put("i32", labels, sizeof labels);
    snprintf(spec, sizeof spec, "%s,%s", at("i16"), at("i32"));
    struct source *source = must_open(spec);
    CHECK(source && source->classes == 257);
    same_pixels(source, 0, (const float[]){ -2, 258 }, 2, 1, 1);
    source_close(&source);
}

static void test_idx_refusals(void)
{
    static const unsigned char bytes[] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6,
                                           7 };
    static const unsigned char bomb[] = { 0, 0, 8, 3, 0, 255, 255, 255, 0, 0, 0, 28, 0, 0, 0, 1 };
    char spec[1100];
    put("bad", "\1\2\10\3 what is this", 16);
    snprintf(spec, sizeof spec, "idx:%s", at("bad"));
    must_refuse(spec, "01 02 08 03");
    must_refuse(at("bad"), "IDX");
    put("cut", bytes, sizeof bytes - 2);
    must_refuse(at("cut"), "truncated");
    put("long", bytes, sizeof bytes);
    must_refuse(at("long"), "goes on");
    put("bomb", bomb, sizeof bomb);
    must_refuse(at("bomb"), "promises more");
}

/* ---- npy ---- */

static void test_npy(void)
{
    static const unsigned char bytes[] = { 0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6 };
    static const uint16_t halves[] = { 0x3c00, 0xc000, 0x0001, 0x7bff };
    static const int64_t labels[] = { 7, -1 };
    char spec[2100];
    float want[6];
    for (int i = 0; i < 6; i++)
        want[i] = (float)bytes[i] / 255.0f;
    put_npy("u1.npy", "|u1", "2, 2, 3", bytes, 12);
    put_npy("y.npy", "<i8", "2,", labels, 16);
    snprintf(spec, sizeof spec, "%s,%s", at("u1.npy"), at("y.npy"));
    struct source *source = must_open(spec);
    CHECK(source && source->count == 2 && source->classes == 8 && source_label(source, 1) == -1);
    same_pixels(source, 0, want, 1, 2, 3);
    source_close(&source);
    put_npy("f2.npy", "<f2", "1, 4, 1, 1", halves, 8);
    source = must_open(at("f2.npy"));
    same_pixels(source, 0, (const float[]){ 1, -2, 0x1p-24f, 65504 }, 4, 1, 1);
    source_close(&source);
}

static void test_npy_layouts(void)
{
    static const uint16_t deep[] = { 0, 1, 2, 3, 4, 65535 };
    static const double wide[] = { 0.5, -1e9 };
    char spec[1100];
    put_npy("u2.npy", "<u2", "1, 1, 2, 3", deep, 12);
    snprintf(spec, sizeof spec, "npy:%s:nhwc", at("u2.npy"));
    struct source *source = must_open(spec);
    float want[] = { 0, 3, 1, 4, 2, 65535 };
    for (int i = 0; i < 6; i++)
        want[i] /= 65535.0f;
    same_pixels(source, 0, want, 3, 1, 2);
    source_close(&source);
    put_npy("f8.npy", "<f8", "2, 1, 1", wide, 16);
    source = must_open(at("f8.npy"));
    same_pixels(source, 1, (const float[]){ -1e9f }, 1, 1, 1);
    source_close(&source);
}

/* Sizes that look like the other order of channels, rows and columns: a note, and the same data. */
static void test_npy_order(void)
{
    static const struct {
        const char *shape, *axes, *hint;
    } rows[] = {
        { "1, 9, 9, 156", "", "put :nhwc" },     { "1, 9, 9, 156", ":nhwc", NULL },
        { "1, 156, 9, 9", "", NULL },            { "1, 156, 9, 9", ":nhwc", "leave out :nhwc" },
        { "1, 20, 30, 3", "", "put :nhwc" },     { "1, 3, 20, 30", "", NULL },
        { "1, 3, 20, 30", ":nhwc", "leave out" }, { "1, 8, 8, 8", "", NULL },
        { "1, 1, 1, 100", "", NULL },            { "1, 3, 8, 3", "", NULL },
    };
    static const unsigned char bytes[9 * 9 * 156];
    static const size_t sizes[] = { 9 * 9 * 156, 9 * 9 * 156, 9 * 9 * 156, 9 * 9 * 156, 1800, 1800,
                                    1800,        512,         100,         72 };
    char spec[1100];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_npy("order.npy", "|u1", rows[i].shape, bytes, sizes[i]);
        snprintf(spec, sizeof spec, "npy:%s%s", at("order.npy"), rows[i].axes);
        struct source *source = must_open(spec);
        CHECK_MSG(source && (rows[i].hint ? strstr(source->note, rows[i].hint) != NULL
                                          : !source->note[0]),
                  "%s%s: %s", rows[i].shape, rows[i].axes, source ? source->note : "");
        source_close(&source);
    }
}

static void test_npy_refusals(void)
{
    static const unsigned char bytes[16];
    put_array("fortran.npy", "<f4", "True", "1, 2, 2", bytes, 16);
    must_refuse(at("fortran.npy"), "Fortran");
    put_npy("complex.npy", "<c8", "1, 1, 2", bytes, 16);
    must_refuse(at("complex.npy"), "complex numbers; save np.stack");
    must_refuse("npy:", "npy: names no file");
    must_refuse("folder:", "names no file");
    put_npy("big.npy", ">f4", "1, 2, 2", bytes, 16);
    must_refuse(at("big.npy"), "big-endian");
    put_npy("less.npy", "<f4", "1, 2, 2", bytes, 15);
    must_refuse(at("less.npy"), "truncated");
    put_npy("dims.npy", "<f4", "4,", bytes, 16);
    must_refuse(at("dims.npy"), "dimensions");
    put_npy("type.npy", "<i4", "1, 2, 2", bytes, 16);
    must_refuse(at("type.npy"), "i4");
    put_npy("huge.npy", "<f4", "4294967296, 4294967296, 4294967296", bytes, 16);
    must_refuse(at("huge.npy"), "too large");
}

/* ---- folder ---- */

static void test_folder(void)
{
    static const char colour[] = "P6\n2 1\n255\n\1\2\3\4\5\6", grey[] = "P5\n1 2\n255\n\11\12";
    mkdir(at("set"), 0777);
    mkdir(at("set/dog"), 0777);
    mkdir(at("set/cat"), 0777);
    mkdir(at("set/cat/far"), 0777);
    mkdir(at("set/cat-big"), 0777);
    put("set/dog/b.PPM", colour, sizeof colour - 1);
    put("set/cat/far/z.pgm", grey, sizeof grey - 1);
    put("set/cat-big/y.ppm", colour, sizeof colour - 1);
    put("set/dog/readme.txt", "no image", 8);
    put("outside.ppm", colour, sizeof colour - 1);
    CHECK(symlink("../../outside.ppm", at("set/dog/a.ppm")) == 0);
    struct source *source = must_open(at("set"));
    if (!source)
        return;
    CHECK(!strcmp(source->kind, "folder") && source->count == 4 && source->classes == 3);
    CHECK(!strcmp(source->name(source, 0), "cat/far/z.pgm"));
    CHECK(!strcmp(source->name(source, 2), "dog/a.ppm") && source_label(source, 2) == 2);
    CHECK(!strcmp(source->name(source, 3), "dog/b.PPM") && source_label(source, 3) == 2);
    CHECK(!strcmp(source->class_names[1], "cat-big"));
    CHECK(source->channels == 3 && source->height == 0 && source->width == 0);
    float want[] = { 1, 4, 2, 5, 3, 6 }, flat[] = { 9, 10, 9, 10, 9, 10 };
    for (int i = 0; i < 6; i++)
        want[i] /= 255.0f, flat[i] /= 255.0f;
    same_pixels(source, 2, want, 3, 1, 2);
    same_pixels(source, 0, flat, 3, 2, 1);
    source_close(&source);
    source = must_open(at("set/cat/far"));
    CHECK(source && source->channels == 1 && !source->labels && source->classes == 0);
    source_close(&source);
}

static void test_folder_alpha(void)
{
    static const unsigned char tga[] = { 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 16, 8,
                                         255, 51 };
    char spec[1100];
    mkdir(at("alpha"), 0777);
    put("alpha/a.tga", tga, sizeof tga);
    put("alpha/b.pgm", "P5\n1 1\n255\n\0", 12);
    struct source *source = must_open(at("alpha"));
    CHECK(source && source->channels == 1 && strstr(source->note, "1 of 2 images") &&
          strstr(source->note, "dropped"));
    CHECK(source && source->traits(source, 0) == TRAIT_ALPHA && source->traits(source, 1) == 0);
    source_close(&source);
    for (int bare = 0; bare < 2; bare++) {
        snprintf(spec, sizeof spec, "%s%s:alpha=keep", bare ? "" : "folder:", at("alpha"));
        source = must_open(spec);
        CHECK(source && source->channels == 2 && strstr(source->note, "kept"));
        if (source) {
            same_pixels(source, 0, (const float[]){ 1, 51 / 255.0f }, 2, 1, 1);
            same_pixels(source, 1, (const float[]){ 0, 1 }, 2, 1, 1);
        }
        source_close(&source);
    }
    put("alpha/c.ppm", "P6\n1 1\n255\n\0\377\0", 14);
    source = must_open(spec);
    CHECK(source && source->channels == 4);
    same_pixels(source, 0, (const float[]){ 1, 1, 1, 51 / 255.0f }, 4, 1, 1);
    source_close(&source);
    snprintf(spec, sizeof spec, "folder:%s:alpha=blend", at("alpha"));
    must_refuse(spec, ":alpha=keep or :alpha=drop, not :alpha=blend");
}

static void test_folder_refusals(void)
{
    mkdir(at("empty"), 0777);
    must_refuse(at("empty"), "holds no jpg");
    mkdir(at("broken"), 0777);
    put("broken/x.png", "not a png", 9);
    must_refuse(at("broken"), "x.png");
    put("broken/y.ppm", "P6\n1 1\n255\nabc", 14);
    must_refuse(at("broken"), "x.png"); /* half of the files are bad */
    put("broken/z.ppm", "P6\n1 1\n255\nabc", 14);
    struct source *source = must_open(at("broken"));
    CHECK(source && source->count == 3 && source->height == 1 && source->channels == 3);
    CHECK(source && strstr(source->note, "1 of 3 files can not be read") &&
          strstr(source->note, "x.png"));
    struct image image = { 0 };
    CHECK(source && source->read(source, 0, &image) == MOCO_EFORMAT &&
          strstr(error_text(), "x.png"));
    CHECK(source && source->read(source, 1, &image) == MOCO_OK);
    image_close(&image);
    source_close(&source);
    mkdir(at("giant"), 0777);
    put("giant/x.ppm", "P6\n20000 20000\n255\n", 19);
    must_refuse(at("giant"), "megapixels");
    must_refuse(at("nowhere"), "no file");
    must_refuse("", "no data");
}

/* ---- synthetic, statistics ---- */

static void test_synthetic(void)
{
    struct source *a = must_open("synthetic:n=20,side=16"), *c = NULL;
    struct source *b = must_open("synthetic:n=40,side=16,split=test");
    struct image x = { 0 }, y = { 0 }, z = { 0 };
    c = must_open("synthetic:n=200,side=16");
    if (!a || !b || !c)
        return;
    CHECK(a->classes == 8 && source_label(a, 9) == 1 && a->count == 20 && a->class_names);
    CHECK(!a->read(a, 5, &x) && !b->read(b, 5, &y) && !c->read(c, 5, &z));
    CHECK(memcmp(x.pixels, y.pixels, 3 * 16 * 16 * sizeof(float)) != 0);
    CHECK(memcmp(x.pixels, z.pixels, 3 * 16 * 16 * sizeof(float)) == 0);
    image_close(&x), image_close(&y), image_close(&z);
    source_close(&a), source_close(&b), source_close(&c);
    must_refuse("synthetic:n=0", "n=0");
    must_refuse("synthetic:sides=3", "sides");
    must_refuse("synthetic:split=other", "split=other");
}

static void test_statistics(void)
{
    static const float pixels[] = { 1, 3, 5, 5, 2, 6, 5, 5 };
    float mean[2], std[2];
    put_npy("stat.npy", "<f4", "2, 2, 1, 2", pixels, sizeof pixels);
    struct source *source = must_open(at("stat.npy"));
    if (!source)
        return;
    CHECK(source_statistics(source, mean, std, 100) == MOCO_OK);
    CHECK(mean[0] == 3.0f && mean[1] == 5.0f && fabsf(std[0] - sqrtf(3.5f)) < 1e-6f);
    CHECK(std[1] == 1.0f);
    source_close(&source);
}

/* In whatever unit: the same images as fluxes, and one whose numbers are too small to divide by. */
static void test_small_units(void)
{
    static const float fluxes[] = { 1e-17f, 3e-17f, 5e-17f, 5e-17f,
                                    2e-17f, 6e-17f, 5e-17f, 5e-17f };
    static const float dust[] = { 1e-38f, 3e-38f, 5e-38f, 5e-38f, 2e-38f, 6e-38f, 5e-38f, 5e-38f };
    float mean[2], std[2];
    put_npy("flux.npy", "<f4", "2, 2, 1, 2", fluxes, sizeof fluxes);
    put_npy("dust.npy", "<f4", "2, 2, 1, 2", dust, sizeof dust);
    struct source *source = must_open(at("flux.npy"));
    CHECK(source && source_statistics(source, mean, std, 100) == MOCO_OK);
    CHECK_MSG(fabsf(mean[0] * 1e17f - 3.0f) < 1e-5f && std[1] == 1.0f &&
              fabsf(std[0] * 1e17f - sqrtf(3.5f)) < 1e-5f, "mean %g, deviations %g and %g",
              (double)mean[0], (double)std[0], (double)std[1]);
    source_close(&source);
    source = must_open(at("dust.npy"));
    CHECK(source && source_statistics(source, mean, std, 100) == MOCO_OK && std[0] == 1.0f);
    source_close(&source);
}

int main(void)
{
    if (files_begin())
        return 1;
    test_cifar10();
    test_cifar10_refusals();
    test_idx();
    test_idx_types();
    test_idx_refusals();
    test_npy();
    test_npy_layouts();
    test_npy_order();
    test_npy_refusals();
    test_folder();
    test_folder_alpha();
    test_folder_refusals();
    test_synthetic();
    test_statistics();
    test_small_units();
    files_end();
    return check_summary("data");
}
