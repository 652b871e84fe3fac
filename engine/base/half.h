/* half.h: a 16-bit float (IEEE 754 binary16) as a float, which holds every one of them exactly. */
#ifndef MOCO_ENGINE_BASE_HALF_H
#define MOCO_ENGINE_BASE_HALF_H

#include <math.h>
#include <stdint.h>

static inline float half_widened(uint64_t h)
{
    int exponent = (int)(h >> 10 & 31);
    float fraction = (float)(h & 1023);
    float value = exponent == 0 ? ldexpf(fraction, -24) : ldexpf(1024.0f + fraction, exponent - 25);
    if (exponent == 31)
        value = fraction != 0 ? NAN : INFINITY;
    return h >> 15 ? -value : value;
}

#endif
