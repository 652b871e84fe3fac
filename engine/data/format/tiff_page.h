/* tiff_page.h: one page of a TIFF file by libtiff: what its directory says, and its numbers. */
#ifndef MOCO_ENGINE_DATA_FORMAT_TIFF_PAGE_H
#define MOCO_ENGINE_DATA_FORMAT_TIFF_PAGE_H

#include "engine/data/format/nodata.h"
#include "engine/data/format/raw.h"
#include "engine/data/format/tiff_file.h"

#define tiff_strile_max ((uint64_t)RAW_NUMBERS_MAX * 8) /* bytes */

/* What a directory says of its page. */
struct tiff_layout {
    int width, height, samples;
    int separate; /* planes, not interleaved */
    int jpeg_ycbcr;
    uint16_t compression;
    enum source_dtype dtype;
};

/* Of the directory that is current; refuses what is not read, and what the file cannot hold. */
int tiff_layout(struct tiff_layout *out, TIFF *tif, const char *path);

/* planes: (samples, height, width) of the current directory. Numbers that `nodata` (or NULL)
 * declares missing become NaN and are added to *missing. */
int tiff_read(float *planes, size_t *missing, struct tiff_file *file, const struct tiff_layout *l,
              const struct nodata *nodata);

/* What tags of a set declare missing, each once. */
struct tiff_nodata {
    struct nodata *at; /* (n); owned by who opened the set */
    size_t n, capacity;
};

/* *out: 1 + the place in `all` of what the current directory declares; without a tag it is `first`,
 * that of the file's first page. 0: nothing. The source's words on it are written too. */
int tiff_declared(uint32_t *out, struct tiff_nodata *all, struct source *source, TIFF *tif,
                  enum source_dtype dtype, uint32_t first, const char *path);

#endif
