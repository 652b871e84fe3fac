/* tiff_stack.c: see tiff_stack.h. Places are 64 bits wide whatever the offsets in the file are. */
#define _GNU_SOURCE
#include "engine/data/format/tiff_stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"

enum { UIC2 = 33629 }; /* MetaMorph's tag of six numbers a plane */

/* ---- what is promised ---- */

static uint64_t plane_numbers(const struct tiff_layout *l)
{
    return (uint64_t)l->width * (uint64_t)l->height * (uint64_t)l->samples;
}

/* N of a line "images=N" where ImageJ wrote the description. */
static uint64_t imagej_planes(TIFF *tif)
{
    char *text = NULL;
    if (!TIFFGetField(tif, TIFFTAG_IMAGEDESCRIPTION, &text) || strncmp(text, "ImageJ", 6) != 0)
        return 1;
    const char *line = strstr(text, "\nimages=");
    double n = line ? strtod(line + strlen("\nimages="), NULL) : 1;
    return n >= 1 && n <= (double)UINT32_MAX ? (uint64_t)n : 1;
}

/* The product of the sizes in "{"shape": [6, 16, 20], "truncated": true}", which tifffile writes
 * where it leaves directories out. */
static uint64_t tifffile_planes(TIFF *tif, const struct tiff_layout *l)
{
    static const char start[] = "{\"shape\": [";
    char *text = NULL, *end;
    uint64_t numbers = 1, plane = plane_numbers(l);
    if (!TIFFGetField(tif, TIFFTAG_IMAGEDESCRIPTION, &text) ||
        strncmp(text, start, sizeof start - 1) != 0 || !strstr(text, "\"truncated\": true"))
        return 1;
    for (const char *at = text + sizeof start - 1; *at && *at != ']';
         at = end + strspn(end, ", ")) {
        uint64_t size = strtoull(at, &end, 10);
        if (end == at || !size || __builtin_mul_overflow(numbers, size, &numbers))
            return 1;
    }
    return numbers % plane == 0 && numbers / plane <= UINT32_MAX ? numbers / plane : 1;
}

static uint64_t metamorph_planes(TIFF *tif)
{
    const TIFFField *field = TIFFFindField(tif, UIC2, TIFF_ANY);
    uint32_t count = 0;
    void *data = NULL;
    if (!field || TIFFFieldDataType(field) != TIFF_RATIONAL || !TIFFFieldPassCount(field) ||
        TIFFFieldReadCount(field) != TIFF_VARIABLE2 || !TIFFGetField(tif, UIC2, &count, &data))
        return 1;
    return count ? count : 1;
}

uint64_t tiff_stack_promised(TIFF *tif, const struct tiff_layout *l)
{
    uint64_t planes = imagej_planes(tif);
    planes = planes > 1 ? planes : tifffile_planes(tif, l);
    return planes > 1 ? planes : metamorph_planes(tif);
}

/* ---- where it lies ---- */

/* Up to 2^31. */
static uint64_t plane_bytes(const struct tiff_layout *l)
{
    return plane_numbers(l) * raw_size(l->dtype);
}

int tiff_stack_possible(TIFF *tif, const struct tiff_layout *l)
{
    uint16_t fill = FILLORDER_MSB2LSB;
    uint64_t next = TIFFGetStrileOffset(tif, 0), start = next;
    TIFFGetFieldDefaulted(tif, TIFFTAG_FILLORDER, &fill);
    if (l->compression != COMPRESSION_NONE || TIFFIsTiled(tif) || fill != FILLORDER_MSB2LSB)
        return 0;
    for (uint32_t i = 0; i < TIFFNumberOfStrips(tif); i++) {
        if (TIFFGetStrileOffset(tif, i) != next)
            return 0;
        next += TIFFGetStrileByteCount(tif, i); /* within the file: checked by tiff_layout() */
    }
    return next - start == plane_bytes(l);
}

int tiff_stack_check(TIFF *tif, const struct tiff_layout *l, uint64_t planes, const char *path)
{
    uint64_t size = raw_file_size(path), start = TIFFGetStrileOffset(tif, 0);
    uint64_t bytes = plane_bytes(l) * planes; /* both below 2^32 */
    if (start <= size && bytes <= size - start)
        return MOCO_OK;
    return error_set(MOCO_ETRUNCATED, "%s: the description promises %llu planes of %llu bytes, a "
                     "file of %llu bytes holds %llu; it is truncated, or the description is not "
                     "its own and is to be taken away", path, (unsigned long long)planes,
                     (unsigned long long)plane_bytes(l), (unsigned long long)size,
                     (unsigned long long)(start < size ? (size - start) / plane_bytes(l) : 0));
}

static int read_all(unsigned char *out, int fd, uint64_t at, size_t size, const char *path)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = pread(fd, out + got, size - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_system("reading", path, errno);
        if (n == 0)
            return error_set(MOCO_ETRUNCATED, "%s ends within a plane; it is truncated", path);
        got += (size_t)n;
    }
    return MOCO_OK;
}

int tiff_stack_read(float *planes, size_t *missing, TIFF *tif, const struct tiff_layout *l,
                    uint32_t plane, const struct nodata *nodata, const char *path)
{
    size_t bytes = (size_t)plane_bytes(l), size = raw_size(l->dtype), step = (size_t)l->samples;
    size_t area = (size_t)l->width * (size_t)l->height;
    int big = TIFFIsBigEndian(tif);
    unsigned char *numbers = malloc(bytes);
    if (!numbers)
        return error_memory(path, bytes);
    int rc = read_all(numbers, TIFFFileno(tif),
                      TIFFGetStrileOffset(tif, 0) + (uint64_t)plane * bytes, bytes, path);
    for (size_t k = 0; rc == MOCO_OK && k < step; k++) {
        const unsigned char *src = numbers + k * (l->separate ? area : 1) * size;
        size_t apart = l->separate ? 1 : step;
        raw_floats(planes + k * area, src, area, apart, l->dtype, big);
        if (nodata)
            *missing += nodata_mark(planes + k * area, src, area, apart, l->dtype, big, nodata);
    }
    free(numbers);
    return rc;
}
