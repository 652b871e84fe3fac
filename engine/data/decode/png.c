/* png.c: PNG by stb_image, which accepts damage: it reads no checksum. So the chunks are
 * walked here first: critical ones need their CRC, and the file an end. Animated PNGs (acTL) give
 * their first frame; Apple's CgBI variant, whose colours are swapped, is refused. */
#include "engine/data/decode/decode.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <stb_image.h>

#include "engine/base/error.h"

enum { SIGNATURE = 8, CHUNK = 12, IHDR_BYTES = 13 };
enum { DEFLATE_RATIO = 1032 };
enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6 };

struct chunk {
    const unsigned char *type, *data;
    size_t length;
};

static uint32_t big(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int is(const struct chunk *chunk, const char *type)
{
    return !memcmp(chunk->type, type, 4);
}

/* The chunk at *at; its data may be cut off where `whole` is 0. 0 at the end of the bytes. */
static int next_chunk(struct chunk *out, const struct decode_file *file, size_t *at, int whole)
{
    if (*at > file->size || file->size - *at < CHUNK - 4)
        return 0;
    const unsigned char *start = file->bytes + *at;
    out->length = big(start);
    out->type = start + 4;
    out->data = start + 8;
    if (whole && (file->size - *at < CHUNK || out->length > file->size - *at - CHUNK))
        return 0;
    *at += CHUNK + out->length;
    return 1;
}

static int has_depth(int colour, int depth)
{
    switch (colour) {
    case GREY:
        return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case PALETTE:
        return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case RGB:
    case GREY_ALPHA:
    case RGB_ALPHA:
        return depth == 8 || depth == 16;
    default:
        return 0;
    }
}

static int read_ihdr(struct decode_header *out, const struct chunk *ihdr,
                     const struct decode_file *file)
{
    const unsigned char *d = ihdr->data;
    if (is(ihdr, "CgBI"))
        return decode_refuse(file, "a PNG of Apple's own kind, CgBI");
    if (!is(ihdr, "IHDR") || ihdr->length != IHDR_BYTES)
        return decode_refuse(file, "a PNG without IHDR");
    if (big(d) > INT32_MAX || big(d + 4) > INT32_MAX)
        return decode_fail(MOCO_EDAMAGED, file, "a PNG of impossible size");
    if (!has_depth(d[9], d[8]) || d[10] || d[11] || d[12] > 1)
        return decode_refuse(file, "a PNG of unknown colour type, depth or method");
    out->width = (int)big(d);
    out->height = (int)big(d + 4);
    out->deep = d[8] == 16;
    out->palette = d[9] == PALETTE;
    out->channels = d[9] == GREY || d[9] == GREY_ALPHA ? 1 : 3;
    out->pixels_a_byte = 8 * DEFLATE_RATIO; /* of one bit each */
    out->alpha = d[9] == GREY_ALPHA || d[9] == RGB_ALPHA;
    return MOCO_OK;
}

int png_header(struct decode_header *out, const struct decode_file *file)
{
    struct chunk chunk;
    size_t at = SIGNATURE;
    if (!next_chunk(&chunk, file, &at, 1))
        return decode_fail(MOCO_ETRUNCATED, file, "a PNG that ends in its header");
    int rc = read_ihdr(out, &chunk, file);
    while (rc == MOCO_OK) {
        if (!next_chunk(&chunk, file, &at, 0))
            return decode_fail(MOCO_EDAMAGED, file, "a PNG without IDAT");
        if (is(&chunk, "IDAT"))
            break;
        if (is(&chunk, "tRNS"))
            out->alpha = 1;
        if (is(&chunk, "acTL") && chunk.length >= 4 && at <= file->size)
            out->frames = (int)(big(chunk.data) & INT32_MAX);
    }
    out->file_channels = out->channels + out->alpha;
    return rc;
}

static int check_chunks(const struct decode_file *file)
{
    struct chunk chunk;
    int begun = 0, ended = 0; /* the run of IDAT */
    for (size_t at = SIGNATURE; next_chunk(&chunk, file, &at, 1);) {
        uint32_t sum = (uint32_t)crc32(0, chunk.type, (uInt)chunk.length + 4);
        if (!(chunk.type[0] & 32) && sum != big(chunk.data + chunk.length))
            return decode_fail(MOCO_EDAMAGED, file, "a PNG with a wrong checksum");
        if (is(&chunk, "IDAT") && ended)
            return decode_fail(MOCO_EDAMAGED, file, "a PNG whose IDAT chunks lie apart");
        begun |= is(&chunk, "IDAT");
        ended |= begun && !is(&chunk, "IDAT");
        if (is(&chunk, "IEND"))
            return MOCO_OK;
    }
    return decode_fail(MOCO_ETRUNCATED, file, "a PNG that is cut off");
}

/* stb_image leaves colours that a palette lacks as they lie in memory. So it gets a copy of the PNG
 * whose palette has 256, black from the last one on. *copy is for free(). */
static int fill_palette(unsigned char **copy, struct decode_file *file)
{
    enum { COLOURS = 3 * 256 };
    struct chunk chunk;
    size_t at = SIGNATURE;
    do {
        if (!next_chunk(&chunk, file, &at, 1))
            return decode_fail(MOCO_EDAMAGED, file, "a PNG without its palette");
    } while (!is(&chunk, "PLTE"));
    if (chunk.length > COLOURS)
        return decode_refuse(file, "a PNG of more than 256 colours");
    size_t before = (size_t)(chunk.data - file->bytes), more = COLOURS - chunk.length;
    unsigned char *bytes = *copy = calloc(1, file->size + more);
    if (!bytes)
        return error_memory("a PNG", file->size + more);
    memcpy(bytes, file->bytes, before + chunk.length);
    memcpy(bytes + before + COLOURS, chunk.data + chunk.length,
           file->size - before - chunk.length);
    bytes[before - 8] = bytes[before - 7] = 0;
    bytes[before - 6] = COLOURS >> 8;
    bytes[before - 5] = COLOURS & 255;
    file->bytes = bytes;
    file->size = file->whole = file->size + more;
    return MOCO_OK;
}

static void *load(const struct decode_file *file, const struct decode_header *header, int *from)
{
    int width, height, size = (int)file->size;
    stb_budget(decode_bytes(header, file->size));
    return header->deep ? (void *)stbi_load_16_from_memory(file->bytes, size, &width, &height,
                                                           from, 0)
                        : (void *)stbi_load_from_memory(file->bytes, size, &width, &height, from,
                                                        0);
}

int png_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part)
{
    struct decode_target target;
    struct decode_file filled = *file;
    unsigned char *copy = NULL;
    size_t width = (size_t)header->width;
    int from, rc = check_chunks(file);
    if (rc == MOCO_OK && header->palette)
        rc = fill_palette(&copy, &filled);
    if (rc != MOCO_OK)
        return rc;
    void *data = load(&filled, header, &from);
    free(copy);
    if (!data)
        return stb_refuse(file, MOCO_EDAMAGED, stbi_failure_reason());
    rc = decode_aim(&target, out, header, channels, part, 1);
    for (int y = target.top; rc == MOCO_OK && y < target.top + target.height; y++) {
        size_t first = ((size_t)y * width + (size_t)target.left) * (size_t)from;
        if (header->deep)
            decode_put16(out->pixels, &target, y, channels, (uint16_t *)data + first, from);
        else
            decode_put8(out, &target, y, channels, (unsigned char *)data + first, from);
    }
    stbi_image_free(data);
    return rc;
}
