/* turn.c: transposition and free rotation.
 *
 * The pixel at d = (dx, dy) from the centre, rows counted downwards, becomes the picture at
 *   (dx cos a - dy sin a, dx sin a + dy cos a),
 * blended from the four pixels around it. */
#define _GNU_SOURCE
#include "engine/data/view/turn.h"

#include <math.h>
#include <string.h>

void turn_transpose(float *x, int channels, int side)
{
    size_t n = (size_t)side;

    for (int c = 0; c < channels; c++, x += n * n)
        for (size_t i = 1; i < n; i++)
            for (size_t j = 0; j < i; j++) {
                float kept = x[i * n + j];
                x[i * n + j] = x[j * n + i];
                x[j * n + i] = kept;
            }
}

size_t turn_floats(int side)
{
    return (size_t)side * (size_t)side;
}

/* A pixel of the plane; outside it is 0 or, as far as one side away, its mirror image. */
static float pixel(const float *plane, int side, int y, int x, int reflect)
{
    if (reflect && side > 1) {
        y = y < 0 ? -y : y < side ? y : 2 * (side - 1) - y;
        x = x < 0 ? -x : x < side ? x : 2 * (side - 1) - x;
    }
    if (y < 0 || y >= side || x < 0 || x >= side)
        return 0.0f;
    return plane[(size_t)y * (size_t)side + (size_t)x];
}

static float between(const float *plane, int side, float y, float x, int reflect)
{
    float top = floorf(y), left = floorf(x), v = y - top, h = x - left;
    int i = (int)top, j = (int)left;
    float a = pixel(plane, side, i, j, reflect), b = pixel(plane, side, i, j + 1, reflect);
    float c = pixel(plane, side, i + 1, j, reflect), d = pixel(plane, side, i + 1, j + 1, reflect);

    return (1.0f - v) * ((1.0f - h) * a + h * b) + v * ((1.0f - h) * c + h * d);
}

void turn_rotate(float *x, int channels, int side, float angle, int reflect, float *scratch)
{
    size_t n = (size_t)side * (size_t)side;
    double radians = (double)angle * M_PI / 180.0, cosine = cos(radians), sine = sin(radians);
    double centre = 0.5 * (side - 1);

    for (int c = 0; c < channels; c++, x += n) {
        memcpy(scratch, x, n * sizeof(*x));
        for (int i = 0; i < side; i++)
            for (int j = 0; j < side; j++) {
                double dy = i - centre, dx = j - centre;
                x[(size_t)i * (size_t)side + (size_t)j] =
                    between(scratch, side, (float)(centre + dx * sine + dy * cosine),
                            (float)(centre + dx * cosine - dy * sine), reflect);
            }
    }
}
