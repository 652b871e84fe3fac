/* margin.c: the margin contrastive loss of pairs (Hadsell, Chopra, LeCun 2006, eq. 4).
 *
 * L = (1 - Y) D²/2 + Y max(0, margin - D)²/2, D = ‖f1 - f2‖, Y = 0 where the pair shows the
 * same thing; a mean over the pairs. Different pairs beyond the margin give no gradient, and those
 * nearer than MOCO_MARGIN_NEAR no direction. Both views go through one network in one pass.
 *
 * A step of B images has B pairs (q_i, k_j): half of them same, half different, drawn anew in each
 * step. By image (the default) same means two views of one image, different views of two. By label
 * same means two images of one class; an image that is alone in its class, or has no label, is
 * paired with its own second view, and different pairs are made of labelled images only. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/contrast/method.h"
#include "engine/contrast/rows.h"

struct margin {
    struct method_config config;
    struct moco_simd simd;
    struct arena arena;         /* all below */
    float *loss, *dist;         /* (B) */
    float *a, *b, *d_a, *d_b;   /* (B, D) of the pairs */
    float *inv_a, *inv_b;       /* (B) of the normalisation */
    int64_t *pair;              /* (B) row of k */
    int32_t *different;         /* (B) Y */
    uint32_t *order, *fitting;  /* (B) */
};

static void margin_close(void *state)
{
    struct margin *s = state;

    if (!s)
        return;
    arena_close(&s->arena);
    free(s);
}

static struct arena_pieces buffers(struct margin *s)
{
    size_t B = s->config.B, row = B * sizeof(float), matrix = B * s->config.D * sizeof(float);

    return (struct arena_pieces){ {
        { &s->loss, row }, { &s->dist, row }, { &s->inv_a, row }, { &s->inv_b, row },
        { &s->a, matrix }, { &s->b, matrix }, { &s->d_a, matrix }, { &s->d_b, matrix },
        { &s->pair, B * sizeof *s->pair }, { &s->different, B * sizeof *s->different },
        { &s->order, B * sizeof *s->order }, { &s->fitting, B * sizeof *s->fitting },
    } };
}

static size_t margin_bytes(const struct method_config *config)
{
    struct margin s = { .config = *config };
    struct arena_pieces pieces = buffers(&s);

    return arena_pieces_bytes(&pieces);
}

static int margin_open(void **state, const struct method_config *config,
                       const struct moco_simd *simd)
{
    struct margin *s;
    int err;

    *state = NULL;
    if (config->B < 2 || !(config->margin > 0.0f))
        return error_set(MOCO_EARG, "batch %zu and margin %g: pairs need at least 2 images and a "
                         "margin above 0", config->B, (double)config->margin);
    s = calloc(1, sizeof *s);
    if (!s)
        return error_memory("the method", sizeof *s);
    *s = (struct margin){ .config = *config, .simd = *simd };
    struct arena_pieces pieces = buffers(s);
    err = arena_open_pieces(&s->arena, &pieces, "the buffers of the loss");
    if (err)
        margin_close(s);
    else
        *state = s;
    return err;
}

/* ---- pairs ---- */

/* A row other than i that is as wanted; by label: of the same or of another class. `rows` where
 * there is none. */
static size_t partner(const struct margin *s, const struct contrast *c, size_t i, int different,
                      struct rng *rng)
{
    const int32_t *label = s->config.by_label ? c->labels : NULL;
    size_t count = 0;

    for (size_t j = 0; j < c->rows; j++) {
        int fits = label ? label[i] >= 0 && label[j] >= 0 &&
                               (label[i] != label[j]) == different : different;
        if (j != i && fits)
            s->fitting[count++] = (uint32_t)j;
    }
    return count ? s->fitting[rng_below(rng, count)] : c->rows;
}

/* Every row gets a partner. A random half of the rows asks for a different one; rows that can not
 * have one hand the wish on to the next. */
static void draw_pairs(struct margin *s, const struct contrast *c)
{
    struct rng rng = rng_at(s->config.seed, RNG_SAMPLE, c->part, c->step);
    size_t wanted = c->rows / 2;

    rng_permutation(&rng, s->order, c->rows);
    for (size_t r = 0; r < c->rows; r++) {
        size_t i = s->order[r], j = c->rows;
        int different = wanted > 0;
        if (different)
            j = partner(s, c, i, 1, &rng);
        different = j < c->rows;
        wanted -= (size_t)different;
        if (!different)
            j = partner(s, c, i, 0, &rng);
        s->pair[i] = (int64_t)(j < c->rows ? j : i);
        s->different[i] = different;
    }
}

static void given_pairs(struct margin *s, const struct contrast *c)
{
    for (size_t i = 0; i < c->rows; i++)
        s->pair[i] = (int64_t)i;
    memcpy(s->different, c->different, c->rows * sizeof *s->different);
}

/* ---- loss ---- */

/* d_q and d_k of the pairs' gradients, over B; a row of k may be in several pairs. */
static void hand_back(struct margin *s, struct contrast *c)
{
    size_t D = s->config.D;
    float share = 1.0f / (float)s->config.B;

    if (s->config.normalise) {
        s->simd.row_normalise_grad(s->d_a, s->d_a, s->a, s->inv_a, c->rows, D);
        s->simd.row_normalise_grad(s->d_b, s->d_b, s->b, s->inv_b, c->rows, D);
    }
    memset(c->d_k, 0, c->rows * D * sizeof *c->d_k);
    for (size_t i = 0; i < c->rows; i++) {
        float *d_k = c->d_k + (size_t)s->pair[i] * D;
        for (size_t d = 0; d < D; d++) {
            c->d_q[i * D + d] = s->d_a[i * D + d] * share;
            d_k[d] += s->d_b[i * D + d] * share;
        }
    }
}

static void count_pairs(struct margin *s, struct contrast *c)
{
    float half = 0.5f * s->config.margin;
    size_t right = 0;

    c->beyond = 0.0;
    for (size_t i = 0; i < c->rows; i++) {
        right += (s->dist[i] > half) == (s->different[i] != 0);
        c->beyond += s->different[i] && s->dist[i] > s->config.margin;
    }
    c->top1 = (double)right / (double)s->config.B;
}

static int margin_loss(void *state, struct contrast *c)
{
    struct margin *s = state;
    size_t D = s->config.D, bytes = c->rows * D * sizeof(float);

    if (s->config.by_label && !c->labels && !c->different)
        return error_set(MOCO_EARG, "pairs by label need labels, and the data have none: leave "
                         "--pairs-by-label out, then two views of one image make a pair");
    if (c->different)
        given_pairs(s, c);
    else
        draw_pairs(s, c);
    memcpy(s->a, c->q, bytes);
    rows_gather(s->b, c->k, s->pair, c->rows, D);
    if (s->config.normalise) {
        s->simd.row_normalise(s->a, s->inv_a, s->a, c->rows, D);
        s->simd.row_normalise(s->b, s->inv_b, s->b, c->rows, D);
    }
    s->simd.margin(s->loss, s->dist, s->d_a, s->d_b, s->a, s->b, s->different, c->rows, D,
                   s->config.margin);
    hand_back(s, c);
    count_pairs(s, c);
    c->loss = rows_mean(s->loss, c->rows, s->config.B);
    return MOCO_OK;
}

const struct method method_margin = {
    .name = "margin",
    .keys = KEYS_JOINT,
    .whole_batch = 1, /* pairs are made within it */
    .labels = 1,
    .reads = "labels-fraction labels-per-batch margin mlp normalise pairs-by-label",
    .open = margin_open,
    .close = margin_close,
    .bytes = margin_bytes,
    .loss = margin_loss,
};
