/* resample.h: antialiased bilinear resize of a part of an image.
 *
 * Output o of an axis is sum_j w(o, j) in(j) with the triangle filter
 *   w(o, j) ~ max(0, 1 - |j + 1/2 - scale (o + 1/2)| / max(1, scale)),  scale = count / to,
 * normalised over the pixels of the part: PyTorch's _upsample_bilinear2d_aa.
 * In: (C, H, W). Out: (C, side, side). */
#ifndef MOCO_ENGINE_DATA_RESAMPLE_H
#define MOCO_ENGINE_DATA_RESAMPLE_H

#include "engine/data/source.h"

/* One axis: pixels from..from+count-1 become `to` pixels, of which first..first+side-1 are kept. */
struct span {
    int from, count;
    int to, first;
};

/* Floats of scratch that resample() needs. */
size_t resample_floats(const struct span *rows, const struct span *columns, int side);

/* dst: (C, side, side); flip mirrors left and right. */
void resample(float *dst, const struct image *image, const struct span *rows,
              const struct span *columns, int side, int flip, float *scratch);

#endif
