/* shrink.h: a whole image made smaller, its proportions kept.
 *
 * The shorter side becomes `side`, the longer one floor(longer * side / shorter), as torchvision's
 * Resize does; antialiased (resample.h). Images whose shorter side is `side` or less already are
 * left alone: nothing is made larger. */
#ifndef MOCO_ENGINE_DATA_VIEW_SHRINK_H
#define MOCO_ENGINE_DATA_VIEW_SHRINK_H

#include "engine/data/source.h"
#include "simd/simd.h"

struct shrink {
    float *floats;      /* scratch; owned, grows as needed */
    size_t capacity;
    struct image image; /* what came out */
};

/* 1 where shrink_image() would change something. */
int shrink_due(const struct image *image, int side);

/* shrink->image = `image` with the shorter side `side`; shrink_due() holds. */
int shrink_image(struct shrink *shrink, const struct image *image, int side,
                 const struct moco_simd *simd);

void shrink_close(struct shrink *shrink);

#endif
