/* tiff_page.c: see tiff_page.h.
 *
 * Sizes come from the file, so each strip or tile must lie in it, and it must be large enough for
 * what they unpack to, before memory is taken. */
#define _GNU_SOURCE
#include "engine/data/format/tiff_page.h"

#include <stdlib.h>

#include "engine/base/error.h"

/* LZW shrinks at most some 1350 times, deflate 1032, PackBits 64. */
enum { RATIO_MAX = 1400 };

/* ---- what a page is ---- */

static int take_dtype(struct tiff_layout *out, TIFF *tif, const char *path)
{
    static const struct {
        uint16_t format, bits;
        enum source_dtype dtype;
    } rows[] = {
        { SAMPLEFORMAT_UINT, 8, DTYPE_U8 },    { SAMPLEFORMAT_UINT, 16, DTYPE_U16 },
        { SAMPLEFORMAT_INT, 16, DTYPE_I16 },   { SAMPLEFORMAT_IEEEFP, 16, DTYPE_F16 },
        { SAMPLEFORMAT_IEEEFP, 32, DTYPE_F32 }, { SAMPLEFORMAT_IEEEFP, 64, DTYPE_F64 },
    };
    static const char *const names[] = { "unknown", "unsigned", "signed", "floating-point" };
    uint16_t bits = 1, format = SAMPLEFORMAT_UINT;
    TIFFGetFieldDefaulted(tif, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLEFORMAT, &format);
    if (format == SAMPLEFORMAT_VOID)
        format = SAMPLEFORMAT_UINT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].format == format && rows[i].bits == bits) {
            out->dtype = rows[i].dtype;
            return MOCO_OK;
        }
    return error_set(MOCO_EUNSUPPORTED, "%s: %s numbers of %d bits; u8, u16, i16, f16, f32 and f64 "
                     "are read, convert to one of these", path, names[format < 4 ? format : 0],
                     bits);
}

static int check_colours(struct tiff_layout *out, TIFF *tif, const char *path)
{
    uint16_t photometric = PHOTOMETRIC_MINISBLACK;
    TIFFGetField(tif, TIFFTAG_PHOTOMETRIC, &photometric);
    out->jpeg_ycbcr = photometric == PHOTOMETRIC_YCBCR && out->compression == COMPRESSION_JPEG;
    if (photometric == PHOTOMETRIC_PALETTE)
        return error_set(MOCO_EUNSUPPORTED, "%s: the numbers are those of a palette; convert to "
                         "RGB or to grey first", path);
    if (photometric == PHOTOMETRIC_YCBCR && !out->jpeg_ycbcr)
        return error_set(MOCO_EUNSUPPORTED, "%s: colours are YCbCr without JPEG; convert to RGB "
                         "first", path);
    if (photometric == PHOTOMETRIC_LOGL || photometric == PHOTOMETRIC_LOGLUV)
        return error_set(MOCO_EUNSUPPORTED, "%s: colours are LogLuv; convert to f32 first", path);
    /* With this set the sizes of strips and tiles are those of RGB as well. */
    if (out->jpeg_ycbcr)
        TIFFSetField(tif, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    return MOCO_OK;
}

/* Each strip or tile lies in the file, which is large enough for what it is to hold. */
static int check_size(const struct tiff_layout *l, TIFF *tif, const char *path)
{
    uint64_t file = raw_file_size(path);
    uint64_t bytes = (uint64_t)l->width * (uint64_t)l->height * (uint64_t)l->samples *
                     raw_size(l->dtype);
    uint64_t strile = TIFFIsTiled(tif) ? TIFFTileSize64(tif) : TIFFStripSize64(tif);
    uint32_t n = TIFFIsTiled(tif) ? TIFFNumberOfTiles(tif) : TIFFNumberOfStrips(tif);
    uint64_t ratio = 0;
    if (l->compression == COMPRESSION_NONE)
        ratio = 1;
    else if (l->compression == COMPRESSION_LZW || l->compression == COMPRESSION_PACKBITS ||
             l->compression == COMPRESSION_DEFLATE || l->compression == COMPRESSION_ADOBE_DEFLATE)
        ratio = RATIO_MAX;
    if (ratio && bytes / ratio > file)
        return error_set(MOCO_ETRUNCATED, "%s: the header promises %d x %d x %d numbers, more than "
                         "a file of %llu bytes can hold; it is truncated or damaged", path,
                         l->samples, l->height, l->width, (unsigned long long)file);
    if (strile == 0 || strile > tiff_strile_max)
        return error_set(MOCO_EFORMAT, "%s: a strip or tile of %llu bytes is too large", path,
                         (unsigned long long)strile);
    for (uint32_t i = 0; i < n; i++) {
        int bad = 0;
        uint64_t at = TIFFGetStrileOffsetWithErr(tif, i, &bad);
        uint64_t size = bad ? 0 : TIFFGetStrileByteCountWithErr(tif, i, &bad);
        if (bad || size == 0 || at > file || size > file - at)
            return error_set(MOCO_ETRUNCATED, "%s: strip or tile %u lies outside the file; it is "
                             "truncated or damaged", path, i);
    }
    return MOCO_OK;
}

int tiff_layout(struct tiff_layout *out, TIFF *tif, const char *path)
{
    uint32_t width = 0, height = 0, depth = 1;
    uint16_t samples = 1, planar = PLANARCONFIG_CONTIG;
    *out = (struct tiff_layout){ .compression = COMPRESSION_NONE };
    TIFFGetField(tif, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tif, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tif, TIFFTAG_PLANARCONFIG, &planar);
    TIFFGetFieldDefaulted(tif, TIFFTAG_COMPRESSION, &out->compression);
    if (!width || !height || !samples || width > RAW_NUMBERS_MAX || height > RAW_NUMBERS_MAX ||
        (uint64_t)width * height > RAW_NUMBERS_MAX / samples)
        return error_set(MOCO_EFORMAT, "%s: a page of %u x %u x %u numbers; 1 to %d are read", path,
                         samples, height, width, RAW_NUMBERS_MAX);
    out->width = (int)width;
    out->height = (int)height;
    out->samples = samples;
    out->separate = planar == PLANARCONFIG_SEPARATE && samples > 1;
    if (TIFFGetField(tif, TIFFTAG_IMAGEDEPTH, &depth) && depth > 1)
        return error_set(MOCO_EUNSUPPORTED, "%s: a page is a volume of %u slices (ImageDepth); "
                         "write each slice as a page", path, depth);
    if (!TIFFIsCODECConfigured(out->compression))
        return error_set(MOCO_EUNSUPPORTED, "%s: the compression %d is not known to this libtiff; "
                         "rewrite with deflate or LZW", path, out->compression);
    int rc = take_dtype(out, tif, path);
    if (rc == MOCO_OK)
        rc = check_colours(out, tif, path);
    return rc == MOCO_OK ? check_size(out, tif, path) : rc;
}

/* ---- numbers ---- */

/* Where numbers go, and what of them is missing. */
struct target {
    float *planes;
    const struct nodata *nodata; /* or NULL */
    size_t missing;
};

/* A rectangle of `rows` x `cols` of a strip or tile (`stride` pixels a row, `per` channels) goes to
 * channels from `c` on, at (y, x). */
static void scatter(struct target *to, const unsigned char *src, const struct tiff_layout *l, int c,
                    int per, int y, int x, int rows, int cols, int stride)
{
    size_t size = raw_size(l->dtype);
    for (int k = 0; k < per; k++)
        for (int r = 0; r < rows; r++) {
            float *dst = to->planes + ((size_t)(c + k) * (size_t)l->height + (size_t)(y + r)) *
                                  (size_t)l->width + (size_t)x;
            size_t at = (size_t)r * (size_t)stride * (size_t)per + (size_t)k;
            /* libtiff gives numbers in the machine's byte order */
            raw_floats(dst, src + at * size, (size_t)cols, (size_t)per, l->dtype,
                       raw_machine_big());
            if (to->nodata)
                to->missing += nodata_mark(dst, src + at * size, (size_t)cols, (size_t)per,
                                           l->dtype, raw_machine_big(), to->nodata);
        }
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* 1 if libtiff gave all the bytes that the rectangle needs. */
static int read_strile(unsigned char *buffer, TIFF *tif, uint32_t index, uint64_t room,
                       uint64_t need)
{
    tmsize_t got = TIFFIsTiled(tif) ? TIFFReadEncodedTile(tif, index, buffer, (tmsize_t)room)
                                    : TIFFReadEncodedStrip(tif, index, buffer, (tmsize_t)room);
    return got >= 0 && (uint64_t)got >= need;
}

static int read_strips(struct target *to, unsigned char *buffer, uint64_t room, TIFF *tif,
                       const struct tiff_layout *l)
{
    uint32_t rows_per_strip = 0;
    int per = l->separate ? 1 : l->samples;
    TIFFGetFieldDefaulted(tif, TIFFTAG_ROWSPERSTRIP, &rows_per_strip);
    int step = rows_per_strip && rows_per_strip < (uint32_t)l->height ? (int)rows_per_strip
                                                                      : l->height;
    for (int c = 0; c < l->samples; c += per)
        for (int y = 0; y < l->height; y += step) {
            int rows = smaller(step, l->height - y);
            uint64_t need = (uint64_t)rows * (uint64_t)l->width * (uint64_t)per *
                            raw_size(l->dtype);
            uint32_t strip = TIFFComputeStrip(tif, (uint32_t)y, (uint16_t)c);
            if (need > room || !read_strile(buffer, tif, strip, room, need))
                return 0;
            scatter(to, buffer, l, c, per, y, 0, rows, l->width, l->width);
        }
    return 1;
}

static int read_tiles(struct target *to, unsigned char *buffer, uint64_t room, TIFF *tif,
                      const struct tiff_layout *l)
{
    uint32_t wide = 0, high = 0;
    int per = l->separate ? 1 : l->samples;
    TIFFGetField(tif, TIFFTAG_TILEWIDTH, &wide);
    TIFFGetField(tif, TIFFTAG_TILELENGTH, &high);
    if (!wide || !high || wide > RAW_NUMBERS_MAX || high > RAW_NUMBERS_MAX)
        return 0;
    uint64_t need = (uint64_t)wide * high * raw_size(l->dtype); /* up to 2^59 */
    if (need > room / (uint64_t)per)
        return 0;
    for (int c = 0; c < l->samples; c += per)
        for (int64_t y = 0; y < l->height; y += high)
            for (int64_t x = 0; x < l->width; x += wide) {
                uint32_t tile = TIFFComputeTile(tif, (uint32_t)x, (uint32_t)y, 0, (uint16_t)c);
                if (!read_strile(buffer, tif, tile, room, need * (uint64_t)per))
                    return 0;
                scatter(to, buffer, l, c, per, (int)y, (int)x,
                        smaller((int)high, l->height - (int)y),
                        smaller((int)wide, l->width - (int)x), (int)wide);
            }
    return 1;
}

int tiff_read(float *planes, size_t *missing, struct tiff_file *file, const struct tiff_layout *l,
              const struct nodata *nodata)
{
    struct target to = { .planes = planes, .nodata = nodata };
    int tiled = TIFFIsTiled(file->tif);
    uint64_t room = tiled ? TIFFTileSize64(file->tif) : TIFFStripSize64(file->tif);
    unsigned char *buffer = malloc(room);
    if (!buffer)
        return error_memory(file->path, room);
    int ok = (tiled ? read_tiles : read_strips)(&to, buffer, room, file->tif, l);
    free(buffer);
    *missing += to.missing;
    return ok ? MOCO_OK : tiff_refuse(file);
}
