/* test_decode_web: GIF and WebP. GIFs are written here by hand, plain and interlaced, with local
 * palettes, transparent colours, frames smaller than the screen and several of them; WebPs by
 * libwebp's encoder. Then files that are cut off or changed byte by byte. */
#include "tests/files.h"

#include "engine/data/decode/decode.h"
#ifdef MOCO_WEBP
#include <webp/encode.h>
#include <webp/mux.h>
#endif

static unsigned char bytes[1 << 18];
static size_t used;

static void byte(int value)
{
    bytes[used++] = (unsigned char)value;
}

static void two(int value)
{
    byte(value & 255);
    byte(value >> 8);
}

/* ---- GIF ---- */

/* Codes as LZW packs them, in blocks. */
struct codes {
    unsigned char block[255];
    int held, count;
    uint32_t bits;
};

static void flush_block(struct codes *c)
{
    if (!c->held)
        return;
    byte(c->held);
    for (int i = 0; i < c->held; i++)
        byte(c->block[i]);
    c->held = 0;
}

static void put_code(struct codes *c, int code, int width)
{
    c->bits |= (uint32_t)code << c->count;
    c->count += width;
    while (c->count >= 8) {
        c->block[c->held++] = (unsigned char)c->bits;
        c->bits >>= 8;
        c->count -= 8;
        if (c->held == 255)
            flush_block(c);
    }
}

/* With a dictionary, as encoders do it; it is emptied now and then. */
static void put_pixels(const unsigned char *pixels, int n, int least)
{
    static int pairs[4096][256];
    struct codes c = { .held = 0 };
    int clear = 1 << least, next = clear + 2, width = least + 1, before = pixels[0];
    byte(least);
    memset(pairs, 0, sizeof pairs);
    put_code(&c, clear, width);
    for (int i = 1; i < n; i++) {
        if (pairs[before][pixels[i]]) {
            before = pairs[before][pixels[i]];
            continue;
        }
        put_code(&c, before, width);
        if (next < 4096) {
            pairs[before][pixels[i]] = next++;
            width += next - 1 == 1 << width && width < 12;
        } else if (i % 3 == 0) { /* a full table may be used further before it is emptied */
            put_code(&c, clear, width);
            memset(pairs, 0, sizeof pairs);
            next = clear + 2, width = least + 1;
        }
        before = pixels[i];
    }
    put_code(&c, before, width);
    put_code(&c, clear + 1, width);
    put_code(&c, 0, 7); /* the rest of a byte */
    flush_block(&c);
    byte(0);
}

static void begin_gif(int height, int width, int colours, int grey)
{
    used = 0;
    memcpy(bytes, "GIF89a", 6);
    used = 6;
    two(width);
    two(height);
    int bits = 0;
    while (2 << bits < colours)
        bits++;
    byte(colours ? 0x80 | bits : 0);
    byte(0);
    byte(0);
    for (int i = 0; i < colours; i++) {
        byte(i * 3 & 255);
        byte(grey ? i * 3 & 255 : i * 5 & 255);
        byte(grey ? i * 3 & 255 : 255 - i);
    }
}

static void put_frame(const unsigned char *pixels, int top, int left, int height, int width,
                      int interlaced, int local)
{
    static unsigned char rows[1 << 14];
    int at = 0;
    const int first[] = { 0, 4, 2, 1 }, step[] = { 8, 8, 4, 2 };
    for (int pass = 0; pass < 4; pass++)
        for (int y = first[pass]; y < height && interlaced; y += step[pass], at++)
            memcpy(rows + at * width, pixels + y * width, (size_t)width);
    byte(0x2c);
    two(left);
    two(top);
    two(width);
    two(height);
    byte((interlaced ? 0x40 : 0) | (local ? 0x80 | 7 : 0));
    for (int i = 0; i < 256 && local; i++) {
        byte(255 - i);
        byte(i);
        byte(i / 2);
    }
    put_pixels(interlaced ? rows : pixels, height * width, 8);
}

static void control(int transparent)
{
    byte(0x21), byte(0xf9), byte(4), byte(transparent >= 0), two(10);
    byte(transparent >= 0 ? transparent : 0);
    byte(0);
}

static void fill(unsigned char *pixels, int n)
{
    for (int i = 0; i < n; i++)
        pixels[i] = (unsigned char)((i * 7 + i / 31 + (i >> 5) * (i >> 7)) & 255);
}

static float global(int index, int c)
{
    return (float)(c == 0 ? index * 3 & 255 : c == 1 ? index * 5 & 255 : 255 - index) / 255.0f;
}

/* File `name` as a set, against the colours of `pixels`. */
static void same_as(const char *name, const unsigned char *pixels, int height, int width,
                    float (*colour)(int index, int c), int channels)
{
    static float want[3 * (1 << 14)];
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < height * width; i++)
            want[c * height * width + i] = colour(pixels[i], c);
    struct source *source = must_open(at(name));
    CHECK(source && source->channels == channels);
    same_pixels(source, 0, want, channels, height, width);
    source_close(&source);
}

static float local(int index, int c)
{
    return (float)(c == 0 ? 255 - index : c == 1 ? index : index / 2) / 255.0f;
}

static float grey(int index, int c)
{
    (void)c;
    return (float)(index * 3 & 255) / 255.0f;
}

static void test_gif(void)
{
    static unsigned char pixels[1 << 14];
    char spec[700];
    fill(pixels, 1 << 14);
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        begin_gif(61, 97, 256, 0); /* more codes than a table has */
        put_frame(pixels, 0, 0, 61, 97, interlaced, 0);
        byte(0x3b);
        put("plain.gif", bytes, used);
        same_as("plain.gif", pixels, 61, 97, global, 3);
        for (int height = 1; height < 20; height++) { /* all lengths of the four passes */
            begin_gif(height, 5, 256, 0);
            put_frame(pixels, 0, 0, height, 5, interlaced, 1);
            byte(0x3b);
            put("small.gif", bytes, used);
            same_as("small.gif", pixels, height, 5, local, 3);
        }
    }
    begin_gif(20, 30, 256, 1);
    put_frame(pixels, 0, 0, 20, 30, 0, 0);
    byte(0x3b);
    put("grey.gif", bytes, used);
    same_as("grey.gif", pixels, 20, 30, grey, 1);
    /* A frame inside of the screen, and a transparent colour: alpha. */
    begin_gif(6, 8, 256, 0);
    control(pixels[1]);
    put_frame(pixels, 1, 2, 3, 4, 0, 0);
    put_frame(pixels, 0, 0, 6, 8, 0, 0);
    byte(0x3b);
    put("alpha.gif", bytes, used);
    snprintf(spec, sizeof spec, "folder:%s:alpha=keep", at("alpha.gif"));
    struct source *source = must_open(spec);
    struct image image = { 0 };
    CHECK(source && source->channels == 4 && !source->read(source, 0, &image));
    CHECK(source && source->traits(source, 0) == (TRAIT_ALPHA | TRAIT_ANIMATED));
    for (int y = 0; source && y < 6; y++)
        for (int x = 0; x < 8; x++) {
            int inside = y >= 1 && y < 4 && x >= 2 && x < 6;
            int index = inside ? pixels[(y - 1) * 4 + x - 2] : 0;
            CHECK(image.pixels[3 * 48 + y * 8 + x] ==
                  (inside && index != pixels[1] ? 1.0f : 0.0f));
            CHECK(image.pixels[48 + y * 8 + x] == global(index, 1));
        }
    source_close(&source);
    image_close(&image);
    /* A frame beyond the screen makes it larger. */
    begin_gif(5, 5, 256, 0);
    put_frame(pixels, 0, 0, 20, 30, 0, 0);
    byte(0x3b);
    put("beyond.gif", bytes, used);
    same_as("beyond.gif", pixels, 20, 30, global, 3);
    /* One frame longer than what is first read of a file, shown in a loop: no animation. */
    static unsigned char large[300 * 300];
    uint32_t state = 1;
    for (int i = 0; i < 300 * 300; i++)
        large[i] = (unsigned char)((state = state * 1664525u + 1013904223u) >> 24);
    begin_gif(300, 300, 256, 0);
    memcpy(bytes + used, "\x21\xff\x0bNETSCAPE2.0\3\1\0\0\0", 19);
    used += 19;
    put_frame(large, 0, 0, 300, 300, 0, 0);
    byte(0x3b);
    put("loop.gif", bytes, used);
    CHECK(used > DECODE_HEAD);
    source = must_open(at("loop.gif"));
    CHECK(source && source->traits(source, 0) == 0);
    source_close(&source);
}

static void test_gif_damage(void)
{
    static unsigned char pixels[600];
    fill(pixels, 600);
    begin_gif(20, 30, 256, 0);
    put_frame(pixels, 0, 0, 20, 30, 1, 1);
    byte(0x3b);
    put("whole.gif", bytes, used);
    size_t size = used;
    for (size_t n = 0; n + 60 < size; n++) { /* the last bytes are not needed for all pixels */
        put("cut.gif", bytes, n);
        struct source *source = NULL;
        struct image image = { 0 };
        int rc = source_open(&source, spec_of("folder", "cut.gif", ""));
        if (!rc)
            rc = source->read(source, 0, &image);
        CHECK_MSG(rc != MOCO_OK && error_text()[0], "%zu bytes of %zu were taken", n, size);
        source_close(&source);
        image_close(&image);
    }
    corruptions("folder", "whole.gif", 1, 0xff);
    put("bare.gif", "GIF89a\2\0\2\0\0\0\0,\0\0\0\0\2\0\2\0\0\2\2\x44\1\0;", 29);
    must_refuse(spec_of("folder", "bare.gif", ""), "without a palette");
}

/* ---- WebP ---- */

#ifdef MOCO_WEBP

static unsigned char rgba[4 * 40 * 50];

static void put_webp(const char *name, int alpha)
{
    uint8_t *out = NULL;
    size_t size = alpha ? WebPEncodeLosslessRGBA(rgba, 50, 40, 200, &out)
                        : WebPEncodeLosslessBGRA(rgba, 50, 40, 200, &out);
    CHECK(size > 0);
    put(name, out, size);
    WebPFree(out);
}

static void test_webp(void)
{
    static float want[4 * 40 * 50], turned[3 * 40 * 50];
    char spec[700];
    for (int i = 0; i < 40 * 50; i++) {
        for (int c = 0; c < 3; c++)
            rgba[4 * i + c] = (unsigned char)(i * (c + 3) + i / 50 * 11);
        rgba[4 * i + 3] = 255;
        for (int c = 0; c < 3; c++)
            want[c * 2000 + i] = (float)rgba[4 * i + c] / 255.0f;
        want[3 * 2000 + i] = 1.0f;
    }
    put_webp("plain.webp", 1);
    struct source *source = must_open(at("plain.webp"));
    same_pixels(source, 0, want, 3, 40, 50);
    CHECK(source && source->traits(source, 0) == 0);
    source_close(&source);
    for (int i = 0; i < 2000; i += 3) { /* wholly transparent pixels lose their colours */
        rgba[4 * i + 3] = (unsigned char)(i % 200 + 20);
        want[3 * 2000 + i] = (float)rgba[4 * i + 3] / 255.0f;
    }
    put_webp("alpha.webp", 1);
    snprintf(spec, sizeof spec, "folder:%s:alpha=keep", at("alpha.webp"));
    source = must_open(spec);
    same_pixels(source, 0, want, 4, 40, 50);
    CHECK(source && source->traits(source, 0) == TRAIT_ALPHA);
    source_close(&source);
    /* Turned as EXIF says, behind its usual six bytes or without them: 6 is a quarter. */
    static const unsigned char exif[] =
        "Exif\0\0II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0";
    for (int y = 0; y < 50; y++)
        for (int x = 0; x < 40; x++)
            for (int c = 0; c < 3; c++)
                turned[c * 2000 + y * 40 + x] = want[c * 2000 + (39 - x) * 50 + y];
    for (int skip = 0; skip <= 6; skip += 6) {
        unsigned char *file;
        size_t size = get(&file, "plain.webp");
        WebPData data = { file, size }, more = { exif + skip, sizeof exif - 1 - (size_t)skip }, out;
        WebPMux *mux = WebPMuxCreate(&data, 1);
        CHECK(mux && WebPMuxSetChunk(mux, "EXIF", &more, 1) == WEBP_MUX_OK);
        CHECK(WebPMuxAssemble(mux, &out) == WEBP_MUX_OK);
        put("exif.webp", out.bytes, out.size);
        WebPDataClear(&out);
        WebPMuxDelete(mux);
        free(file);
        source = must_open(at("exif.webp"));
        same_pixels(source, 0, turned, 3, 50, 40);
        source_close(&source);
    }
    /* The first frame of several. */
    WebPAnimEncoderOptions options;
    WebPConfig config;
    WebPPicture picture;
    WebPData out;
    CHECK(WebPAnimEncoderOptionsInit(&options) && WebPConfigInit(&config) &&
          WebPPictureInit(&picture));
    config.lossless = 1;
    picture.use_argb = 1, picture.width = 50, picture.height = 40;
    for (int i = 0; i < 2000; i++)
        rgba[4 * i + 3] = 255;
    WebPAnimEncoder *encoder = WebPAnimEncoderNew(50, 40, &options);
    for (int frame = 0; frame < 3; frame++) {
        CHECK(WebPPictureImportRGBA(&picture, rgba, 200));
        CHECK(WebPAnimEncoderAdd(encoder, &picture, frame * 100, &config));
        for (int i = 0; i < 2000; i++)
            rgba[4 * i + frame] ^= 255;
    }
    CHECK(WebPAnimEncoderAdd(encoder, NULL, 300, NULL) && WebPAnimEncoderAssemble(encoder, &out));
    put("moving.webp", out.bytes, out.size);
    WebPDataClear(&out);
    WebPAnimEncoderDelete(encoder);
    source = must_open(at("moving.webp"));
    same_pixels(source, 0, want, 3, 40, 50);
    CHECK(source && (source->traits(source, 0) & TRAIT_ANIMATED));
    source_close(&source);
    /* An animation of one frame. */
    WebPMux *mux = WebPMuxNew();
    WebPMuxFrameInfo frame = { .id = WEBP_CHUNK_ANMF, .duration = 100 };
    unsigned char *file;
    frame.bitstream.size = get(&file, "plain.webp");
    frame.bitstream.bytes = file;
    CHECK(mux && WebPMuxPushFrame(mux, &frame, 1) == WEBP_MUX_OK &&
          WebPMuxSetAnimationParams(mux, &(WebPMuxAnimParams){ 0, 0 }) == WEBP_MUX_OK);
    CHECK(WebPMuxAssemble(mux, &out) == WEBP_MUX_OK);
    put("single.webp", out.bytes, out.size);
    WebPDataClear(&out);
    WebPMuxDelete(mux);
    free(file);
    WebPPictureFree(&picture);
    source = must_open(at("single.webp"));
    same_pixels(source, 0, want, 3, 40, 50);
    CHECK(source && source->traits(source, 0) == 0);
    source_close(&source);
}

static void test_webp_damage(void)
{
    unsigned char *file;
    size_t size = get(&file, "plain.webp");
    for (size_t n = 0; n < size; n += 7) {
        put("cut.webp", file, n);
        struct source *source = NULL;
        CHECK_MSG(source_open(&source, spec_of("folder", "cut.webp", "")) != MOCO_OK,
                  "%zu of %zu bytes", n, size);
        CHECK(strstr(error_text(), n < 16 ? "" : "cut off"));
        source_close(&source);
    }
    free(file);
    corruptions("folder", "plain.webp", 3, 0xff);
    corruptions("folder", "moving.webp", 5, 0xff);
}

#else

static void test_webp(void)
{
    static const char webp[] = "RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88"
                               "\x88\xfe\x07\0";
    printf("WebP is not built in\n");
    mkdir(at("set"), 0777);
    put("set/a.ppm", "P6\n1 1\n255\n\1\2\3", 14);
    put("set/b.webp", webp, sizeof webp - 1);
    struct source *source = must_open(at("set"));
    CHECK(source && source->count == 1 && source->account.n == 1 &&
          strstr(source->account.rows[0].what, "WebP (not built in)"));
    source_close(&source);
}

static void test_webp_damage(void) {}

#endif

int main(void)
{
    if (files_begin())
        return 1;
    test_gif();
    test_gif_damage();
    test_webp();
    test_webp_damage();
    files_end();
    return check_summary("decode_web");
}
