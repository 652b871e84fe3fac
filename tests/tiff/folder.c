/* folder.c: folders of TIFFs with classes, among other files, with files that cannot be read. */
#include "tests/tiff/tiff.h"

/* grey with two channels, of u8 or u16 or f32. */
static struct form pair_of(enum source_dtype dtype)
{
    struct form form = grey;
    form.samples = 2, form.dtype = dtype;
    return form;
}

/* Three files of two channels and two classes: 8 bits among 16, pages as channels. */
static void test_classes(void)
{
    const struct form two = pair_of(DTYPE_U16), byte = pair_of(DTYPE_U8);
    float want[60];
    mkdir(at("set"), 0777), mkdir(at("set/a"), 0777), mkdir(at("set/b"), 0777);
    write_tiff("set/b/x.tif", &two, 1);
    write_tiff("set/a/y.TIFF", &grey, 2);
    write_tiff("set/a/z.tiff", &byte, 1);
    struct source *source = must_open(at("set"));
    CHECK(source && !strcmp(source->kind, "tiff") && source->count == 3 && source->channels == 2);
    CHECK(source && source->classes == 2 && !strcmp(source->class_names[1], "b"));
    CHECK(source && source_label(source, 0) == 0 && source_label(source, 2) == 1);
    CHECK(source && !strcmp(source->name(source, 0), "a/y.TIFF") && source->dtype == DTYPE_U16);
    wanted(want, &two, 0);
    same_pixels(source, 0, want, 2, 5, 6);
    same_pixels(source, 2, want, 2, 5, 6);
    wanted(want, &byte, 0);
    same_pixels(source, 1, want, 2, 5, 6);
    source_close(&source);
    must_refuse(spec_of("tiff", "set", ":pages=images"), "channels where those before");
    source = must_open(spec_of("tiff", "set/a/y.TIFF", ""));
    CHECK(source && source->count == 2);
    source_close(&source);
}

/* An image of another kind makes it a folder, and says so; tiff: leaves that one out. */
static void test_among_others(void)
{
    must_refuse(spec_of("folder", "set", ""), "tiff:DIR reads its TIFFs");
    put("set/b/w.pgm", "P5\n1 2\n255\n\11\12", 13);
    struct source *source = must_open(at("set"));
    CHECK(source && !strcmp(source->kind, "folder") && source->count == 1);
    CHECK(source && strstr(source->note, "files of TIFF are left out (3)"));
    source_close(&source);
    source = must_open(spec_of("tiff", "set", ""));
    CHECK(source && source->count == 3 && strstr(source->note, "left out (1)"));
    source_close(&source);
}

static void test_unreadable(void)
{
    const struct form byte = pair_of(DTYPE_U8), real = pair_of(DTYPE_F32);
    float want[60];
    struct source *source = must_keep_bad("tiff", "set", "a/0.tif", 3);
    wanted(want, &byte, 0);
    same_pixels(source, 2, want, 2, 5, 6);
    source_close(&source);
    write_tiff("set/b/r.tif", &real, 1);
    must_refuse(spec_of("tiff", "set", ""), "only u8 and u16 go together");
    mkdir(at("bare"), 0777);
    must_refuse(spec_of("tiff", "bare", ""), "holds no tif");
}

/* Some files cannot be read; labels stay with their files. */
static void test_bad_files(void)
{
    static const char *const bad[][2] = { { "a/0.tif", "not a readable TIFF" },
                                          { "a/2.tif", "not a readable TIFF" },
                                          { "b/5.tif", "channels where those before it" },
                                          { "b/6.tif", "only u8 and u16 go together" } };
    struct form two = pair_of(DTYPE_U16), real = grey;
    unsigned char *bytes;
    real.dtype = DTYPE_F32;
    mkdir(at("some"), 0777), mkdir(at("some/a"), 0777), mkdir(at("some/b"), 0777);
    put("some/a/0.tif", "II*\0\xff\xff\xff\x7f", 8);
    write_tiff("some/a/1.tif", &grey, 1);
    write_tiff("some/a/2.tif", &grey, 1);
    size_t size = get(&bytes, "some/a/2.tif");
    put("some/a/2.tif", bytes, size - 20);
    free(bytes);
    write_tiff("some/b/3.tif", &grey, 1);
    write_tiff("some/b/5.tif", &two, 1);
    write_tiff("some/b/6.tif", &real, 1);
    keeps_bad("tiff", "some", 6, 4, bad);
}

/* Of a file with a bad page the good ones stay. */
static void test_bad_page(void)
{
    const struct form two = pair_of(DTYPE_U16);
    float want[30];
    TIFF *tif = TIFFOpen(at("some/b/4.tif"), "w");
    write_page(tif, &grey, 0);
    write_page(tif, &grey, 1);
    write_page(tif, &two, 0);
    TIFFClose(tif);
    struct source *source = NULL;
    CHECK(!source_open_lenient(&source, spec_of("tiff", "some", ":pages=images")));
    CHECK(source && source->count == 9 && source->channels == 1);
    CHECK(source && source_label(source, 2) == 0 && source_label(source, 3) == 1);
    wanted(want, &grey, 1);
    same_pixels(source, 5, want, 1, 5, 6); /* the second page of b/4.tif */
    source_close(&source);
}

void test_folder(void)
{
    test_classes();
    test_among_others();
    test_unreadable();
    test_bad_files();
    test_bad_page();
}
