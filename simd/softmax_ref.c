/* softmax_ref.c: the softmax with temperature in plain C, the specification to the byte.
 *
 * p_j = exp((x_j - m) (1/T)) with the row's maximum m; element j adds to sum j mod 16, the sixteen
 * sums are added by a fixed tree, and out_j = p_j (1 / sum). */
#include "simd/exp.h"
#include "simd/ref_sums.h"

void moco_softmax_ref(float *out, const float *x, size_t B, size_t K, float T)
{
    float inv_T = 1.0f / T;

    for (size_t b = 0; b < B; b++, out += K, x += K) {
        float m = -INFINITY, sum[MOCO_VL] = {0}, share;

        for (size_t j = 0; j < K; j++)
            m = x[j] > m ? x[j] : m;
        for (size_t j = 0; j < K; j++) {
            out[j] = exp_scalar((x[j] - m) * inv_T);
            sum[j % MOCO_VL] += out[j];
        }
        share = 1.0f / tree_sum(sum);
        for (size_t j = 0; j < K; j++)
            out[j] *= share;
    }
}
