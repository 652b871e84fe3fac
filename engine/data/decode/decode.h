/* decode.h: one image file in memory: what its header says, its pixels.
 *
 * JPEG is decoded by libjpeg-turbo where the build has it, else by stb_image, as is PNG; WebP by
 * libwebp where the build has it; BMP, TGA, GIF and binary PNM are read here. Formats are told by
 * their first bytes, TGA, which has none of its own, by its name. The rules:
 *   orientation  JPEG and WebP are turned as EXIF says; sizes here are those after turning
 *   colour       grey stays one channel, palettes are expanded, CMYK and YCCK become RGB
 *   alpha        dropped, not blended; or the last of 2 or 4 channels, full where there is none
 *   depth        8 bits, or 16 in a PNG or PNM that has more than 8
 *   frames       the first one of an animated PNG, GIF or WebP
 *   damage       a file that is cut off or damaged is refused, not filled up
 * Headers are checked before anything is allocated: DECODE_PIXELS_MAX pixels, at most as many as
 * the bytes of the file can give, and a budget of memory while decoding (decode_bytes()). All
 * functions are thread-safe and give sentences that begin with `name`. */
#ifndef MOCO_ENGINE_DATA_DECODE_H
#define MOCO_ENGINE_DATA_DECODE_H

#include "engine/data/format/content.h"
#include "engine/data/source.h"

enum {
    DECODE_PIXELS_MAX = 100000000,
    DECODE_FILE_MAX = 1 << 29,  /* bytes of a file */
    DECODE_HEAD = 1 << 16,      /* bytes at the start of a file that mostly hold its header */
    DECODE_SCANS_MAX = 100,     /* of a progressive JPEG; encoders write about ten */
};

enum decode_format {
    DECODE_JPEG, DECODE_PNG, DECODE_BMP, DECODE_PNM, DECODE_GIF, DECODE_WEBP, DECODE_TGA
};

struct decode_file {
    const unsigned char *bytes; /* borrowed */
    size_t size;                /* of `bytes` */
    size_t whole;               /* of the file; more than `size` where only its start is at hand */
    const char *name;           /* for sentences and for TGA */
};

struct decode_header {
    enum decode_format format;
    int height, width; /* after turning */
    int channels;      /* 1 grey, 3 colour */
    int alpha;         /* there is one */
    int deep;          /* numbers of more than 8 bits */
    int frames;        /* more than 1: animated */
    int palette;       /* of a PNG */
    int orientation;   /* 1 to 8, as in EXIF; 1 is upright */
    int progressive;   /* a JPEG in several scans: all of it must be read at once */
    int file_channels; /* with alpha, or 4 of CMYK */
    int pixels_a_byte; /* that a byte of the file can give at most; 0: the format has checked it */
};

/* Whether this build decodes files of a kind; TGA has none of its own. */
int decode_reads(enum content content);

int decode_header(struct decode_header *out, const struct decode_file *file);

/* Decodes `part` of the image, in `channels` channels (1 grey, 3 colour, equal where it is grey; 2
 * and 4: the same with alpha), and says in *part what `out` holds then: see source.h. NULL: the
 * whole image. */
int decode_image(struct image *out, const struct decode_file *file, int channels,
                 struct part *part);

/* The most memory that decoding takes beside `out`. */
size_t decode_bytes(const struct decode_header *header, size_t file_size);

/* ---- between the files of the decoder ---- */

/* "not a readable image (WHY)" with a code: MOCO_ETRUNCATED and MOCO_EDAMAGED where that is known,
 * else MOCO_EFORMAT, decode_refuse()'s. */
int decode_fail(int code, const struct decode_file *file, const char *why);
int decode_refuse(const struct decode_file *file, const char *why);

/* Where pixel (row, column) of the file goes in a plane of `out`, and which are wanted. */
struct decode_target {
    int top, left, height, width; /* wanted, in pixels of the file at the scale */
    ptrdiff_t start, down, right; /* offset of pixel (top, left); steps for a row and a column */
    size_t plane;                 /* floats */
    int alpha;                    /* the last of 2 or 4 channels in rows is alpha, not a filler */
};

/* Prepares `out` and `target` for `part`, which goes from pixels of the whole image to pixels at
 * the scale 1 / divisor. NULL: the whole image. */
int decode_aim(struct decode_target *target, struct image *out, const struct decode_header *header,
               int channels, struct part *part, int divisor);

/* Writes the wanted columns of row `row` of the file; `in` is the first of them, of `from`
 * channels: 2 are grey with alpha and 4 colour with alpha. An image that takes bytes gets bytes. */
void decode_put8(struct image *out, const struct decode_target *target, int row, int channels,
                 const unsigned char *in, int from);
void decode_put16(float *pixels, const struct decode_target *target, int row, int channels,
                  const uint16_t *in, int from);

/* The orientation in EXIF data, which begin with "II" or "MM"; 1 where they say nothing that makes
 * sense. */
int exif_orientation(const unsigned char *bytes, size_t size);

/* EXIF's orientation of a JPEG, 1 where it says nothing that makes sense. */
int jpeg_orientation(const unsigned char *bytes, size_t size);

/* The formats. Their headers give the sizes of the file, before turning, unchecked. */
int jpeg_header(struct decode_header *out, const struct decode_file *file);
int jpeg_image(struct image *out, const struct decode_file *file,
               const struct decode_header *header, int channels, struct part *part);
int png_header(struct decode_header *out, const struct decode_file *file);
int png_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part);
int bmp_header(struct decode_header *out, const struct decode_file *file);
int bmp_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part);
int pnm_header(struct decode_header *out, const struct decode_file *file);
int pnm_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part);
int gif_header(struct decode_header *out, const struct decode_file *file);
int gif_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part);
int webp_header(struct decode_header *out, const struct decode_file *file); /* with libwebp alone */
int webp_image(struct image *out, const struct decode_file *file,
               const struct decode_header *header, int channels, struct part *part);
int tga_header(struct decode_header *out, const struct decode_file *file);
int tga_image(struct image *out, const struct decode_file *file,
              const struct decode_header *header, int channels, struct part *part);

/* stb.c: what stb_image allocates in this thread from here on stays below `bytes`. */
void stb_budget(size_t bytes);

/* What stb_image gave up on since then: memory that the system lacks, or decode_fail(). */
int stb_refuse(const struct decode_file *file, int code, const char *why);

#endif
