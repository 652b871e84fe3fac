/* shape.h: the size that images of a set mostly have, and what a square shows of them. */
#ifndef MOCO_ENGINE_DATA_SHAPE_H
#define MOCO_ENGINE_DATA_SHAPE_H

#include "engine/data/view/augment.h"

struct shape {
    int height, width; /* each the median */
    int shorter;       /* the median of shorter sides */
    int elongated;     /* of half of the images or more the centre square is less than half */
};

/* Of all images whose size is known without reading, else of some spread over the set; sizes are 0
 * where none can be read. */
int shape_of(struct shape *out, const struct source *source);

/* Where images are elongated, evaluation sees all of them: as `side` squares, as a network takes
 * them, or, for the pixels themselves, in their own shape and at most as many pixels as 224
 * squared. Otherwise nothing changes. */
void shape_square(struct policy *policy, const struct shape *shape);
void shape_pixels(struct policy *policy, const struct shape *shape);

/* "images of X have 16 x 400 pixels (height x width): a square shows 16 of 400 columns", "" where
 * they are not elongated. */
void shape_text(char *out, size_t size, const struct shape *shape, const struct source *source);

#endif
