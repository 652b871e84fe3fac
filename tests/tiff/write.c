/* write.c: see tiff.h. */
#include "tests/tiff/tiff.h"

#include "engine/data/format/raw.h"

enum { SIZE_MAX_BYTES = 8 * 8 * 64 * 64 };

int check_count, check_failures;
char files_dir[512];

const struct form grey = { "wl", DTYPE_U16, 1, 5, 6, 0, 0, COMPRESSION_NONE };

/* Sample c of pixel (y, x) as the file holds it, in the machine's order. */
static void sample(unsigned char *out, enum source_dtype dtype, int c, int y, int x)
{
    unsigned word = (unsigned)(c * 7919 + y * 263 + x * 31 + 5) & 0xffff;
    uint16_t half = (uint16_t)(word % 0x7c00 | (word & 0x8000)); /* finite */
    float single = (float)word * 0.37f - 9000.0f;
    double twice = (double)word * 1e7 - 3.25;
    if (dtype == DTYPE_U8)
        out[0] = (unsigned char)(word ^ word >> 8);
    else if (dtype == DTYPE_F32)
        memcpy(out, &single, 4);
    else if (dtype == DTYPE_F64)
        memcpy(out, &twice, 8);
    else
        memcpy(out, dtype == DTYPE_F16 ? &half : &(uint16_t){ (uint16_t)word }, 2);
}

void wanted(float *out, const struct form *form, int from)
{
    unsigned char bytes[8];
    for (int c = 0; c < form->samples; c++)
        for (int y = 0; y < form->height; y++)
            for (int x = 0; x < form->width; x++) {
                sample(bytes, form->dtype, from + c, y, x);
                raw_floats(out++, bytes, 1, 1, form->dtype, 0);
            }
}

void set_fields(TIFF *tif, const struct form *form)
{
    static const int formats[] = { SAMPLEFORMAT_UINT, SAMPLEFORMAT_UINT, SAMPLEFORMAT_INT,
                                   SAMPLEFORMAT_IEEEFP, SAMPLEFORMAT_IEEEFP, SAMPLEFORMAT_IEEEFP };
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, (uint32_t)form->width);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, (uint32_t)form->height);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, form->samples);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, (int)(8 * raw_size(form->dtype)));
    TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, formats[form->dtype]);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tif, TIFFTAG_PLANARCONFIG,
                 form->separate ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, form->compression);
    if (form->tile) {
        TIFFSetField(tif, TIFFTAG_TILEWIDTH, (uint32_t)form->tile);
        TIFFSetField(tif, TIFFTAG_TILELENGTH, (uint32_t)form->tile);
    } else {
        TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, 8U);
    }
}

/* A strip or tile at (y, x) of `rows` x `cols` pixels, channels from c on. */
static size_t fill(unsigned char *out, const struct form *form, int c, int per, int y, int x,
                   int rows, int cols)
{
    size_t size = raw_size(form->dtype), at = 0;
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < cols; k++)
            for (int s = 0; s < per; s++, at += size)
                sample(out + at, form->dtype, c + s, y + r, x + k);
    return at;
}

void write_page(TIFF *tif, const struct form *form, int from)
{
    static unsigned char bytes[SIZE_MAX_BYTES];
    int per = form->separate ? 1 : form->samples;
    set_fields(tif, form);
    for (int c = 0; c < form->samples; c += per) {
        for (int y = 0; y < form->height && !form->tile; y += 8) {
            int rows = form->height - y < 8 ? form->height - y : 8;
            size_t n = fill(bytes, form, from + c, per, y, 0, rows, form->width);
            uint32_t strip = TIFFComputeStrip(tif, (uint32_t)y, (uint16_t)c);
            CHECK(TIFFWriteEncodedStrip(tif, strip, bytes, (tmsize_t)n) == (tmsize_t)n);
        }
        for (int y = 0; form->tile && y < form->height; y += form->tile)
            for (int x = 0; x < form->width; x += form->tile) {
                size_t n = fill(bytes, form, from + c, per, y, x, form->tile, form->tile);
                uint32_t tile = TIFFComputeTile(tif, (uint32_t)x, (uint32_t)y, 0, (uint16_t)c);
                CHECK(TIFFWriteEncodedTile(tif, tile, bytes, (tmsize_t)n) == (tmsize_t)n);
            }
    }
    CHECK(TIFFWriteDirectory(tif));
}

void write_tiff(const char *name, const struct form *form, int pages)
{
    TIFF *tif = TIFFOpen(at(name), form->mode);
    CHECK_MSG(tif != NULL, "writing %s", name);
    for (int p = 0; tif && p < pages; p++)
        write_page(tif, form, p * form->samples);
    if (tif)
        TIFFClose(tif);
}
