/* test_decode.c: PNM, BMP, TGA and PNG files made here byte for byte, with known pixels; damage,
 * limits, memory. JPEG and the files that others made have programs of their own. */
#include "tests/decode.h"

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

/* ---- alpha as a channel ---- */

static void test_alpha(void)
{
    static struct bytes png;
    unsigned char b[256];
    begin_png(&png, 1, 2, 8, 6);
    end_png(&png, "\0\xff\x33\0\x80\0\0\0\xff\0", 10);
    expect("rgba.png", png.at, png.size, 4, 2, 1,
           (const float[]){ 1, 0, 0.2f, 0, 0, 1, 128 / 255.0f, 0 });
    begin_png(&png, 2, 1, 16, 4);
    end_png(&png, "\0\x12\x34\xff\xff\0\0\x80\0", 9);
    expect("grey16.png", png.at, png.size, 2, 1, 2,
           (const float[]){ 0x1234 / 65535.0f, 0, 1, 0x8000 / 65535.0f });
    begin_png(&png, 2, 1, 8, 0); /* a grey value that is transparent */
    add_chunk(&png, "tRNS", "\0\x33", 2);
    end_png(&png, "\0\x33\xff", 3);
    expect("trns.png", png.at, png.size, 2, 1, 2, (const float[]){ 0.2f, 1, 0, 1 });
    expect("trns.png", png.at, png.size, 4, 1, 2, (const float[]){ .2f, 1, .2f, 1, .2f, 1, 0, 1 });
    begin_png(&png, 2, 1, 8, 2); /* none: full */
    end_png(&png, "\0\xff\0\x33\0\0\xff", 7);
    expect("rgb.png", png.at, png.size, 4, 1, 2, (const float[]){ 1, 0, 0, 0, 0.2f, 1, 1, 1 });
    expect("a.pgm", "P5\n2 1\n5\n\1\5", 11, 2, 1, 2, (const float[]){ 0.2f, 1, 1, 1 });
    expect("a.ppm", "P6\n1 1\n255\n\xff\0\x33", 14, 4, 1, 1, (const float[]){ 1, 0, 0.2f, 1 });
    static const unsigned char tga[] = { 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 32, 8,
                                         0, 0, 255, 51, 255, 0, 0, 255 };
    expect("rgba.tga", tga, sizeof tga, 4, 2, 1, (const float[]){ 0, 1, 0, 0, 1, 0, 1, 0.2f });
    expect("rgba.tga", tga, sizeof tga, 3, 2, 1, (const float[]){ 0, 1, 0, 0, 1, 0 });
    static const unsigned char grey[] = { 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 16, 8,
                                          255, 51 };
    expect("grey.tga", grey, sizeof grey, 2, 1, 1, (const float[]){ 1, 0.2f });
    static const unsigned char rows[] = { 51, 0, 255, 102, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 };
    size_t size = make_bmp(b, 32, -2, rows, sizeof rows);
    float want[16];
    for (int i = 0; i < 16; i++) /* no mask for alpha: full */
        want[i] = i < 12 ? (float)rows[i % 4 * 4 + 2 - i / 4] / 255.0f : 1.0f;
    expect("rgb.bmp", b, size, 4, 2, 2, want);
    b[30] = 3, b[14] = 56;
    put32(b + 54, 0xff0000), put32(b + 58, 0xff00), put32(b + 62, 0xff);
    memmove(b + 70, b + 66, size - 66);
    put32(b + 66, 0xff000000u);
    put32(b + 10, 70);
    for (int i = 12; i < 16; i++)
        want[i] = (float)rows[i % 4 * 4 + 3] / 255.0f;
    expect("rgba.bmp", b, size + 4, 4, 2, 2, want);
}

int main(void)
{
    test_pnm();
    test_bmp();
    test_tga();
    test_png();
    test_alpha();
    return check_summary("decode");
}
