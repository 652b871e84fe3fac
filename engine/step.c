/* step.c: Algorithm 1 of He et al. 2019, for any method behind the interface of method.h.
 *
 * The order, which the parity cases hold: query features, momentum update of the key encoder, key
 * features (shuffled between BN groups, put back), loss against the dictionary as it was, backward
 * through what is trained, optimiser, and only then the dictionary takes up the new keys, so a key
 * is never its own negative. Nothing flows between the two branches before the loss; so the key
 * branch goes first where it is not trained, and leaves no activation behind when the query
 * branch, whose backward pass wants all of its own, begins. A symmetric step goes through features,
 * loss and backward twice, one that accumulates gradients once for each micro-batch. */
#include "engine/step.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/optim/update.h"

static int is_trained(const struct step *s)
{
    return s->config.key == KEY_SAME || s->config.key == KEY_SEPARATE;
}

static size_t image_floats(const struct step *s)
{
    const struct net_config *c = &s->config.net;
    return (size_t)c->channels * (size_t)c->side * (size_t)c->side;
}

/* f(x) of one micro-batch as it enters the loss: unit rows unless the method wants them raw. */
static int features(struct step *s, struct encoder *e, struct tape *tape, float *emb,
                    float *inv_norm, const float *x)
{
    size_t D = (size_t)s->config.net.dim;
    int err = encoder_forward(e, s->net, tape, s->raw, NULL, x, NET_TRAIN);
    if (err)
        return err;
    if (s->config.kind->unit)
        s->simd.row_normalise(emb, inv_norm, s->raw, s->rows, D);
    else
        memcpy(emb, s->raw, s->rows * D * sizeof *emb);
    return MOCO_OK;
}

/* Keys of x. Under ShuffleBN the network sees x[perm], and row i of its output is the key of
 * sample perm[i] (He et al. 2019, section 3.3). */
static int key_features(struct step *s, float *emb, const float *x, const uint32_t *perm)
{
    struct encoder *k = s->config.key == KEY_SAME ? &s->q : &s->k;
    size_t D = (size_t)s->config.net.dim, image = image_floats(s);
    int err;

    if (!perm)
        return features(s, k, s->tape_k, emb, s->inv_norm_k, x);
    for (size_t i = 0; i < s->rows; i++)
        memcpy(s->x_shuffled + i * image, x + perm[i] * image, image * sizeof *x);
    err = features(s, k, s->tape_k, s->new_keys, s->inv_norm_k, s->x_shuffled);
    for (size_t i = 0; i < s->rows && !err; i++)
        memcpy(emb + perm[i] * D, s->new_keys + i * D, D * sizeof *emb);
    return err;
}

/* Gradient through the normalisation and the encoder. */
static int backward(struct step *s, struct encoder *e, struct tape *tape, const float *d_emb,
                    const float *emb, const float *inv_norm)
{
    const float *d_raw = d_emb;
    if (s->config.kind->unit) {
        s->simd.row_normalise_grad(s->raw, d_emb, emb, inv_norm, s->rows,
                                   (size_t)s->config.net.dim);
        d_raw = s->raw;
    }
    return encoder_backward(e, s->net, tape, d_raw);
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

static int query_branch(struct step *s, float *q, const float *x)
{
    double start = clock_seconds();
    int err = features(s, &s->q, s->tape_q, q, s->inv_norm_q, x);
    s->seconds_q += clock_seconds() - start;
    return err;
}

/* The momentum update, once a step, and the keys of direction i. */
static int key_branch(struct step *s, const struct step_input *in, int i, float *k, const float *x)
{
    double start = clock_seconds();
    int err;
    if (i == 0 && s->part == 0 && s->config.key == KEY_MOMENTUM)
        ema_update(&s->simd, s->k.params, s->q.params, net_param_count(s->net), in->m);
    err = key_features(s, k, x, permutation(s, in, i));
    s->seconds_k += clock_seconds() - start;
    return err;
}

/* One direction of a micro-batch: queries of x_q against keys of x_k. */
static int direction(struct step *s, const struct step_input *in, int i)
{
    const float *x_q = i ? in->x_k : in->x_q, *x_k = i ? in->x_q : in->x_k;
    size_t at = (size_t)s->part * s->rows * (size_t)s->config.net.dim;
    float *q = s->emb_q[i] + at, *k = s->emb_k[i] + at, *d_q = s->d_emb_q[i] + at;
    float *d_k = is_trained(s) ? s->d_emb_k[i] + at : NULL;
    struct contrast c = { .rows = s->rows, .q = q, .k = k, .d_q = d_q, .d_k = d_k,
                          .ids = in->ids };
    int err = d_k ? query_branch(s, q, x_q) : key_branch(s, in, i, k, x_k);
    if (!err)
        err = d_k ? key_branch(s, in, i, k, x_k) : query_branch(s, q, x_q);

    double start = clock_seconds(), end;
    if (!err)
        err = s->config.kind->loss(s->state, &c);
    s->seconds_loss += (end = clock_seconds()) - start;
    if (!err)
        err = backward(s, &s->q, s->tape_q, d_q, q, s->inv_norm_q);
    if (!err && d_k)
        err = backward(s, s->config.key == KEY_SAME ? &s->q : &s->k, s->tape_k, d_k, k,
                       s->inv_norm_k);
    s->seconds_backward += clock_seconds() - end;
    s->loss += c.loss;
    s->top1 += c.top1;
    return err;
}

/* ---- running statistics of a step in parts ---- */

static void stats_begin(const struct step *s, struct moved_stats *m, const struct encoder *e)
{
    size_t S = e->stats ? net_stat_count(s->net) : 0; /* KEY_SAME has one encoder */
    memcpy(m->before, e->stats, S * sizeof *m->before);
    memset(m->sum, 0, S * sizeof *m->sum);
    m->batches = e->batches;
}

static void stats_add(const struct step *s, struct moved_stats *m, struct encoder *e)
{
    size_t S = e->stats ? net_stat_count(s->net) : 0;
    int last = s->part == s->config.accumulate;
    for (size_t i = 0; i < S; i++) {
        m->sum[i] += e->stats[i];
        e->stats[i] = last ? m->sum[i] / (float)s->config.accumulate : m->before[i];
    }
    if (!last)
        e->batches = m->batches;
}

/* ---- the step ---- */

/* The dictionary takes up the keys of this step; of both directions, those of x_q first. */
static int remember(struct step *s)
{
    size_t B = (size_t)s->config.net.batch, BD = B * (size_t)s->config.net.dim;
    int both = s->config.method.symmetric;

    if (!s->config.kind->remember)
        return MOCO_OK;
    memcpy(s->new_keys, s->emb_k[both], BD * sizeof(float));
    if (both)
        memcpy(s->new_keys + BD, s->emb_k[0], BD * sizeof(float));
    memcpy(s->new_ids + B, s->new_ids, B * sizeof *s->new_ids);
    return s->config.kind->remember(s->state, s->new_keys, s->has_ids ? s->new_ids : NULL,
                                    both ? 2 * B : B);
}

static void optimise(struct step *s, float lr)
{
    size_t P = net_param_count(s->net);
    sgd_update(&s->simd, s->q.params, s->velocity_q, s->q.grads, P, lr, s->config.momentum,
               s->config.weight_decay);
    if (s->config.key == KEY_SEPARATE)
        sgd_update(&s->simd, s->k.params, s->velocity_k, s->k.grads, P, lr, s->config.momentum,
                   s->config.weight_decay);
}

static void clear(float *p, size_t n)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++)
        p[i] = 0.0f;
}

void step_begin(struct step *s)
{
    size_t P = net_param_count(s->net);

    s->part = 0;
    s->loss = s->top1 = 0;
    s->seconds_q = s->seconds_k = s->seconds_loss = s->seconds_backward = 0;
    clear(s->q.grads, P);
    if (s->config.key == KEY_SEPARATE)
        clear(s->k.grads, P);
    if (s->config.accumulate > 1) {
        stats_begin(s, &s->moved[0], &s->q);
        stats_begin(s, &s->moved[1], &s->k);
    }
}

int step_part(struct step *s, const struct step_input *in)
{
    int directions = s->config.method.symmetric ? 2 : 1, err = MOCO_OK;

    for (int i = 0; i < directions && !err; i++)
        err = direction(s, in, i);
    if (err)
        return err;
    s->has_ids = in->ids != NULL;
    if (s->has_ids)
        memcpy(s->new_ids + (size_t)s->part * s->rows, in->ids, s->rows * sizeof *s->new_ids);
    s->part++;
    if (s->config.accumulate > 1) {
        stats_add(s, &s->moved[0], &s->q);
        stats_add(s, &s->moved[1], &s->k);
    }
    return MOCO_OK;
}

int step_end(struct step *s, float lr)
{
    assert(s->part == s->config.accumulate);
    s->top1 /= s->config.method.symmetric ? 2 : 1;
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
    size_t image = image_floats(s);
    int err = MOCO_OK;

    step_begin(s);
    for (int part = 0; part < s->config.accumulate && !err; part++) {
        size_t first = (size_t)part * s->rows;
        struct step_input piece = *in;
        piece.x_q += first * image;
        piece.x_k += first * image;
        piece.ids = in->ids ? in->ids + first : NULL;
        piece.perm = in->perm ? in->perm + first : NULL;
        err = step_part(s, &piece);
    }
    return err ? err : step_end(s, in->lr);
}
