/* damage.c: files that change between opening and reading; every truncation, many changed bytes. */
#include "tests/tiff/tiff.h"

/* A folder keeps its sentence when a file goes or shrinks between opening and reading. */
static void test_changes(void)
{
    struct form wider = grey;
    struct image image = { 0 };
    wider.width = 9, wider.samples = 2;
    write_tiff("live.tif", &grey, 1);
    struct source *source = must_open(at("live.tif"));
    if (!source)
        return;
    write_tiff("live.tif", &wider, 1);
    CHECK(source->read(source, 0, &image) != MOCO_OK);
    CHECK_MSG(strstr(error_text(), "live.tif"), "%s", error_text());
    put("live.tif", "II*", 4);
    CHECK(source->read(source, 0, &image) != MOCO_OK);
    CHECK(remove(at("live.tif")) == 0 && source->read(source, 0, &image) != MOCO_OK);
    CHECK_MSG(strstr(error_text(), "No such file"), "%s", error_text());
    image_close(&image);
    source_close(&source);
}

static void test_changed_bytes(void)
{
    struct form form = { "wl", DTYPE_U16, 2, 9, 11, 0, 0, COMPRESSION_LZW };
    write_tiff("lzw.tif", &form, 2);
    form = (struct form){ "wb8", DTYPE_F32, 3, 9, 11, 1, 16, COMPRESSION_ADOBE_DEFLATE };
    write_tiff("deflate.tif", &form, 1);
    form = (struct form){ "wb", DTYPE_U8, 1, 40, 11, 0, 0, COMPRESSION_NONE };
    write_tiff("plain.tif", &form, 2);
    static const char *const names[] = { "lzw.tif", "deflate.tif", "plain.tif" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        truncations("tiff", names[i], 3);
        corruptions("tiff", names[i], 1, -1);
        corruptions("tiff", names[i], 1, 255);
        corruptions("tiff", names[i], 2, 0);
    }
}

void test_damage(void)
{
    test_changes();
    test_changed_bytes();
}
