/* stack.c: planes without directories, as ImageJ, MetaMorph and tifffile write them, by hand:
 * either byte order, all types, beyond 4 GiB, cut off; words that promise what is not there. */
#include "tests/tiff/tiff.h"

#include <fcntl.h>

#include "engine/data/format/raw.h"

enum { H = 4, W = 5, PLANES = 6, PIXELS = H * W, START = 1024 };

struct stack {
    int big, bytes, format; /* format: of samples, as in the tag */
    int samples, width, height;
    const char *text;
    uint32_t uic2; /* planes in MetaMorph's tag, 0: none */
    int compression;
};

static unsigned char file[1 << 16];
static int is_big;

static void put_number(unsigned char *at, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        at[is_big ? size - 1 - i : i] = (unsigned char)(value >> (8 * i));
}

static unsigned char *entry(unsigned char *at, int tag, int type, uint32_t count, uint32_t value)
{
    put_number(at, (uint64_t)tag, 2);
    put_number(at + 2, (uint64_t)type, 2);
    put_number(at + 4, count, 4);
    put_number(at + 8, value, type == 3 && count == 1 ? 2 : 4);
    return at + 12;
}

/* The first START bytes: the only directory, its text at 512, its numbers from START on. */
static void put_head(const struct stack *s)
{
    uint32_t bytes = (uint32_t)(s->width * s->height * s->samples * s->bytes);
    memset(file, 0, sizeof file);
    is_big = s->big;
    memcpy(file, s->big ? "MM\0*" : "II*\0", 4);
    put_number(file + 4, 8, 4);
    put_number(file + 8, s->uic2 ? 13 : 12, 2);
    strcpy((char *)file + 512, s->text);
    for (int i = 0; i < s->samples; i++)
        put_number(file + 480 + 2 * i, (uint64_t)(8 * s->bytes), 2);
    unsigned char *at = entry(file + 10, 256, 4, 1, (uint32_t)s->width);
    at = entry(at, 257, 4, 1, (uint32_t)s->height);
    if (s->samples == 1)
        at = entry(at, 258, 3, 1, (uint32_t)(8 * s->bytes));
    else
        at = entry(at, 258, 3, (uint32_t)s->samples, 480);
    at = entry(at, 259, 3, 1, (uint32_t)s->compression);
    at = entry(at, 262, 3, 1, s->samples == 3 ? 2 : 1);
    at = entry(at, 270, 2, (uint32_t)strlen(s->text) + 1, 512);
    at = entry(at, 273, 4, 1, START);
    at = entry(at, 277, 3, 1, (uint32_t)s->samples);
    at = entry(at, 278, 4, 1, (uint32_t)s->height);
    at = entry(at, 279, 4, 1, bytes);
    at = entry(at, 284, 3, 1, 1);
    at = entry(at, 339, 3, 1, (uint32_t)s->format);
    if (s->uic2)
        entry(at, 33629, 5, s->uic2, 700);
}

/* Number k of the file, a different one at every place: 0 to 251 in bytes. */
static void put_value(unsigned char *at, const struct stack *s, int k)
{
    float single = (float)k * 0.5f - 3;
    uint32_t word;
    memcpy(&word, &single, 4);
    put_number(at, s->bytes == 4 ? word : s->bytes == 2 ? (uint64_t)(k * 257) : (uint64_t)k,
               s->bytes);
}

static float value(const struct stack *s, int k)
{
    k %= 252;
    return s->bytes == 4   ? (float)k * 0.5f - 3
           : s->bytes == 2 ? (float)(k * 257) / 65535.0f
                           : (float)k / 255.0f;
}

static void put_stack(const char *name, const struct stack *s, int planes)
{
    int n = planes * s->width * s->height * s->samples;
    put_head(s);
    for (int k = 0; k < n; k++)
        put_value(file + START + k * s->bytes, s, k % 252);
    put(name, file, START + (size_t)(n * s->bytes));
}

static void check_planes(const struct stack *s, int channels)
{
    float want[3 * PLANES * PIXELS];
    struct source *source = must_open(spec_of("tiff", "s.tif", channels ? ":pages=channels" : ""));
    size_t images = channels ? 1 : PLANES;
    int pages = channels ? PLANES : 1, all = s->samples * pages;
    CHECK(source && source->count == images && source->channels == all && !source->account.n);
    for (size_t i = 0; source && i < images; i++) {
        for (int c = 0; c < all; c++)
            for (int p = 0; p < PIXELS; p++) {
                int plane = (int)i + c / s->samples;
                want[c * PIXELS + p] =
                    value(s, (plane * PIXELS + p) * s->samples + c % s->samples);
            }
        same_pixels(source, i, want, all, H, W);
    }
    source_close(&source);
}

static void test_types(void)
{
    static const struct stack rows[] = {
        { 1, 1, 1, 1, W, H, "ImageJ=1.54f\nimages=6\nslices=6\n", 0, 1 },
        { 1, 2, 1, 1, W, H, "ImageJ=1.54f\nimages=6\nchannels=3\nframes=2\n", 0, 1 },
        { 0, 2, 1, 1, W, H, "ImageJ=\nimages=6\nunit=um\n", 0, 1 },
        { 1, 4, 3, 1, W, H, "ImageJ=1.11a\nimages=6\n", 0, 1 },
        { 0, 4, 3, 1, W, H, "ImageJ=1.11a\nimages=6\n", 0, 1 },
        { 1, 1, 1, 3, W, H, "ImageJ=1.11a\nimages=6\n", 0, 1 },
        { 0, 2, 1, 1, W, H, "Acquired from MetaMorph", 6, 1 },
        { 0, 2, 1, 1, W, H, "{\"shape\": [3, 2, 4, 5], \"truncated\": true}", 0, 1 },
        { 0, 1, 1, 3, W, H, "{\"shape\": [6, 4, 5, 3], \"truncated\": true}", 0, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_stack("s.tif", &rows[i], PLANES);
        check_planes(&rows[i], 0);
        check_planes(&rows[i], 1);
    }
}

/* In a folder a file's planes are channels, too. */
static void test_folder_of_stacks(void)
{
    static const struct stack s = { 1, 2, 1, 1, W, H, "ImageJ=1\nimages=6\n", 0, 1 };
    mkdir(at("stacks"), 0777);
    put_stack("stacks/a.tif", &s, PLANES);
    put_stack("stacks/b.tif", &s, PLANES);
    struct source *source = must_open(at("stacks"));
    CHECK(source && source->count == 2 && source->channels == PLANES);
    source_close(&source);
}

/* A plane that begins behind 2^32; the file is a hole but for its last numbers. */
static void test_beyond_4_gib(void)
{
    static const struct stack s = { 1, 2, 1, 1, 4096, 4096, "ImageJ=1\nimages=140\n", 0, 1 };
    const uint64_t plane = (uint64_t)4096 * 4096 * 2;
    struct image image = { 0 };
    put_head(&s);
    put("large.tif", file, START);
    int fd = open(at("large.tif"), O_WRONLY);
    int ok = fd >= 0 && pwrite(fd, "\x12\x34", 2, (off_t)(START + 139 * plane)) == 2 &&
             ftruncate(fd, (off_t)(START + 140 * plane)) == 0;
    if (fd >= 0)
        close(fd);
    struct source *source = ok ? must_open(at("large.tif")) : NULL;
    CHECK(!ok || (source && source->count == 140));
    if (source && source->read(source, 139, &image) == MOCO_OK)
        CHECK(image.pixels[0] == 0x1234 / 65535.0f && image.pixels[1] == 0.0f);
    else
        CHECK_MSG(!ok, "%s", error_text());
    image_close(&image);
    source_close(&source);
    remove(at("large.tif"));
}

static void check_told(const struct stack *s, size_t count, size_t left)
{
    put_stack("s.tif", s, 2);
    struct source *source = must_open(at("s.tif"));
    CHECK(source && source->count == count && account_total(&source->account) == left);
    source_close(&source);
}

static void test_promises(void)
{
    struct stack s = { 1, 2, 1, 1, W, H, "ImageJ=1\nimages=6\n", 0, 1 };
    put_stack("s.tif", &s, PLANES - 1);
    must_refuse(at("s.tif"), "promises 6 planes of 40 bytes");
    put_stack("s.tif", &s, PLANES);
    truncations("tiff", "s.tif", 37);
    s.text = "ImageJ=1\nimages=4000000000\n";
    put_stack("s.tif", &s, PLANES);
    must_refuse(at("s.tif"), "truncated");
    s.text = "images=6\n"; /* not ImageJ's */
    check_told(&s, 1, 0);
    s.text = "ImageJ=1\nmin=3\n";
    check_told(&s, 1, 0);
}

/* Each page has a directory, or the numbers are packed: nothing can lie behind them. */
static void test_packed_promise(void)
{
    static const int compressions[] = { COMPRESSION_LZW, COMPRESSION_NONE };
    for (int pages = 1; pages < 3; pages++) {
        TIFF *tif = TIFFOpen(at("p.tif"), "w");
        struct form form = grey;
        form.compression = compressions[pages - 1];
        for (int p = 0; p < pages; p++) {
            TIFFSetField(tif, TIFFTAG_IMAGEDESCRIPTION, "ImageJ=1\nimages=6\n");
            write_page(tif, &form, p);
        }
        TIFFClose(tif);
        struct source *source = must_open(at("p.tif"));
        CHECK(source && source->count == (size_t)pages &&
              account_total(&source->account) == (size_t)(6 - pages));
        source_close(&source);
    }
}

/* SGI's volumes have one directory as well. */
static void test_volume(void)
{
    TIFF *tif = TIFFOpen(at("v.tif"), "w");
    TIFFSetField(tif, TIFFTAG_IMAGEDEPTH, 3U);
    write_page(tif, &grey, 0);
    TIFFClose(tif);
    must_refuse(at("v.tif"), "a volume of 3 slices");
}

void test_stack(void)
{
    test_types();
    test_folder_of_stacks();
    test_beyond_4_gib();
    test_promises();
    test_packed_promise();
    test_volume();
}
