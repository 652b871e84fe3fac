/* infonce_few.h: InfoNCE of fewer queries than a panel of infonce_body.h is worth.
 *
 * Here the lanes run over keys, which are packed for it, then over columns: no lane is idle, but
 * packing takes as long as four queries' products. d_q itself holds acc.
 * Scratch: the panel of keys (D, TILE_KEYS), then the logits (rows, 128), overwritten by p. */

struct row {
    float m, l0;
    float sum[MOCO_VL];
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

static void add_gradient(size_t rows, float *acc, size_t D, const float *p,
                         const struct block *block)
{
    for (size_t d = 0, width; d < D; d += width) {
        width = D - d >= TILE_KEYS ? (size_t)TILE_KEYS : least(D - d, MOCO_VL);
        for (size_t r = 0; r < rows; r += TILE_ROWS) {
            size_t some = least(rows - r, TILE_ROWS);
            float *a = acc + r * D + d;
            const float *w = p + r * MOCO_KEY_BLOCK, *keys = block->keys + d;

            if (width == TILE_KEYS)
                TILE_CASES(some, grad_tile, TILE_VECS, TILE_KEYS, a, D, w, keys, block->n)
            else
                TILE_CASES(some, grad_tile, 1, width, a, D, w, keys, block->n)
        }
    }
}

static void add_block_to_rows(struct row *row, size_t rows, float *acc, const float *q,
                              const int64_t *q_id, const struct block *block, size_t D, float inv_T,
                              float *scratch)
{
    float *panel = scratch, *l = scratch + TILE_KEYS * D;

    memset(l, 0, rows * MOCO_KEY_BLOCK * sizeof *l);
    for (size_t j = 0; j < block->n; j += TILE_KEYS) {
        pack_panel(panel, block->keys + j * D, D, least(block->n - j, TILE_KEYS), D);
        dot_rows(rows, l + j, MOCO_KEY_BLOCK, TILE_KEYS, q, D, panel, D, 0);
    }
    for (size_t r = 0; r < rows; r++)
        softmax_row(row + r, l + r * MOCO_KEY_BLOCK, acc + r * D, D, inv_T, block,
                    q_id ? q_id + r : NULL);
    add_gradient(rows, acc, D, l, block);
}
