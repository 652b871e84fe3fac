/* update_ref.c: the parameter updates in plain C, the specification to the byte.
 *
 * EMA (He et al. 2019 eq. 2): k <- m k + (1 - m) q, 1 - m rounded first.
 * SGD: g' = g + wd p, u <- momentum u + g', p <- p - lr u, one rounding each.
 * sgd_ema: the one, then the other, element by element. */
#include <math.h>

#include "simd/kernels.h"

void moco_ema_ref(float *k, const float *q, size_t n, float m)
{
    float take = 1.0f - m;

    for (size_t i = 0; i < n; i++)
        k[i] = fmaf(m, k[i], take * q[i]);
}

void moco_sgd_ref(float *p, float *u, const float *g, size_t n, float lr, float momentum, float wd)
{
    for (size_t i = 0; i < n; i++) {
        u[i] = fmaf(momentum, u[i], fmaf(wd, p[i], g[i]));
        p[i] = fmaf(-lr, u[i], p[i]);
    }
}

void moco_sgd_ema_ref(float *w, float *v, float *w_k, const float *g, size_t n, float lr,
                      float momentum, float wd, float m)
{
    float take = 1.0f - m;

    for (size_t i = 0; i < n; i++) {
        v[i] = fmaf(momentum, v[i], fmaf(wd, w[i], g[i]));
        w[i] = fmaf(-lr, v[i], w[i]);
        w_k[i] = fmaf(m, w_k[i], take * w[i]);
    }
}
