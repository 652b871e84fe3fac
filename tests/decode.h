/* decode.h: what the tests of image files share: decoding of bytes, pixels that must come out,
 * refusals that must give a sentence, and PNGs put together chunk by chunk. */
#ifndef MOCO_TESTS_DECODE_H
#define MOCO_TESTS_DECODE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/data/decode/decode.h"
#include "tests/check.h"

static inline struct decode_file file_of(const void *bytes, size_t size, const char *name)
{
    return (struct decode_file){ bytes, size, size, name };
}

static inline int decode_in(struct image *out, const void *bytes, size_t size, int channels,
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

static inline void expect(const char *name, const void *bytes, size_t size, int channels,
                          int height, int width, const float *want)
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

static inline void refuse(const char *name, const void *bytes, size_t size, const char *part)
{
    struct image image = { 0 };
    error_set(MOCO_OK, "%s", "");
    CHECK_MSG(decode_in(&image, bytes, size, 3, name) != MOCO_OK, "%s was decoded", name);
    CHECK_MSG(strstr(error_text(), part) && strstr(error_text(), name), "%s: no \"%s\" in \"%s\"",
              name, part, error_text());
    image_close(&image);
}

/* ---- PNG ---- */

struct bytes {
    unsigned char at[1 << 16];
    size_t size;
};

static inline void big32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

static inline void add_chunk(struct bytes *png, const char *type, const void *data, size_t size)
{
    unsigned char *at = png->at + png->size;
    big32(at, (uint32_t)size);
    memcpy(at + 4, type, 4);
    if (size)
        memcpy(at + 8, data, size);
    big32(at + 8 + size, (uint32_t)crc32(0, at + 4, (uInt)size + 4));
    png->size += 12 + size;
}

static inline void begin_png(struct bytes *png, uint32_t width, uint32_t height, int depth,
                             int colour)
{
    unsigned char ihdr[13] = { 0 };
    big32(ihdr, width);
    big32(ihdr + 4, height);
    ihdr[8] = (unsigned char)depth, ihdr[9] = (unsigned char)colour;
    memcpy(png->at, "\x89PNG\r\n\x1a\n", 8);
    png->size = 8;
    add_chunk(png, "IHDR", ihdr, sizeof ihdr);
}

static inline void end_png(struct bytes *png, const void *rows, size_t size)
{
    static unsigned char packed[1 << 15];
    uLongf length = sizeof packed;
    CHECK(compress(packed, &length, rows, size) == Z_OK);
    add_chunk(png, "IDAT", packed, length);
    add_chunk(png, "IEND", NULL, 0);
}

#endif
