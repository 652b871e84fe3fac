/* tiff_page.h: one page of a TIFF file by libtiff: what its directory says, and its numbers. */
#ifndef MOCO_ENGINE_DATA_FORMAT_TIFF_PAGE_H
#define MOCO_ENGINE_DATA_FORMAT_TIFF_PAGE_H

#include <tiffio.h>

#include "engine/data/format/nodata.h"
#include "engine/data/format/raw.h"

enum { TIFF_TEXT = 200 };

/* What a directory says of its page. */
struct tiff_layout {
    int width, height, samples;
    int separate; /* planes, not interleaved */
    int jpeg_ycbcr;
    uint16_t compression;
    enum source_dtype dtype;
};

/* Opens without reading a directory. text: TIFF_TEXT bytes that belong to the open file, for the
 * first message of a call. A file that shrinks meanwhile ends in a sentence. */
int tiff_open(TIFF **out, char *text, const char *path);

/* The sentence for a file that libtiff cannot read, with its message. */
int tiff_refuse(const char *path, const char *text);

/* Of the directory that is current; refuses what is not read, and what the file cannot hold. */
int tiff_layout(struct tiff_layout *out, TIFF *tif, const char *path);

/* planes: (samples, height, width) of the current directory. Numbers that `nodata` (or NULL)
 * declares missing become NaN and are added to *missing. */
int tiff_read(float *planes, size_t *missing, TIFF *tif, const struct tiff_layout *l,
              const struct nodata *nodata, const char *text, const char *path);

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
