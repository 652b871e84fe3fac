/* infonce_body.h: InfoNCE forward and backward in one pass over the keys.
 *
 * Online softmax over blocks of 128 keys: with the block's maximum the running maximum m may rise
 * to m'; then the old sum and gradient are multiplied by exp(m - m'), and the block adds
 * p_j = exp(l_j - m') and p_j x_j. At the end loss = log(sum) + m - l_0 and
 * d_q = (acc / sum - k) / T.
 *
 * Lanes run over queries, up to TILE_KEYS of them in a panel, in both products and in the softmax.
 * A panel is packed once a call and the keys are read where they lie, each number spread over a
 * vector: packing them instead waited for memory, 1.5 of 19.1 ms for 128 queries and 65536 keys of
 * 128 columns a thread on Zen 5. A remainder of few queries goes the other way about it.
 * Scratch: q and acc of the panels, the logits (128, TILE_KEYS) of one, that of infonce_few.h. */
#include "simd/vec_exp.h"

struct block {
    const float *keys;
    const int64_t *key_id;
    size_t n;
};

#include "simd/infonce_few.h"

/* From LANES_WORTH queries on, idle lanes cost less than packing keys. Rows of keys are called for
 * KEYS_AHEAD before their turn: with none it waits for memory (1.5 ms of 17.5), with 12 to 96 it
 * does not. */
enum { LANES_WORTH = 12, KEYS_AHEAD = 18 };

/* Queries side by side: `width` lanes, of which the first `rows` are in use. */
struct panel {
    size_t rows, width;
    float *q, *acc;      /* (D, width) */
    float *sum;          /* (16, width): one for each residue of the key's index */
    float *m, *l0;       /* (width) */
    const int64_t *q_id; /* (rows) or NULL */
};

/* l(n, width) = keys . queries; top(width) becomes the largest of each query. */
INLINE void block_dots(size_t vecs, float *l, float *top, const struct panel *x,
                       const struct block *block, size_t D)
{
    for (size_t c = 0; c < x->width; c += MOCO_VL)
        v_store(top + c, v_set1(-INFINITY));
    for (size_t j = 0; j < block->n; j += TILE_ROWS) {
        const float *keys = block->keys + j * D;

        for (size_t i = 0; i < TILE_ROWS * D; i += MOCO_VL)
            __builtin_prefetch(keys + KEYS_AHEAD * D + i, 0, 3);
        TILE_CASES(least(block->n - j, TILE_ROWS), lane_tile, vecs, l + j * vecs * MOCO_VL, keys,
                   D, 1, x->q, D, 0, top)
    }
}

/* acc(D, width) += keys^T . p */
INLINE void block_gradient(size_t vecs, const float *p, const struct panel *x,
                           const struct block *block, size_t D)
{
    for (size_t d = 0; d < D; d += TILE_ROWS)
        TILE_CASES(least(D - d, TILE_ROWS), lane_tile, vecs, x->acc + d * vecs * MOCO_VL,
                   block->keys + d, 1, D, p, block->n, 1, (float *)NULL)
}

/* Keys that do not count get -inf; the largest of the others is looked for again. */
static void mask_block(float *l, float *top, const struct panel *x, const struct block *block)
{
    for (size_t j = 0; j < block->n; j++)
        for (size_t r = 0; r < x->rows; r++) {
            int64_t id = block->key_id[j];
            float *at = l + j * x->width + r;

            *at = ((id < 0) | (id == x->q_id[r])) ? -INFINITY : *at;
        }
    for (size_t c = 0; c < x->width; c += MOCO_VL) {
        f32x16 most = v_set1(-INFINITY);

        for (size_t j = 0; j < block->n; j++)
            most = v_max(v_load(l + j * x->width + c), most);
        v_store(top + c, most);
    }
}

static void scale_column(float *p, size_t rows, size_t width, f32x16 factor)
{
    for (size_t i = 0; i < rows; i++)
        v_store(p + i * width, v_mul(v_load(p + i * width), factor));
}

/* The maxima of the 16 queries from c on rise where a block's largest logit is above them. */
static void raise_maxima(const struct panel *x, size_t c, f32x16 top, size_t D)
{
    f32x16 old = v_load(x->m + c), m = v_max(top, old), factor;
    unsigned risen = v_above(top, old);

    if (!risen)
        return;
    factor = v_add(v_where_bits(v_exp(v_sub(old, m)), risen),
                   v_where_bits(v_set1(1.0f), ~risen));
    v_store(x->m + c, m);
    scale_column(x->sum + c, MOCO_VL, x->width, factor);
    scale_column(x->acc + c, D, x->width, factor);
}

/* Turns a block's dot products into p, and adds them to the sums. */
INLINE void block_softmax(size_t vecs, float *l, const float *top, const struct panel *x, size_t n,
                          size_t D, float inv_T)
{
    const size_t width = vecs * MOCO_VL;

    for (size_t c = 0; c < width; c += MOCO_VL)
        raise_maxima(x, c, v_mul(v_load(top + c), v_set1(inv_T)), D);
    for (size_t j = 0; j < n; j++)
        UNROLL for (size_t c = 0; c < width; c += MOCO_VL) {
            float *sum = x->sum + j % MOCO_VL * width + c;
            f32x16 logit = v_mul(v_load(l + j * width + c), v_set1(inv_T));
            f32x16 p = v_exp(v_sub(logit, v_load(x->m + c)));

            v_store(l + j * width + c, p);
            v_store(sum, v_add(v_load(sum), p));
        }
}

INLINE void add_block_of(size_t vecs, const struct panel *x, const struct block *block, size_t D,
                         float inv_T, float *l)
{
    _Alignas(64) float top[TILE_KEYS];

    block_dots(vecs, l, top, x, block, D);
    if (x->q_id)
        mask_block(l, top, x, block);
    block_softmax(vecs, l, top, x, block->n, D, inv_T);
    block_gradient(vecs, l, x, block, D);
}

static void add_block(const struct panel *x, const struct block *block, size_t D, float inv_T,
                      float *l)
{
    size_t vecs = x->width / MOCO_VL;

    if (TILE_VECS == 4 && vecs == 4)
        add_block_of(4, x, block, D, inv_T, l);
    else if (TILE_VECS == 4 && vecs == 3)
        add_block_of(3, x, block, D, inv_T, l);
    else if (TILE_VECS == 4 && vecs == 2)
        add_block_of(2, x, block, D, inv_T, l);
    else
        add_block_of(1, x, block, D, inv_T, l);
}

/* The positive opens the sum: m = l_0, sum = 1, acc = k. */
static void start_panel(const struct panel *x, const float *q, const float *k, size_t D,
                        float inv_T)
{
    memset(x->q, 0, D * x->width * sizeof(float));
    memset(x->acc, 0, D * x->width * sizeof(float));
    memset(x->sum, 0, MOCO_VL * x->width * sizeof(float));
    turn_rows(x->q, x->width, q, D, x->rows, D);
    turn_rows(x->acc, x->width, k, D, x->rows, D);
    for (size_t c = 0; c < x->width; c += MOCO_VL) {
        f32x16 dot = v_zero(), l0;

        for (size_t d = 0; d < D; d++)
            dot = v_fma(v_load(x->q + d * x->width + c), v_load(x->acc + d * x->width + c), dot);
        l0 = v_mul(dot, v_set1(inv_T));
        v_store(x->m + c, l0);
        v_store(x->l0 + c, l0);
        v_store(x->sum + c, v_set1(1.0f));
    }
}

static void end_row(float *loss, float *top1, float *d_q, float m, float l0, float sum,
                    const float *k, size_t D, float T)
{
    *loss = moco_simd_log(sum) + (m - l0);
    *top1 = m == l0 ? 1.0f : 0.0f;
    for (size_t d = 0; d < D; d += MOCO_VL) {
        f32x16 mean = v_div(load_upto(d_q + d, D - d), v_set1(sum));
        f32x16 slope = v_div(v_sub(mean, load_upto(k + d, D - d)), v_set1(T));

        store_upto(d_q + d, slope, D - d);
    }
}

/* The sixteen sums of each query become one by the fixed tree. */
static void end_panel(float *loss, float *top1, float *d_q, const struct panel *x, const float *k,
                      size_t D, float T)
{
    for (size_t half = MOCO_VL / 2 * x->width; half >= x->width; half /= 2)
        for (size_t i = 0; i < half; i += MOCO_VL)
            v_store(x->sum + i, v_add(v_load(x->sum + i), v_load(x->sum + half + i)));
    turn_rows(d_q, D, x->acc, x->width, D, x->rows);
    for (size_t r = 0; r < x->rows; r++)
        end_row(loss + r, top1 + r, d_q + r * D, x->m[r], x->l0[r], x->sum[r], k + r * D, D, T);
}

/* Where a group's queries are: panels, then `few` rows. */
struct group {
    struct panel panel[MOCO_ROW_GROUP / TILE_KEYS];
    struct row row[LANES_WORTH];
    size_t panels, few;
    float sum[MOCO_VL * MOCO_ROW_GROUP], m[MOCO_ROW_GROUP], l0[MOCO_ROW_GROUP];
};

/* Cuts `rows` queries up; returns how many are in panels. */
static size_t form_panels(struct group *g, size_t rows, const int64_t *q_id, size_t D,
                          float *scratch)
{
    size_t at = 0;

    for (g->panels = 0; rows - at >= LANES_WORTH; g->panels++) {
        size_t n = least(rows - at, TILE_KEYS), width = (n + MOCO_VL - 1) / MOCO_VL * MOCO_VL;
        float *q = scratch + 2 * at * D;

        g->panel[g->panels] = (struct panel){
            .rows = n, .width = width, .q = q, .acc = q + width * D, .sum = g->sum + at * MOCO_VL,
            .m = g->m + at, .l0 = g->l0 + at, .q_id = q_id ? q_id + at : NULL};
        at += n;
    }
    g->few = rows - at;
    return at;
}

/* Starts a group's queries, adds all keys, ends them; all pointers are the group's. */
static void infonce_group(float *loss, float *top1, float *d_q, const float *q, const float *k,
                          const float *keys, const int64_t *q_id, const int64_t *key_id,
                          size_t rows, size_t K, size_t D, float T, float *scratch)
{
    struct group g;
    size_t in = form_panels(&g, rows, q_id, D, scratch), at = 0;
    float inv_T = 1.0f / T, *l = scratch + 2 * MOCO_ROW_GROUP * D;

    for (size_t i = 0; i < g.panels; at += g.panel[i++].rows)
        start_panel(g.panel + i, q + at * D, k + at * D, D, inv_T);
    for (size_t r = 0; r < g.few; r++)
        start_row(g.row + r, d_q + (in + r) * D, q + (in + r) * D, k + (in + r) * D, D, inv_T);
    for (size_t j = 0; j < K; j += MOCO_KEY_BLOCK) {
        struct block block = {keys + j * D, q_id ? key_id + j : NULL,
                              least(K - j, MOCO_KEY_BLOCK)};

        for (size_t i = 0; i < g.panels; i++)
            add_block(g.panel + i, &block, D, inv_T, l);
        if (g.few)
            add_block_to_rows(g.row, g.few, d_q + in * D, q + in * D, q_id ? q_id + in : NULL,
                              &block, D, inv_T, l);
    }
    at = 0;
    for (size_t i = 0; i < g.panels; at += g.panel[i++].rows)
        end_panel(loss + at, top1 + at, d_q + at * D, g.panel + i, k + at * D, D, T);
    for (size_t r = 0; r < g.few; r++, at++)
        end_row(loss + at, top1 + at, d_q + at * D, g.row[r].m, g.row[r].l0,
                v_sum(v_load(g.row[r].sum)), k + at * D, D, T);
}

void KERNEL(infonce)(float *loss, float *top1, float *d_q, const float *q, const float *k,
                     const float *keys, const int64_t *q_id, const int64_t *key_id, size_t B,
                     size_t K, size_t D, float T, float *scratch)
{
    int masked = q_id && key_id;

    for (size_t b = 0; b < B; b += MOCO_ROW_GROUP)
        infonce_group(loss + b, top1 + b, d_q + b * D, q + b * D, k + b * D, keys,
                      masked ? q_id + b : NULL, key_id, least(B - b, MOCO_ROW_GROUP), K, D, T,
                      scratch);
}
