/* update_body.h: the parameter updates, element by element.
 *
 * EMA: k <- m k + (1 - m) q.  SGD: g' = g + wd p, u <- momentum u + g', p <- p - lr u.
 * sgd_ema is both while the new p is in a register.
 * One rounding per fused multiply-add; elements are independent, so any split is the same. */
#include "simd/tile.h"

void KERNEL(ema)(float *k, const float *q, size_t n, float m)
{
    f32x16 keep = v_set1(m), take = v_set1(1.0f - m);

    for (size_t i = 0; i < n; i += MOCO_VL) {
        f32x16 old = load_upto(k + i, n - i), now = load_upto(q + i, n - i);

        store_upto(k + i, v_fma(keep, old, v_mul(take, now)), n - i);
    }
}

void KERNEL(sgd)(float *p, float *u, const float *g, size_t n, float lr, float momentum, float wd)
{
    f32x16 rate = v_set1(lr), keep = v_set1(momentum), decay = v_set1(wd);

    for (size_t i = 0; i < n; i += MOCO_VL) {
        f32x16 w = load_upto(p + i, n - i);
        f32x16 slope = v_fma(decay, w, load_upto(g + i, n - i));
        f32x16 speed = v_fma(keep, load_upto(u + i, n - i), slope);

        store_upto(u + i, speed, n - i);
        store_upto(p + i, v_fnma(rate, speed, w), n - i);
    }
}

void KERNEL(sgd_ema)(float *w, float *v, float *w_k, const float *g, size_t n, float lr,
                     float momentum, float wd, float m)
{
    f32x16 rate = v_set1(lr), hold = v_set1(momentum), decay = v_set1(wd);
    f32x16 keep = v_set1(m), take = v_set1(1.0f - m);

    for (size_t i = 0; i < n; i += MOCO_VL) {
        f32x16 now = load_upto(w + i, n - i), old = load_upto(w_k + i, n - i);
        f32x16 slope = v_fma(decay, now, load_upto(g + i, n - i));
        f32x16 speed = v_fma(hold, load_upto(v + i, n - i), slope);

        now = v_fnma(rate, speed, now);
        store_upto(v + i, speed, n - i);
        store_upto(w + i, now, n - i);
        store_upto(w_k + i, v_fma(keep, old, v_mul(take, now)), n - i);
    }
}
