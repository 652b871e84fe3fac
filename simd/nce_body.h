/* nce_body.h: products with gathered rows, and NCE and sampled softmax in one pass over them.
 *
 * A block of 128 gathered rows is turned over panel by panel, scored, weighted and added to the
 * gradient while it lies in the second cache; meanwhile the next block's rows are called for, since
 * no prefetcher can guess them. d_v holds the gradient's sum. NCE: a = s - log_noise,
 * h = 1 / (1 + e^-a), weights h - 1 for the own row and h for the samples. Sampled softmax: weights
 * exp(l_j - m), and sum and gradient are multiplied by exp(m - m') when the maximum rises. */
#include "simd/logistic.h"
#include "simd/vec_exp.h"

enum { GATHER_COLUMNS = 64, GRAD_VECS = 4 };

/* Up to 128 gathered rows; the rows past n are the first one again. */
struct block {
    const float *row[MOCO_KEY_BLOCK];
    size_t n;
};

static void gather(struct block *block, const float *bank, const int64_t *index, size_t n, size_t D)
{
    block->n = n;
    for (size_t i = 0; i < MOCO_KEY_BLOCK; i++)
        block->row[i] = bank + (size_t)index[i < n ? i : 0] * D;
}

/* panel[d][i] = row[i][d], d < len. */
static void gather_panel(float *panel, const float *const *row, size_t at, size_t len)
{
    size_t wide = len / V_SQUARE * V_SQUARE;

    for (size_t i = 0; i < TILE_KEYS; i += V_SQUARE)
        for (size_t d = 0; d < wide; d += V_SQUARE)
            v_transpose_rows(panel + d * TILE_KEYS + i, TILE_KEYS, row + i, at + d);
    for (size_t d = wide; d < len; d++)
        for (size_t i = 0; i < TILE_KEYS; i++)
            panel[d * TILE_KEYS + i] = row[i][at + d];
}

static void prefetch_rows(const float *bank, const int64_t *index, size_t n, size_t D)
{
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < D; d += 64 / sizeof(float))
            __builtin_prefetch(bank + (size_t)index[i] * D + d, 0, 2);
}

/* s(block) = v · rows. `more` samples follow the block's in the list `next`. */
static void score_block(float *s, const float *v, const struct block *block, const float *bank,
                        const int64_t *next, size_t more, size_t D)
{
    _Alignas(64) float panel[GATHER_COLUMNS * TILE_KEYS];

    for (size_t j = 0; j < block->n; j += TILE_KEYS) {
        size_t d = 0, ahead = least(j, more);

        prefetch_rows(bank, next + ahead, least(more - ahead, TILE_KEYS), D);
        do {
            size_t len = least(D - d, GATHER_COLUMNS);

            gather_panel(panel, block->row + j, d, len);
            dot_tile(1, s + j, TILE_KEYS, least(block->n - j, TILE_KEYS), v + d, D, panel, len,
                     d > 0);
            d += len;
        } while (d < D);
    }
}

/* acc += Σ_j weight_j row_j for vecs vectors of columns, in the order of j. */
INLINE void add_strip(size_t vecs, float *acc, const float *weight, const struct block *block,
                      size_t d, size_t width)
{
    f32x16 sum[GRAD_VECS];

    UNROLL for (size_t c = 0; c < vecs; c++)
        sum[c] = load_upto(acc + d + c * MOCO_VL, width - c * MOCO_VL);
    for (size_t j = 0; j < block->n; j++) {
        f32x16 w = v_set1(weight[j]);

        UNROLL for (size_t c = 0; c < vecs; c++)
            sum[c] = v_fma(w, load_upto(block->row[j] + d + c * MOCO_VL, width - c * MOCO_VL),
                           sum[c]);
    }
    UNROLL for (size_t c = 0; c < vecs; c++)
        store_upto(acc + d + c * MOCO_VL, sum[c], width - c * MOCO_VL);
}

static void add_rows(float *acc, const float *weight, const struct block *block, size_t D)
{
    size_t d = 0;

    for (; d + GRAD_VECS * MOCO_VL <= D; d += GRAD_VECS * MOCO_VL)
        add_strip(GRAD_VECS, acc, weight, block, d, GRAD_VECS * MOCO_VL);
    for (; d + MOCO_VL <= D; d += MOCO_VL)
        add_strip(1, acc, weight, block, d, MOCO_VL);
    if (d < D)
        add_strip(1, acc, weight, block, d, D - d);
}

/* The block's unused places, up to a whole vector, become -inf: weight 0, cost 0. */
static size_t pad(float *s, size_t n)
{
    size_t whole = (n + MOCO_VL - 1) / MOCO_VL * MOCO_VL;

    for (size_t j = n; j < whole; j++)
        s[j] = -INFINITY;
    return whole;
}

static float chain(const float *a, const float *b, size_t D)
{
    float s = 0.0f;

    for (size_t d = 0; d < D; d++)
        s = fmaf(a[d], b[d], s);
    return s;
}

void KERNEL(gather_logits)(float *out, const float *v, const float *bank, const int64_t *index,
                           size_t B, size_t M, size_t D)
{
    size_t all = B * M;
    struct block block;

    for (size_t b = 0; b < B; b++)
        for (size_t j = 0; j < M; j += MOCO_KEY_BLOCK) {
            size_t n = least(M - j, MOCO_KEY_BLOCK), end = b * M + j + n;

            gather(&block, bank, index + b * M + j, n, D);
            score_block(out + b * M + j, v + b * D, &block, bank, index + end,
                        least(all - end, MOCO_KEY_BLOCK), D);
        }
}

INLINE f32x16 v_log1p(f32x16 t)
{
    f32x16 s = v_div(t, v_add(v_set1(2.0f), t)), z = v_mul(s, s), twice = v_add(s, s);
    f32x16 l = v_fma(v_set1(LOG1P_L4), z, v_set1(LOG1P_L3));

    l = v_fma(l, z, v_set1(LOG1P_L2));
    l = v_fma(l, z, v_set1(LOG1P_L1));
    l = v_fma(l, z, v_set1(LOG1P_L0));
    return v_fma(twice, v_mul(z, l), twice);
}

/* A block's products become weights; returns the sum of costs, raises top. */
static f32x16 weigh_noise(float *s, size_t n, f32x16 sum, f32x16 *top, float inv_T, float log_noise)
{
    f32x16 one = v_set1(1.0f), zero = v_zero(), scale = v_set1(inv_T), shift = v_set1(-log_noise);
    size_t whole = pad(s, n);

    for (size_t j = 0; j < whole; j += MOCO_VL) {
        f32x16 x = v_load(s + j), a = v_fma(x, scale, shift), minus = v_sub(zero, a);
        f32x16 t = v_exp(v_sub(zero, v_max(a, minus)));
        f32x16 part = v_add(v_zero_below(one, a, zero), v_where_positive(t, minus));

        *top = v_max(x, *top);
        sum = v_add(sum, v_add(v_log1p(t), v_where_positive(a, a)));
        v_store(s + j, v_div(part, v_add(one, t)));
    }
    return sum;
}

void KERNEL(nce)(float *loss, float *top1, float *d_v, const float *v, const float *bank,
                 const int64_t *own, const int64_t *index, size_t B, size_t M, size_t D, float T,
                 float log_noise)
{
    _Alignas(64) float s[MOCO_KEY_BLOCK];
    float inv_T = 1.0f / T;
    struct block block;

    for (size_t b = 0; b < B; b++, v += D, d_v += D) {
        const float *mine = bank + (size_t)own[b] * D;
        float hit = chain(v, mine, D), miss;
        float weight = -logistic_scalar(&miss, -fmaf(hit, inv_T, -log_noise));
        f32x16 sum = v_zero(), top = v_set1(-INFINITY);

        for (size_t d = 0; d < D; d++)
            d_v[d] = weight * mine[d];
        for (size_t j = 0; j < M; j += MOCO_KEY_BLOCK) {
            size_t n = least(M - j, MOCO_KEY_BLOCK), end = b * M + j + n;

            gather(&block, bank, index + b * M + j, n, D);
            score_block(s, v, &block, bank, index + end, least(B * M - end, MOCO_KEY_BLOCK), D);
            sum = weigh_noise(s, n, sum, &top, inv_T, log_noise);
            add_rows(d_v, s, &block, D);
        }
        loss[b] = miss + v_sum(sum);
        top1[b] = hit >= v_largest(top) ? 1.0f : 0.0f;
        for (size_t d = 0; d < D; d++)
            d_v[d] /= T;
    }
}

/* A block's products become exp(l - m); sum and acc so far follow a maximum that rises. */
static f32x16 weigh_softmax(float *s, size_t n, f32x16 sum, float *m, float *acc, size_t D,
                            float inv_T)
{
    f32x16 top = v_set1(-INFINITY);
    size_t whole = pad(s, n);
    float rise;

    for (size_t j = 0; j < whole; j += MOCO_VL) {
        f32x16 l = v_mul(v_load(s + j), v_set1(inv_T));

        v_store(s + j, l);
        top = v_max(l, top);
    }
    rise = v_largest(top);
    if (rise > *m) {
        float factor = exp_scalar(*m - rise);

        *m = rise;
        sum = v_mul(sum, v_set1(factor));
        for (size_t d = 0; d < D; d++)
            acc[d] *= factor;
    }
    for (size_t j = 0; j < whole; j += MOCO_VL) {
        f32x16 p = v_exp(v_sub(v_load(s + j), v_set1(*m)));

        v_store(s + j, p);
        sum = v_add(sum, p);
    }
    return sum;
}

void KERNEL(sampled)(float *loss, float *top1, float *d_v, const float *v, const float *bank,
                     const int64_t *own, const int64_t *index, size_t B, size_t M, size_t D,
                     float T, float log_scale)
{
    _Alignas(64) float s[MOCO_KEY_BLOCK];
    float inv_T = 1.0f / T;
    struct block block;

    for (size_t b = 0; b < B; b++, v += D, d_v += D) {
        const float *mine = bank + (size_t)own[b] * D;
        float hit = chain(v, mine, D) * inv_T, m = -INFINITY, total;
        f32x16 sum = v_zero();

        for (size_t d = 0; d < D; d++)
            d_v[d] = 0.0f;
        for (size_t j = 0; j < M; j += MOCO_KEY_BLOCK) {
            size_t n = least(M - j, MOCO_KEY_BLOCK), end = b * M + j + n;

            gather(&block, bank, index + b * M + j, n, D);
            score_block(s, v, &block, bank, index + end, least(B * M - end, MOCO_KEY_BLOCK), D);
            sum = weigh_softmax(s, n, sum, &m, d_v, D, inv_T);
            add_rows(d_v, s, &block, D);
        }
        total = v_sum(sum);
        loss[b] = moco_simd_log(total) + (m - hit) + log_scale;
        top1[b] = hit >= m ? 1.0f : 0.0f;
        for (size_t d = 0; d < D; d++)
            d_v[d] = (d_v[d] / total - mine[d]) / T;
    }
}
