/* decode.c: which format, limits, and where pixels go; see decode.h. */
#include "engine/data/decode/decode.h"

#include <string.h>
#include <strings.h>

#include "engine/base/error.h"

struct format {
    const char *magic;
    size_t length;
    int (*header)(struct decode_header *out, const struct decode_file *file);
    int (*image)(struct image *out, const struct decode_file *file,
                 const struct decode_header *header, int channels, struct part *part);
};

#ifdef MOCO_WEBP
#define OPEN_WEBP webp_header, webp_image
#else
#define OPEN_WEBP NULL, NULL
#endif

/* By enum decode_format. */
static const struct format formats[] = {
    { "\xff\xd8\xff", 3, jpeg_header, jpeg_image },
    { "\x89PNG\r\n\x1a\n", 8, png_header, png_image },
    { "BM", 2, bmp_header, bmp_image },
    { "P", 1, pnm_header, pnm_image },
    { "GIF8", 4, gif_header, gif_image },
    { "RIFF", 4, OPEN_WEBP }, /* content.h looks on */
    { NULL, 0, tga_header, tga_image },
};

int decode_fail(int code, const struct decode_file *file, const char *why)
{
    return error_set(code, "%s: not a readable image (%s); repair or remove it", file->name, why);
}

int decode_refuse(const struct decode_file *file, const char *why)
{
    return decode_fail(MOCO_EFORMAT, file, why);
}

int decode_reads(enum content content)
{
    return content == CONTENT_JPEG || content == CONTENT_PNG || content == CONTENT_BMP ||
           content == CONTENT_PNM || content == CONTENT_GIF ||
           (content == CONTENT_WEBP && formats[DECODE_WEBP].header);
}

static int find_format(enum decode_format *out, const struct decode_file *file)
{
    const char *dot = strrchr(file->name, '.');
    for (int i = DECODE_JPEG; i < DECODE_TGA; i++) {
        const struct format *f = &formats[i];
        *out = (enum decode_format)i;
        if (i == DECODE_WEBP && content_of(file->bytes, file->size) != CONTENT_WEBP)
            continue;
        if (f->header && file->size >= f->length && !memcmp(file->bytes, f->magic, f->length))
            return MOCO_OK;
    }
    *out = DECODE_TGA;
    if (dot && !strcasecmp(dot, ".tga"))
        return MOCO_OK;
    if (!file->size)
        return decode_fail(MOCO_ETRUNCATED, file, "the file is empty");
    enum content content = content_of(file->bytes, file->size);
    if (content == CONTENT_UNKNOWN)
        return decode_refuse(file, "it starts like no JPEG, PNG, BMP, GIF, WebP, PGM or PPM");
    return error_set(MOCO_EFORMAT, "%s: %s, which %s; convert or remove it", file->name,
                     content_name(content),
                     content == CONTENT_TIFF   ? "tiff:DIR reads and a folder of images does not"
                     : content == CONTENT_FITS ? "fits:DIR reads and a folder of images does not"
                     : content == CONTENT_WEBP || content == CONTENT_GIF
                         ? "this build does not read" : "is no image that moco reads");
}

static int believable(const struct decode_header *header, const struct decode_file *file)
{
    uint64_t pixels = (uint64_t)header->height * (uint64_t)header->width;
    return !header->pixels_a_byte || pixels / (uint64_t)header->pixels_a_byte <= file->whole;
}

int decode_header(struct decode_header *out, const struct decode_file *file)
{
    *out = (struct decode_header){ .frames = 1, .orientation = 1 };
    int rc = find_format(&out->format, file);
    if (rc == MOCO_OK)
        rc = formats[out->format].header(out, file);
    if (rc != MOCO_OK)
        return rc;
    if (out->height < 1 || out->width < 1)
        return decode_refuse(file, "it has no pixels");
    if ((int64_t)out->height * out->width > DECODE_PIXELS_MAX)
        return error_set(MOCO_EFORMAT, "%s: %d x %d pixels; at most %d megapixels are decoded",
                         file->name, out->width, out->height, DECODE_PIXELS_MAX / 1000000);
    if (!believable(out, file))
        return decode_fail(MOCO_ETRUNCATED, file, "its header promises more pixels than the file "
                           "can hold");
    if (out->orientation >= 5) {
        int height = out->height;
        out->height = out->width;
        out->width = height;
    }
    return MOCO_OK;
}

size_t decode_bytes(const struct decode_header *header, size_t file_size)
{
    size_t pixels = (size_t)header->height * (size_t)header->width;
    size_t pads = 64 * ((size_t)header->height + (size_t)header->width + 64);
    size_t small = (size_t)4 << 20;
    switch (header->format) {
    case DECODE_JPEG: /* libjpeg: rows, or all coefficients; stb: planes, pixels, coefficients */
#ifdef MOCO_JPEG
        return small + 16 * pads + (header->progressive ? 8 * (pixels + pads) : 0);
#else
        return small + 16 * (pixels + pads);
#endif
    case DECODE_PNG: /* compressed and filtered bytes, both in growing buffers; pixels, a pass */
        return small + 4 * file_size + pixels * (header->deep ? 32 : 16);
    case DECODE_GIF: /* indices and the table of codes */
        return small + pixels + pads;
    case DECODE_WEBP: /* pixels, those of the decoder, the canvas of an animation */
        return small + 4 * file_size + 16 * pixels + pads;
    default:
        return pads;
    }
}

int decode_image(struct image *out, const struct decode_file *file, int channels,
                 struct part *part)
{
    struct decode_header header;
    if (file->size < file->whole)
        return decode_fail(MOCO_ETRUNCATED, file, "it is cut off");
    int rc = decode_header(&header, file);
    if (rc != MOCO_OK)
        return rc;
    if (channels < 3 && header.channels != 1)
        return error_set(MOCO_EFORMAT, "%s: a colour image where a grey one is expected",
                         file->name);
    return formats[header.format].image(out, file, &header, channels, part);
}

/* ---- pixels ---- */

static int up(int n, int divisor)
{
    return n / divisor + (n % divisor != 0);
}

static void scale_part(struct part *part, int divisor, int height, int width)
{
    int bottom = up(part->top + part->height, divisor);
    int right = up(part->left + part->width, divisor);
    part->divisor = divisor;
    part->top /= divisor;
    part->left /= divisor;
    part->height = (bottom < height ? bottom : height) - part->top;
    part->width = (right < width ? right : width) - part->left;
}

static int check_part(const struct part *p, const struct decode_header *header)
{
    if (p->top >= 0 && p->left >= 0 && p->height > 0 && p->width > 0 &&
        p->height <= header->height - p->top && p->width <= header->width - p->left)
        return MOCO_OK;
    return error_set(MOCO_EARG, "a part of %d x %d at (%d, %d) lies outside an image of %d x %d",
                     p->height, p->width, p->top, p->left, header->height, header->width);
}

/* Whether pixels are written by decode_put8() alone, to someone who takes bytes. */
static int takes_bytes(const struct decode_header *header, int channels, const struct part *part)
{
    return part && part->bytes && channels == 3 && !header->deep && header->format != DECODE_PNM;
}

int decode_aim(struct decode_target *target, struct image *out, const struct decode_header *header,
               int channels, struct part *part, int divisor)
{
    int swap = header->orientation >= 5, o = header->orientation;
    int up_down = o == 3 || o == 4 || o == 7 || o == 8;
    int left_right = o == 2 || o == 3 || o == 6 || o == 7;
    int height = up(header->height, divisor), width = up(header->width, divisor);
    struct part whole = { .divisor = divisor, .height = height, .width = width };
    if (part) {
        int rc = check_part(part, header);
        if (rc != MOCO_OK)
            return rc;
        scale_part(part, divisor, height, width);
        whole = *part;
    }
    ptrdiff_t down = up_down ? -whole.width : whole.width, right = left_right ? -1 : 1;
    int top = up_down ? height - whole.top - whole.height : whole.top;
    int left = left_right ? width - whole.left - whole.width : whole.left;
    *target = (struct decode_target){
        .top = swap ? left : top, .left = swap ? top : left,
        .height = swap ? whole.width : whole.height, .width = swap ? whole.height : whole.width,
        .start = (up_down ? (ptrdiff_t)(whole.height - 1) * whole.width : 0) +
                 (left_right ? whole.width - 1 : 0),
        .down = swap ? right : down, .right = swap ? down : right,
        .plane = (size_t)whole.height * (size_t)whole.width, .alpha = header->alpha,
    };
    int rc = image_resize(out, channels, whole.height, whole.width);
    out->bytes = takes_bytes(header, channels, part);
    return rc;
}

#define B1(n) (float)(n) / 255.0f
#define B4(n) B1(n), B1((n) + 1), B1((n) + 2), B1((n) + 3)
#define B16(n) B4(n), B4((n) + 4), B4((n) + 8), B4((n) + 12)
#define B64(n) B16(n), B16((n) + 16), B16((n) + 32), B16((n) + 48)
static const float byte_float[256] = { B64(0), B64(64), B64(128), B64(192) };

/* Channel c of `channels` comes from channel origin() of `from`; -1: from none, it is full. */
static int origin(int c, int channels, int from, const struct decode_target *t)
{
    if (channels % 2 == 0 && c == channels - 1)
        return t->alpha && from % 2 == 0 ? from - 1 : -1;
    return from >= 3 ? c : 0;
}

/* An alpha channel of a row where the file has none. */
static void fill_row(float *dst, const struct decode_target *t)
{
    for (ptrdiff_t x = 0; x < t->width; x++)
        dst[x * t->right] = 1.0f;
}

static float *row_start(float *pixels, const struct decode_target *t, int row, int c)
{
    return pixels + (size_t)c * t->plane + t->start + (row - t->top) * t->down;
}

/* Pixels that stay bytes. */
static void put_bytes(unsigned char *pixels, const struct decode_target *t, int row,
                      const unsigned char *in, int from)
{
    unsigned char *dst = pixels + 4 * (t->start + (row - t->top) * t->down);
    if (from == 4 && t->right == 1) {
        memcpy(dst, in, 4 * (size_t)t->width);
        return;
    }
    for (ptrdiff_t x = 0; x < t->width; x++, in += from)
        for (int c = 0; c < 3; c++)
            dst[4 * x * t->right + c] = in[origin(c, 3, from, t)];
}

void decode_put8(struct image *out, const struct decode_target *t, int row, int channels,
                 const unsigned char *in, int from)
{
    if (out->bytes) {
        put_bytes((unsigned char *)out->pixels, t, row, in, from);
        return;
    }
    for (int c = 0; c < channels; c++) {
        int channel = origin(c, channels, from, t);
        const unsigned char *at = in + (channel < 0 ? 0 : channel);
        float *dst = row_start(out->pixels, t, row, c);
        if (channel < 0) {
            fill_row(dst, t);
            continue;
        }
        for (ptrdiff_t x = 0; x < t->width; x++)
            dst[x * t->right] = byte_float[at[x * from]];
    }
}

void decode_put16(float *pixels, const struct decode_target *t, int row, int channels,
                  const uint16_t *in, int from)
{
    for (int c = 0; c < channels; c++) {
        int channel = origin(c, channels, from, t);
        const uint16_t *at = in + (channel < 0 ? 0 : channel);
        float *dst = row_start(pixels, t, row, c);
        if (channel < 0) {
            fill_row(dst, t);
            continue;
        }
        for (ptrdiff_t x = 0; x < t->width; x++)
            dst[x * t->right] = (float)at[x * from] / 65535.0f;
    }
}
