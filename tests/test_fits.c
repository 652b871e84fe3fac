/* test_fits.c: FITS files by hand and by cfitsio: every BITPIX, scales, missing pixels, planes as
 * images and as channels, extensions, packed tiles, folders; what is refused; every truncation and
 * many changed bytes. */
#define _GNU_SOURCE
#include <stdint.h>

#include "tests/without.h"

#ifdef MOCO_FITS
#include <fitsio.h>

enum { W = 5, H = 3, D = 4, PLANE = W * H, BLOCK = 2880 };

/* A file by hand: cards as given, then the numbers, in blocks. */
static void put_fits(const char *name, const char *const *cards, const void *data, size_t size)
{
    static unsigned char bytes[16 * BLOCK];
    size_t start = 0;
    memset(bytes, ' ', BLOCK);
    for (; cards[start / 80]; start += 80)
        memcpy(bytes + start, cards[start / 80], strlen(cards[start / 80]));
    memcpy(bytes + start, "END", 3);
    memset(bytes + BLOCK, 0, sizeof bytes - BLOCK);
    memcpy(bytes + BLOCK, data, size);
    put(name, bytes, BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK);
}

#define CARDS(...) (const char *const[]){ "SIMPLE  =                    T", __VA_ARGS__, NULL }
#define TWO_AXES(bitpix, width, height)                                       \
    "BITPIX  = " bitpix, "NAXIS   =                    2", "NAXIS1  = " width, "NAXIS2  = " height

/* One image of h x w, and the type it is read as. */
static void check_hand(const char *const *cards, const void *data, size_t size,
                       enum source_dtype dtype, const float *want, int h, int w)
{
    put_fits("hand.fits", cards, data, size);
    struct source *source = must_open(at("hand.fits"));
    CHECK(source && !strcmp(source->kind, "fits") && source->count == 1 && source->dtype == dtype);
    same_pixels(source, 0, want, 1, h, w);
    source_close(&source);
}

static void test_by_hand(void)
{
    static const unsigned char words[] = { 0x80, 0, 0x7f, 0xff, 0, 0, 0xff, 0xff };
    static const unsigned char reals[] = { 0x3f, 0x80, 0, 0, 0x7f, 0xc0, 0, 0, 0xc0, 0x20, 0, 0 };
#define SIXTEEN TWO_AXES("                  16", "                   2", "                   2")
    check_hand(CARDS(SIXTEEN), words, 8, DTYPE_I16, (const float[]){ -32768, 32767, 0, -1 }, 2, 2);
    check_hand(CARDS(SIXTEEN, "BZERO   =                32768"), words, 8, DTYPE_U16,
               (const float[]){ 0, 1, 32768.0f / 65535.0f, 32767.0f / 65535.0f }, 2, 2);
    check_hand(CARDS(SIXTEEN, "BZERO   =                  0.5", "BSCALE  =                  2.0"),
               words, 8, DTYPE_F32, (const float[]){ -65535.5f, 65534.5f, 0.5f, -1.5f }, 2, 2);
    check_hand(CARDS(SIXTEEN, "BLANK   =               -32768"), words, 8, DTYPE_I16,
               (const float[]){ NAN, 32767, 0, -1 }, 2, 2);
    check_hand(CARDS(TWO_AXES("                 -32", "                   3",
                              "                   1")),
               reals, 12, DTYPE_F32, (const float[]){ 1, NAN, -2.5f }, 1, 3);
    static const unsigned char infinite[] = { 0x7f, 0xc0, 0, 0, 0x7f, 0x80, 0, 0 };
    put_fits("inf.fits", CARDS(TWO_AXES("                 -32", "                   2",
                                        "                   1")), infinite, 8);
    struct source *source = must_open(at("inf.fits"));
    must_not_read(source, 0, "NaN or infinite in 1 of 2 numbers"); /* the NaN is declared */
    source_close(&source);
#undef SIXTEEN
}

/* ---- by the library ---- */

static fitsfile *make(const char *name)
{
    fitsfile *file = NULL;
    int status = 0;
    remove(at(name));
    CHECK_MSG(!fits_create_diskfile(&file, at(name), &status), "creating %s: %d", name, status);
    return file;
}

/* values[i] = from + i, as an image of the first `axes` of (W, H, D, 2); of none it is empty. */
static void add_image(fitsfile *file, int type, int axes, double from)
{
    long size[] = { W, H, D, 2 };
    double values[2 * D * PLANE];
    int16_t whole[2 * D * PLANE]; /* what is packed must have the type of the file */
    long n = axes == 0 ? 0 : axes == 2 ? PLANE : axes == 3 ? D * PLANE : 2 * D * PLANE;
    int status = 0;
    for (long i = 0; i < n; i++)
        values[i] = from + (double)i, whole[i] = (int16_t)(int)fmin(values[i], 65535.0);
    fits_create_img(file, type, axes, size, &status);
    if (n > 0 && (type == SHORT_IMG || type == USHORT_IMG))
        fits_write_img(file, type == SHORT_IMG ? TSHORT : TUSHORT, 1, n, whole, &status);
    else if (n > 0)
        fits_write_img(file, TDOUBLE, 1, n, values, &status);
    CHECK_MSG(!status, "writing an image: %d", status);
}

static void finish(fitsfile *file)
{
    int status = 0;
    fits_close_file(file, &status);
    CHECK_MSG(!status, "closing: %d", status);
}

/* A file of an image of the first `axes` of (W, H, D, 2). */
static void make_image(const char *name, int type, int axes, double from)
{
    fitsfile *file = make(name);
    add_image(file, type, axes, from), finish(file);
}

static void count_up(float *want, int n, double from, double largest)
{
    for (int i = 0; i < n; i++)
        want[i] = largest > 65535 ? (float)((from + i) / largest)
                  : largest > 0   ? (float)(from + i) / (float)largest
                                  : (float)(from + i);
}

static void test_types(void)
{
    static const struct {
        int type;
        double from, largest;
        enum source_dtype dtype;
    } rows[] = {
        { BYTE_IMG, 17, 255, DTYPE_U8 },       { SHORT_IMG, -30, 0, DTYPE_I16 },
        { USHORT_IMG, 40000, 65535, DTYPE_U16 }, { LONG_IMG, -70000, 0, DTYPE_F32 },
        { ULONG_IMG, 3e9, 4294967295.0, DTYPE_F32 }, { FLOAT_IMG, -7.5, 0, DTYPE_F32 },
        { DOUBLE_IMG, 1e6 + 0.25, 0, DTYPE_F64 }, { SBYTE_IMG, -20, 0, DTYPE_F32 },
    };
    float want[PLANE];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        make_image("t.fits", rows[i].type, 3, rows[i].from);
        struct source *source = must_open(at("t.fits"));
        CHECK(source && source->count == D && source->channels == 1 && source->height == H &&
              source->width == W && !source->labels);
        CHECK_MSG(source && source->dtype == rows[i].dtype, "type %d", rows[i].type);
        for (int p = 0; source && p < D; p++) {
            count_up(want, PLANE, rows[i].from + p * PLANE, rows[i].largest);
            same_pixels(source, (size_t)p, want, 1, H, W);
        }
        source_close(&source);
    }
}

static void test_pages(void)
{
    float want[D * PLANE];
    fitsfile *file = make("e.fits");
    int status = 0;
    add_image(file, SHORT_IMG, 0, 0);
    add_image(file, FLOAT_IMG, 3, 10);
    add_image(file, FLOAT_IMG, 4, 20);
    fits_write_key(file, TSTRING, "EXTNAME", (void *)(uintptr_t)"SCI", NULL, &status);
    finish(file);
    struct source *source = must_open(at("e.fits")); /* HDU 0 has no image */
    CHECK(source && source->count == D && source->channels == 1);
    source_close(&source);
    count_up(want, D * PLANE, 10, 0);
    for (int named = 0; named < 2; named++) {
        source = must_open(spec_of("fits", "e.fits", named ? ":1:pages=channels"
                                                           : ":pages=channels"));
        CHECK(source && source->count == 1 && source->channels == D);
        same_pixels(source, 0, want, D, H, W);
        source_close(&source);
    }
    count_up(want, D * PLANE, 20 + D * PLANE, 0);
    for (int named = 0; named < 2; named++) {
        source = must_open(spec_of("", "e.fits", named ? ":SCI" : ":2"));
        CHECK(source && source->count == 2 && source->channels == D);
        same_pixels(source, 1, want, D, H, W);
        source_close(&source);
    }
    must_refuse(spec_of("fits", "e.fits", ":0"), "0 axes");
    must_refuse(spec_of("fits", "e.fits", ":7"), "no HDU 7");
    must_refuse(spec_of("fits", "e.fits", ":ERR"), "no HDU ERR");
    must_refuse(spec_of("fits", "e.fits", ":pages=rows"), "pages=images or");
    must_refuse(spec_of("fits", "gone.fits", ""), "No such file");
}

/* Tiles packed without loss. */
static void test_packed(void)
{
    static const int kinds[] = { RICE_1, GZIP_1, GZIP_2 };
    float want[PLANE];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        fitsfile *file = make("p.fits.fz");
        int status = 0;
        fits_set_compression_type(file, kinds[k], &status);
        add_image(file, USHORT_IMG, 3, 1000);
        finish(file);
        struct source *source = must_open(at("p.fits.fz"));
        CHECK(source && source->count == D && source->dtype == DTYPE_U16);
        count_up(want, PLANE, 1000 + 2 * PLANE, 65535);
        same_pixels(source, 2, want, 1, H, W);
        source_close(&source);
    }
}

static void test_classes(void)
{
    float want[D * PLANE];
    make_image("sky/star/b.fits", FLOAT_IMG, 3, 5);
    make_image("sky/galaxy/a.FIT", FLOAT_IMG, 3, 7);
    struct source *source = must_open(at("sky"));
    CHECK(source && !strcmp(source->kind, "fits") && source->count == 2 && source->channels == D);
    CHECK(source && source->classes == 2 && !strcmp(source->class_names[0], "galaxy"));
    CHECK(source && source_label(source, 1) == 1);
    CHECK(source && !strcmp(source->name(source, 1), "star/b.fits"));
    count_up(want, D * PLANE, 5, 0);
    same_pixels(source, 1, want, D, H, W);
    source_close(&source);
    source = must_open(spec_of("fits", "sky", ":pages=images"));
    CHECK(source && source->count == 2 * D && source_label(source, D) == 1);
    source_close(&source);
    source = must_keep_bad("fits", "sky", "galaxy/0.fits", 2);
    same_pixels(source, 2, want, D, H, W);
    source_close(&source);
}

/* Each file a sample of its planes, a bad one too. */
static void test_views(void)
{
    float want[D * PLANE];
    struct image image = { 0 };
    put("sky/galaxy/0.fits", "bad", 3);
    struct source *source = must_open(spec_of("fits", "sky", ":pages=views"));
    CHECK(source && source->count == 3 * D && source->views == D && source_label(source, D) == 0);
    CHECK(source && source_label(source, 2 * D) == 1);
    must_not_read(source, D - 1, "galaxy/0.fits");
    CHECK(source && !source->read(source, D, &image) && source->name(source, D)[7] == 'a');
    image_close(&image);
    count_up(want, D * PLANE, 5, 0);
    same_pixels(source, 2 * D + 1, want + H * W, 1, H, W);
    source_close(&source);
    remove(at("sky/galaxy/0.fits"));
    must_refuse(spec_of("fits", "sky/star/b.fits", ":pages=views"), "behind a folder of them");
}

static void test_folder(void)
{
    mkdir(at("sky"), 0777), mkdir(at("sky/galaxy"), 0777), mkdir(at("sky/star"), 0777);
    test_classes();
    test_views();
    must_refuse(spec_of("folder", "sky", ""), "fits:DIR reads its FITS files");
    make_image("sky/star/c.fits", FLOAT_IMG, 2, 7);
    must_refuse(at("sky"), "1 channels where those before it have 4");
    make_image("sky/star/c.fits", SHORT_IMG, 3, 7);
    must_refuse(at("sky"), "holds i16 where files before it hold f32");
}

static void test_bad_files(void)
{
    static const char *const bad[][2] = { { "a.fits", "does not start like a FITS file" },
                                          { "c.fits", "channels where those before it" },
                                          { "d.fits", "go together" } };
    mkdir(at("some"), 0777);
    put("some/a.fits", "SIMPLER", 7);
    make_image("some/b.fits", FLOAT_IMG, 3, 5);
    make_image("some/c.fits", FLOAT_IMG, 2, 7);
    make_image("some/d.fits", SHORT_IMG, 3, 7);
    make_image("some/e.fits", FLOAT_IMG, 3, 9);
    keeps_bad("fits", "some", 5, 3, bad);
    float want[D * PLANE];
    struct source *source = NULL;
    CHECK(!source_open_lenient(&source, at("some")) && source->channels == D);
    count_up(want, D * PLANE, 9, 0);
    same_pixels(source, 4, want, D, H, W);
    source_close(&source);
}

static void test_threads(void)
{
    make_image("many.fits", FLOAT_IMG, 3, 0);
    struct source *source = must_open(at("many.fits"));
    if (source)
        threads_agree(source, 1, 1, PLANE);
    source_close(&source);
}

static void refuse_hand(const char *const *cards, const char *part)
{
    static const unsigned char bytes[64];
    put_fits("hand.fits", cards, bytes, 64);
    must_refuse(at("hand.fits"), part);
}

static void test_refusals(void)
{
    static const unsigned char bytes[64];
#define BYTES(width, height) TWO_AXES("                   8", width, height)
    refuse_hand(CARDS(BYTES("          9999999999", "                   2")),
                "NAXIS1 is 9999999999");
    refuse_hand(CARDS(BYTES("               10000", "               10000")), "promises");
    refuse_hand(CARDS(BYTES("              100000", "              100000")), "numbers; up to");
#undef BYTES
    put_fits("many.fits", CARDS("BITPIX  =                    8", "NAXIS   =                    3",
                                "NAXIS1  =                    2", "NAXIS2  =                    2",
                                "NAXIS3  =  9000000000000000000"), bytes, 64);
    CHECK(!survives(at("many.fits")));
    refuse_hand(CARDS("BITPIX  =                    8", "NAXIS   =                    1",
                      "NAXIS1  =                   64"), "holds no image of two axes");
    refuse_hand(CARDS(TWO_AXES("                  11", "                   2",
                               "                   2")), "not a readable FITS");
    put("text.fits", "no FITS at all", 14);
    must_refuse(spec_of("fits", "text.fits", ""), "does not start like");
    put("whole.fits", "\37\213\10\0\0\0\0\0\0\0", 10);
    must_refuse(spec_of("fits", "whole.fits", ""), "it is truncated");
}

static void test_damage(void)
{
    int status = 0;
    make_image("d.fits", SHORT_IMG, 3, 3);
    truncations("fits", "d.fits", 79);
    corruptions("fits", "d.fits", 3, -1);
    corruptions("fits", "d.fits", 1, '9');
    fitsfile *file = make("z.fits");
    fits_set_compression_type(file, RICE_1, &status);
    add_image(file, SHORT_IMG, 3, 3), finish(file);
    truncations("fits", "z.fits", 179);
    corruptions("fits", "z.fits", 7, -1);
    corruptions("fits", "z.fits", 3, '9');
}

int main(void)
{
    if (files_begin())
        return 1;
    test_by_hand();
    test_types();
    test_pages();
    test_packed();
    test_folder();
    test_bad_files();
    test_threads();
    test_refusals();
    test_damage();
    files_end();
    return check_summary("fits");
}
#else
int main(void)
{
    return without_library(&(struct without){
        .kind = "fits", .name = "a.fits", .rest = ":1", .bytes = "SIMPLE  =                    T",
        .size = 30, .folders = 1, .library = "cfitsio", .package = "libcfitsio-dev" });
}
#endif
