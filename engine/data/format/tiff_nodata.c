/* tiff_nodata.c: GDAL's tag for the number that means "no value", and which pages it holds for.
 *
 * Each page has a tag of its own; writers of several pages often give it to the first alone, so the
 * others of that file follow it. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/data/format/tiff_page.h"

enum { GDAL_NODATA = 42113, NEAR = 64 };

/* The tag's text of the current directory, 0 where there is none. */
static int read_text(char *out, size_t size, TIFF *tif)
{
    const TIFFField *field = TIFFFindField(tif, GDAL_NODATA, TIFF_ANY);
    const char *data = NULL;
    uint32_t count = 0;
    uint16_t small = 0;
    int ok = 0;
    if (!field)
        return 0;
    TIFFDataType type = TIFFFieldDataType(field);
    if (!TIFFFieldPassCount(field))
        ok = type == TIFF_ASCII && TIFFGetField(tif, GDAL_NODATA, &data);
    else if (TIFFFieldReadCount(field) == TIFF_VARIABLE)
        ok = TIFFGetField(tif, GDAL_NODATA, &small, &data);
    else
        ok = TIFFGetField(tif, GDAL_NODATA, &count, &data);
    if (!ok || !data)
        return 0;
    count = !TIFFFieldPassCount(field) ? (uint32_t)strlen(data) : small ? small : count;
    if (type != TIFF_ASCII && type != TIFF_BYTE && type != TIFF_UNDEFINED)
        snprintf(out, size, "of numbers");
    else
        snprintf(out, size, "%.*s", count < size ? (int)count : (int)size - 1, data);
    return out[strspn(out, " \t\r\n")] != '\0';
}

/* A text that declares nothing is told once. */
static void note_text(struct source *source, const char *text, const char *path)
{
    char shown[40];
    size_t used = strlen(source->note);
    snprintf(shown, sizeof shown, "%s", text);
    for (char *c = shown; *c; c++)
        *c = *c < 32 || *c > 126 ? '?' : *c;
    if (!strstr(source->note, "GDAL_NODATA"))
        snprintf(source->note + used, sizeof source->note - used, "%s%.200s: the tag GDAL_NODATA "
                 "'%s' is no number, so it declares nothing missing", used ? "; " : "", path,
                 shown);
}

int tiff_declared(uint32_t *out, struct tiff_nodata *all, struct source *source, TIFF *tif,
                  enum source_dtype dtype, uint32_t first, const char *path)
{
    char text[64];
    struct nodata nodata = { .n = 0 };
    *out = first;
    if (!read_text(text, sizeof text, tif))
        return MOCO_OK;
    if (!nodata_add_text(&nodata, text, dtype)) {
        note_text(source, text, path);
        return MOCO_OK;
    }
    nodata_name(source, "GDAL_NODATA", text);
    for (size_t i = all->n; i > 0 && i + NEAR > all->n; i--)
        if (!memcmp(&all->at[i - 1], &nodata, sizeof nodata)) {
            *out = (uint32_t)i;
            return MOCO_OK;
        }
    struct nodata *grown = array_grow(all->at, &all->capacity, all->n, sizeof *grown,
                                      "numbers that mean no value");
    if (!grown)
        return MOCO_ENOMEM;
    all->at = grown;
    all->at[all->n++] = nodata;
    *out = (uint32_t)all->n;
    return MOCO_OK;
}
