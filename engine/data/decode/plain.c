/* plain.c: BMP, binary PNM and TGA, read here row by row: no decoder's own memory.
 *
 * BMP: 1, 4, 8, 16, 24, 32 bits, palettes and bit fields, bottom up or top down, not compressed.
 * PNM: P5 and P6 of any largest value up to 65535, scaled so that it is white.
 * TGA: grey, colour, palette, each plain or run-length coded; right to left is refused. */
#include "engine/data/decode/decode.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

/* ---- bytes ---- */

/* Little-endian; zeros behind the end. */
static uint32_t low(const struct decode_file *file, size_t at, int width)
{
    uint32_t value = 0;
    for (int i = 0; i < width; i++)
        if (at + (size_t)i < file->size)
            value |= (uint32_t)file->bytes[at + (size_t)i] << 8 * i;
    return value;
}

static int cut_off(const struct decode_file *file)
{
    return decode_fail(MOCO_ETRUNCATED, file, "it is cut off");
}

/* ---- BMP ---- */

struct bmp {
    size_t data, palette, row; /* offsets; bytes of a row */
    int bits, colours, entry;  /* of a pixel; of the palette, and bytes of one */
    int upwards;               /* the first row is the lowest */
    uint32_t mask[4];          /* red, green, blue, alpha, 0 without one */
};

/* A header of 56 bytes and more has a mask for alpha, which counts with bit fields only. */
enum { BMP_HEAD = 14, BMP_OLD = 12, BMP_NEW = 40, BMP_ALPHA = 56, BMP_FIELDS = 3 };

static int bmp_masks(struct bmp *bmp, const struct decode_file *file, uint32_t kind)
{
    static const uint32_t masks[2][3] = { { 0x7c00, 0x3e0, 0x1f }, { 0xff0000, 0xff00, 0xff } };
    size_t given = low(file, BMP_HEAD, 4) >= BMP_ALPHA ? 4 : 3;
    memcpy(bmp->mask, masks[bmp->bits != 16], sizeof masks[0]);
    for (size_t c = 0; kind == BMP_FIELDS && c < given; c++)
        bmp->mask[c] = low(file, BMP_HEAD + BMP_NEW + 4 * c, 4);
    for (int c = 0; c < 3; c++)
        if (!bmp->mask[c])
            return decode_refuse(file, "a BMP without a mask for each colour");
    return MOCO_OK;
}

static int bmp_read(struct bmp *bmp, struct decode_header *out, const struct decode_file *file)
{
    size_t size = low(file, BMP_HEAD, 4);
    int old = size == BMP_OLD;
    if (file->size < 26 || (!old && file->size < BMP_HEAD + BMP_NEW + 12))
        return cut_off(file);
    if (!old && size < BMP_NEW)
        return decode_refuse(file, "a BMP with an unknown header");
    int64_t height = old ? (int64_t)low(file, 20, 2) : (int32_t)low(file, 22, 4);
    int64_t width = old ? (int64_t)low(file, 18, 2) : (int32_t)low(file, 18, 4);
    uint32_t kind = old ? 0 : low(file, 30, 4), used = old ? 0 : low(file, 46, 4);
    *bmp = (struct bmp){ .bits = (int)low(file, old ? 24 : 28, 2), .entry = old ? 3 : 4,
                         .data = low(file, 10, 4), .palette = BMP_HEAD + size,
                         .upwards = height > 0 };
    out->height = (int)(height < 0 ? (height == INT32_MIN ? 0 : -height) : height);
    out->width = (int)width;
    out->channels = out->file_channels = 3;
    int b = bmp->bits;
    if (b != 1 && b != 4 && b != 8 && b != 16 && b != 24 && b != 32)
        return decode_refuse(file, "a BMP of an unknown number of bits");
    if (kind != 0 && (kind != BMP_FIELDS || (b != 16 && b != 32)))
        return decode_refuse(file, "a compressed BMP");
    if (b <= 8)
        bmp->colours = used > 0 && used < 1u << b ? (int)used : 1 << b;
    if (width > 0 && width <= DECODE_PIXELS_MAX)
        bmp->row = ((size_t)width * (size_t)b + 31) / 32 * 4;
    int rc = bmp_masks(bmp, file, kind);
    out->alpha = rc == MOCO_OK && bmp->mask[3] != 0;
    out->file_channels += out->alpha;
    return rc;
}

/* Grey: a palette whose colours all are. */
static int bmp_is_grey(const struct bmp *bmp, const struct decode_file *file)
{
    for (int i = 0; i < bmp->colours; i++) {
        size_t at = bmp->palette + (size_t)(i * bmp->entry);
        if (low(file, at, 1) != low(file, at + 1, 1) || low(file, at, 1) != low(file, at + 2, 1))
            return 0;
    }
    return bmp->colours > 0;
}

int bmp_header(struct decode_header *out, const struct decode_file *file)
{
    struct bmp bmp = { 0 };
    int rc = bmp_read(&bmp, out, file);
    if (rc == MOCO_OK && bmp.colours && (bmp.palette > file->size ||
        file->size - bmp.palette < (size_t)(bmp.colours * bmp.entry)))
        return cut_off(file);
    if (rc == MOCO_OK && bmp_is_grey(&bmp, file))
        out->channels = 1;
    if (rc == MOCO_OK && bmp.row && out->height > 0 &&
        (bmp.data > file->whole || (file->whole - bmp.data) / bmp.row < (size_t)out->height))
        return cut_off(file);
    return rc;
}

static unsigned char field(uint32_t value, uint32_t mask)
{
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift;
    return (unsigned char)(((uint64_t)((value & mask) >> shift) * 255 + most / 2) / most);
}

/* rgba = pixel x of the row at `at`. */
static void bmp_pixel(unsigned char *rgba, const struct bmp *bmp, const struct decode_file *file,
                      size_t at, int x)
{
    if (bmp->bits <= 8) {
        size_t bit = (size_t)x * (size_t)bmp->bits;
        int index = file->bytes[at + bit / 8] >> (8 - bmp->bits - (int)(bit % 8));
        index &= (1 << bmp->bits) - 1;
        index = index < bmp->colours ? index : 0;
        const unsigned char *colour = file->bytes + bmp->palette + index * bmp->entry;
        rgba[0] = colour[2], rgba[1] = colour[1], rgba[2] = colour[0];
        return;
    }
    int bytes = bmp->bits / 8;
    uint32_t value = low(file, at + (size_t)x * (size_t)bytes, bytes);
    for (int c = 0; c < 4 && bmp->mask[c]; c++)
        rgba[c] = field(value, bmp->mask[c]);
}

int bmp_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part)
{
    struct decode_header again = *header;
    struct decode_target target;
    struct bmp bmp = { 0 };
    int rc = bmp_read(&bmp, &again, file);
    if (rc == MOCO_OK)
        rc = decode_aim(&target, out, header, channels, part, 1);
    if (rc != MOCO_OK)
        return rc;
    unsigned char *rgba = malloc(4 * (size_t)target.width);
    if (!rgba)
        return error_memory("a row of a BMP", 4 * (size_t)target.width);
    for (int y = target.top; y < target.top + target.height; y++) {
        size_t at = bmp.data + bmp.row * (size_t)(bmp.upwards ? header->height - 1 - y : y);
        for (int x = 0; x < target.width; x++)
            bmp_pixel(rgba + 4 * x, &bmp, file, at, target.left + x);
        decode_put8(out, &target, y, channels, rgba, 4);
    }
    free(rgba);
    return MOCO_OK;
}

/* ---- PNM ---- */

/* The next number of the header at *at, behind blanks and comments; -1 if there is none. */
static int64_t pnm_number(const struct decode_file *file, size_t *at)
{
    const unsigned char *b = file->bytes;
    int64_t value = 0;
    while (*at < file->size && (strchr(" \t\n\v\f\r", b[*at]) || b[*at] == '#')) {
        if (b[*at] == '\0')
            return -1;
        if (b[*at] == '#')
            while (*at < file->size && b[*at] != '\n' && b[*at] != '\r')
                ++*at;
        else
            ++*at;
    }
    if (*at == file->size || b[*at] < '0' || b[*at] > '9')
        return -1;
    for (; *at < file->size && b[*at] >= '0' && b[*at] <= '9'; ++*at)
        value = value < INT32_MAX ? 10 * value + b[*at] - '0' : value;
    return value;
}

struct pnm {
    size_t data;
    int most; /* the largest value */
};

static int pnm_read(struct pnm *pnm, struct decode_header *out, const struct decode_file *file)
{
    size_t at = 2;
    if (file->size < 3 || (file->bytes[1] != '5' && file->bytes[1] != '6'))
        return decode_refuse(file, "a PNM that is neither P5 nor P6");
    int64_t width = pnm_number(file, &at), height = pnm_number(file, &at);
    int64_t most = pnm_number(file, &at);
    if (width < 0 || height < 0 || most < 1 || most > 65535 || at >= file->size)
        return decode_refuse(file, "a PNM without width, height and a largest value up to 65535");
    out->width = (int)(width < INT32_MAX ? width : INT32_MAX);
    out->height = (int)(height < INT32_MAX ? height : INT32_MAX);
    out->channels = out->file_channels = file->bytes[1] == '5' ? 1 : 3;
    out->deep = most > 255;
    *pnm = (struct pnm){ at + 1, (int)most };
    return MOCO_OK;
}

int pnm_header(struct decode_header *out, const struct decode_file *file)
{
    struct pnm pnm = { 0 };
    int rc = pnm_read(&pnm, out, file);
    size_t row = (size_t)out->width * (size_t)(out->channels * (out->deep ? 2 : 1));
    if (rc != MOCO_OK || (int64_t)out->width * out->height > DECODE_PIXELS_MAX || !row)
        return rc; /* the limit has a sentence of its own */
    if (pnm.data > file->whole || (file->whole - pnm.data) / row < (size_t)out->height)
        return cut_off(file);
    return MOCO_OK;
}

int pnm_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part)
{
    struct decode_header again = *header;
    struct decode_target target;
    struct pnm pnm = { 0 };
    int rc = pnm_read(&pnm, &again, file);
    if (rc == MOCO_OK)
        rc = decode_aim(&target, out, header, channels, part, 1);
    if (rc != MOCO_OK)
        return rc;
    size_t from = (size_t)header->file_channels, size = header->deep ? 2 : 1;
    for (int c = 0; c < channels; c++) {
        size_t shift = from == 3 ? (size_t)c : 0;
        float *dst = out->pixels + (size_t)c * target.plane, most = (float)pnm.most;
        int alpha = channels % 2 == 0 && c == channels - 1; /* which is full */
        for (size_t i = 0; alpha && i < target.plane; i++)
            dst[i] = 1.0f;
        if (alpha)
            break;
        for (int y = 0; y < target.height; y++) {
            size_t first = (size_t)(target.top + y) * (size_t)header->width + (size_t)target.left;
            const unsigned char *in = file->bytes + pnm.data + (first * from + shift) * size;
            for (int x = 0; x < target.width; x++, in += from * size) {
                float value = (float)(size == 2 ? in[0] << 8 | in[1] : in[0]) / most;
                *dst++ = value < 1.0f ? value : 1.0f;
            }
        }
    }
    return MOCO_OK;
}

/* ---- TGA ---- */

enum { TGA_HEAD = 18, TGA_PALETTE = 1, TGA_COLOUR = 2, TGA_GREY = 3, TGA_RUNS = 8 };

struct tga {
    size_t at;             /* of what is read next */
    size_t palette;        /* offset of entry 0, were it there */
    uint32_t first, last;  /* entries of the palette: first to last - 1 */
    int kind, entry, bytes; /* bytes of an entry and of a pixel */
    int runs, upwards;
};

static int tga_read(struct tga *tga, struct decode_header *out, const struct decode_file *file)
{
    if (file->size < TGA_HEAD)
        return cut_off(file);
    int kind = (int)low(file, 2, 1), map = (int)low(file, 1, 1), bits = (int)low(file, 16, 1);
    int flags = (int)low(file, 17, 1), entry = (int)low(file, 7, 1);
    uint32_t first = low(file, 3, 2), count = map == 1 ? low(file, 5, 2) : 0;
    *tga = (struct tga){ .kind = kind & ~TGA_RUNS, .runs = (kind & TGA_RUNS) != 0,
                         .entry = (entry + 7) / 8, .bytes = (bits + 7) / 8,
                         .first = first, .last = first + count, .upwards = !(flags & 32) };
    int deep = tga->kind == TGA_PALETTE ? entry : bits;
    int grey = tga->kind == TGA_GREY;
    if (map > 1 || tga->kind < TGA_PALETTE || tga->kind > TGA_GREY || kind > 11 ||
        (grey ? bits != 8 && bits != 16
              : deep != 15 && deep != 16 && deep != 24 && deep != 32) ||
        (tga->kind == TGA_PALETTE && ((bits != 8 && bits != 16) || map != 1 || !count)))
        return decode_refuse(file, "a TGA of an unknown kind or depth");
    if (flags & 0xd0)
        return decode_refuse(file, "a TGA written from right to left or interleaved");
    size_t palette = TGA_HEAD + (size_t)low(file, 0, 1);
    tga->palette = palette - (size_t)first * (size_t)tga->entry; /* wraps back when used */
    tga->at = palette + (size_t)count * (size_t)tga->entry;
    out->width = (int)low(file, 12, 2);
    out->height = (int)low(file, 14, 2);
    out->channels = grey ? 1 : 3;
    out->alpha = deep == 32 || (grey && bits == 16);
    out->file_channels = out->channels + out->alpha;
    return MOCO_OK;
}

/* A run of 128 pixels takes at least two bytes. */
int tga_header(struct decode_header *out, const struct decode_file *file)
{
    struct tga tga = { 0 };
    int rc = tga_read(&tga, out, file);
    if (rc != MOCO_OK)
        return rc;
    uint64_t pixels = (uint64_t)out->width * (uint64_t)out->height, bytes = (uint64_t)tga.bytes;
    uint64_t least = tga.runs ? (pixels + 127) / 128 * (1 + bytes) : pixels * bytes;
    if (tga.at > file->whole || file->whole - tga.at < least)
        return cut_off(file);
    return MOCO_OK;
}

/* 15 and 16 bits are five a colour; the sixteenth is not believed to be alpha. */
static void tga_colour(unsigned char *rgba, uint32_t value, int bytes)
{
    rgba[3] = (unsigned char)(value >> 24);
    for (int c = 0; c < 3; c++)
        rgba[c] = bytes == 2 ? (unsigned char)((value >> (10 - 5 * c) & 31) * 255 / 31)
                            : (unsigned char)(value >> (16 - 8 * c));
}

/* rgba = the pixel at tga->at, which moves on. */
static int tga_pixel(unsigned char *rgba, struct tga *tga, const struct decode_file *file)
{
    if (file->size - tga->at < (size_t)tga->bytes)
        return cut_off(file);
    uint32_t value = low(file, tga->at, tga->bytes);
    tga->at += (size_t)tga->bytes;
    if (tga->kind == TGA_GREY) {
        memset(rgba, (int)(value & 255), 3);
        rgba[3] = (unsigned char)(value >> 8);
    } else if (tga->kind == TGA_COLOUR)
        tga_colour(rgba, value, tga->bytes);
    else if (value < tga->first || value >= tga->last)
        return decode_fail(MOCO_EDAMAGED, file, "a TGA with a colour outside its palette");
    else
        tga_colour(rgba, low(file, tga->palette + value * (size_t)tga->entry, tga->entry),
                   tga->entry);
    return MOCO_OK;
}

/* Runs go on across rows. */
struct tga_run {
    int left, repeats;
    unsigned char rgba[4];
};

static int tga_row(unsigned char *row, int width, struct tga *tga, struct tga_run *run,
                   const struct decode_file *file)
{
    int rc = MOCO_OK;
    for (int x = 0; x < width && rc == MOCO_OK; x++, row += 4) {
        int fresh = !tga->runs || !run->repeats;
        if (tga->runs && run->left == 0) {
            if (tga->at >= file->size)
                return cut_off(file);
            int packet = file->bytes[tga->at++];
            run->left = 1 + (packet & 127);
            run->repeats = packet >> 7;
            fresh = 1;
        }
        if (fresh)
            rc = tga_pixel(run->rgba, tga, file);
        memcpy(row, run->rgba, 4);
        run->left--;
    }
    return rc;
}

int tga_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part)
{
    struct decode_header again = *header;
    struct decode_target target;
    struct tga_run run = { 0 };
    struct tga tga = { 0 };
    int rc = tga_read(&tga, &again, file);
    if (rc == MOCO_OK)
        rc = decode_aim(&target, out, header, channels, part, 1);
    if (rc != MOCO_OK)
        return rc;
    unsigned char *row = malloc(4 * (size_t)header->width);
    if (!row)
        return error_memory("a row of a TGA", 4 * (size_t)header->width);
    for (int i = 0; i < header->height && rc == MOCO_OK; i++) {
        int y = tga.upwards ? header->height - 1 - i : i;
        rc = tga_row(row, header->width, &tga, &run, file);
        if (rc == MOCO_OK && y >= target.top && y < target.top + target.height)
            decode_put8(out, &target, y, channels, row + 4 * target.left, 4);
    }
    free(row);
    return rc;
}
