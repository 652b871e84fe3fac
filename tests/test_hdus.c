/* test_hdus.c: FITS files of several HDUs: which are images, what the account says of the others;
 * files behind gzip beside others. */
#define _GNU_SOURCE
#include <stdint.h>

#include "tests/without.h"

#ifdef MOCO_FITS
#include <fitsio.h>
#include <zlib.h>

enum { W = 5, H = 3, PLANE = W * H };

static fitsfile *make(const char *name)
{
    fitsfile *file = NULL;
    int status = 0;
    remove(at(name));
    CHECK_MSG(!fits_create_diskfile(&file, at(name), &status), "creating %s: %d", name, status);
    return file;
}

/* An HDU of the first `axes` of (W, H, 2), or of width `wide` instead, value i is from + i. */
static void add(fitsfile *file, const char *name, int type, int axes, int wide, double from)
{
    long size[] = { wide, H, 2 };
    double values[2 * 2 * PLANE];
    int status = 0, n = axes == 0 ? 0 : axes == 1 ? wide : axes == 2 ? wide * H : wide * H * 2;
    for (int i = 0; i < n; i++)
        values[i] = from + i;
    fits_create_img(file, type, axes, size, &status);
    if (n > 0)
        fits_write_img(file, TDOUBLE, 1, n, values, &status);
    if (name)
        fits_write_key(file, TSTRING, "EXTNAME", (void *)(uintptr_t)name, NULL, &status);
    CHECK_MSG(!status, "writing an HDU: %d", status);
}

static void add_table(fitsfile *file)
{
    char name[] = "flux", form[] = "1E", *names[] = { name }, *forms[] = { form };
    int status = 0;
    fits_create_tbl(file, BINARY_TBL, 1, 1, names, forms, NULL, NULL, &status);
    CHECK_MSG(!status, "writing a table: %d", status);
}

static void finish(fitsfile *file)
{
    int status = 0;
    fits_close_file(file, &status);
    CHECK_MSG(!status, "closing: %d", status);
}

static void same(const struct source *source, size_t index, double from, int channels)
{
    float want[2 * PLANE];
    for (int i = 0; i < channels * PLANE; i++)
        want[i] = (float)(from + i);
    same_pixels(source, index, want, channels, H, W);
}

static size_t left(const struct source *source, const char *what)
{
    for (size_t i = 0; source && i < source->account.n; i++)
        if (strstr(source->account.rows[i].what, what))
            return source->account.rows[i].count;
    return 0;
}

/* Chips behind an empty primary HDU, and all that may stand between them. */
static void test_mosaic(void)
{
    fitsfile *file = make("m.fits");
    add(file, NULL, SHORT_IMG, 0, W, 0);
    add(file, "CCD0", FLOAT_IMG, 2, W, 100);
    add_table(file);
    add(file, "CCD1", FLOAT_IMG, 2, W, 200);
    add(file, "BIAS", FLOAT_IMG, 1, W, 0);
    add(file, "SMALL", FLOAT_IMG, 2, W - 1, 0);
    add(file, "CUBE", FLOAT_IMG, 3, W, 0);
    add(file, "MASK", SHORT_IMG, 2, W, 0);
    add(file, "CCD2", FLOAT_IMG, 2, W, 300);
    finish(file);
    struct source *source = must_open(at("m.fits"));
    CHECK(source && source->count == 3 && source->channels == 1);
    for (size_t i = 0; i < 3; i++)
        same(source, i, 100 + 100 * (double)i, 1);
    CHECK(left(source, "tables") == 1 && left(source, "one axis") == 1);
    CHECK(left(source, "another size") == 2 && left(source, "type of numbers") == 1);
    CHECK(source && account_total(&source->account) == 5);
    CHECK(source && strstr(source->note, "3 HDUs are images") &&
          strstr(source->note, "CCD0, CCD1, CCD2"));
    source_close(&source);
    source = must_open(spec_of("fits", "m.fits", ":CCD1"));
    CHECK(source && source->count == 1 && !source->account.n && !source->note[0]);
    same(source, 0, 200, 1);
    source_close(&source);
}

/* Planes of several cubes; as channels, each HDU is an image. */
static void test_cubes(void)
{
    fitsfile *file = make("c.fits");
    for (int i = 0; i < 3; i++)
        add(file, NULL, FLOAT_IMG, 3, W, 100 * i);
    finish(file);
    struct source *source = must_open(at("c.fits"));
    CHECK(source && source->count == 6);
    same(source, 3, 100 + PLANE, 1);
    same(source, 4, 200, 1);
    source_close(&source);
    source = must_open(spec_of("fits", "c.fits", ":pages=channels"));
    CHECK(source && source->count == 3 && source->channels == 2);
    same(source, 2, 200, 2);
    source_close(&source);
}

/* No HDU of a kind that is read: the sentence is on its axes. */
static void test_none(void)
{
    fitsfile *file = make("n.fits");
    int status = 0;
    add(file, NULL, FLOAT_IMG, 1, W, 0);
    fits_create_img(file, BYTE_IMG, 5, (long[]){ 2, 2, 2, 2, 2 }, &status);
    finish(file);
    must_refuse(at("n.fits"), "an image of 5 axes");
}

static void zip(const char *name, const char *from, size_t cut)
{
    unsigned char *bytes;
    size_t size = get(&bytes, from);
    gzFile file = gzopen(at(name), "wb");
    CHECK(file && gzwrite(file, bytes, (unsigned)size) == (int)size);
    gzclose(file);
    free(bytes);
    size = get(&bytes, name);
    put(name, bytes, cut && cut < size ? cut : size);
    free(bytes);
}

/* Plain, packed in tiles, and either behind gzip, in folders of two classes. */
static void test_gzip(void)
{
    static const char *const names[] = { "n/a/0.fits", "n/a/1.fits.fz", "n/b/2.FITS.GZ",
                                         "n/b/3.fits.fz.gz" };
    mkdir(at("n"), 0777), mkdir(at("n/a"), 0777), mkdir(at("n/b"), 0777);
    for (int i = 0; i < 4; i++) {
        int status = 0;
        fitsfile *file = make(i < 2 ? names[i] : "plain");
        if (i & 1)
            fits_set_compression_type(file, GZIP_1, &status),
                fits_set_quantize_level(file, 0, &status);
        add(file, NULL, FLOAT_IMG, 2, W, 50 * i);
        finish(file);
        if (i > 1)
            zip(names[i], "plain", 0);
    }
    struct source *source = must_open(at("n"));
    CHECK(source && !strcmp(source->kind, "fits") && source->count == 4 && source->classes == 2);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < 4; i++)
            same(source, i, 50 * (double)i, 1);
    CHECK(source && source->decoder_bytes >= 2880);
    source_close(&source);
    source = must_open(at("n/b/2.FITS.GZ"));
    CHECK(source && source->count == 1);
    same(source, 0, 100, 1);
    source_close(&source);
}

/* Several HDUs of a file that is unpacked once, read by several threads. */
static void test_gzip_mosaic(void)
{
    fitsfile *file = make("t.fits");
    for (int i = 0; i < 512; i++)
        add(file, NULL, FLOAT_IMG, 2, W, i);
    finish(file);
    zip("t.fits.gz", "t.fits", 0);
    struct source *source = must_open(spec_of("fits", "t.fits.gz", ""));
    CHECK(source && source->count == 512);
    if (source)
        threads_agree(source, 1, 1, 1);
    source_close(&source);
    remove(at("t.fits"));
}

static void test_bad_gzip(void)
{
    fitsfile *file = make("b.fits");
    add(file, NULL, FLOAT_IMG, 2, W, 0);
    finish(file);
    zip("b.fits.gz", "b.fits", 100);
    must_refuse(spec_of("fits", "b.fits.gz", ""), "it is truncated");
    zip("b.fits.gz", "b.fits", 0);
    corruptions("fits", "b.fits.gz", 3, -1);
    put("text", "no FITS at all", 14);
    zip("text.fits.gz", "text", 0);
    must_refuse(spec_of("fits", "text.fits.gz", ""), "unpacked, does not start like a FITS file");
}

int main(void)
{
    if (files_begin())
        return 1;
    test_mosaic();
    test_cubes();
    test_none();
    test_gzip();
    test_gzip_mosaic();
    test_bad_gzip();
    files_end();
    return check_summary("hdus");
}
#else
int main(void)
{
    puts("hdus: built without cfitsio");
    return 77;
}
#endif
