/* nodata.c: GDAL's tag: its number becomes NaN and is counted, in any type, layout and byte order,
 * per file and page; what the tag cannot mean is told. */
#include "tests/tiff/tiff.h"

#include "engine/data/missing.h"

enum { ROWS = 5, COLUMNS = 6 };

static void declare(TIFF *tif, const char *text)
{
    static const TIFFFieldInfo info = { 42113, -1, -1, TIFF_ASCII, FIELD_CUSTOM, 1, 0,
                                        (char *)(uintptr_t)"GDALNoDataValue" };
    TIFFMergeFieldInfo(tif, &info, 1);
    if (text)
        CHECK(TIFFSetField(tif, 42113, text));
}

/* texts: of each page, NULL for none. */
static void write_declared(const char *name, const struct form *form, const char *const *texts,
                           int pages)
{
    TIFF *tif = TIFFOpen(at(name), form->mode);
    CHECK_MSG(tif != NULL, "writing %s", name);
    for (int p = 0; tif && p < pages; p++) {
        declare(tif, texts[p]);
        write_page(tif, form, p * form->samples);
    }
    if (tif)
        TIFFClose(tif);
}

/* The text of a number of the page: that of channel 0 at (1, 2). */
static void some_number(char *out, size_t size, const struct form *form)
{
    float x[4 * ROWS * COLUMNS];
    wanted(x, form, 0);
    double value = (double)x[COLUMNS + 2];
    value *= form->dtype == DTYPE_U8 ? 255 : form->dtype == DTYPE_U16 ? 65535 : 1;
    snprintf(out, size, form->dtype <= DTYPE_I16 ? "%.0f" : "%.9g", value);
}

static void check_form(const struct form *form)
{
    char text[64];
    const char *texts[] = { text };
    float want[4 * ROWS * COLUMNS];
    struct image image = { 0 };
    size_t n = (size_t)form->samples * ROWS * COLUMNS, gaps = 0;
    some_number(text, sizeof text, form);
    write_declared("n.tif", form, texts, 1);
    struct source *source = must_open(spec_of("tiff", "n.tif", ""));
    CHECK(source && !source->read(source, 0, &image));
    wanted(want, form, 0);
    float gone = want[COLUMNS + 2];
    for (size_t i = 0; i < n && image.pixels; i++) {
        int gap = want[i] == gone;
        gaps += (size_t)gap;
        CHECK_MSG(gap ? isnan(image.pixels[i]) : image.pixels[i] == want[i], "%s: number %zu is %g",
                  text, i, (double)image.pixels[i]);
    }
    CHECK_MSG(gaps > 0 && image.missing == gaps, "%zu missing, not %zu", image.missing, gaps);
    image_close(&image);
    source_close(&source);
}

static void test_types(void)
{
    static const enum source_dtype types[] = { DTYPE_U8, DTYPE_U16, DTYPE_I16, DTYPE_F16,
                                               DTYPE_F32 };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (int layout = 0; layout < 4; layout++)
            check_form(&(struct form){ layout % 2 ? "wb" : "wl", types[i], 1 + layout, ROWS,
                                       COLUMNS, layout == 2, layout > 1 ? 16 : 0,
                                       layout == 3 ? COMPRESSION_LZW : COMPRESSION_NONE });
}

/* Missing numbers of image `index`. */
static size_t gaps_of(const struct source *source, size_t index)
{
    struct image image = { 0 };
    CHECK_MSG(source && !source->read(source, index, &image), "%s", error_text());
    size_t missing = image.missing;
    image_close(&image);
    return missing;
}

/* Pages without a tag follow the first of their file; others have their own. */
static void test_pages_of(void)
{
    /* numbers of channel c of grey: 5 + 7919 c + 263 y + 31 x */
    const char *texts[] = { "5", NULL, "15843", "nan" };
    write_declared("pages.tif", &grey, texts, 4);
    struct source *source = must_open(spec_of("tiff", "pages.tif", ""));
    static const size_t gaps[] = { 1, 0, 1, 0 };
    for (size_t i = 0; source && i < 4; i++)
        CHECK_MSG(gaps_of(source, i) == gaps[i], "page %zu", i);
    CHECK(source && !strcmp(source->declared, "GDAL_NODATA 5 and others"));
    source_close(&source);
    texts[0] = "7924", texts[2] = NULL, texts[3] = NULL;
    write_declared("pages.tif", &grey, texts, 4);
    source = must_open(spec_of("tiff", "pages.tif", ""));
    CHECK(source && gaps_of(source, 0) == 0 && gaps_of(source, 1) == 1);
    CHECK(source && !strcmp(source->declared, "GDAL_NODATA 7924"));
    source_close(&source);
    source = must_open(spec_of("tiff", "pages.tif", ":pages=channels"));
    CHECK(source && source->channels == 4 && gaps_of(source, 0) == 1);
    source_close(&source);
}

/* Files of a folder declare each for itself, and one that does not has none. */
static void test_files(void)
{
    static const char *const texts[] = { "5", "36", NULL, "none" };
    char text[MISSING_TEXT], name[32];
    mkdir(at("declare"), 0777);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "declare/%d.tif", i);
        write_declared(name, &grey, &texts[i], 1);
    }
    struct source *source = must_open(spec_of("tiff", "declare", ""));
    CHECK(source && gaps_of(source, 0) == 1 && gaps_of(source, 1) == 1);
    CHECK(source && gaps_of(source, 2) == 0 && gaps_of(source, 3) == 0);
    CHECK_MSG(source && strstr(source->note, "GDAL_NODATA 'none' is no number"), "%s",
              source ? source->note : "");
    missing_text(text, source);
    CHECK_MSG(!strncmp(text, "1.667 % of the numbers", 22) &&
              strstr(text, "(GDAL_NODATA 5 and others), in 2 of 4 images"), "%s", text);
    source_close(&source);
}

/* 24 of 25 numbers are more than 95 %, 19 of 20 are not. */
static void write_mostly(const char *name, int numbers, int values)
{
    float x[32];
    TIFF *tif = TIFFOpen(at(name), "wl");
    CHECK(tif != NULL);
    if (!tif)
        return;
    struct form form = { "wl", DTYPE_F32, 1, 1, numbers, 0, 0, COMPRESSION_NONE };
    for (int i = 0; i < numbers; i++)
        x[i] = i < values ? 1.0f : -9999.0f;
    declare(tif, "-9999");
    set_fields(tif, &form);
    CHECK(TIFFWriteEncodedStrip(tif, 0, x, (tmsize_t)numbers * 4) == (tmsize_t)numbers * 4);
    TIFFClose(tif);
}

static void test_most(void)
{
    float mean, std;
    mkdir(at("mostly"), 0777);
    write_mostly("mostly/a.tif", 25, 1);
    write_mostly("mostly/b.tif", 20, 1);
    struct source *source = must_open(spec_of("tiff", "mostly", ""));
    must_not_read(source, 0, "a.tif: no value in 24 of 25 numbers (GDAL_NODATA -9999)");
    CHECK(source && gaps_of(source, 1) == 19);
    CHECK(source && !source_statistics(source, &mean, &std, 9) && mean == 1 && std == 1);
    source_close(&source);
}

void test_nodata(void)
{
    test_types();
    test_pages_of();
    test_files();
    test_most();
}
