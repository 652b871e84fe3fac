/* forms.c: every type of numbers, channels interleaved and in planes, strips and tiles, four
 * compressions, both byte orders, BigTIFF. */
#include "tests/tiff/tiff.h"

enum { H = 21, W = 37 };

static void check_form(const struct form *form)
{
    static float want[8 * H * W];
    write_tiff("one.tif", form, 1);
    struct source *source = must_open(at("one.tif"));
    if (!source)
        return;
    wanted(want, form, 0);
    CHECK(!strcmp(source->kind, "tiff") && source->count == 1 && source->dtype == form->dtype);
    CHECK(source->channels == form->samples && source->height == H && source->width == W);
    CHECK(!source->labels && !source->note[0]);
    same_pixels(source, 0, want, form->samples, H, W);
    source_close(&source);
}

void test_forms(void)
{
    static const char *const modes[] = { "wl", "wb", "wl8", "wb8" };
    static const int compressions[] = { COMPRESSION_NONE, COMPRESSION_LZW,
                                        COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS };
    static const int samples[] = { 1, 2, 3, 5 };
    for (int d = DTYPE_U8; d <= DTYPE_F64; d++)
        for (int i = 0; i < 64; i++)
            check_form(&(struct form){ modes[i / 4 % 4], (enum source_dtype)d, samples[i % 4], H, W,
                                       i / 16 % 2, i / 32 ? 16 : 0,
                                       compressions[(i + i / 4 + d) % 4] });
}
