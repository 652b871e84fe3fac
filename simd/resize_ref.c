/* resize_ref.c: bytes to planes and weighted sums of pixels in plain C, the specification to the
 * byte. */
#include "simd/kernels.h"

void moco_unpack_ref(float *dst, size_t plane, const uint8_t *src, size_t n)
{
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++)
            dst[c * plane + i] = (float)src[4 * i + c] / 255.0f;
}

void moco_blend_ref(float *out, const float *const *row, const float *w, size_t taps, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = w[0] * row[0][i];
    for (size_t t = 1; t < taps; t++)
        for (size_t i = 0; i < n; i++)
            out[i] += w[t] * row[t][i];
}

void moco_resize_ref(float *dst, size_t ldd, const float *src, size_t lds, size_t width,
                     const int32_t *start, const float *w, size_t taps, size_t rows, size_t n,
                     float *scratch)
{
    (void)width, (void)scratch;
    for (size_t r = 0; r < rows; r++)
        for (size_t x = 0; x < n; x++) {
            const float *in = src + r * lds + start[x];
            float sum = w[x * taps] * in[0];

            for (size_t t = 1; t < taps; t++)
                sum += w[x * taps + t] * in[t];
            dst[r * ldd + x] = sum;
        }
}
