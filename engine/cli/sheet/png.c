/* png.c: writing a PNG of 8 bits a channel, three channels (PNG specification, second edition).
 *
 * Rows are filtered by what leaves the least sum of differences, as the specification advises
 * (12.8), compressed by zlib and written as IDAT chunks as they come. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/base/replace.h"
#include "engine/cli/sheet/sheet.h"

enum { CHANNELS = 3, FILTERS = 5, PIECE = 1 << 16, LEVEL = 8 };

struct png {
    struct replace file;
    z_stream zlib;
    unsigned char *filtered; /* (FILTERS, 1 + row) */
    unsigned char *zeros;    /* (row): above the first */
    unsigned char *piece;    /* (PIECE) */
    size_t row;              /* bytes */
};

static void put_u32(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (24 - 8 * i));
}

static int write_chunk(struct png *png, const char *type, const unsigned char *data, size_t size)
{
    unsigned char head[8], sum[4];
    put_u32(head, (uint32_t)size);
    memcpy(head + 4, type, 4);
    uLong crc = crc32_z(0, head + 4, 4);
    if (size)
        crc = crc32_z(crc, data, size);
    put_u32(sum, (uint32_t)crc);
    int rc = replace_write(&png->file, head, sizeof head);
    if (!rc)
        rc = replace_write(&png->file, data, size);
    return rc ? rc : replace_write(&png->file, sum, sizeof sum);
}

static int write_start(struct png *png, const struct sheet *sheet)
{
    unsigned char header[13] = { 0 };
    int rc = replace_write(&png->file, "\x89PNG\r\n\x1a\n", 8);
    put_u32(header, (uint32_t)sheet->width);
    put_u32(header + 4, (uint32_t)sheet->height);
    header[8] = 8; /* bits */
    header[9] = 2; /* red, green, blue */
    return rc ? rc : write_chunk(png, "IHDR", header, sizeof header);
}

/* Compresses; whole pieces are written, at the end also the last one. */
static int compress_row(struct png *png, const unsigned char *row, size_t size, int flush)
{
    int rc = MOCO_OK, state;
    png->zlib.next_in = (unsigned char *)(size_t)row; /* only read */
    png->zlib.avail_in = (uInt)size;
    do {
        state = deflate(&png->zlib, flush);
        size_t used = PIECE - png->zlib.avail_out;
        if (state == Z_STREAM_ERROR)
            return error_set(MOCO_EIO, "zlib can not compress a picture");
        if (png->zlib.avail_out && !(state == Z_STREAM_END && used))
            continue;
        rc = write_chunk(png, "IDAT", png->piece, used);
        png->zlib.next_out = png->piece;
        png->zlib.avail_out = PIECE;
    } while (!rc && (png->zlib.avail_in || (flush == Z_FINISH && state != Z_STREAM_END)));
    return rc;
}

/* ---- filters ---- */

static int distance(int a, int b)
{
    return a > b ? a - b : b - a;
}

static unsigned char paeth(int left, int above, int corner)
{
    int guess = left + above - corner;
    int a = distance(guess, left), b = distance(guess, above), c = distance(guess, corner);
    return (unsigned char)(a <= b && a <= c ? left : b <= c ? above : corner);
}

/* The row as each filter leaves it, behind the filter's number, and the sums of the differences. */
static void filter(struct png *png, size_t *sums, const unsigned char *row,
                   const unsigned char *above)
{
    unsigned char *out[FILTERS];
    for (int kind = 0; kind < FILTERS; kind++) {
        out[kind] = png->filtered + (size_t)kind * (png->row + 1);
        *out[kind]++ = (unsigned char)kind;
    }
    for (size_t i = 0; i < png->row; i++) {
        int left = i < CHANNELS ? 0 : row[i - CHANNELS], up = above[i];
        int corner = i < CHANNELS ? 0 : above[i - CHANNELS];
        const int guesses[FILTERS] = { 0, left, up, (left + up) / 2, paeth(left, up, corner) };
        for (int kind = 0; kind < FILTERS; kind++) {
            unsigned char difference = (unsigned char)(row[i] - guesses[kind]);
            out[kind][i] = difference;
            sums[kind] += (size_t)(difference < 128 ? difference : 256 - difference);
        }
    }
}

static int write_row(struct png *png, const unsigned char *row, const unsigned char *above)
{
    size_t sums[FILTERS] = { 0 }, best = 0;
    filter(png, sums, row, above);
    for (size_t kind = 1; kind < FILTERS; kind++)
        best = sums[kind] < sums[best] ? kind : best;
    return compress_row(png, png->filtered + best * (png->row + 1), png->row + 1, Z_NO_FLUSH);
}

/* ---- the file ---- */

static int write_all(struct png *png, const struct sheet *sheet)
{
    int rc = write_start(png, sheet);
    const unsigned char *above = png->zeros;
    for (int y = 0; y < sheet->height && !rc; y++) {
        const unsigned char *row = sheet->pixels + (size_t)y * png->row;
        rc = write_row(png, row, above);
        above = row;
    }
    if (!rc)
        rc = compress_row(png, png->zeros, 0, Z_FINISH);
    return rc ? rc : write_chunk(png, "IEND", NULL, 0);
}

static int open_buffers(struct png *png)
{
    png->filtered = malloc(FILTERS * (png->row + 1));
    png->zeros = calloc(png->row, 1);
    png->piece = malloc(PIECE);
    if (!png->filtered || !png->zeros || !png->piece ||
        deflateInit(&png->zlib, LEVEL) != Z_OK)
        return error_memory("a compressed PNG", FILTERS * png->row + PIECE);
    png->zlib.next_out = png->piece;
    png->zlib.avail_out = PIECE;
    return MOCO_OK;
}

int sheet_write(const struct sheet *sheet, const char *path)
{
    struct png png = { .row = (size_t)sheet->width * CHANNELS };
    int rc = open_buffers(&png);
    if (!rc)
        rc = replace_open(&png.file, path);
    if (!rc)
        rc = write_all(&png, sheet);
    if (!rc)
        rc = replace_commit(&png.file);
    replace_abort(&png.file); /* does nothing to a file that is in its place */
    deflateEnd(&png.zlib);
    free(png.filtered);
    free(png.zeros);
    free(png.piece);
    return rc;
}
