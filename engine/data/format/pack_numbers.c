/* pack_numbers.c: floats back to numbers of a type; see pack.h.
 *
 * Whether that is exact is found by going there and back. Floats are compared by their bits, so NaN
 * and -0 count as they are. */
#include "engine/data/format/pack.h"

#include <math.h>
#include <string.h>

#include "engine/data/format/raw.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Nearest of lo..hi; NaN becomes lo. */
static long nearest(float x, long lo, long hi)
{
    if (!(x > (float)lo))
        return lo;
    return x < (float)hi ? lrintf(x) : hi;
}

/* value / 2^shift, ties to even. */
static uint32_t round_off(uint32_t value, int shift)
{
    uint32_t kept = value >> shift, rest = value & ((1u << shift) - 1), half = 1u << (shift - 1);
    return kept + (rest > half || (rest == half && (kept & 1)));
}

/* IEEE binary16; what is too large becomes infinite. */
static uint32_t half_of(float x)
{
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, fraction = bits & 0x7fffff;
    int exponent = (int)(bits >> 23 & 255) - 112;
    if (isnan(x))
        return sign | 0x7e00;
    if (exponent >= 31)
        return sign | 0x7c00;
    if (exponent < -10)
        return sign;
    if (exponent <= 0) /* a subnormal: its unit is 2^-24 */
        return sign | round_off(fraction | 0x800000, 14 - exponent);
    return sign | round_off((uint32_t)exponent << 23 | fraction, 13); /* a carry goes on upwards */
}

static uint64_t number_of(float x, enum source_dtype dtype)
{
    double wide = (double)x;
    uint64_t word;
    switch (dtype) {
    case DTYPE_U8:
        return (uint64_t)nearest(x * 255.0f, 0, 255);
    case DTYPE_U16:
        return (uint64_t)nearest(x * 65535.0f, 0, 65535);
    case DTYPE_I16:
        return (uint64_t)nearest(x, -32768, 32767);
    case DTYPE_F16:
        return half_of(x);
    case DTYPE_F32:
        return bits_of(x);
    case DTYPE_F64:
        break;
    }
    memcpy(&word, &wide, sizeof word);
    return word;
}

void pack_numbers(unsigned char *dst, const float *src, size_t n, enum source_dtype dtype)
{
    size_t size = raw_size(dtype);
    for (size_t i = 0; i < n; i++)
        raw_put(dst + i * size, number_of(src[i], dtype), size);
}

int pack_holds(const float *src, size_t n, enum source_dtype dtype)
{
    enum { BLOCK = 256 };
    unsigned char numbers[BLOCK * sizeof(double)];
    float back[BLOCK];
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t count = n - at < BLOCK ? n - at : BLOCK;
        pack_numbers(numbers, src + at, count, dtype);
        raw_floats(back, numbers, count, 1, dtype, 0);
        if (memcmp(back, src + at, count * sizeof *back) != 0)
            return 0;
    }
    return 1;
}
