/* gif.c: the first frame of a GIF (GIF89a specification, 1990), read here: LZW, interlace, global
 * and local palettes.
 *
 * The image is as large as the screen that the file describes. What its first frame does not cover
 * is transparent, as are pixels of the transparent colour: alpha, whose colours are kept as they
 * stand in the palette; outside the frame that is the background's. A palette of greys makes a grey
 * image. A frame whose data end early is truncated, a code that means nothing is damage. */
#include "engine/data/decode/decode.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum {
    SCREEN = 13,          /* bytes of signature and screen descriptor */
    CODES = 4096,         /* of 12 bits */
    PIXELS_A_BYTE = 2800, /* 8 of 12 bits may be a code of nearly 4096 pixels */
};

/* What is known of the first frame. */
struct gif {
    int left, top, width, height;
    int interlaced, transparent;  /* index of the transparent colour, -1 for none */
    int background;               /* index in the global palette */
    const unsigned char *palette; /* (colours, 3) of the frame; NULL: there is none */
    int colours, global_colours;
    const unsigned char *global;
    size_t data;                  /* where its LZW data begin: the least code size */
};

static int low(const unsigned char *bytes)
{
    return bytes[0] | bytes[1] << 8;
}

static int cut_off(const struct decode_file *file)
{
    return decode_fail(MOCO_ETRUNCATED, file, "a GIF that is cut off");
}

/* Behind a run of blocks; 0 where the bytes end first. */
static size_t skip_blocks(const struct decode_file *file, size_t at)
{
    while (at < file->size && file->bytes[at])
        at += (size_t)file->bytes[at] + 1;
    return at < file->size ? at + 1 : 0;
}

/* ---- blocks ---- */

static int take_frame(struct gif *gif, const struct decode_file *file, size_t at)
{
    if (file->size - at < 11)
        return cut_off(file);
    const unsigned char *b = file->bytes + at;
    int flags = b[9];
    gif->left = low(b + 1), gif->top = low(b + 3);
    gif->width = low(b + 5), gif->height = low(b + 7);
    gif->interlaced = flags >> 6 & 1;
    gif->data = at + 10;
    if (flags & 0x80) {
        gif->colours = 2 << (flags & 7);
        gif->palette = b + 10;
        gif->data += 3 * (size_t)gif->colours;
    }
    if (gif->data >= file->size)
        return cut_off(file);
    return MOCO_OK;
}

/* The first frame, and how many there are. Of the start of a file two are enough to know. */
static int read_blocks(struct gif *gif, int *frames, const struct decode_file *file, size_t at)
{
    int transparent = -1;
    *frames = 0;
    while (at && at < file->size && file->bytes[at] != 0x3b) {
        const unsigned char *b = file->bytes + at;
        size_t rest = file->size - at;
        if (b[0] == 0x21 && rest >= 8 && b[1] == 0xf9 && b[2] == 4)
            transparent = b[3] & 1 ? b[6] : -1;
        if (b[0] == 0x21) {
            at = skip_blocks(file, at + 2);
            continue;
        }
        if (b[0] != 0x2c)
            return *frames ? MOCO_OK
                           : decode_fail(MOCO_EDAMAGED, file, "a GIF with an unknown block");
        struct gif frame = *gif;
        int rc = take_frame(&frame, file, at);
        if (rc != MOCO_OK)
            return *frames ? MOCO_OK : rc;
        frame.transparent = transparent;
        if (!(*frames)++)
            *gif = frame;
        at = skip_blocks(file, frame.data + 1);
    }
    if (*frames < 2 && file->size < file->whole)
        return cut_off(file); /* the whole of it will tell */
    if (!*frames)
        return at >= file->size ? cut_off(file)
                                : decode_fail(MOCO_EDAMAGED, file, "a GIF without an image");
    return MOCO_OK;
}

static int read_gif(struct gif *gif, struct decode_header *out, const struct decode_file *file)
{
    const unsigned char *b = file->bytes;
    if (file->size < SCREEN)
        return cut_off(file);
    *gif = (struct gif){ .transparent = -1, .background = b[11] };
    out->width = low(b + 6);
    out->height = low(b + 8);
    size_t at = SCREEN;
    if (b[10] & 0x80) {
        gif->global_colours = gif->colours = 2 << (b[10] & 7);
        gif->global = gif->palette = b + SCREEN;
        at += 3 * (size_t)gif->colours;
    }
    return at > file->size ? cut_off(file) : read_blocks(gif, &out->frames, file, at);
}

static int is_grey(const unsigned char *palette, int colours)
{
    for (int i = 0; i < colours; i++)
        if (palette[3 * i] != palette[3 * i + 1] || palette[3 * i] != palette[3 * i + 2])
            return 0;
    return 1;
}

int gif_header(struct decode_header *out, const struct decode_file *file)
{
    struct gif gif;
    int rc = read_gif(&gif, out, file);
    if (rc != MOCO_OK)
        return rc;
    if (!gif.palette)
        return decode_refuse(file, "a GIF without a palette");
    if (!gif.width || !gif.height)
        return decode_fail(MOCO_EDAMAGED, file, "a GIF whose first frame has no pixels");
    /* A frame that reaches beyond the screen makes it larger, as viewers do it. */
    out->width = out->width > gif.left + gif.width ? out->width : gif.left + gif.width;
    out->height = out->height > gif.top + gif.height ? out->height : gif.top + gif.height;
    if ((uint64_t)gif.width * (uint64_t)gif.height / PIXELS_A_BYTE > file->whole)
        return cut_off(file);
    out->channels = is_grey(gif.palette, gif.colours) ? 1 : 3;
    out->alpha = gif.transparent >= 0 || gif.width < out->width || gif.height < out->height;
    out->file_channels = out->channels + out->alpha;
    return MOCO_OK;
}

/* ---- LZW ---- */

struct lzw {
    const struct decode_file *file;
    size_t at;       /* the next byte */
    int left;        /* bytes of the block */
    uint32_t bits;   /* that were read and not used, the lowest first */
    int count;       /* of them */
    uint16_t before[CODES]; /* the code without its last pixel */
    unsigned char last[CODES], first[CODES];
    unsigned char stack[CODES];
};

/* -1: the data end. */
static int next_code(struct lzw *z, int width)
{
    while (z->count < width) {
        if (!z->left) {
            if (z->at >= z->file->size || !z->file->bytes[z->at])
                return -1;
            z->left = z->file->bytes[z->at++];
        }
        if (z->at >= z->file->size)
            return -1;
        z->bits |= (uint32_t)z->file->bytes[z->at++] << z->count;
        z->count += 8;
        z->left--;
    }
    int code = (int)(z->bits & ((1u << width) - 1));
    z->bits >>= width;
    z->count -= width;
    return code;
}

/* pixels: (n) indices, in the order of the data. */
static int unpack(unsigned char *pixels, size_t n, struct lzw *z, int least)
{
    const int clear = 1 << least, end = clear + 1;
    int width = least + 1, next = end + 1, before = -1;
    size_t done = 0;
    for (int i = 0; i < clear; i++)
        z->first[i] = z->last[i] = (unsigned char)i;
    while (done < n) {
        int code = next_code(z, width), top = 0, at = code;
        if (code < 0 || code == end)
            return decode_fail(MOCO_ETRUNCATED, z->file, "a GIF whose pixels end early");
        if (code == clear) {
            width = least + 1, next = end + 1, before = -1;
            continue;
        }
        if (code > next || (code == next && before < 0) || (before < 0 && code > end))
            return decode_fail(MOCO_EDAMAGED, z->file, "a GIF with a code of no meaning");
        if (code == next) { /* the code before, and its first pixel again */
            z->stack[top++] = z->first[before];
            at = before;
        }
        for (; at > end; at = z->before[at])
            z->stack[top++] = z->last[at];
        z->stack[top++] = (unsigned char)at;
        if (before >= 0 && next < CODES) {
            z->before[next] = (uint16_t)before;
            z->first[next] = z->first[before];
            z->last[next] = (unsigned char)at;
            next++;
            width += next == 1 << width && width < 12;
        }
        before = code;
        while (top && done < n)
            pixels[done++] = z->stack[--top];
    }
    return MOCO_OK;
}

/* ---- pixels ---- */

/* The row of the data that row y of the frame is. */
static int data_row(const struct gif *gif, int y)
{
    if (!gif->interlaced)
        return y;
    int h = gif->height, eighths = (h + 7) / 8, quarters = (h + 3) / 8, halves = (h + 1) / 4;
    return y % 8 == 0   ? y / 8
           : y % 8 == 4 ? eighths + y / 8
           : y % 4 == 2 ? eighths + quarters + y / 4 : eighths + quarters + halves + y / 2;
}

/* rgba: (width of the screen, 4). */
static void fill_row(unsigned char *rgba, const struct gif *gif, const unsigned char *pixels,
                     int width, int y)
{
    static const unsigned char black[3] = { 0 };
    int inside = y >= gif->top && y < gif->top + gif->height;
    const unsigned char *ground = gif->global && gif->background < gif->global_colours
                                      ? gif->global + 3 * gif->background : black;
    const unsigned char *row =
        inside ? pixels + (size_t)data_row(gif, y - gif->top) * (size_t)gif->width : NULL;
    for (int x = 0; x < width; x++) {
        int there = inside && x >= gif->left && x < gif->left + gif->width;
        int index = there ? row[x - gif->left] : 0;
        const unsigned char *colour =
            !there ? ground : index < gif->colours ? gif->palette + 3 * index : black;
        memcpy(rgba + 4 * x, colour, 3);
        rgba[4 * x + 3] = there && index != gif->transparent ? 255 : 0;
    }
}

static int read_frame(unsigned char **out, const struct gif *gif, const struct decode_file *file)
{
    size_t n = (size_t)gif->width * (size_t)gif->height;
    int least = file->bytes[gif->data];
    struct lzw *z = calloc(1, sizeof *z);
    unsigned char *pixels = *out = malloc(n);
    int rc = z && pixels ? MOCO_OK : error_memory("a GIF", n + sizeof *z);
    if (!rc && (least < 1 || least > 8))
        rc = decode_fail(MOCO_EDAMAGED, file, "a GIF with codes of an impossible size");
    if (!rc) {
        z->file = file;
        z->at = gif->data + 1;
        rc = unpack(pixels, n, z, least);
    }
    free(z);
    return rc;
}

int gif_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part)
{
    struct decode_header again = { 0 };
    struct decode_target target;
    struct gif gif;
    unsigned char *pixels = NULL, *row = malloc(4 * (size_t)header->width);
    int rc = row ? read_gif(&gif, &again, file) : error_memory("a row of a GIF", 4);
    if (!rc)
        rc = read_frame(&pixels, &gif, file);
    if (!rc)
        rc = decode_aim(&target, out, header, channels, part, 1);
    for (int y = rc ? 0 : target.top; !rc && y < target.top + target.height; y++) {
        fill_row(row, &gif, pixels, header->width, y);
        decode_put8(out, &target, y, channels, row + 4 * target.left, 4);
    }
    free(pixels);
    free(row);
    return rc;
}
