/* dense_ref.c: logits and the row normalisations in plain C, the specification to the byte.
 *
 * logits: one FMA chain over D. Row sums: lane i adds elements i, i + 16, ... (zeros past the
 * end), then the tree i + 8, i + 4, i + 2, i + 1. y = x / max(‖x‖, 1e-12), and its gradient
 * (g - y (g·y)) / max(‖x‖, 1e-12). */
#include "simd/ref_sums.h"

void moco_logits_ref(float *out, const float *q, const float *keys, size_t B, size_t K, size_t D)
{
    for (size_t b = 0; b < B; b++)
        for (size_t j = 0; j < K; j++)
            out[b * K + j] = chain_dot(q + b * D, keys + j * D, D);
}

static float row_dot(const float *a, const float *b, size_t D)
{
    float s[MOCO_VL] = {0};

    for (size_t i = 0; i < D; i += MOCO_VL)
        for (size_t lane = 0; lane < MOCO_VL; lane++) {
            int in = i + lane < D;

            s[lane] = fmaf(in ? a[i + lane] : 0.0f, in ? b[i + lane] : 0.0f, s[lane]);
        }
    return tree_sum(s);
}

void moco_row_normalise_ref(float *dst, float *inv_norm, const float *src, size_t B, size_t D)
{
    for (size_t b = 0; b < B; b++, dst += D, src += D) {
        float norm = sqrtf(row_dot(src, src, D));

        inv_norm[b] = 1.0f / (norm < 1e-12f ? 1e-12f : norm);
        for (size_t i = 0; i < D; i++)
            dst[i] = src[i] * inv_norm[b];
    }
}

void moco_row_normalise_grad_ref(float *d_src, const float *d_dst, const float *dst,
                                 const float *inv_norm, size_t B, size_t D)
{
    for (size_t b = 0; b < B; b++, d_src += D, d_dst += D, dst += D) {
        float dot = row_dot(d_dst, dst, D);

        for (size_t i = 0; i < D; i++)
            d_src[i] = fmaf(-dst[i], dot, d_dst[i]) * inv_norm[b];
    }
}
