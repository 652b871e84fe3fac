/* resample.h: bilinear resize of a part of an image, antialiased or not.
 *
 * Output o of an axis is sum_j w(o, j) in(j) with the triangle filter
 *   w(o, j) ~ max(0, 1 - |j + 1/2 - scale (o + 1/2)| / max(1, scale)),  scale = count / to,
 * normalised over the pixels of the part: PyTorch's _upsample_bilinear2d_aa. An aliased axis has
 * the divisor 1 in place of max(1, scale), so two pixels an output: PyTorch's upsample_bilinear2d.
 * In: (C, H, W), or bytes. Out: (C, height, width). */
#ifndef MOCO_ENGINE_DATA_VIEW_RESAMPLE_H
#define MOCO_ENGINE_DATA_VIEW_RESAMPLE_H

#include "engine/data/source.h"
#include "simd/simd.h"

/* One axis: pixels from..from+count-1 become `to` pixels, of which first..first+keep-1 are kept. */
struct span {
    int from, count;
    int to, first, keep;
    int aliased;
};

/* Mirror images, which cost nothing: bits. */
enum { MIRROR_COLUMNS = 1 /* left and right change places */, MIRROR_ROWS = 2 };

/* Floats of scratch that resample() needs, 64-byte aligned. */
size_t resample_floats(const struct image *image, const struct span *rows,
                       const struct span *columns);

/* dst: (C, rows->keep, columns->keep); mirror: the bits above. */
void resample(float *dst, const struct image *image, const struct span *rows,
              const struct span *columns, int mirror, const struct moco_simd *simd, float *scratch);

#endif
