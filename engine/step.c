/* step.c: Algorithm 1 of He et al. 2019, for any method behind the interface of method.h.
 *
 * The order, which the parity cases hold: query features, momentum update of the key encoder, key
 * features (shuffled between BN groups, put back), loss against the dictionary as it was, backward
 * through what is trained, optimiser, and only then the dictionary takes up the new rows, so a key
 * is never its own negative. Nothing flows between the two branches before the loss; so the key
 * branch goes first where it is not trained, and leaves no activation behind when the query
 * branch, whose backward pass wants all of its own, begins. A symmetric step goes through features,
 * loss and backward twice, one that accumulates gradients once for each micro-batch. */
#include "engine/step.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/contrast/consistency.h"
#include "engine/step_branch.h"

/* Streams of permutations that no step uses, for batches that only fill the dictionary. */
static const uint64_t FILL_STREAM = UINT64_MAX;

static int directions(const struct step *s)
{
    return s->config.method.symmetric || s->config.kind->both ? 2 : 1;
}

/* A replayed step brings the permutations of its first direction and shuffles only that. */
static const uint32_t *permutation(struct step *s, const struct step_input *in, int direction)
{
    if (!s->config.shuffle)
        return NULL;
    if (in->perm)
        return direction ? NULL : in->perm;
    uint64_t stream = (uint64_t)direction + 2 * (uint64_t)s->part;
    struct rng rng = rng_at(s->config.seed, RNG_SHUFFLE, stream, s->count);
    rng_permutation(&rng, s->perm, s->rows);
    return s->perm;
}

/* Where the micro-batch's rows begin in what the step keeps of the whole batch. */
static size_t part_at(const struct step *s)
{
    return (size_t)s->part * s->rows * (size_t)s->config.net.dim;
}

/* ---- features ---- */

/* Queries of direction i: of x_q, or of x_k in the second. */
static int queries(struct step *s, const struct step_input *in, int i)
{
    double start = clock_seconds();
    int err = branch_queries(s, s->emb_q[i] + part_at(s), i ? in->x_k : in->x_q);
    s->seconds_q += clock_seconds() - start;
    return err;
}

/* Keys of the other view. */
static int keys(struct step *s, const struct step_input *in, int i)
{
    double start = clock_seconds();
    int err = branch_keys(s, s->emb_k[i] + part_at(s), i ? in->x_q : in->x_k,
                          permutation(s, in, i));
    s->seconds_k += clock_seconds() - start;
    return err;
}

static int joint(struct step *s, const struct step_input *in)
{
    double start = clock_seconds();
    int err = branch_joint(s, s->emb_q[0] + part_at(s), s->emb_k[0] + part_at(s), in->x_q,
                           in->x_k);
    s->seconds_q += clock_seconds() - start;
    return err;
}

/* All features that direction i wants and that are not there yet. */
static int features(struct step *s, const struct step_input *in, int i)
{
    enum key_encoder key = s->config.key.kind;
    int err = MOCO_OK;

    if (key == KEY_JOINT)
        return joint(s, in);
    if (!key_is_trained(key) && key_has_branch(key) && !s->config.kind->both)
        err = keys(s, in, i);
    if (!err)
        err = queries(s, in, i);
    return !err && key_is_trained(key) ? keys(s, in, i) : err;
}

/* ---- one direction ---- */

static struct contrast contrast_of(const struct step *s, const struct step_input *in, int i)
{
    size_t at = part_at(s);
    enum key_encoder key = s->config.key.kind;
    return (struct contrast){
        .rows = s->rows, .judged = s->rows, .q = s->emb_q[i] + at, .d_q = s->d_emb_q[i] + at,
        .k = key == KEY_NONE ? NULL : s->emb_k[i] + at,
        .d_k = key_is_trained(key) || key == KEY_JOINT ? s->d_emb_k[i] + at : NULL,
        .raw = s->config.kind->raw ? s->raw_q : NULL,
        .d_raw = s->config.kind->raw ? s->d_raw : NULL,
        .ids = in->ids, .labels = in->labels, .index = in->index, .different = in->different,
        .step = s->count, .part = (uint64_t)s->part,
    };
}

void step_layer(const struct step *s, struct contrast *c)
{
    const char *name = s->config.kind->layer;
    char full[64];
    if (!name)
        return;
    snprintf(full, sizeof full, "%s.weight", name);
    const struct tensor *weight = net_find(s->net, full);
    snprintf(full, sizeof full, "%s.bias", name);
    const struct tensor *bias = net_find(s->net, full);
    c->weight = s->q.params + weight->offset;
    c->d_weight = s->q.grads + weight->offset;
    c->bias = bias ? s->q.params + bias->offset : NULL;
    c->d_bias = bias ? s->q.grads + bias->offset : NULL;
}

static int loss(struct step *s, struct contrast *c, int i)
{
    size_t D = (size_t)s->config.net.dim, bytes = s->rows * D * sizeof(float);
    double start = clock_seconds();

    if (c->d_k)
        memset(c->d_k, 0, bytes);
    if (c->d_raw)
        memset(c->d_raw, 0, bytes);
    step_layer(s, c);
    int err = s->config.kind->loss(s->state, c);
    if (!err && s->config.consistency > 0.0f && i == 0)
        consistency_add(c, s->config.consistency, s->config.method.B, D, s->config.kind->unit,
                        &s->simd, s->scratch);
    s->seconds_loss += clock_seconds() - start;
    return err;
}

static int direction(struct step *s, const struct step_input *in, int i)
{
    struct contrast c = contrast_of(s, in, i);
    int err = features(s, in, i);
    if (!err)
        err = loss(s, &c, i);
    double start = clock_seconds();
    if (!err)
        err = branch_backward(s, &c);
    s->seconds_backward += clock_seconds() - start;
    s->loss += c.loss;
    s->top1 += c.top1;
    s->beyond += c.beyond;
    s->judged += c.judged;
    return err;
}

/* Keys of both views before any query: those of x_q, which the second direction wants, first. */
static int keys_of_both(struct step *s, const struct step_input *in)
{
    int err = keys(s, in, 1);
    return err ? err : keys(s, in, 0);
}

/* ---- running statistics of a step in parts ---- */

static void stats_begin(struct moved_stats *m, const struct encoder *e, const struct net *net)
{
    size_t S = net_stat_count(net);
    if (!e->stats)
        return; /* there is one encoder */
    memcpy(m->before, e->stats, S * sizeof *m->before);
    memset(m->sum, 0, S * sizeof *m->sum);
    m->batches = e->batches;
}

static void stats_add(const struct step *s, struct moved_stats *m, struct encoder *e,
                      const struct net *net)
{
    size_t S = e->stats ? net_stat_count(net) : 0;
    int last = s->part == s->config.accumulate;
    for (size_t i = 0; i < S; i++) {
        m->sum[i] += e->stats[i];
        e->stats[i] = last ? m->sum[i] / (float)s->config.accumulate : m->before[i];
    }
    if (!last)
        e->batches = m->batches;
}

/* ---- the step ---- */

/* The dictionary takes up the rows of this step; of both directions, those of x_q first. */
static int remember(struct step *s)
{
    const struct method *kind = s->config.kind;
    size_t B = s->config.method.B, BD = B * (size_t)s->config.net.dim;
    int both = s->config.method.symmetric;
    float *const *rows = kind->remembers_queries ? s->emb_q : s->emb_k;

    if (!kind->remember)
        return MOCO_OK;
    memcpy(s->new_rows, rows[both], BD * sizeof(float));
    if (both)
        memcpy(s->new_rows + BD, rows[0], BD * sizeof(float));
    memcpy(s->new_ids + B, s->new_ids, B * sizeof *s->new_ids);
    return kind->remember(s->state, s->new_rows, s->has_ids ? s->new_ids : NULL,
                          both ? 2 * B : B);
}

static void optimise(struct step *s, float lr)
{
    const struct optimiser *o = &s->config.optimiser;
    optimiser_update(o, &s->simd, s->net, s->q.params, s->moments_q[0], s->moments_q[1],
                     s->q.grads, lr, s->count + 1);
    if (s->config.key.kind == KEY_SEPARATE)
        optimiser_update(o, &s->simd, s->net_k, s->k.params, s->moments_k[0], s->moments_k[1],
                         s->k.grads, lr, s->count + 1);
}

static void clear(float *p, size_t n)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++)
        p[i] = 0.0f;
}

void step_begin(struct step *s)
{
    s->part = 0;
    s->loss = s->top1 = s->beyond = 0;
    s->judged = 0;
    s->seconds_q = s->seconds_k = s->seconds_loss = s->seconds_backward = 0;
    clear(s->q.grads, net_param_count(s->net));
    if (s->config.key.kind == KEY_SEPARATE)
        clear(s->k.grads, net_param_count(s->net_k));
    if (s->config.accumulate > 1) {
        stats_begin(&s->moved[0], &s->q, s->net);
        stats_begin(&s->moved[1], &s->k, s->net_k);
    }
}

static void note_ids(struct step *s, const int64_t *ids)
{
    s->has_ids = ids != NULL;
    if (ids)
        memcpy(s->new_ids + (size_t)s->part * s->rows, ids, s->rows * sizeof *ids);
}

int step_part(struct step *s, const struct step_input *in)
{
    double start = clock_seconds();
    int err = MOCO_OK;

    if (s->part == 0)
        branch_move_keys(s, in->m);
    s->seconds_k += clock_seconds() - start;
    if (s->config.kind->both)
        err = keys_of_both(s, in);
    for (int i = 0; i < directions(s) && !err; i++)
        err = direction(s, in, i);
    if (err)
        return err;
    note_ids(s, in->ids);
    s->part++;
    if (s->config.accumulate > 1) {
        stats_add(s, &s->moved[0], &s->q, s->net);
        stats_add(s, &s->moved[1], &s->k, s->net_k);
    }
    return MOCO_OK;
}

int step_end(struct step *s, float lr)
{
    assert(s->part == s->config.accumulate);
    s->top1 /= directions(s);
    if (!isfinite(s->loss))
        return error_set(MOCO_EDIVERGED, "the loss of step %llu is no longer finite: lower the "
                         "learning rate or raise the temperature", (unsigned long long)s->count);
    double start = clock_seconds();
    optimise(s, lr);
    int err = remember(s);
    s->seconds_update = clock_seconds() - start;
    s->count++;
    return err;
}

int step_run(struct step *s, const struct step_input *in)
{
    const struct net_config *c = &s->config.net;
    size_t image = (size_t)c->channels * (size_t)c->side * (size_t)c->side;
    int err = MOCO_OK;

    step_begin(s);
    for (int part = 0; part < s->config.accumulate && !err; part++) {
        size_t first = (size_t)part * s->rows;
        struct step_input piece = *in;
        piece.x_q += first * image;
        piece.x_k = in->x_k ? in->x_k + first * image : NULL;
        piece.ids = in->ids ? in->ids + first : NULL;
        piece.labels = in->labels ? in->labels + first : NULL;
        piece.perm = in->perm ? in->perm + first : NULL;
        piece.index = in->index ? in->index + first * s->config.method.negatives : NULL;
        piece.different = in->different ? in->different + first : NULL;
        err = step_part(s, &piece);
    }
    return err ? err : step_end(s, in->lr);
}

int step_fill(struct step *s, const struct step_input *in, uint64_t index)
{
    const uint32_t *perm = NULL;
    if (s->config.shuffle) {
        struct rng rng = rng_at(s->config.seed, RNG_SHUFFLE, FILL_STREAM, index);
        rng_permutation(&rng, s->perm, s->rows);
        perm = s->perm;
    }
    int err = branch_keys(s, s->emb_k[0], in->x_k, perm);
    return err ? err : s->config.kind->remember(s->state, s->emb_k[0], in->ids, s->rows);
}
