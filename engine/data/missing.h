/* missing.h: numbers without a value, by one rule for all formats.
 *
 * A format turns what its file declares missing (a nodata number, BLANK) into NaN and counts it in
 * image->missing. missing_guard() then stands before the format's read(): a NaN or an infinite
 * number beyond those, which nothing declares, makes the image MOCO_ENOTFINITE, unless
 * missing_allow() lets that share of it be missing as well; and an image nearly without a value is
 * no image. What is left has NaN where a value is missing: statistics leave it out, image_fill()
 * puts the channel's mean there before views are made. */
#ifndef MOCO_ENGINE_DATA_MISSING_H
#define MOCO_ENGINE_DATA_MISSING_H

#include "engine/data/source.h"

/* An image of which more is missing counts as unreadable, unless missing_allow() allows more. */
#define MISSING_MOST 0.95

enum { MISSING_TEXT = 1300 };

/* Once a format has opened; where every number is a value this does nothing. */
int missing_guard(struct source *source);
void missing_release(struct source *source);

/* Up to `share` of an image may be NaN or infinite without having been declared missing. */
void missing_allow(struct source *source, double share);

/* A sentence on what is missing in the images read so far, each counted once; "" for nothing. out:
 * MISSING_TEXT. */
void missing_text(char *out, const struct source *source);

/* What the sentence says, in numbers. Of a pair: of both sets. */
struct missing_counts {
    uint64_t images, numbers;    /* that were read and may be used */
    uint64_t declared, found;    /* numbers: declared missing; not declared and allowed */
    uint64_t images_with;        /* images with either */
};
struct missing_counts missing_count(const struct source *source);

/* mean: (channels). */
void image_fill(struct image *image, const float *mean);

#endif
