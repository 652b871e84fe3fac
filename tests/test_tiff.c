/* test_tiff.c: TIFF files as libtiff writes them, of every type of numbers, channels interleaved
 * and in planes, strips and tiles, compressions, both byte orders, BigTIFF; pages as images and as
 * channels; folders with classes; what is refused; every truncation and many changed bytes. */
#define _GNU_SOURCE
#include <stdint.h>

#include "engine/data/format/raw.h"
#include "tests/files.h"

#ifdef MOCO_TIFF
#include <tiffio.h>

enum { H = 21, W = 37, SIZE_MAX_BYTES = 8 * 8 * 64 * 64 };

struct form {
    const char *mode; /* "wl", "wb8" */
    enum source_dtype dtype;
    int samples, height, width;
    int separate, tile; /* tile: side, 0 strips */
    int compression;
};

/* Sample c of pixel (y, x) as the file holds it, in the machine's order. */
static void sample(unsigned char *out, enum source_dtype dtype, int c, int y, int x)
{
    unsigned word = (unsigned)(c * 7919 + y * 263 + x * 31 + 5) & 0xffff;
    uint16_t half = (uint16_t)(word % 0x7c00 | (word & 0x8000)); /* finite */
    float single = (float)word * 0.37f - 9000.0f;
    double twice = (double)word * 1e7 - 3.25;
    if (dtype == DTYPE_U8)
        out[0] = (unsigned char)(word ^ word >> 8);
    else if (dtype == DTYPE_F32)
        memcpy(out, &single, 4);
    else if (dtype == DTYPE_F64)
        memcpy(out, &twice, 8);
    else
        memcpy(out, dtype == DTYPE_F16 ? &half : &(uint16_t){ (uint16_t)word }, 2);
}

/* (samples, h, w) as a source must give them. */
static void wanted(float *out, const struct form *form, int from)
{
    unsigned char bytes[8];
    for (int c = 0; c < form->samples; c++)
        for (int y = 0; y < form->height; y++)
            for (int x = 0; x < form->width; x++) {
                sample(bytes, form->dtype, from + c, y, x);
                raw_floats(out++, bytes, 1, 1, form->dtype, 0);
            }
}

static void set_fields(TIFF *tif, const struct form *form)
{
    static const int formats[] = { SAMPLEFORMAT_UINT, SAMPLEFORMAT_UINT, SAMPLEFORMAT_INT,
                                   SAMPLEFORMAT_IEEEFP, SAMPLEFORMAT_IEEEFP, SAMPLEFORMAT_IEEEFP };
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, (uint32_t)form->width);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, (uint32_t)form->height);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, form->samples);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, (int)(8 * raw_size(form->dtype)));
    TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, formats[form->dtype]);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tif, TIFFTAG_PLANARCONFIG,
                 form->separate ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, form->compression);
    if (form->tile) {
        TIFFSetField(tif, TIFFTAG_TILEWIDTH, (uint32_t)form->tile);
        TIFFSetField(tif, TIFFTAG_TILELENGTH, (uint32_t)form->tile);
    } else {
        TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, 8U);
    }
}

/* A strip or tile at (y, x) of `rows` x `cols` pixels, channels from c on. */
static size_t fill(unsigned char *out, const struct form *form, int c, int per, int y, int x,
                   int rows, int cols)
{
    size_t size = raw_size(form->dtype), at = 0;
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < cols; k++)
            for (int s = 0; s < per; s++, at += size)
                sample(out + at, form->dtype, c + s, y + r, x + k);
    return at;
}

static void write_page(TIFF *tif, const struct form *form, int from)
{
    static unsigned char bytes[SIZE_MAX_BYTES];
    int per = form->separate ? 1 : form->samples;
    set_fields(tif, form);
    for (int c = 0; c < form->samples; c += per) {
        for (int y = 0; y < form->height && !form->tile; y += 8) {
            int rows = form->height - y < 8 ? form->height - y : 8;
            size_t n = fill(bytes, form, from + c, per, y, 0, rows, form->width);
            uint32_t strip = TIFFComputeStrip(tif, (uint32_t)y, (uint16_t)c);
            CHECK(TIFFWriteEncodedStrip(tif, strip, bytes, (tmsize_t)n) == (tmsize_t)n);
        }
        for (int y = 0; form->tile && y < form->height; y += form->tile)
            for (int x = 0; x < form->width; x += form->tile) {
                size_t n = fill(bytes, form, from + c, per, y, x, form->tile, form->tile);
                uint32_t tile = TIFFComputeTile(tif, (uint32_t)x, (uint32_t)y, 0, (uint16_t)c);
                CHECK(TIFFWriteEncodedTile(tif, tile, bytes, (tmsize_t)n) == (tmsize_t)n);
            }
    }
    CHECK(TIFFWriteDirectory(tif));
}

/* `pages` pages, whose channels are numbered on. */
static void write_tiff(const char *name, const struct form *form, int pages)
{
    TIFF *tif = TIFFOpen(at(name), form->mode);
    CHECK_MSG(tif != NULL, "writing %s", name);
    for (int p = 0; tif && p < pages; p++)
        write_page(tif, form, p * form->samples);
    if (tif)
        TIFFClose(tif);
}

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

static void test_forms(void)
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

static const struct form grey = { "wl", DTYPE_U16, 1, 5, 6, 0, 0, COMPRESSION_NONE };

static void test_pages(void)
{
    float want[3 * 30];
    struct form all = grey;
    all.samples = 3;
    write_tiff("stack.tif", &grey, 3);
    struct source *source = must_open(at("stack.tif"));
    CHECK(source && source->count == 3 && source->channels == 1 && source->dtype == DTYPE_U16);
    for (int p = 0; source && p < 3; p++) {
        wanted(want, &grey, p);
        same_pixels(source, (size_t)p, want, 1, 5, 6);
    }
    source_close(&source);
    wanted(want, &all, 0);
    for (int bare = 0; bare < 2; bare++) {
        source = must_open(spec_of(bare ? "" : "tiff", "stack.tif", ":pages=channels"));
        CHECK(source && source->count == 1 && source->channels == 3);
        if (source)
            same_pixels(source, 0, want, 3, 5, 6);
        source_close(&source);
    }
    source = must_open(spec_of("tiff", "stack.tif", ":pages=images"));
    CHECK(source && source->count == 3);
    source_close(&source);
    must_refuse(spec_of("tiff", "stack.tif", ":pages=rows"), "pages=images or :pages=channels");
    must_refuse(spec_of("tiff", "nothing.tif", ""), "No such file");
}

/* A thumbnail between two pages is none of them; pages of two sizes are no channels. */
static void test_page_kinds(void)
{
    struct form small = grey, other = grey;
    float want[30];
    small.height = small.width = 2;
    other.width = 7;
    TIFF *tif = TIFFOpen(at("thumb.tif"), "w");
    write_page(tif, &grey, 0);
    TIFFSetField(tif, TIFFTAG_SUBFILETYPE, FILETYPE_REDUCEDIMAGE);
    write_page(tif, &small, 1);
    write_page(tif, &grey, 2);
    TIFFClose(tif);
    struct source *source = must_open(at("thumb.tif"));
    CHECK(source && source->count == 2 && source->height == 5);
    wanted(want, &grey, 2);
    if (source)
        same_pixels(source, 1, want, 1, 5, 6);
    source_close(&source);
    tif = TIFFOpen(at("sizes.tif"), "w");
    write_page(tif, &grey, 0);
    write_page(tif, &other, 0);
    TIFFClose(tif);
    source = must_open(at("sizes.tif"));
    CHECK(source && source->count == 2 && source->width == 0 && source->height == 5);
    CHECK(source && source->pixels_max == 35);
    source_close(&source);
    must_refuse(spec_of("tiff", "sizes.tif", ":pages=channels"), "pages differ");
    other = grey, other.samples = 2;
    tif = TIFFOpen(at("mixed.tif"), "w");
    write_page(tif, &grey, 0);
    write_page(tif, &other, 0);
    TIFFClose(tif);
    must_refuse(at("mixed.tif"), "2 channels where those before it have 1");
    source = must_open(spec_of("tiff", "mixed.tif", ":pages=channels"));
    CHECK(source && source->channels == 3);
    source_close(&source);
}

/* Each file a sample of its pages, a bad one too. */
static void test_views(void)
{
    float want[5 * 6];
    mkdir(at("z"), 0777), mkdir(at("z/k"), 0777);
    put("z/k/0.tif", "bad", 3);
    write_tiff("z/k/1.tif", &grey, 3), write_tiff("z/k/2.tif", &grey, 3);
    struct source *source = must_open(spec_of("tiff", "z", ":pages=views"));
    CHECK(source && source->count == 9 && source->views == 3 && source_samples(source) == 3);
    CHECK(source && source->channels == 1 && source_label(source, 8) == 0);
    if (source) {
        struct image image = { 0 };
        for (size_t i = 0; i < 9; i++) {
            CHECK_MSG((source->read(source, i, &image) == MOCO_OK) == (i > 2), "image %zu", i);
            CHECK(source->name(source, i)[2] == (char)('0' + i / 3));
        }
        image_close(&image);
        wanted(want, &grey, 2);
        same_pixels(source, 5, want, 1, 5, 6);
    }
    source_close(&source);
    write_tiff("z/k/3.tif", &grey, 2);
    must_refuse(spec_of("tiff", "z", ":pages=views"), "3.tif has 2 pages where files before it");
    source = NULL;
    CHECK(!source_open_lenient(&source, spec_of("tiff", "z", ":pages=views")));
    CHECK(source && source->count == 12 && source->views == 3);
    if (source) {
        struct image image = { 0 };
        CHECK(source->read(source, 2, &image) && strstr(error_text(), "0.tif: not a readable"));
        CHECK(!source->read(source, 8, &image));
        for (size_t i = 9; i < 12; i++)
            CHECK(source->read(source, i, &image) && strstr(error_text(), "3.tif has 2 pages"));
        image_close(&image);
    }
    source_close(&source);
    must_refuse(spec_of("tiff", "z/k/1.tif", ":pages=views"), "behind a folder of them");
}

static void test_folder(void)
{
    struct form two = grey, byte = grey, real = grey;
    float want[60];
    two.samples = 2;
    byte.dtype = DTYPE_U8, byte.samples = 2;
    real.dtype = DTYPE_F32, real.samples = 2;
    mkdir(at("set"), 0777), mkdir(at("set/a"), 0777), mkdir(at("set/b"), 0777);
    write_tiff("set/b/x.tif", &two, 1);
    write_tiff("set/a/y.TIFF", &grey, 2);
    write_tiff("set/a/z.tiff", &byte, 1);
    struct source *source = must_open(at("set"));
    CHECK(source && !strcmp(source->kind, "tiff") && source->count == 3 && source->channels == 2);
    CHECK(source && source->classes == 2 && !strcmp(source->class_names[1], "b"));
    if (source) {
        CHECK(source_label(source, 0) == 0 && source_label(source, 2) == 1);
        CHECK(!strcmp(source->name(source, 0), "a/y.TIFF") && source->dtype == DTYPE_U16);
        wanted(want, &two, 0);
        same_pixels(source, 0, want, 2, 5, 6);
        same_pixels(source, 2, want, 2, 5, 6);
        wanted(want, &byte, 0);
        same_pixels(source, 1, want, 2, 5, 6);
    }
    source_close(&source);
    must_refuse(spec_of("tiff", "set", ":pages=images"), "channels where those before");
    source = must_open(spec_of("tiff", "set/a/y.TIFF", ""));
    CHECK(source && source->count == 2);
    source_close(&source);
    must_refuse(spec_of("folder", "set", ""), "tiff:DIR reads its TIFFs");
    put("set/b/w.pgm", "P5\n1 2\n255\n\11\12", 13);
    source = must_open(at("set")); /* an image makes it a folder, and says so */
    CHECK(source && !strcmp(source->kind, "folder") && source->count == 1);
    CHECK(source && strstr(source->note, "files of TIFF are left out (3)"));
    source_close(&source);
    source = must_open(spec_of("tiff", "set", ""));
    CHECK(source && source->count == 3 && strstr(source->note, "left out (1)"));
    source_close(&source);
    put("set/a/0.tif", "no image at all", 15); /* the first, and an image all the same */
    source = must_open(spec_of("tiff", "set", ""));
    CHECK(source && source->count == 4 && strstr(source->note, "1 of 4 files can not be read"));
    if (source) {
        struct image image = { 0 };
        CHECK(source->read(source, 0, &image) != MOCO_OK && strstr(error_text(), "set/a/0.tif"));
        CHECK(!strcmp(source->name(source, 0), "a/0.tif") && source_label(source, 0) == 0);
        same_pixels(source, 2, want, 2, 5, 6);
        image_close(&image);
    }
    source_close(&source);
    remove(at("set/a/0.tif"));
    write_tiff("set/b/r.tif", &real, 1);
    must_refuse(spec_of("tiff", "set", ""), "only u8 and u16 go together");
    mkdir(at("bare"), 0777);
    must_refuse(spec_of("tiff", "bare", ""), "holds no tif");
}

/* Some files cannot be read; labels stay with their files. Of one with bad pages good ones stay. */
static void test_bad_files(void)
{
    static const char *const bad[][2] = { { "a/0.tif", "not a readable TIFF" },
                                          { "a/2.tif", "not a readable TIFF" },
                                          { "b/5.tif", "channels where those before it" },
                                          { "b/6.tif", "only u8 and u16 go together" } };
    struct form two = grey, real = grey;
    unsigned char *bytes;
    float want[30];
    two.samples = 2;
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
    TIFF *tif = TIFFOpen(at("some/b/4.tif"), "w");
    write_page(tif, &grey, 0);
    write_page(tif, &grey, 1);
    write_page(tif, &two, 0);
    TIFFClose(tif);
    struct source *source = NULL;
    CHECK(!source_open_lenient(&source, spec_of("tiff", "some", ":pages=images")));
    CHECK(source && source->count == 9 && source->channels == 1);
    if (source) {
        CHECK(source_label(source, 2) == 0 && source_label(source, 3) == 1);
        wanted(want, &grey, 1);
        same_pixels(source, 5, want, 1, 5, 6); /* the second page of b/4.tif */
    }
    source_close(&source);
}

/* ---- refusals ---- */

/* One page with a field set as no form sets it. */
static void write_odd(const char *name, int tag, int value, int bits)
{
    static const unsigned char bytes[128];
    TIFF *tif = TIFFOpen(at(name), "w");
    set_fields(tif, &(struct form){ "w", DTYPE_U8, 1, 4, 4, 0, 0, COMPRESSION_NONE });
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, bits);
    TIFFSetField(tif, (uint32_t)tag, value);
    if (value == PHOTOMETRIC_PALETTE && tag == TIFFTAG_PHOTOMETRIC) {
        static uint16_t map[256];
        TIFFSetField(tif, TIFFTAG_COLORMAP, map, map, map);
    }
    CHECK(TIFFWriteEncodedStrip(tif, 0, (void *)(uintptr_t)bytes, 4 * 4 * bits / 8) > 0);
    TIFFClose(tif);
}

/* A header by hand: little-endian, one strip of 16 bytes at 8, `n` entries from `fields`. */
static void put_by_hand(const char *name, const uint32_t (*fields)[3], int n, uint32_t next)
{
    unsigned char bytes[400] = "II*";
    bytes[4] = 24;
    bytes[24] = (unsigned char)n;
    for (int i = 0; i < n; i++) {
        unsigned char *entry = bytes + 26 + 12 * i;
        uint32_t type = fields[i][1], value = fields[i][2];
        memcpy(entry, &(uint16_t){ (uint16_t)fields[i][0] }, 2);
        memcpy(entry + 2, &(uint16_t){ (uint16_t)type }, 2);
        entry[4] = 1;
        memcpy(entry + 8, &value, 4);
    }
    memcpy(bytes + 26 + 12 * n, &next, 4);
    put(name, bytes, (size_t)(30 + 12 * n));
}

enum { SHORT = 3, LONG = 4 };

static void put_sized(const char *name, uint32_t width, uint32_t height, uint32_t samples,
                      uint32_t compression, uint32_t offset, uint32_t count, uint32_t next)
{
    const uint32_t fields[][3] = {
        { 256, LONG, width }, { 257, LONG, height }, { 258, SHORT, 8 }, { 259, SHORT, compression },
        { 262, SHORT, 1 }, { 273, LONG, offset }, { 277, SHORT, samples }, { 278, LONG, height },
        { 279, LONG, count },
    };
    put_by_hand(name, fields, 9, next);
}

static void test_refusals(void)
{
    write_odd("palette.tif", TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_PALETTE, 8);
    must_refuse(at("palette.tif"), "palette");
    write_odd("bits.tif", TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK, 32);
    must_refuse(at("bits.tif"), "unsigned numbers of 32 bits");
    write_odd("signed.tif", TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_INT, 8);
    must_refuse(at("signed.tif"), "signed numbers of 8 bits");
    write_odd("complex.tif", TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_COMPLEXIEEEFP, 64);
    must_refuse(at("complex.tif"), "numbers of 64 bits");
    put_sized("good.tif", 4, 4, 1, 1, 8, 16, 0);
    struct source *source = must_open(at("good.tif"));
    source_close(&source);
    put_sized("wide.tif", 4000000000u, 4, 1, 1, 8, 16, 0);
    must_refuse(at("wide.tif"), "numbers; 1 to");
    put_sized("area.tif", 60000, 60000, 1, 5, 8, 16, 0);
    must_refuse(at("area.tif"), "numbers; 1 to");
    put_sized("deep.tif", 60000, 60000, 65535, 1, 8, 16, 0);
    must_refuse(at("deep.tif"), "numbers; 1 to");
    put_sized("more.tif", 400, 400, 1, 1, 8, 16, 0);
    must_refuse(at("more.tif"), "more than a file of");
    put_sized("bomb.tif", 16000, 16000, 1, 5, 8, 16, 0);
    must_refuse(at("bomb.tif"), "more than a file of");
    put_sized("out.tif", 4, 4, 1, 1, 100000, 16, 0);
    must_refuse(at("out.tif"), "outside the file");
    put_sized("past.tif", 4, 4, 1, 5, 8, 100000, 0);
    must_refuse(at("past.tif"), "outside the file");
    put_sized("zero.tif", 0, 4, 1, 1, 8, 16, 0);
    CHECK(!survives(at("zero.tif")));
    put_sized("code.tif", 4, 4, 1, 777, 8, 16, 0);
    must_refuse(at("code.tif"), "compression 777");
    put_sized("loop.tif", 4, 4, 1, 1, 8, 16, 24); /* the next directory is the first */
    survives(at("loop.tif"));
    put_sized("far.tif", 4, 4, 1, 1, 8, 16, 1u << 30);
    must_refuse(at("far.tif"), "not a readable TIFF");
    put("junk.tif", "II*\0\377\377\377\377", 8);
    must_refuse(at("junk.tif"), "not a readable TIFF");
    put("text.tif", "no tiff at all", 14);
    must_refuse(spec_of("tiff", "text.tif", ""), "not a readable TIFF");
    put("empty.tif", "", 0);
    must_refuse(spec_of("tiff", "empty.tif", ""), "not a readable TIFF");
}

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

static void test_damage(void)
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

/* ---- real images ---- */

/* Some cells of three channels, written as files of 16 bits and compared with the .npy. */
static void test_real(const char *data)
{
    char path[1200];
    struct image image = { 0 };
    snprintf(path, sizeof path, "npy:%s/cellcycle/x.npy", data);
    struct source *cells = NULL, *tiffs = NULL;
    if (source_open(&cells, path) != MOCO_OK) {
        printf("left out: %s\n", error_text());
        return;
    }
    uint16_t numbers[3 * 40 * 40];
    CHECK(cells->channels == 3 && cells->height == 40 && cells->width == 40);
    mkdir(at("cells"), 0777);
    for (size_t i = 0; i < 50 && cells->channels == 3 && cells->height == 40; i++) {
        char name[40];
        CHECK(cells->read(cells, i, &image) == MOCO_OK);
        for (int p = 0; p < 4800; p++)
            numbers[p / 1600 + p % 1600 * 3] = (uint16_t)lrintf(image.pixels[p] * 65535.0f);
        snprintf(name, sizeof name, "cells/%03zu.tif", i);
        TIFF *tif = TIFFOpen(at(name), "w");
        set_fields(tif, &(struct form){ "w", DTYPE_U16, 3, 40, 40, 0, 0, COMPRESSION_LZW });
        TIFFSetField(tif, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
        for (uint32_t y = 0; y < 40; y++)
            CHECK(TIFFWriteScanline(tif, numbers + y * 120, y, 0) == 1);
        TIFFClose(tif);
    }
    tiffs = must_open(at("cells"));
    CHECK(tiffs && tiffs->count == 50 && tiffs->channels == 3 && tiffs->dtype == DTYPE_U16);
    for (size_t i = 0; tiffs && i < 50; i++) {
        CHECK(cells->read(cells, i, &image) == MOCO_OK);
        same_pixels(tiffs, i, image.pixels, 3, 40, 40);
    }
    image_close(&image);
    source_close(&cells), source_close(&tiffs);
}

int main(int argc, char **argv)
{
    if (files_begin())
        return 1;
    test_forms();
    test_pages();
    test_page_kinds();
    test_folder();
    test_views();
    test_bad_files();
    test_refusals();
    test_changes();
    test_damage();
    if (argc > 1)
        test_real(argv[1]);
    files_end();
    return check_summary("tiff");
}
#else
int main(void)
{
    static const unsigned char small[] = "II*\0\10\0\0\0";
    if (files_begin())
        return 1;
    put("a.tif", small, 8);
    must_refuse(at("a.tif"), "install the package libtiff-dev");
    must_refuse(spec_of("tiff", "a.tif", ""), "build moco again");
    mkdir(at("set"), 0777);
    put("set/a.tif", small, 8);
    must_refuse(at("set"), "install the package libtiff-dev");
    files_end();
    puts("this build has no libtiff: only the sentences that say so were checked");
    return check_summary("tiff") ? 1 : 77;
}
#endif
