/* colour.h: what changes the pixels of a view in place: colour jitter, grey, Gaussian blur,
 * solarisation.
 *
 * A picture is `channels` planes of n pixels in [0, 1]. Definitions are torchvision v2's on float32
 * tensors: blend(x, y, f) = clamp(f x + (1 - f) y, 0, 1), grey = .2989 r + .587 g + .114 b.
 * Saturation, hue and grey need three channels; the caller sees to that. */
#ifndef MOCO_ENGINE_DATA_COLOUR_H
#define MOCO_ENGINE_DATA_COLOUR_H

#include <stddef.h>

void colour_brightness(float *x, int channels, size_t n, float factor);

/* Blends with the mean of the grey image; grey is the mean of the channels unless there are 3. */
void colour_contrast(float *x, int channels, size_t n, float factor);

void colour_saturation(float *x, size_t n, float factor);

/* shift: in turns of the colour circle, -0.5..0.5. */
void colour_hue(float *x, size_t n, float shift);

void colour_grey(float *x, size_t n);

/* All channels become their mean. */
void colour_mean(float *x, int channels, size_t n);

/* 1 - x where x >= threshold. */
void colour_solarise(float *x, int channels, size_t n, float threshold);

/* Floats of scratch that colour_blur() needs. */
size_t colour_blur_floats(int side, int taps);

/* x: (channels, side, side); taps odd, taps / 2 < side; reflected at the edges. */
void colour_blur(float *x, int channels, int side, int taps, float sigma, float *scratch);

#endif
