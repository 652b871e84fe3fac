/* test_decode.c: image files, ours and awkward ones.
 *
 * Without arguments: files made here byte for byte (PNM, BMP, TGA, PNG, and JPEG where libjpeg
 * writes one) with known pixels, the eight orientations, parts and scales against whole images,
 * damage, limits, memory. With the folder of -Ddata_dir: each file of images_manifest.csv below
 * awkward/ against what another decoder made of it: its verdict, its pixels by hash, its means by
 * channel. What differs must be explained by a row of `explained`, or the test fails (JPEGs of a
 * build without libjpeg are only listed). */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#ifdef MOCO_JPEG
#include <jpeglib.h>
#endif

#include "engine/base/error.h"
#include "engine/data/decode.h"
#include "engine/data/loader.h"
#include "engine/data/part.h"
#include "tests/check.h"

static struct decode_file file_of(const void *bytes, size_t size, const char *name)
{
    return (struct decode_file){ bytes, size, size, name };
}

static int decode_in(struct image *out, const void *bytes, size_t size, int channels,
                     const char *name)
{
    /* An exact copy, so that a sanitizer sees a read behind its end. */
    unsigned char *copy = malloc(size ? size : 1);
    if (!copy)
        return MOCO_ENOMEM;
    memcpy(copy, bytes, size);
    struct decode_file file = file_of(copy, size, name);
    int rc = decode_image(out, &file, channels, NULL);
    free(copy);
    return rc;
}

static void expect(const char *name, const void *bytes, size_t size, int channels, int height,
                   int width, const float *want)
{
    struct image image = { 0 };
    int rc = decode_in(&image, bytes, size, channels, name);
    CHECK_MSG(rc == MOCO_OK, "%s: %s", name, error_text());
    CHECK_MSG(rc != MOCO_OK || (image.channels == channels && image.height == height &&
              image.width == width), "%s: %d x %d x %d", name, image.channels, image.height,
              image.width);
    for (int i = 0; rc == MOCO_OK && i < channels * height * width; i++)
        CHECK_MSG(fabsf(image.pixels[i] - want[i]) < 1e-6f, "%s: number %d is %g, not %g", name, i,
                  (double)image.pixels[i], (double)want[i]);
    image_close(&image);
}

static void refuse(const char *name, const void *bytes, size_t size, const char *part)
{
    struct image image = { 0 };
    error_set(MOCO_OK, "%s", "");
    CHECK_MSG(decode_in(&image, bytes, size, 3, name) != MOCO_OK, "%s was decoded", name);
    CHECK_MSG(strstr(error_text(), part) && strstr(error_text(), name), "%s: no \"%s\" in \"%s\"",
              name, part, error_text());
    image_close(&image);
}

/* ---- formats read here ---- */

static void test_pnm(void)
{
    static const char grey[] = "P5 # a comment\n2 1\n15\n\x0f\x03";
    static const char deep[] = "P5\n1 1\n1023\n\3\xff";
    static const char colour[] = "P6\n1 1\n255\n\xff\0\x33";
    expect("a.pgm", grey, sizeof grey - 1, 1, 1, 2, (const float[]){ 1, 0.2f });
    expect("b.pgm", deep, sizeof deep - 1, 1, 1, 1, (const float[]){ 1 });
    expect("c.ppm", colour, sizeof colour - 1, 3, 1, 1, (const float[]){ 1, 0, 0.2f });
    expect("d.pgm", grey, sizeof grey - 1, 3, 1, 2, (const float[]){ 1, .2f, 1, .2f, 1, .2f });
    refuse("short.pgm", grey, sizeof grey - 2, "cut off");
    refuse("text.pgm", "P2\n1 1\n255\n7\n", 13, "neither P5 nor P6");
    refuse("wide.ppm", "P6\n99999 99999\n255\n", 19, "megapixels");
    refuse("none.ppm", "P6\n0 5\n255\n", 11, "no pixels");
    refuse("much.ppm", "P6\n99999999999999999999 1\n255\n", 30, "megapixels");
}

static void put32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

/* A BMP of 2 x 2: the header for `bits` a pixel, then two colours or none, then rows. */
static size_t make_bmp(unsigned char *out, int bits, int height, const void *rows, size_t size)
{
    size_t palette = bits <= 8 ? 8 : 0, data = 54 + 12 + palette; /* 12: some room behind */
    memset(out, 0, data);
    out[0] = 'B', out[1] = 'M';
    put32(out + 10, (uint32_t)data);
    put32(out + 14, 40);
    put32(out + 18, 2);
    put32(out + 22, (uint32_t)height);
    out[26] = 1, out[28] = (unsigned char)bits;
    put32(out + 46, palette ? 2 : 0);
    if (palette)
        memcpy(out + 54, "\xff\0\0\0\0\xff\0\0", 8); /* blue, green */
    memcpy(out + data, rows, size);
    return data + size;
}

static void test_bmp(void)
{
    unsigned char b[256];
    static const unsigned char rgb[] = { 1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0 };
    float want[12];
    /* Bottom up: the second row of the file is the first of the image. */
    static const int order[2][12] = { { 9, 12, 3, 6, 8, 11, 2, 5, 7, 10, 1, 4 },
                                      { 3, 6, 9, 12, 2, 5, 8, 11, 1, 4, 7, 10 } };
    for (int down = 0; down < 2; down++) {
        size_t size = make_bmp(b, 24, down ? -2 : 2, rgb, sizeof rgb);
        for (int i = 0; i < 12; i++)
            want[i] = (float)order[down][i] / 255.0f;
        expect("a.bmp", b, size, 3, 2, 2, want);
        refuse("short.bmp", b, size - 1, "cut off");
    }
    static const unsigned char rows[] = { 0x40, 0, 0, 0, 0x80, 0, 0, 0 };
    size_t size = make_bmp(b, 1, 2, rows, sizeof rows);
    expect("b.bmp", b, size, 3, 2, 2, (const float[]){ 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0 });
    b[28] = 3;
    refuse("bits.bmp", b, size, "number of bits");
    put32(b + 22, 0x80000000u);
    b[28] = 1;
    refuse("height.bmp", b, size, "no pixels");
    static const unsigned char fives[] = { 0xff, 0x7f, 0, 0x7c, 0xe0, 3, 0x1f, 0 };
    size = make_bmp(b, 16, -2, fives, sizeof fives);
    expect("c.bmp", b, size, 3, 2, 2, (const float[]){ 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1 });
}

static void test_tga(void)
{
    static const unsigned char plain[] = { 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 24, 0,
                                           0, 0, 255, 255, 0, 0 };
    static const unsigned char runs[] = { 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 8, 32,
                                          0x82, 255, 0, 0 };
    static const unsigned char map[] = { 0, 1, 1, 5, 0, 1, 0, 24, 0, 0, 0, 0, 1, 0, 1, 0, 8, 32,
                                         255, 0, 0, 5, 4 };
    expect("a.tga", plain, sizeof plain, 3, 2, 1, (const float[]){ 0, 1, 0, 0, 1, 0 });
    expect("b.tga", runs, sizeof runs, 1, 2, 2, (const float[]){ 1, 1, 1, 0 });
    expect("c.TGA", map, sizeof map - 1, 3, 1, 1, (const float[]){ 0, 0, 1 });
    unsigned char outside[sizeof map - 1];
    memcpy(outside, map, sizeof outside);
    outside[sizeof outside - 1] = 4;
    refuse("d.tga", outside, sizeof outside, "palette");
    refuse("e.tga", runs, sizeof runs - 1, "cut off");
    refuse("f.tga", plain, sizeof plain - 1, "cut off");
    refuse("g.tga", plain, 17, "cut off");
    refuse("h.png", plain, sizeof plain, "starts like no");
    refuse("i.jpg", "", 0, "empty");
}

/* ---- PNG ---- */

struct bytes {
    unsigned char at[1 << 16];
    size_t size;
};

static void big32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

static void add_chunk(struct bytes *png, const char *type, const void *data, size_t size)
{
    unsigned char *at = png->at + png->size;
    big32(at, (uint32_t)size);
    memcpy(at + 4, type, 4);
    if (size)
        memcpy(at + 8, data, size);
    big32(at + 8 + size, (uint32_t)crc32(0, at + 4, (uInt)size + 4));
    png->size += 12 + size;
}

static void begin_png(struct bytes *png, uint32_t width, uint32_t height, int depth, int colour)
{
    unsigned char ihdr[13] = { 0 };
    big32(ihdr, width);
    big32(ihdr + 4, height);
    ihdr[8] = (unsigned char)depth, ihdr[9] = (unsigned char)colour;
    memcpy(png->at, "\x89PNG\r\n\x1a\n", 8);
    png->size = 8;
    add_chunk(png, "IHDR", ihdr, sizeof ihdr);
}

static void end_png(struct bytes *png, const void *rows, size_t size)
{
    static unsigned char packed[1 << 15];
    uLongf length = sizeof packed;
    CHECK(compress(packed, &length, rows, size) == Z_OK);
    add_chunk(png, "IDAT", packed, length);
    add_chunk(png, "IEND", NULL, 0);
}

/* Large enough that the budget counts, which interlacing strains most. */
static void test_interlaced(struct bytes *png)
{
    enum { WIDTH = 2000, HEIGHT = 1500, ROOM = 4 * WIDTH * HEIGHT + 8 * HEIGHT };
    unsigned char *rows = calloc(1, ROOM);
    struct image image = { 0 };
    begin_png(png, WIDTH, HEIGHT, 8, 6);
    png->at[8 + 8 + 12] = 1;
    big32(png->at + 8 + 8 + 13, (uint32_t)crc32(0, png->at + 8 + 4, 4 + 13));
    end_png(png, rows, ROOM);
    CHECK_MSG(!decode_in(&image, png->at, png->size, 3, "passes.png"), "%s", error_text());
    CHECK(image.height == HEIGHT && image.width == WIDTH);
    image_close(&image);
    free(rows);
}

static void test_png(void)
{
    static struct bytes png;
    static unsigned char zeros[1 << 20];
    struct decode_header header;
    begin_png(&png, 2, 1, 16, 0);
    add_chunk(&png, "acTL", "\0\0\0\3\0\0\0\0", 8);
    end_png(&png, "\0\x12\x34\xff\xff", 5);
    expect("deep.png", png.at, png.size, 1, 1, 2, (const float[]){ 0x1234 / 65535.0f, 1 });
    struct decode_file file = file_of(png.at, png.size, "deep.png");
    CHECK(decode_header(&header, &file) == MOCO_OK && header.deep && header.channels == 1);
    CHECK(header.frames == 3 && !header.alpha);
    refuse("cut.png", png.at, png.size - 12, "cut off");
    png.at[png.size - 14] ^= 1; /* of the checksum of IDAT */
    refuse("sum.png", png.at, png.size, "checksum");
    begin_png(&png, 1, 2, 8, 6);
    end_png(&png, "\0\xff\x33\0\x80\0\0\0\xff\0", 10);
    expect("alpha.png", png.at, png.size, 3, 2, 1, (const float[]){ 1, 0, 0.2f, 0, 0, 1 });
    file = file_of(png.at, png.size, "alpha.png");
    CHECK(decode_header(&header, &file) == MOCO_OK && header.alpha && header.channels == 3);
    begin_png(&png, 4, 1, 2, 3);
    add_chunk(&png, "PLTE", "\xff\0\0\0\xff\0", 6);
    end_png(&png, "\0\x11", 2);
    expect("map.png", png.at, png.size, 3, 1, 4,
           (const float[]){ 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0 });
    begin_png(&png, 1, 1, 4, 0);
    end_png(&png, zeros, sizeof zeros); /* many more rows than there are */
    expect("more.png", png.at, png.size, 1, 1, 1, (const float[]){ 0 });
    begin_png(&png, 9999, 9999, 8, 2);
    end_png(&png, zeros, 100);
    refuse("bomb.png", png.at, png.size, "promises more");
    begin_png(&png, 20000, 20000, 1, 0);
    refuse("big.png", png.at, png.size, "without IDAT");
    end_png(&png, zeros, 100);
    refuse("big.png", png.at, png.size, "megapixels");
    test_interlaced(&png);
    begin_png(&png, 0xffffffffu, 1, 1, 0);
    refuse("minus.png", png.at, png.size, "impossible size");
    begin_png(&png, 1, 1, 3, 0);
    refuse("depth.png", png.at, png.size, "depth");
}

/* ---- JPEG ---- */

#ifdef MOCO_JPEG

struct kind {
    int width, height, channels; /* 1, 3 or 4 */
    int sample;                  /* factors of the first channel, across and down: 11, 21, 22 */
    int progressive, inverted;
};

/* A smooth image with a bright corner at the top left, so that no two orientations are alike. */
static unsigned char value_at(const struct kind *kind, int x, int y, int c)
{
    float u = (float)x / (float)kind->width, v = (float)y / (float)kind->height;
    float value = 60 + 40 * sinf(9 * u + (float)c) + 30 * cosf(7 * v * (1 + u)) +
                  (u + v < 0.5f ? 90 : 0) + (float)((x * 7 + y * 13) % 16);
    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* *out for free(). */
static size_t make_jpeg(unsigned char **out, const struct kind *kind, int orientation)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr error;
    unsigned long size = 0;
    unsigned char *row = malloc((size_t)(kind->width * kind->channels));
    unsigned char exif[] = "Exif\0\0MM\0\x2a\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\0\0\0\0\0\0\0";
    *out = NULL;
    if (!row)
        return 0;
    jpeg.err = jpeg_std_error(&error);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, out, &size);
    jpeg.image_width = (JDIMENSION)kind->width;
    jpeg.image_height = (JDIMENSION)kind->height;
    jpeg.input_components = kind->channels;
    jpeg.in_color_space = kind->channels == 1 ? JCS_GRAYSCALE
                          : kind->channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (kind->channels == 4)
        jpeg_set_colorspace(&jpeg, kind->sample == 22 ? JCS_YCCK : JCS_CMYK);
    jpeg.write_Adobe_marker = kind->inverted || (kind->channels == 4 && kind->sample == 22);
    jpeg.comp_info[0].h_samp_factor = kind->sample / 10;
    jpeg.comp_info[0].v_samp_factor = kind->sample % 10;
    if (kind->progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    if (orientation) {
        exif[25] = (unsigned char)orientation;
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof exif - 1);
    }
    for (int y = 0; y < kind->height; y++) {
        for (int x = 0; x < kind->width; x++)
            for (int c = 0; c < kind->channels; c++)
                row[x * kind->channels + c] = value_at(kind, x, y, c);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    return size;
}

/* Pixel (r, c) of the turned image comes from (y, x) of the file, by the table of EXIF. */
static void turned(int orientation, int height, int width, int r, int c, int *y, int *x)
{
    int h = height - 1, w = width - 1;
    const int places[9][2] = { { 0, 0 }, { r, c }, { r, w - c }, { h - r, w - c }, { h - r, c },
                               { c, r }, { h - c, r }, { h - c, w - r }, { c, w - r } };
    *y = places[orientation][0];
    *x = places[orientation][1];
}

static void test_orientations(void)
{
    static const struct kind kind = { 50, 30, 3, 22, 0, 0 };
    unsigned char *bytes;
    struct image plain = { 0 }, image = { 0 };
    size_t size = make_jpeg(&bytes, &kind, 0);
    CHECK(decode_in(&plain, bytes, size, 3, "plain.jpg") == MOCO_OK);
    free(bytes);
    for (int o = 1; o <= 8; o++) {
        size = make_jpeg(&bytes, &kind, o);
        CHECK(decode_in(&image, bytes, size, 3, "turned.jpg") == MOCO_OK);
        CHECK(image.height == (o < 5 ? 30 : 50) && image.width == (o < 5 ? 50 : 30));
        int same = 1;
        for (int r = 0; r < image.height; r++)
            for (int c = 0; c < image.width; c++) {
                int y, x;
                turned(o, 30, 50, r, c, &y, &x);
                for (int p = 0; p < 3; p++)
                    same &= image.pixels[(p * image.height + r) * image.width + c] ==
                            plain.pixels[(p * 30 + y) * 50 + x];
            }
        CHECK_MSG(same, "orientation %d", o);
        free(bytes);
    }
    size = make_jpeg(&bytes, &kind, 9);
    CHECK(decode_in(&image, bytes, size, 3, "nine.jpg") == MOCO_OK && image.height == 30);
    free(bytes);
    image_close(&plain);
    image_close(&image);
}

/* Every part, at every scale and orientation, is the bytes of the whole image there. */
/* Number (c, y, x) of an image, whether it has floats or bytes. */
static float pixel_of(const struct image *image, int c, int y, int x)
{
    int at = y * image->width + x;
    if (image->bytes)
        return (float)((const unsigned char *)image->pixels)[4 * at + c] / 255.0f;
    return image->pixels[c * image->height * image->width + at];
}

static int same_part(const struct image *image, const struct image *whole,
                     const struct part *part)
{
    int same = 1;
    for (int c = 0; c < image->channels; c++)
        for (int y = 0; y < part->height; y++)
            for (int x = 0; x < part->width; x++)
                same &= pixel_of(image, c, y, x) ==
                        pixel_of(whole, c, part->top + y, part->left + x);
    return same;
}

static void test_parts(const struct kind *kind, int orientation)
{
    unsigned char *bytes;
    struct image whole = { 0 }, image = { 0 };
    size_t size = make_jpeg(&bytes, kind, orientation);
    struct decode_file file = file_of(bytes, size, "parts.jpg");
    int channels = kind->channels == 1 ? 1 : 3;
    int height = orientation >= 5 ? kind->width : kind->height;
    int width = orientation >= 5 ? kind->height : kind->width;
    for (int divisor = 1; divisor <= 8; divisor *= 2) {
        struct part all = { divisor, 0, 0, height, width, 0 };
        int rc = decode_image(&whole, &file, channels, &all);
        CHECK_MSG(rc == MOCO_OK, "%s", error_text());
        CHECK(all.height == (height + divisor - 1) / divisor && all.divisor == divisor);
        for (int i = 0; i < 24 && rc == MOCO_OK; i++) {
            int top = i * 37 % (height - 1), left = i * 53 % (width - 1);
            struct part part = { divisor, top, left, 1 + i * 29 % (height - top),
                                 1 + i * 41 % (width - left), i % 2 };
            rc = decode_image(&image, &file, channels, &part);
            CHECK_MSG(rc == MOCO_OK, "%s", error_text());
            CHECK(image.height == part.height && image.width == part.width);
            CHECK(part.top == top / divisor && part.left == left / divisor);
            CHECK(image.bytes == (channels == 3 && i % 2));
            int same = rc == MOCO_OK && same_part(&image, &whole, &part);
            CHECK_MSG(same, "%d x %d, %d channels, sampled %d, progressive %d, turned %d: part %d "
                      "%d %d %d at 1/%d", kind->height, kind->width, channels, kind->sample,
                      kind->progressive, orientation, part.top, part.left, part.height, part.width,
                      divisor);
        }
    }
    free(bytes);
    image_close(&whole);
    image_close(&image);
}

/* What was written comes back, whatever the kind of file. */
static void test_kinds(void)
{
    for (int i = 0; i < 24; i++) {
        static const int samples[] = { 11, 21, 22 };
        struct kind kind = { 67, 45, i / 6 % 2 ? 1 : 3, samples[i % 3], i / 3 % 2, 0 };
        struct image image = { 0 };
        unsigned char *bytes;
        double error = 0;
        if (i >= 12)
            kind = (struct kind){ 67, 45, 4, i % 2 ? 22 : 11, i / 2 % 2, i / 4 % 2 };
        size_t size = make_jpeg(&bytes, &kind, 0);
        int channels = kind.channels == 1 ? 1 : 3;
        CHECK(decode_in(&image, bytes, size, channels, "kind.jpg") == MOCO_OK);
        int inverted = kind.inverted || kind.sample == 22;
        for (int c = 0; c < channels && image.pixels; c++)
            for (int y = 0; y < 45; y++)
                for (int x = 0; x < 67; x++) {
                    float want = (float)value_at(&kind, x, y, c) / 255.0f;
                    float black = (float)value_at(&kind, x, y, 3) / 255.0f;
                    if (kind.channels == 4)
                        want = inverted ? want * black : (1 - want) * (1 - black);
                    error += fabs((double)(image.pixels[(c * 45 + y) * 67 + x] - want));
                }
        error /= channels * 45 * 67;
        CHECK_MSG(error < 0.02, "%d channels, sampled %d, progressive %d, inverted %d: off by %g",
                  kind.channels, kind.sample, kind.progressive, kind.inverted, error);
        free(bytes);
        image_close(&image);
    }
}

static void test_jpeg_damage(void)
{
    static const struct kind kind = { 200, 150, 3, 22, 0, 0 }, slow = { 200, 150, 3, 22, 1, 0 };
    unsigned char *bytes;
    struct image image = { 0 };
    for (int progressive = 0; progressive < 2; progressive++) {
        size_t size = make_jpeg(&bytes, progressive ? &slow : &kind, 6);
        for (size_t cut = 0; cut < size; cut += 1 + cut / 3 + (size_t)(cut > size / 2) * 97)
            CHECK_MSG(decode_in(&image, bytes, cut, 3, "cut.jpg") != MOCO_OK, "cut at %zu", cut);
        CHECK(decode_in(&image, bytes, size - 1, 3, "cut.jpg") != MOCO_OK);
        free(bytes);
    }
    /* A second scan of a progressive file repeated: more scans than any encoder writes. */
    size_t size = make_jpeg(&bytes, &slow, 0), at = size;
    for (size_t i = 0, scans = 0; i + 1 < size && at == size; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xda && ++scans == 2)
            at = i;
    size_t end = at + 2;
    while (end + 1 < size && !(bytes[end] == 0xff && bytes[end + 1] && bytes[end + 1] < 0xd0))
        end++; /* DHT of the next */
    size_t piece = end - at;
    unsigned char *many = malloc(size + 200 * piece);
    CHECK(many && end + 1 < size);
    if (many) {
        memcpy(many, bytes, end);
        for (int i = 0; i < 200; i++)
            memcpy(many + end + (size_t)i * piece, bytes + at, piece);
        memcpy(many + end + 200 * piece, bytes + end, size - end);
        CHECK(decode_in(&image, many, size + 200 * piece, 3, "scans.jpg") != MOCO_OK);
        CHECK_MSG(strstr(error_text(), "scans"), "%s", error_text());
    }
    free(many);
    /* A size that is not that of the data: SOF0 is FF C0, length, precision, height, width. */
    for (size_t i = 0; i + 9 < size; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xc2) {
            memset(bytes + i + 5, 0xf0, 4);
            break;
        }
    refuse("large.jpg", bytes, size, "megapixels");
    free(bytes);
    image_close(&image);
}

/* ---- views of a folder ---- */

enum { FILES = 6, SIDE = 96 };

static void make_folder(char *dir, size_t room)
{
    char path[600];
    const char *base = getenv("TMPDIR");
    snprintf(dir, room, "%.400s/moco-decode-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(dir))
        *dir = '\0';
    for (int i = 0; *dir && i < FILES; i++) {
        const struct kind kind = { 300 + 100 * i, 700 - 90 * i, 3, i % 2 ? 22 : 11, i == 3, 0 };
        unsigned char *bytes;
        size_t size = make_jpeg(&bytes, &kind, i + 1);
        snprintf(path, sizeof path, "%s/%d.jpg", dir, i);
        FILE *file = fopen(path, "wb");
        CHECK(file && fwrite(bytes, 1, size, file) == size);
        if (file)
            fclose(file);
        free(bytes);
    }
}

static void remove_folder(const char *dir)
{
    char path[600];
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%d.jpg", dir, i);
        remove(path);
    }
    remove(dir);
}

static double difference(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)(a[i] - b[i]));
    return sum / (double)n;
}

/* Two views of every image, from parts and from whole images. Equal where the scale is 1. */
static void compare_views(const struct source *source, const struct policy *policy, int *scaled)
{
    static float a[3 * SIDE * SIDE], b[3 * SIDE * SIDE];
    struct image part = { 0 }, whole = { 0 };
    struct augment_scratch scratch = { 0 };
    for (size_t n = 0; n < 20 * FILES; n++) {
        struct rng rng = rng_at(3, RNG_TEST, 0, n);
        struct view views[2], moved[2];
        int height = 0, width = 0, rc = part_size(source, n % FILES, &part, &height, &width);
        for (int i = 0; i < 2; i++)
            augment_draw(&views[i], policy, height, width, &rng);
        memcpy(moved, views, sizeof moved);
        rc = rc ? rc : part_read(source, n % FILES, &part, moved, 2, policy->side);
        rc = rc ? rc : source->read(source, n % FILES, &whole);
        CHECK_MSG(!rc, "%s", error_text());
        CHECK(whole.height == height && whole.width == width);
        for (int i = 0; i < 2 && !rc; i++) {
            int same_scale = moved[i].height == views[i].height && moved[i].width == views[i].width;
            CHECK(moved[i].height >= SIDE || same_scale);
            CHECK(!augment_apply(a, &part, &moved[i], policy, &scratch));
            CHECK(!augment_apply(b, &whole, &views[i], policy, &scratch));
            double off = difference(a, b, sizeof a / sizeof *a);
            CHECK_MSG(same_scale ? off == 0 : off < 0.02, "view %zu: off by %g", n, off);
            *scaled += !same_scale;
        }
    }
    image_close(&part);
    image_close(&whole);
    augment_scratch_close(&scratch);
}

/* What evaluation sees, from the scale that it needs and from whole images. */
static void compare_plain(const struct source *source, const struct policy *policy)
{
    static float a[3 * SIDE * SIDE], b[3 * SIDE * SIDE];
    struct image least = { 0 }, whole = { 0 };
    struct augment_scratch scratch = { 0 };
    int scaled = 0;
    for (size_t n = 0; n < FILES; n++) {
        CHECK_MSG(!part_whole(source, n, &least, policy->side), "%s", error_text());
        CHECK_MSG(!source->read(source, n, &whole), "%s", error_text());
        int shorter = whole.height < whole.width ? whole.height : whole.width;
        int kept = least.height < least.width ? least.height : least.width;
        CHECK(least.bytes && (kept == shorter || kept >= 2 * policy->side));
        CHECK(kept < 4 * policy->side);
        CHECK(!augment_plain(a, &least, policy, &scratch));
        CHECK(!augment_plain(b, &whole, policy, &scratch));
        double off = difference(a, b, sizeof a / sizeof *a);
        CHECK_MSG(kept == shorter ? off == 0 : off < 0.01, "image %zu: off by %g", n, off);
        scaled += kept < shorter;
    }
    CHECK_MSG(scaled > 0 && scaled <= FILES, "%d images were scaled", scaled);
    image_close(&least);
    image_close(&whole);
    augment_scratch_close(&scratch);
}

/* The views of an epoch are the same bytes for any number of workers. */
static void compare_workers(const struct source *source, const struct policy *policy)
{
    static float kept[2][FILES * 3 * SIDE * SIDE];
    for (int workers = 0; workers < 4; workers++) {
        struct loader *loader;
        const struct batch *batch;
        struct loader_config config = { .B = FILES, .parts = 1, .seed = 5, .workers = workers };
        CHECK(!loader_open(&loader, source, policy, &config));
        CHECK_MSG(!loader_next(loader, &batch), "%s", error_text());
        if (batch && workers == 0) {
            memcpy(kept[0], batch->x_q, sizeof kept[0]);
            memcpy(kept[1], batch->x_k, sizeof kept[1]);
        }
        CHECK(batch && !memcmp(kept[0], batch->x_q, sizeof kept[0]) &&
              !memcmp(kept[1], batch->x_k, sizeof kept[1]));
        loader_close(&loader);
    }
}

static void test_views(void)
{
    char dir[512];
    int scaled = 0;
    struct policy policy = { .side = SIDE, .channels = 3, .scale_lo = 0.05f, .scale_hi = 1.0f,
                             .ratio_lo = 0.75f, .ratio_hi = 4.0f / 3.0f, .flip_p = 0.5f,
                             .std = { 1, 1, 1 } };
    struct source *source;
    make_folder(dir, sizeof dir);
    CHECK_MSG(!source_open(&source, dir), "%s", error_text());
    if (source) {
        CHECK(source->count == FILES && source->channels == 3 && !source->note[0]);
        compare_views(source, &policy, &scaled);
        compare_plain(source, &policy);
        CHECK_MSG(scaled > 20 && scaled < 40 * FILES - 20, "%d views were scaled", scaled);
        compare_workers(source, &policy);
    }
    source_close(&source);
    remove_folder(dir);
}

static void test_jpeg(void)
{
    static const int samples[] = { 11, 21, 12, 22 };
    test_views();
    test_orientations();
    test_kinds();
    test_jpeg_damage();
    for (int i = 0; i < 16; i++) {
        struct kind kind = { 211 + i, 163 + 3 * i, i % 5 == 4 ? 1 : 3, samples[i % 4], i / 8, 0 };
        test_parts(&kind, 1 + i % 8);
    }
}

#else

static void test_jpeg(void)
{
    puts("JPEG: no libjpeg in this build, so none is written; awkward files only");
}

#endif

/* ---- the awkward files ---- */

enum { FIELDS = 14, LINE = 1024 };

/* Where this decoder and the other differ, and why. A row is for paths that begin so and for
 * refusals whose sentence has `part` in it; without one the file is decoded here. */
static const struct {
    const char *path, *part, *why;
} explained[] = {
    { "awkward/fuzz-png/", "cut off", "ends before its IEND" },
    { "awkward/pillow/truncated_end_chunk.png", "cut off", "ends before its IEND" },
    { "awkward/pngsuite/xcsn0g01.png", "checksum", "the CRC of IDAT is wrong" },
    { "awkward/image-png/bugfixes/x_interlaced_chck.png", "checksum", "the CRC of IDAT is wrong" },
    { "awkward/pillow/broken_data_stream.png", "checksum", "the CRC of IDAT is wrong" },
    { "awkward/fuzz-jpeg/", "premature end", "pixels are missing" },
    { "awkward/jpeg-decoder/crash/its/", "premature end", "pixels are missing" },
    { "awkward/jpeg-decoder/crash/its/8e5e", "promises more", "pixels are missing" },
    { "awkward/jpeg-decoder/ref/partial_progressive.jpg", "premature end", "pixels are missing" },
    { "awkward/jpeg-decoder/ref/progressive-missing-dc.jpg", "progression",
      "refines what no scan began" },
    { "awkward/pillow/hopper_bad_exif.jpg", "Huffman", "its data have a code of no meaning" },
    { "awkward/image-png/bugfixes/cicp_pq.png", NULL, "only the CRC of a text is wrong" },
    { "awkward/pillow/unknown_compression_method.png", NULL, "only the CRC of a profile is wrong" },
    { "awkward/pillow/png_decompression_dos.png", NULL, "texts, however large, are not unpacked" },
};

struct row {
    char *path, *verdict, *format, *mode, *mean, *hash;
};

static int split(struct row *row, char *line)
{
    char *field[FIELDS];
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; n < FIELDS; n++) {
        field[n] = at;
        char *comma = strchr(at, ',');
        if (!comma) {
            n++;
            break;
        }
        *comma = '\0';
        at = comma + 1;
    }
    if (n != FIELDS)
        return 0;
    *row = (struct row){ field[0], field[4], field[5], field[6], field[12], field[13] };
    return 1;
}

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *stream = fopen(path, "rb");
    unsigned char *bytes = NULL;
    if (!stream)
        return NULL;
    fseek(stream, 0, SEEK_END);
    *size = (size_t)ftell(stream);
    rewind(stream);
    bytes = malloc(*size + 1);
    if (bytes && fread(bytes, 1, *size, stream) != *size)
        *size = 0;
    fclose(stream);
    return bytes;
}

/* SHA-256, for the hashes of the manifest. */
static void sha256(uint32_t state[8], const unsigned char *data, size_t size)
{
    static uint32_t k[64];
    static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    unsigned char block[64];
    if (!k[0]) /* the fractions of the cube roots of the first primes */
        for (int n = 2, i = 0; i < 64; n++) {
            int prime = 1;
            for (int d = 2; d * d <= n; d++)
                prime &= n % d != 0;
            if (prime) {
                long double root = cbrtl((long double)n);
                k[i++] = (uint32_t)((root - floorl(root)) * 4294967296.0L);
            }
        }
    memcpy(state, initial, sizeof initial);
    for (size_t at = 0, total = (size + 9 + 63) / 64 * 64; at < total; at += 64) {
        for (size_t i = 0; i < 64; i++) {
            size_t p = at + i;
            uint64_t bits = (uint64_t)size * 8;
            block[i] = p < size ? data[p] : p == size ? 0x80
                       : p >= total - 8 ? (unsigned char)(bits >> 8 * (total - 1 - p)) : 0;
        }
        uint32_t w[64], s[8];
        for (int i = 0; i < 64; i++) {
            if (i < 16) {
                w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
                continue;
            }
#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + w[i - 7] + (ROR(a, 7) ^ ROR(a, 18) ^ a >> 3) +
                   (ROR(b, 17) ^ ROR(b, 19) ^ b >> 10);
        }
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t one = s[7] + (ROR(s[4], 6) ^ ROR(s[4], 11) ^ ROR(s[4], 25)) +
                           ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
            uint32_t two = (ROR(s[0], 2) ^ ROR(s[0], 13) ^ ROR(s[0], 22)) +
                           ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof *s);
            s[4] += one;
            s[0] = one + two;
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
}

static int same_hash(const struct image *image, int deep, const char *want)
{
    size_t plane = (size_t)image->height * (size_t)image->width;
    unsigned char *rgb = malloc(3 * plane);
    uint32_t state[8];
    char text[20];
    if (!rgb)
        return 0;
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++) {
            long value = lrintf(image->pixels[c * plane + i] * (deep ? 65535.0f : 255.0f));
            rgb[3 * i + c] = (unsigned char)(deep ? value >> 8 : value);
        }
    sha256(state, rgb, 3 * plane);
    snprintf(text, sizeof text, "%08x%08x", state[0], state[1]);
    free(rgb);
    return !strcmp(text, want);
}

/* Largest difference of a channel's mean, in steps of 8 bits. */
static double mean_error(const struct image *image, const char *want)
{
    double mean[3] = { 0 }, most = 0;
    size_t plane = (size_t)image->height * (size_t)image->width;
    if (sscanf(want, "%lf %lf %lf", &mean[0], &mean[1], &mean[2]) != 3)
        return 0;
    for (size_t c = 0; c < 3; c++) {
        double sum = 0;
        for (size_t i = 0; i < plane; i++)
            sum += (double)image->pixels[c * plane + i];
        most = fmax(most, fabs(255 * sum / (double)plane - mean[c]));
    }
    return most;
}

static int explain(const char *path, int decoded, const char *what)
{
#ifndef MOCO_JPEG
    if (!strcmp(path + strlen(path) - 4, ".jpg")) { /* damage is told by libjpeg alone */
        printf("  %-66s %s: stb_image judges it otherwise\n", path + 8, what);
        return 1;
    }
#endif
    for (size_t i = 0; i < sizeof explained / sizeof *explained; i++) {
        const char *part = explained[i].part;
        if (strncmp(path, explained[i].path, strlen(explained[i].path)) || decoded != !part ||
            (part && !strstr(error_text(), part)))
            continue;
        printf("  %-66s %s: %s\n", path + 8, what, explained[i].why);
        return 1;
    }
    printf("  %-66s %s: UNEXPLAINED (%s)\n", path + 8, what, decoded ? "decoded" : error_text());
    return 0;
}

struct tally {
    int both, here, there, neither, hashes, means;
};

static void compare(struct tally *tally, const struct row *row, const char *dir)
{
    char path[LINE * 2], what[64];
    struct decode_header header;
    struct image image = { 0 };
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", dir, row->path);
    unsigned char *bytes = read_file(path, &size);
    CHECK_MSG(bytes, "%s cannot be read", path);
    if (!bytes)
        return;
    struct decode_file file = file_of(bytes, size, row->path);
    int rc = decode_header(&header, &file);
    if (rc == MOCO_OK)
        rc = decode_in(&image, bytes, size, 3, row->path);
    int ok = rc == MOCO_OK, other = !strcmp(row->verdict, "ok");
    *(ok ? other ? &tally->both : &tally->here : other ? &tally->there : &tally->neither) += 1;
    CHECK_MSG(ok == other || explain(row->path, ok, ok ? "decoded here only" : "refused here only"),
              "%s: the verdicts differ", row->path);
    if (ok && other && *row->hash) {
        tally->hashes++;
        CHECK_MSG(same_hash(&image, header.deep, row->hash) || explain(row->path, 1, "pixels"),
                  "%s: other pixels", row->path);
    } else if (ok && other && *row->mean) {
        double error = mean_error(&image, row->mean);
        tally->means++;
        snprintf(what, sizeof what, "means differ by %.2f", error);
        CHECK_MSG(error < 0.7 || explain(row->path, 1, what), "%s: %s", row->path, what);
    }
    free(bytes);
    image_close(&image);
}

static void test_awkward(const char *dir)
{
    char path[LINE], line[LINE];
    struct tally tally = { 0 };
    struct row row;
    snprintf(path, sizeof path, "%s/images_manifest.csv", dir);
    FILE *manifest = fopen(path, "r");
    if (!manifest) {
        printf("awkward files: left out, no %s\n", path);
        return;
    }
    puts("differences from the other decoder:");
    while (fgets(line, sizeof line, manifest))
        if (!strncmp(line, "awkward/", 8) && split(&row, line))
            compare(&tally, &row, dir);
    fclose(manifest);
    printf("awkward files: %d decoded by both, %d refused by both, %d decoded here only, "
           "%d refused here only; %d compared by hash, %d by mean\n", tally.both, tally.neither,
           tally.here, tally.there, tally.hashes, tally.means);
    CHECK(tally.both + tally.neither > 0);
}

int main(int argc, char **argv)
{
    test_pnm();
    test_bmp();
    test_tga();
    test_png();
    test_jpeg();
    if (argc > 1)
        test_awkward(argv[1]);
    else
        puts("awkward files: left out, no -Ddata_dir was given");
    return check_summary("decode");
}
