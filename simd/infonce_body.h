/* infonce_body.h: InfoNCE forward and backward in one pass over the keys.
 *
 * Online softmax over blocks of 128 keys: with the block's maximum the running maximum m may rise
 * to m'; then the old sum and gradient are multiplied by exp(m - m'), and the block adds
 * p_j = exp(l_j - m') and p_j x_j. At the end loss = log(sum) + m - l_0 and
 * d_q = (acc / sum - k) / T. d_q itself holds acc. Rows go in groups that share a key panel.
 * Scratch: the panel (128, D), then a group's logits (rows, 128), overwritten by p. */
#include "simd/vec_exp.h"

struct row {
    float m, l0;
    float sum[MOCO_VL];
};

struct block {
    const float *keys;
    const int64_t *key_id;
    size_t n;
};

/* The positive opens the sum: m = l_0, sum = 1, acc = k. */
static void start_row(struct row *row, float *acc, const float *q, const float *k, size_t D,
                      float inv_T)
{
    float dot = 0.0f;

    for (size_t d = 0; d < D; d++)
        dot = fmaf(q[d], k[d], dot);
    *row = (struct row){.m = dot * inv_T, .l0 = dot * inv_T, .sum = {1.0f}};
    memcpy(acc, k, D * sizeof *acc);
}

static void end_row(float *loss, float *top1, float *acc, const struct row *row, const float *k,
                    size_t D, float T)
{
    float sum = v_sum(v_load(row->sum));

    *loss = moco_simd_log(sum) + (row->m - row->l0);
    *top1 = row->m == row->l0 ? 1.0f : 0.0f;
    for (size_t d = 0; d < D; d += MOCO_VL) {
        f32x16 mean = v_div(load_upto(acc + d, D - d), v_set1(sum));
        f32x16 slope = v_div(v_sub(mean, load_upto(k + d, D - d)), v_set1(T));

        store_upto(acc + d, slope, D - d);
    }
}

/* Keys that do not count, and the lanes past the last key, get -inf. */
static void mask_logits(float *l, const struct block *block, const int64_t *q_id)
{
    if (q_id)
        for (size_t j = 0; j < block->n; j++) {
            int64_t id = block->key_id[j];

            l[j] = ((id < 0) | (id == *q_id)) ? -INFINITY : l[j];
        }
    for (size_t j = block->n; j < MOCO_KEY_BLOCK; j++)
        l[j] = -INFINITY;
}

static void rescale_row(struct row *row, float *acc, size_t D, float m)
{
    f32x16 factor = v_set1(exp_scalar(row->m - m));

    row->m = m;
    v_store(row->sum, v_mul(v_load(row->sum), factor));
    for (size_t d = 0; d < D; d += MOCO_VL)
        store_upto(acc + d, v_mul(load_upto(acc + d, D - d), factor), D - d);
}

/* Turns a block's dot products into p, and adds them to the row's sum. */
static void softmax_row(struct row *row, float *l, float *acc, size_t D, float inv_T,
                        const struct block *block, const int64_t *q_id)
{
    f32x16 top = v_set1(-INFINITY), sum;
    float m;

    for (size_t j = 0; j < MOCO_KEY_BLOCK; j += MOCO_VL)
        v_store(l + j, v_mul(v_load(l + j), v_set1(inv_T)));
    if (q_id || block->n < MOCO_KEY_BLOCK)
        mask_logits(l, block, q_id);
    for (size_t j = 0; j < MOCO_KEY_BLOCK; j += MOCO_VL)
        top = v_max(v_load(l + j), top);
    m = v_largest(top);
    if (m > row->m)
        rescale_row(row, acc, D, m);
    sum = v_load(row->sum);
    for (size_t j = 0; j < MOCO_KEY_BLOCK; j += MOCO_VL) {
        f32x16 p = v_exp(v_sub(v_load(l + j), v_set1(row->m)));

        v_store(l + j, p);
        sum = v_add(sum, p);
    }
    v_store(row->sum, sum);
}

/* acc(rows, width) += p(rows, n) keys(n, width), keys in order; width <= vecs * 16. */
INLINE void grad_tile(size_t rows, size_t vecs, size_t width, float *acc, size_t D, const float *p,
                      const float *keys, size_t n)
{
    f32x16 sum[TILE_ROWS][TILE_VECS];

    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t c = 0; c < vecs; c++)
            sum[r][c] = load_upto(acc + r * D + c * MOCO_VL, width - c * MOCO_VL);
    for (size_t j = 0; j < n; j++) {
        f32x16 x[TILE_VECS];

        UNROLL for (size_t c = 0; c < vecs; c++)
            x[c] = load_upto(keys + j * D + c * MOCO_VL, width - c * MOCO_VL);
        UNROLL for (size_t r = 0; r < rows; r++) {
            f32x16 a = v_set1(p[r * MOCO_KEY_BLOCK + j]);

            UNROLL for (size_t c = 0; c < vecs; c++)
                sum[r][c] = v_fma(a, x[c], sum[r][c]);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t c = 0; c < vecs; c++)
            store_upto(acc + r * D + c * MOCO_VL, sum[r][c], width - c * MOCO_VL);
}

/* One strip of columns for all rows of the group: the strip of keys stays in the first cache. */
static void grad_strip(size_t width, size_t rows, float *acc, size_t D, const float *p,
                       const float *keys, size_t n)
{
    for (size_t r = 0; r < rows; r += TILE_ROWS) {
        size_t few = least(rows - r, TILE_ROWS);
        float *a = acc + r * D;
        const float *w = p + r * MOCO_KEY_BLOCK;

        if (width == TILE_KEYS)
            TILE_CASES(few, grad_tile, TILE_VECS, TILE_KEYS, a, D, w, keys, n)
        else if (width == MOCO_VL)
            TILE_CASES(few, grad_tile, 1, MOCO_VL, a, D, w, keys, n)
        else
            TILE_CASES(few, grad_tile, 1, width, a, D, w, keys, n)
    }
}

static void add_gradient(size_t rows, float *acc, size_t D, const float *p,
                         const struct block *block)
{
    size_t width;

    for (size_t d = 0; d < D; d += width) {
        width = D - d >= TILE_KEYS ? (size_t)TILE_KEYS : least(D - d, MOCO_VL);
        grad_strip(width, rows, acc + d, D, p, block->keys + d, block->n);
    }
}

static void add_block(struct row *row, float *acc, const float *q, const int64_t *q_id, size_t rows,
                      size_t D, float inv_T, const struct block *block, float *scratch)
{
    float *panel = scratch, *l = scratch + MOCO_KEY_BLOCK * D;

    for (size_t j = 0; j < block->n; j += TILE_KEYS) {
        pack_panel(panel, block->keys + j * D, D, least(block->n - j, TILE_KEYS), D);
        dot_rows(rows, l + j, MOCO_KEY_BLOCK, TILE_KEYS, q, D, panel, D, 0);
    }
    for (size_t j = (block->n + TILE_KEYS - 1) / TILE_KEYS * TILE_KEYS; j < MOCO_KEY_BLOCK; j++)
        for (size_t r = 0; r < rows; r++)
            l[r * MOCO_KEY_BLOCK + j] = 0.0f;
    for (size_t r = 0; r < rows; r++)
        softmax_row(row + r, l + r * MOCO_KEY_BLOCK, acc + r * D, D, inv_T, block,
                    q_id ? q_id + r : NULL);
    add_gradient(rows, acc, D, l, block);
}

void KERNEL(infonce)(float *loss, float *top1, float *d_q, const float *q, const float *k,
                     const float *keys, const int64_t *q_id, const int64_t *key_id, size_t B,
                     size_t K, size_t D, float T, float *scratch)
{
    struct row row[MOCO_ROW_GROUP];
    int masked = q_id && key_id;
    float inv_T = 1.0f / T;

    for (size_t b = 0; b < B; b += MOCO_ROW_GROUP) {
        size_t rows = least(B - b, MOCO_ROW_GROUP);

        for (size_t r = 0; r < rows; r++)
            start_row(row + r, d_q + (b + r) * D, q + (b + r) * D, k + (b + r) * D, D, inv_T);
        for (size_t j = 0; j < K; j += MOCO_KEY_BLOCK) {
            struct block block = {keys + j * D, masked ? key_id + j : NULL,
                                  least(K - j, MOCO_KEY_BLOCK)};

            add_block(row, d_q + b * D, q + b * D, masked ? q_id + b : NULL, rows, D, inv_T,
                      &block, scratch);
        }
        for (size_t r = 0; r < rows; r++)
            end_row(loss + b + r, top1 + b + r, d_q + (b + r) * D, row + r, k + (b + r) * D, D, T);
    }
}
