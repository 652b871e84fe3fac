/* margin_ref.c: the margin contrastive loss of pairs in plain C, the specification to the byte.
 *
 * Hadsell, Chopra, LeCun 2006: D = ‖a - b‖; same class: D²/2, gradient a - b; different:
 * max(0, margin - D)²/2, gradient -(margin - D) (a - b) / D. The direction (a - b) / D is lost as
 * D goes to 0, so a pair nearer than MOCO_MARGIN_NEAR has D = 0 and hinge gradient 0.
 * D² : element i adds to sum i mod 16, then the fixed tree. */
#include "simd/ref_sums.h"

static float squared_distance(const float *a, const float *b, size_t D)
{
    float s[MOCO_VL] = {0};

    for (size_t i = 0; i < D; i++) {
        float d = a[i] - b[i];

        s[i % MOCO_VL] = fmaf(d, d, s[i % MOCO_VL]);
    }
    return tree_sum(s);
}

void moco_margin_ref(float *loss, float *dist, float *d_a, float *d_b, const float *a,
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
        for (size_t d = 0; d < D; d++) {
            d_a[d] = scale * (a[d] - b[d]);
            d_b[d] = scale * (b[d] - a[d]);
        }
    }
}
