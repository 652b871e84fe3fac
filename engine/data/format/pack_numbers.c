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

/* The same bits, or a gap that integers cannot hold by themselves. */
static int same(const float *back, const float *src, size_t n, int gaps)
{
    if (!gaps)
        return memcmp(back, src, n * sizeof *back) == 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(src[i]) && memcmp(&back[i], &src[i], sizeof *back) != 0)
            return 0;
    return 1;
}

int pack_holds(const float *src, size_t n, enum source_dtype dtype, int gaps)
{
    enum { BLOCK = 256 };
    unsigned char numbers[BLOCK * sizeof(double)];
    float back[BLOCK];
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t count = n - at < BLOCK ? n - at : BLOCK;
        pack_numbers(numbers, src + at, count, dtype);
        raw_floats(back, numbers, count, 1, dtype, 0);
        if (!same(back, src + at, count, gaps))
            return 0;
    }
    return 1;
}

int pack_gaps(unsigned char *dst, uint32_t *number, const float *src, size_t n,
              enum source_dtype dtype)
{
    static const uint32_t count[] = { [DTYPE_U8] = 1 << 8, [DTYPE_U16] = 1 << 16,
                                      [DTYPE_I16] = 1 << 16 };
    unsigned char used[1 << 13] = { 0 };
    size_t size = raw_size(dtype);
    for (size_t i = 0; i < n; i++) {
        uint64_t word = raw_get(dst + i * size, size);
        if (!isnan(src[i]))
            used[word / 8] |= (unsigned char)(1u << word % 8);
    }
    *number = 0;
    while (*number < count[dtype] && used[*number / 8] >> *number % 8 & 1)
        ++*number;
    if (*number == count[dtype])
        return 0;
    for (size_t i = 0; i < n; i++)
        if (isnan(src[i]))
            raw_put(dst + i * size, *number, size);
    return 1;
}
