/* part.h: an image as far as its views need it.
 *
 * Views are drawn from the size of the image, which a source knows without decoding; then only
 * the rectangle around their crops is read, at 1/2, 1/4 or 1/8 where every crop still has at least
 * `side` rows and columns. Sources that read whole images only do so here too. The result depends
 * on image and views alone. Images may come as bytes (struct image), which resample() takes. */
#ifndef MOCO_ENGINE_DATA_PART_H
#define MOCO_ENGINE_DATA_PART_H

#include "engine/data/view/augment.h"

/* Height and width of image `index`. It is read into *image where the source cannot tell else. */
int part_size(const struct source *source, size_t index, struct image *image, int *height,
              int *width);

/* After part_size(): reads into *image what `views` (count of them) need, and moves their crops
 * there. A crop's edges are rounded to pixels at the scale of *image. */
int part_read(const struct source *source, size_t index, struct image *image, struct view *views,
              int count, int side);

/* Reads the whole image into *image for augment_plain(), at 1/2, 1/4 or 1/8 where its shorter side
 * keeps 2 `side` pixels or more. Twice as many as a crop keeps, since evaluation has no second
 * view: that halves the difference from the view of the whole image and costs next to nothing. */
int part_whole(const struct source *source, size_t index, struct image *image, int side);

#endif
