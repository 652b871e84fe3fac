/* pages.c: the pages of a file as images and as channels. */
#include "tests/tiff/tiff.h"

/* Opens and closes. */
static void must_have(const char *spec, size_t count, int channels)
{
    struct source *source = must_open(spec);
    CHECK(source && source->count == count && source->channels == channels);
    source_close(&source);
}

static void test_pages_of_a_file(void)
{
    float want[3 * 30];
    struct form all = grey;
    all.samples = 3;
    write_tiff("stack.tif", &grey, 3);
    struct source *source = must_open(at("stack.tif"));
    CHECK(source && source->count == 3 && source->channels == 1 && source->dtype == DTYPE_U16);
    for (int p = 0; p < 3; p++) {
        wanted(want, &grey, p);
        same_pixels(source, (size_t)p, want, 1, 5, 6);
    }
    source_close(&source);
    wanted(want, &all, 0);
    for (int bare = 0; bare < 2; bare++) {
        source = must_open(spec_of(bare ? "" : "tiff", "stack.tif", ":pages=channels"));
        CHECK(source && source->count == 1 && source->channels == 3);
        same_pixels(source, 0, want, 3, 5, 6);
        source_close(&source);
    }
    must_have(spec_of("tiff", "stack.tif", ":pages=images"), 3, 1);
    must_refuse(spec_of("tiff", "stack.tif", ":pages=rows"), "pages=images or :pages=channels");
    must_refuse(spec_of("tiff", "nothing.tif", ""), "No such file");
}

/* A thumbnail between two pages is none of them. */
static void test_thumbnail(void)
{
    struct form small = grey;
    float want[30];
    small.height = small.width = 2;
    TIFF *tif = TIFFOpen(at("thumb.tif"), "w");
    write_page(tif, &grey, 0);
    TIFFSetField(tif, TIFFTAG_SUBFILETYPE, FILETYPE_REDUCEDIMAGE);
    write_page(tif, &small, 1);
    write_page(tif, &grey, 2);
    TIFFClose(tif);
    struct source *source = must_open(at("thumb.tif"));
    CHECK(source && source->count == 2 && source->height == 5);
    CHECK(source && source->account.n == 1 && source->account.rows[0].count == 1 &&
          strstr(source->account.rows[0].what, "reduced resolution"));
    wanted(want, &grey, 2);
    same_pixels(source, 1, want, 1, 5, 6);
    source_close(&source);
}

/* Pages below a page are told, and a file of thumbnails is no damaged one. */
static void test_below(void)
{
    toff_t places[2] = { 0, 0 };
    TIFF *tif = TIFFOpen(at("below.tif"), "w");
    TIFFSetField(tif, TIFFTAG_SUBIFD, 2, places);
    for (int p = 0; p < 4; p++) { /* the two in the middle go below the first */
        if (p == 1 || p == 2)
            TIFFSetField(tif, TIFFTAG_SUBFILETYPE, FILETYPE_REDUCEDIMAGE);
        write_page(tif, &grey, p);
    }
    TIFFClose(tif);
    struct source *source = must_open(at("below.tif"));
    CHECK(source && source->count == 2 && account_total(&source->account) == 2);
    source_close(&source);
    tif = TIFFOpen(at("small.tif"), "w");
    TIFFSetField(tif, TIFFTAG_SUBFILETYPE, FILETYPE_MASK);
    write_page(tif, &grey, 0);
    TIFFClose(tif);
    must_refuse(at("small.tif"), "only masks and pages of reduced");
}

static void write_pair(const char *name, const struct form *first, const struct form *second)
{
    TIFF *tif = TIFFOpen(at(name), "w");
    write_page(tif, first, 0);
    write_page(tif, second, 0);
    TIFFClose(tif);
}

/* Pages of two sizes are no channels, those of two numbers of channels no images. */
static void test_mixed(void)
{
    struct form wider = grey, two = grey;
    wider.width = 7;
    write_pair("sizes.tif", &grey, &wider);
    struct source *source = must_open(at("sizes.tif"));
    CHECK(source && source->count == 2 && source->width == 0 && source->height == 5);
    CHECK(source && source->pixels_max == 35);
    source_close(&source);
    must_refuse(spec_of("tiff", "sizes.tif", ":pages=channels"), "pages differ");
    two.samples = 2;
    write_pair("mixed.tif", &grey, &two);
    must_refuse(at("mixed.tif"), "2 channels where those before it have 1");
    must_have(spec_of("tiff", "mixed.tif", ":pages=channels"), 1, 3);
}

void test_pages(void)
{
    test_pages_of_a_file();
    test_thumbnail();
    test_below();
    test_mixed();
}
