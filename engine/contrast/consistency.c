/* consistency.c: the consistency term; see consistency.h. d_v1 = 2λ (v1 - v2) / B = -d_v2. */
#include "engine/contrast/consistency.h"

size_t consistency_scratch(size_t rows, size_t D, int unit)
{
    return unit ? 0 : 3 * rows * D + 2 * rows;
}

/* loss += share Σ(q - k)²; d_q += 2 share (q - k), d_k -= the same. */
static void add_rows(struct contrast *c, float *d_q, float *d_k, const float *q, const float *k,
                     size_t n, double share)
{
    double sum = 0.0;
    float twice = (float)(2.0 * share);

    for (size_t i = 0; i < n; i++) {
        float apart = q[i] - k[i];
        sum += (double)apart * (double)apart;
        d_q[i] += twice * apart;
        if (d_k)
            d_k[i] -= twice * apart;
    }
    c->loss += share * sum;
}

/* sum(rows, D) += the gradient with respect to what v, inv_norm were made from; d is used up. */
static void through_norm(float *sum, float *d, const float *v, const float *inv_norm, size_t rows,
                         size_t D, const struct moco_simd *simd)
{
    simd->row_normalise_grad(d, d, v, inv_norm, rows, D);
    for (size_t i = 0; i < rows * D; i++)
        sum[i] += d[i];
}

/* The difference's gradients are equal but for the sign, so one buffer serves both sides. */
static void add_raw(struct contrast *c, double share, size_t D, const struct moco_simd *simd,
                    float *scratch)
{
    size_t n = c->rows * D;
    float *v_q = scratch, *v_k = v_q + n, *d = v_k + n, *inv_q = d + n, *inv_k = inv_q + c->rows;

    simd->row_normalise(v_q, inv_q, c->q, c->rows, D);
    simd->row_normalise(v_k, inv_k, c->k, c->rows, D);
    for (size_t i = 0; i < n; i++)
        d[i] = 0.0f;
    add_rows(c, d, NULL, v_q, v_k, n, share);
    through_norm(c->d_q, d, v_q, inv_q, c->rows, D, simd);
    if (!c->d_k)
        return;
    for (size_t i = 0; i < n; i++)
        d[i] = (float)(-2.0 * share) * (v_q[i] - v_k[i]);
    through_norm(c->d_k, d, v_k, inv_k, c->rows, D, simd);
}

void consistency_add(struct contrast *c, float lambda, size_t B, size_t D, int unit,
                     const struct moco_simd *simd, float *scratch)
{
    double share = (double)lambda / (double)B;

    if (unit)
        add_rows(c, c->d_q, c->d_k, c->q, c->k, c->rows * D, share);
    else
        add_raw(c, share, D, simd, scratch);
}
