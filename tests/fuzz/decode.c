/* decode.c: image files. The last byte says how: TGA by name or not, whole or a part, with alpha or
 * not. Checksums of PNG chunks are put right first, else all changes would end at them. Images of
 * more than 4 megapixels are only looked at, so that tries stay quick. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/data/decode/decode.h"
#include "tests/fuzz/fuzz.h"

enum { PIXELS = 1 << 22 };

static uint32_t big(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void mend_checksums(uint8_t *bytes, size_t size)
{
    for (size_t at = 8; size >= 12 && at <= size - 12;) {
        size_t length = big(bytes + at);
        if (length > size - at - 12)
            return;
        uint32_t sum = (uint32_t)crc32(0, bytes + at + 4, (uInt)length + 4);
        for (size_t i = 0; i < 4; i++)
            bytes[at + 8 + length + i] = (uint8_t)(sum >> (24 - 8 * i));
        at += 12 + length;
    }
}

static void read_it(const struct decode_file *file, const struct decode_header *header, int how)
{
    struct image image = { 0 };
    int h = header->height, w = header->width;
    struct part part = { 1 << (how >> 1 & 3), h / 3, w / 5, h - h / 3 - h / 4, w - w / 5 - w / 6,
                         how >> 7 & 1 };
    decode_image(&image, file, (how & 64 ? 3 : header->channels) + (how >> 5 & 1),
                 how & 8 ? &part : NULL);
    image_close(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decode_header header;
    if (size == 0)
        return 0;
    int how = data[--size];
    uint8_t *bytes = malloc(size + 1); /* one byte may not be nothing */
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    if (size > 8 && bytes[0] == 0x89)
        mend_checksums(bytes, size);
    struct decode_file file = { bytes, size, size, how & 1 ? "fuzz.tga" : "fuzz" };
    if (decode_header(&header, &file) == 0 && (int64_t)header.height * header.width <= PIXELS)
        read_it(&file, &header, how);
    free(bytes);
    return 0;
}
