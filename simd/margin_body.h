/* margin_body.h: the margin contrastive loss of pairs, its distances and gradients.
 *
 * D = ‖a - b‖; same class: D²/2; different: max(0, margin - D)²/2, without a gradient where
 * D is as good as 0. Lane i of the sum adds elements i, i + 16, ..., then the fixed tree. */
#include <math.h>

#include "simd/tile.h"

static float squared_distance(const float *a, const float *b, size_t D)
{
    f32x16 s = v_zero();

    for (size_t i = 0; i < D; i += MOCO_VL) {
        f32x16 d = v_sub(load_upto(a + i, D - i), load_upto(b + i, D - i));

        s = v_fma(d, d, s);
    }
    return v_sum(s);
}

void KERNEL(margin)(float *loss, float *dist, float *d_a, float *d_b, const float *a,
                    const float *b, const int32_t *different, size_t B, size_t D, float margin)
{
    const float near = MOCO_MARGIN_NEAR * MOCO_MARGIN_NEAR;

    for (size_t i = 0; i < B; i++, d_a += D, d_b += D, a += D, b += D) {
        float square = squared_distance(a, b, D), scale = 1.0f, gap;

        dist[i] = square <= near ? 0.0f : sqrtf(square);
        loss[i] = 0.5f * square;
        if (different[i]) {
            gap = margin - dist[i] > 0.0f ? margin - dist[i] : 0.0f;
            loss[i] = 0.5f * (gap * gap);
            scale = square <= near ? 0.0f : -(gap / dist[i]);
        }
        for (size_t d = 0; d < D; d += MOCO_VL) {
            f32x16 x = load_upto(a + d, D - d), y = load_upto(b + d, D - d);

            store_upto(d_a + d, v_mul(v_set1(scale), v_sub(x, y)), D - d);
            store_upto(d_b + d, v_mul(v_set1(scale), v_sub(y, x)), D - d);
        }
    }
}
