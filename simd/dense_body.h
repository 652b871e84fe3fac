/* dense_body.h: logits = q keys^T, and the normalisation of rows with its gradient.
 *
 * logits has no scratch, so its key panel lies on the stack and D is taken in chunks; a chunk
 * continues the FMA chains from the stored logits, which leaves their bytes as they would be in
 * one go. Row sums: lane i adds elements i, i + 16, ..., then the fixed tree. */
#include <math.h>

#include "simd/tile.h"

enum { CHUNK = 128 };

void KERNEL(logits)(float *out, const float *q, const float *keys, size_t B, size_t K, size_t D)
{
    _Alignas(64) float panel[CHUNK * TILE_KEYS];

    for (size_t j = 0; j < K; j += TILE_KEYS) {
        size_t n = least(K - j, TILE_KEYS), d = 0;

        do {
            size_t len = least(D - d, CHUNK);

            pack_panel(panel, keys + j * D + d, D, n, len);
            dot_rows(B, out + j, K, n, q + d, D, panel, len, d > 0);
            d += len;
        } while (d < D);
    }
}

static inline float row_dot(const float *a, const float *b, size_t D)
{
    f32x16 s = v_zero();
    size_t i = 0;

    for (; i + MOCO_VL <= D; i += MOCO_VL)
        s = v_fma(v_load(a + i), v_load(b + i), s);
    if (i < D)
        s = v_fma(v_load_n(a + i, D - i), v_load_n(b + i, D - i), s);
    return v_sum(s);
}

void KERNEL(row_normalise)(float *dst, float *inv_norm, const float *src, size_t B, size_t D)
{
    for (size_t b = 0; b < B; b++, dst += D, src += D) {
        float norm = sqrtf(row_dot(src, src, D));
        float inverse = 1.0f / (norm < 1e-12f ? 1e-12f : norm);

        inv_norm[b] = inverse;
        for (size_t i = 0; i < D; i += MOCO_VL)
            store_upto(dst + i, v_mul(load_upto(src + i, D - i), v_set1(inverse)), D - i);
    }
}

void KERNEL(row_normalise_grad)(float *d_src, const float *d_dst, const float *dst,
                                const float *inv_norm, size_t B, size_t D)
{
    for (size_t b = 0; b < B; b++, d_src += D, d_dst += D, dst += D) {
        f32x16 dot = v_set1(row_dot(d_dst, dst, D)), inverse = v_set1(inv_norm[b]);

        for (size_t i = 0; i < D; i += MOCO_VL) {
            f32x16 g = load_upto(d_dst + i, D - i), y = load_upto(dst + i, D - i);

            store_upto(d_src + i, v_mul(v_fnma(y, dot, g), inverse), D - i);
        }
    }
}
