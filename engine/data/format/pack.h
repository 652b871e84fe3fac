/* pack.h: a whole set in one file, for epochs that cost no decoding.
 *
 * In: any source. Out: a file that `packed:FILE` maps. The numbers of an image are kept so that
 * reading gives the same floats: in the type of the data (u8, u16, i16, f16), in u8 where an image
 * of 16 bits has no more, and in f32 where the type does not hold them exactly (f64 too, for it is
 * read as floats).
 *
 * Little-endian. Images come first, (channels, height, width) each, every 64 bytes or a multiple
 * of it; then the index; then texts, each with a zero behind it: names of classes, names of images.
 *
 *   header                                     entry of the index
 *    0  8  magic                                0  8  place of the numbers
 *    8  4  version                              8  4  height
 *   12  4  CRC-32 of the header, this 0        12  4  width
 *   16  8  bytes of the file                   16  4  label, -1 without one
 *   24  8  images                              20  4  CRC-32 of the numbers
 *   32  8  place of the index                  24  4  place of the name in the texts, or 2^32 - 1
 *   40  8  place of the texts                  28  4  type of the numbers (enum source_dtype)
 *   48  8  bytes of the texts
 *   56  4  CRC-32 of index and texts
 *   60  4  channels
 *   64  4  type of the data (enum source_dtype)
 *   68  4  classes
 *   72  4  names of classes: all or 0
 *   76  4  the shorter side that images were scaled to, 0 as they were
 *   80  4  images of a sample, which follow one another
 *   84 44  zeros
 *
 * Where numbers are missing the version is 2, and the type of the numbers has 256 added in images
 * with such: of floats NaN are missing, of integers the number in its upper 16 bits, which is none
 * of the others. In version 1 NaN is a number like others, and nothing declares it missing.
 *
 * The header is written last and the file renamed into its place, so what has the magic is whole.
 * A reader checks the sums of header, index and texts at once, that of an image the first time it
 * is read, and believes no number of them for their sums alone. Nothing in it tells where, when or
 * from what it was made: equal data give equal files. */
#ifndef MOCO_ENGINE_DATA_FORMAT_PACK_H
#define MOCO_ENGINE_DATA_FORMAT_PACK_H

#include "engine/data/source.h"
#include "simd/simd.h"

#define PACK_MAGIC "\x89MOCO\r\n\x1a" /* 8 bytes that no transfer as text leaves alone */

enum {
    PACK_VERSION = 2, /* 1, which older programs read, where no number is missing */
    PACK_GAPS = 256, /* of an entry's type */
    PACK_HEADER = 128,
    PACK_ENTRY = 32,
    PACK_ALIGN = 64,
    PACK_MAGIC_SIZE = 8,
    PACK_NUMBERS_MAX = 1 << 29, /* of one image; no source gives more: 100 megapixels with alpha */
};
static const uint32_t pack_no_name = UINT32_MAX;

struct pack_options {
    int side;       /* the shorter side of larger images becomes this (shrink.h); 0: as they are */
    double max_bad; /* share of samples that may be left out as unreadable */
    const struct moco_simd *simd; /* kernels */
    void (*progress)(void *user, size_t done, size_t count); /* or NULL; one call at a time */
    void *user;
};

enum { PACK_NAMED = 5, PACK_SENTENCE = 400 };

struct pack_report {
    size_t written, scaled; /* images */
    size_t bad;             /* samples: images, unless source->views says otherwise */
    uint64_t bytes; /* of the file */
    char sentence[PACK_NAMED][PACK_SENTENCE]; /* on the first that were unreadable */
};

/* Writes all images of `source` to `path`, which may be replaced only where it is a packed file. A
 * sample with an image that cannot be read is left out as a whole. On failure an older file stands
 * as it was. */
int pack_write(struct pack_report *report, const char *path, const struct source *source,
               const struct pack_options *options);

/* Numbers of `dtype` (little-endian, to nearest) from floats, the inverse of raw_floats(). dst: (n)
 * numbers. */
void pack_numbers(unsigned char *dst, const float *src, size_t n, enum source_dtype dtype);

/* 1 when these numbers give back the very same floats. gaps: NaN is missing, and pack_gaps() finds
 * a number for it where the type has none. */
int pack_holds(const float *src, size_t n, enum source_dtype dtype, int gaps);

/* dst: (n) integers that pack_numbers() made. In the place of each NaN goes a number that is none
 * of the others; *number is its bytes. 0 where there is none left. */
int pack_gaps(unsigned char *dst, uint32_t *number, const float *src, size_t n,
              enum source_dtype dtype);

#endif
