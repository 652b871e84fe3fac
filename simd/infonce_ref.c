/* infonce_ref.c: InfoNCE in plain C, the specification of the vector kernels to the byte.
 *
 * With l_j = q·x_j / T and the positive as l_0: loss = log Σ exp(l_j - m) + m - l_0 and
 * d_q = (Σ p_j x_j - k) / T. The maximum m is a running one over blocks of 128 keys; when it
 * rises, sum and gradient so far are multiplied by exp(m - m'). Key j of a block adds to sum
 * j mod 16, and the sixteen sums are added by a fixed tree. Keys that do not count have l = -inf,
 * hence p = 0, and still pass through the FMA chains: their values must be finite. */
#include "simd/exp.h"
#include "simd/ref_sums.h"

struct row {
    const float *q;
    const int64_t *q_id;
    float m;
    float sum[MOCO_VL];
    float *acc;
};

static void raise_maximum(struct row *row, float m, size_t D)
{
    float factor = exp_scalar(row->m - m);

    row->m = m;
    for (int i = 0; i < MOCO_VL; i++)
        row->sum[i] *= factor;
    for (size_t d = 0; d < D; d++)
        row->acc[d] *= factor;
}

static void add_block(struct row *row, const float *keys, const int64_t *key_id, size_t n, size_t D,
                      float inv_T)
{
    float l[MOCO_KEY_BLOCK], top = -INFINITY;

    for (size_t j = 0; j < n; j++) {
        l[j] = chain_dot(row->q, keys + j * D, D) * inv_T;
        if (row->q_id && (key_id[j] < 0 || key_id[j] == *row->q_id))
            l[j] = -INFINITY;
        if (l[j] > top)
            top = l[j];
    }
    if (top > row->m)
        raise_maximum(row, top, D);
    for (size_t j = 0; j < n; j++) {
        float p = exp_scalar(l[j] - row->m);

        row->sum[j % MOCO_VL] += p;
        for (size_t d = 0; d < D; d++)
            row->acc[d] = fmaf(p, keys[j * D + d], row->acc[d]);
    }
}

void moco_infonce_ref(float *loss, float *top1, float *d_q, const float *q, const float *k,
                      const float *keys, const int64_t *q_id, const int64_t *key_id, size_t B,
                      size_t K, size_t D, float T, float *scratch)
{
    int masked = q_id && key_id;
    float inv_T = 1.0f / T;

    (void)scratch;
    for (size_t b = 0; b < B; b++, d_q += D, q += D, k += D) {
        float l0 = chain_dot(q, k, D) * inv_T, sum;
        struct row row = {q, masked ? q_id + b : NULL, l0, {1.0f}, d_q};

        memcpy(d_q, k, D * sizeof *d_q);
        for (size_t j = 0; j < K; j += MOCO_KEY_BLOCK)
            add_block(&row, keys + j * D, masked ? key_id + j : NULL,
                      K - j < MOCO_KEY_BLOCK ? K - j : MOCO_KEY_BLOCK, D, inv_T);
        sum = tree_sum(row.sum);
        loss[b] = moco_simd_log(sum) + (row.m - l0);
        top1[b] = row.m == l0 ? 1.0f : 0.0f;
        for (size_t d = 0; d < D; d++)
            d_q[d] = (d_q[d] / sum - k[d]) / T;
    }
}
