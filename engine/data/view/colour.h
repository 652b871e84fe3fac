/* colour.h: what changes the pixels of a view in place: colour jitter, grey, Gaussian blur,
 * solarisation, normalisation.
 *
 * A picture is `channels` planes of n pixels in [0, 1]. Definitions are torchvision v2's on float32
 * tensors: blend(x, y, f) = clamp(f x + (1 - f) y, 0, 1), grey = .2989 r + .587 g + .114 b.
 * What asks for pixels alone waits in a list and is done to a vector of them at once; a mean or a
 * neighbour ends the list. Saturation, hue and grey need three channels; the caller sees to that.
 */
#ifndef MOCO_ENGINE_DATA_VIEW_COLOUR_H
#define MOCO_ENGINE_DATA_VIEW_COLOUR_H

#include <stddef.h>

#include "simd/simd.h"

enum { COLOUR_STEPS = 8 };

struct colour {
    const struct moco_simd *simd;
    float *x; /* (channels, n) */
    int channels;
    size_t n;
    struct moco_colour step[COLOUR_STEPS]; /* that wait */
    size_t steps;
};

/* Does what waits. */
void colour_flush(struct colour *colour);

void colour_brightness(struct colour *colour, float factor);

/* Blends with the mean of the grey image; grey is the mean of the channels unless there are 3. */
void colour_contrast(struct colour *colour, float factor);

void colour_saturation(struct colour *colour, float factor);

/* shift: in turns of the colour circle, -0.5..0.5. */
void colour_hue(struct colour *colour, float shift);

void colour_grey(struct colour *colour);

/* (x - mean) / std, both (channels); nothing waits behind it. */
void colour_normalise(struct colour *colour, const float *mean, const float *std);

/* All channels become their mean. */
void colour_mean(struct colour *colour);

/* 1 - x where x >= threshold. */
void colour_solarise(struct colour *colour, float threshold);

/* Floats of scratch that colour_blur() needs, 64-byte aligned. */
size_t colour_blur_floats(int side, int taps);

/* n = side side; taps odd, taps / 2 < side; reflected at the edges. */
void colour_blur(struct colour *colour, int side, int taps, float sigma, float *scratch);

#endif
