/* views.c: :pages=views, where each file of a folder is a sample of its pages, a bad one too. */
#include "tests/tiff/tiff.h"

static void check_views(const struct source *source)
{
    struct image image = { 0 };
    float want[5 * 6];
    for (size_t i = 0; i < 9; i++) {
        CHECK_MSG((source->read(source, i, &image) == MOCO_OK) == (i > 2), "image %zu", i);
        CHECK(source->name(source, i)[2] == (char)('0' + i / 3));
    }
    image_close(&image);
    wanted(want, &grey, 2);
    same_pixels(source, 5, want, 1, 5, 6);
}

/* A file with fewer pages than those before it: refused, or bad images. */
static void test_uneven(void)
{
    struct source *source = NULL;
    struct image image = { 0 };
    write_tiff("z/k/3.tif", &grey, 2);
    must_refuse(spec_of("tiff", "z", ":pages=views"), "3.tif has 2 pages where files before it");
    CHECK(!source_open_lenient(&source, spec_of("tiff", "z", ":pages=views")));
    CHECK(source && source->count == 12 && source->views == 3);
    must_not_read(source, 2, "0.tif: not a readable");
    CHECK(source && !source->read(source, 8, &image));
    for (size_t i = 9; i < 12; i++)
        must_not_read(source, i, "3.tif has 2 pages");
    image_close(&image);
    source_close(&source);
}

void test_views(void)
{
    mkdir(at("z"), 0777), mkdir(at("z/k"), 0777);
    put("z/k/0.tif", "bad", 3);
    write_tiff("z/k/1.tif", &grey, 3), write_tiff("z/k/2.tif", &grey, 3);
    struct source *source = must_open(spec_of("tiff", "z", ":pages=views"));
    CHECK(source && source->count == 9 && source->views == 3 && source_samples(source) == 3);
    CHECK(source && source->channels == 1 && source_label(source, 8) == 0);
    if (source)
        check_views(source);
    source_close(&source);
    test_uneven();
    must_refuse(spec_of("tiff", "z/k/1.tif", ":pages=views"), "behind a folder of them");
}
