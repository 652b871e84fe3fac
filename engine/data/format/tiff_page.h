/* tiff_page.h: one page of a TIFF file by libtiff: what its directory says, and its numbers. */
#ifndef MOCO_ENGINE_DATA_FORMAT_TIFF_PAGE_H
#define MOCO_ENGINE_DATA_FORMAT_TIFF_PAGE_H

#include <tiffio.h>

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

/* planes: (samples, height, width) of the current directory. */
int tiff_read(float *planes, TIFF *tif, const struct tiff_layout *l, const char *text,
              const char *path);

#endif
