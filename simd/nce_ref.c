/* nce_ref.c: losses against gathered rows in plain C, the specification to the byte.
 *
 * Products are FMA chains over D; the gradient is a chain over the samples, the own row first.
 * Sample j adds to sum j mod 16, and the sixteen sums are added by a fixed tree.
 * NCE (Gutmann, Hyvarinen 2010; Wu et al. 2018): a = s - log_noise, h = 1 / (1 + e^-a);
 * loss = -log h(own) - Σ log(1 - h_j), and d loss / d s is h - 1 for the own row, h_j for
 * the others.
 * Sampled softmax: the denominator is Σ e^s_j over the samples alone, with a running maximum over
 * blocks of 128. */
#include "simd/logistic.h"
#include "simd/ref_sums.h"

static void add_row(float *acc, float weight, const float *row, size_t D)
{
    for (size_t d = 0; d < D; d++)
        acc[d] = fmaf(weight, row[d], acc[d]);
}

void moco_gather_logits_ref(float *out, const float *v, const float *bank, const int64_t *index,
                            size_t B, size_t M, size_t D)
{
    for (size_t i = 0; i < B * M; i++)
        out[i] = chain_dot(v + i / M * D, bank + (size_t)index[i] * D, D);
}

void moco_nce_ref(float *loss, float *top1, float *d_v, const float *v, const float *bank,
                  const int64_t *own, const int64_t *index, size_t B, size_t M, size_t D, float T,
                  float log_noise)
{
    float inv_T = 1.0f / T;

    for (size_t b = 0; b < B; b++, v += D, d_v += D, index += M) {
        const float *mine = bank + (size_t)own[b] * D;
        float s = chain_dot(v, mine, D), top = -INFINITY, sum[MOCO_VL] = {0}, miss, cost;
        float weight = -logistic_scalar(&miss, -fmaf(s, inv_T, -log_noise));

        for (size_t d = 0; d < D; d++)
            d_v[d] = weight * mine[d];
        for (size_t j = 0; j < M; j++) {
            const float *row = bank + (size_t)index[j] * D;
            float other = chain_dot(v, row, D);

            top = other > top ? other : top;
            weight = logistic_scalar(&cost, fmaf(other, inv_T, -log_noise));
            sum[j % MOCO_VL] += cost;
            add_row(d_v, weight, row, D);
        }
        loss[b] = miss + tree_sum(sum);
        top1[b] = s >= top ? 1.0f : 0.0f;
        for (size_t d = 0; d < D; d++)
            d_v[d] /= T;
    }
}

/* The samples' sum and Σ p_j row_j relative to a maximum m that may rise. */
struct row {
    float m, sum[MOCO_VL], *acc;
};

static void add_block(struct row *row, const float *v, const float *bank, const int64_t *index,
                      size_t n, size_t D, float inv_T)
{
    float l[MOCO_KEY_BLOCK], top = -INFINITY, factor;

    for (size_t j = 0; j < n; j++) {
        l[j] = chain_dot(v, bank + (size_t)index[j] * D, D) * inv_T;
        top = l[j] > top ? l[j] : top;
    }
    if (top > row->m) {
        factor = exp_scalar(row->m - top);
        row->m = top;
        for (int i = 0; i < MOCO_VL; i++)
            row->sum[i] *= factor;
        for (size_t d = 0; d < D; d++)
            row->acc[d] *= factor;
    }
    for (size_t j = 0; j < n; j++) {
        float p = exp_scalar(l[j] - row->m);

        row->sum[j % MOCO_VL] += p;
        add_row(row->acc, p, bank + (size_t)index[j] * D, D);
    }
}

void moco_sampled_ref(float *loss, float *top1, float *d_v, const float *v, const float *bank,
                      const int64_t *own, const int64_t *index, size_t B, size_t M, size_t D,
                      float T, float log_scale)
{
    float inv_T = 1.0f / T;

    for (size_t b = 0; b < B; b++, v += D, d_v += D, index += M) {
        const float *mine = bank + (size_t)own[b] * D;
        struct row row = {-INFINITY, {0}, d_v};
        float s = chain_dot(v, mine, D) * inv_T, sum;

        memset(d_v, 0, D * sizeof *d_v);
        for (size_t j = 0; j < M; j += MOCO_KEY_BLOCK)
            add_block(&row, v, bank, index + j,
                      M - j < MOCO_KEY_BLOCK ? M - j : MOCO_KEY_BLOCK, D, inv_T);
        sum = tree_sum(row.sum);
        loss[b] = moco_simd_log(sum) + (row.m - s) + log_scale;
        top1[b] = s >= row.m ? 1.0f : 0.0f;
        for (size_t d = 0; d < D; d++)
            d_v[d] = (d_v[d] / sum - mine[d]) / T;
    }
}
