/* turn.h: turning the planes of a view in place.
 *
 * x: (channels, side, side). */
#ifndef MOCO_ENGINE_DATA_VIEW_TURN_H
#define MOCO_ENGINE_DATA_VIEW_TURN_H

#include <stddef.h>

/* Rows become columns. */
void turn_transpose(float *x, int channels, int side);

/* Floats of scratch that turn_rotate() needs. */
size_t turn_floats(int side);

/* Turns by `angle` degrees against the clock about the centre, bilinear. Outside the view is 0, as
 * torchvision's rotate(fill=None) has it, or with `reflect` its mirror image at the edge pixels. */
void turn_rotate(float *x, int channels, int side, float angle, int reflect, float *scratch);

#endif
