/* step.c: Algorithm 1 of He et al. 2019, for any method behind the interface of method.h.
 *
 * The order, which the parity cases hold: query features, momentum update of the key encoder, key
 * features (shuffled between BN groups, put back), loss against the dictionary as it was, backward
 * through what is trained, optimiser, and only then the dictionary takes up the new keys, so a key
 * is never its own negative. A symmetric step goes through features, loss and backward twice. */
#include "engine/step.h"

#include <math.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/optim/update.h"

int key_encoder_named(enum key_encoder *out, const char *name)
{
    static const char *const names[] = { "momentum", "shared", "same", "separate" };
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, names[i])) {
            *out = (enum key_encoder)i;
            return MOCO_OK;
        }
    return error_set(MOCO_EARG,
                     "unknown key encoder %s: momentum, shared, same and separate are known", name);
}

static size_t image_floats(const struct net_config *c)
{
    return (size_t)c->channels * (size_t)c->side * (size_t)c->side;
}

static int is_trained(const struct step *s)
{
    return s->config.key == KEY_SAME || s->config.key == KEY_SEPARATE;
}

static int check(const struct step_config *c)
{
    int trained = c->key == KEY_SAME || c->key == KEY_SEPARATE;
    if (c->shuffle && c->net.bn_splits < 2)
        return error_set(MOCO_EARG, "ShuffleBN with bn-splits %d permutes keys within one group, "
                         "which changes nothing: use bn-splits 2 or more, or --no-shuffle-bn",
                         c->net.bn_splits);
    if (trained != c->kind->key_gradient)
        return error_set(MOCO_EARG, "method %s needs a key encoder that is %s", c->kind->name,
                         c->kind->key_gradient ? "trained: same or separate"
                                               : "not trained: momentum or shared");
    if (c->method.symmetric && trained)
        return error_set(MOCO_EARG, "method %s has no symmetric form", c->kind->name);
    return MOCO_OK;
}

static void carve(struct step *s, size_t P)
{
    const struct net_config *net = &s->config.net;
    size_t B = (size_t)net->batch, BD = B * (size_t)net->dim * sizeof(float);

    s->velocity_q = arena_take(&s->arena, P * sizeof(float));
    s->velocity_k = s->config.key == KEY_SEPARATE ? arena_take(&s->arena, P * sizeof(float)) : NULL;
    for (int i = 0; i < 2; i++) {
        s->emb_q[i] = arena_take(&s->arena, BD);
        s->emb_k[i] = arena_take(&s->arena, BD);
        s->d_emb_q[i] = arena_take(&s->arena, BD);
        s->d_emb_k[i] = arena_take(&s->arena, BD);
    }
    s->raw = arena_take(&s->arena, BD);
    s->new_keys = arena_take(&s->arena, 2 * BD);
    s->new_ids = arena_take(&s->arena, 2 * B * sizeof *s->new_ids);
    s->inv_norm_q = arena_take(&s->arena, B * sizeof(float));
    s->inv_norm_k = arena_take(&s->arena, B * sizeof(float));
    s->perm = arena_take(&s->arena, B * sizeof *s->perm);
    s->x_shuffled =
        s->config.shuffle ? arena_take(&s->arena, B * image_floats(net) * sizeof(float)) : NULL;
}

static int open_arena(struct step *s)
{
    const struct net_config *net = &s->config.net;
    size_t P = net_param_count(s->net), B = (size_t)net->batch;
    size_t bytes = 2 * P * sizeof(float) + 11 * B * ((size_t)net->dim + 16) * sizeof(float) +
                   B * image_floats(net) * sizeof(float) + 64 * (size_t)ARENA_ALIGN;
    int err = arena_open(&s->arena, bytes, "the training step");
    if (!err)
        carve(s, P);
    return err;
}

/* The key branch: which arrays are its own depends on where its parameters come from. */
static int open_key(struct step *s)
{
    switch (s->config.key) {
    case KEY_SHARED:
        return encoder_open(&s->k, s->net, 0, s->q.params);
    case KEY_SAME:
        return MOCO_OK; /* f_k is f_q */
    default:
        return encoder_open(&s->k, s->net, s->config.key == KEY_SEPARATE, NULL);
    }
}

int step_open(struct step *s, const struct step_config *config, const struct moco_simd *simd)
{
    int err = check(config);

    *s = (struct step){ .config = *config, .simd = *simd };
    if (!err)
        err = net_open(&s->net, &config->net, simd);
    if (!err)
        err = encoder_open(&s->q, s->net, 1, NULL);
    if (!err)
        err = open_key(s);
    if (!err)
        err = tape_open(&s->tape_q, s->net, 1, NULL);
    if (!err)
        err = tape_open(&s->tape_k, s->net, is_trained(s), s->tape_q);
    if (!err)
        err = open_arena(s);
    if (!err)
        err = config->kind->open(&s->state, &config->method, simd);
    if (err)
        step_close(s);
    return err;
}

void step_close(struct step *s)
{
    if (s->state)
        s->config.kind->close(s->state);
    tape_close(&s->tape_k); /* it uses the other's working memory */
    tape_close(&s->tape_q);
    encoder_close(&s->q);
    encoder_close(&s->k);
    net_close(&s->net);
    arena_close(&s->arena);
    *s = (struct step){ 0 };
}

void step_init(struct step *s)
{
    encoder_init(&s->q, s->net, s->config.seed);
    if (s->config.key == KEY_SEPARATE)
        encoder_init(&s->k, s->net, s->config.seed + 1);
    else if (s->config.key == KEY_MOMENTUM)
        memcpy(s->k.params, s->q.params, net_param_count(s->net) * sizeof(float));
}

/* f(x) as it enters the loss: unit rows unless the method wants them raw. */
static int features(struct step *s, struct encoder *e, struct tape *tape, float *emb,
                    float *inv_norm, const float *x)
{
    const struct net_config *net = &s->config.net;
    int err = encoder_forward(e, s->net, tape, s->raw, NULL, x, NET_TRAIN);
    if (err)
        return err;
    if (s->config.kind->unit)
        s->simd.row_normalise(emb, inv_norm, s->raw, (size_t)net->batch, (size_t)net->dim);
    else
        memcpy(emb, s->raw, (size_t)net->batch * (size_t)net->dim * sizeof *emb);
    return MOCO_OK;
}

/* Keys of x. Under ShuffleBN the network sees x[perm], and row i of its output is the key of
 * sample perm[i] (He et al. 2019, section 3.3). */
static int key_features(struct step *s, float *emb, const float *x, const uint32_t *perm)
{
    struct encoder *k = s->config.key == KEY_SAME ? &s->q : &s->k;
    size_t B = (size_t)s->config.net.batch, D = (size_t)s->config.net.dim;
    size_t image = image_floats(&s->config.net);
    int err;

    if (!perm)
        return features(s, k, s->tape_k, emb, s->inv_norm_k, x);
    for (size_t i = 0; i < B; i++)
        memcpy(s->x_shuffled + i * image, x + perm[i] * image, image * sizeof *x);
    err = features(s, k, s->tape_k, s->new_keys, s->inv_norm_k, s->x_shuffled);
    for (size_t i = 0; i < B && !err; i++)
        memcpy(emb + perm[i] * D, s->new_keys + i * D, D * sizeof *emb);
    return err;
}

/* Gradient through the normalisation and the encoder. */
static int backward(struct step *s, struct encoder *e, struct tape *tape, const float *d_emb,
                    const float *emb, const float *inv_norm)
{
    const float *d_raw = d_emb;
    if (s->config.kind->unit) {
        s->simd.row_normalise_grad(s->raw, d_emb, emb, inv_norm, (size_t)s->config.net.batch,
                                   (size_t)s->config.net.dim);
        d_raw = s->raw;
    }
    return encoder_backward(e, s->net, tape, d_raw);
}

/* A replayed step brings the permutation of its first direction and shuffles only that. */
static const uint32_t *permutation(struct step *s, const struct step_input *in, int direction)
{
    if (!s->config.shuffle)
        return NULL;
    if (in->perm)
        return direction ? NULL : in->perm;
    struct rng rng = rng_at(s->config.seed, RNG_SHUFFLE, (uint64_t)direction, s->count);
    rng_permutation(&rng, s->perm, (size_t)s->config.net.batch);
    return s->perm;
}

/* One direction: queries of x_q against keys of x_k. */
static int direction(struct step *s, const struct step_input *in, int i)
{
    const float *x_q = i ? in->x_k : in->x_q, *x_k = i ? in->x_q : in->x_k;
    struct contrast c = { .q = s->emb_q[i], .k = s->emb_k[i], .d_q = s->d_emb_q[i],
                          .d_k = is_trained(s) ? s->d_emb_k[i] : NULL, .ids = in->ids };
    double start = clock_seconds(), end;
    int err = features(s, &s->q, s->tape_q, s->emb_q[i], s->inv_norm_q, x_q);
    s->seconds_q += (end = clock_seconds()) - start;

    if (!err && i == 0 && s->config.key == KEY_MOMENTUM)
        ema_update(&s->simd, s->k.params, s->q.params, net_param_count(s->net), in->m);
    if (!err)
        err = key_features(s, s->emb_k[i], x_k, permutation(s, in, i));
    s->seconds_k += (start = clock_seconds()) - end;
    if (!err)
        err = s->config.kind->loss(s->state, &c);
    s->seconds_loss += (end = clock_seconds()) - start;
    if (!err)
        err = backward(s, &s->q, s->tape_q, s->d_emb_q[i], s->emb_q[i], s->inv_norm_q);
    if (!err && is_trained(s))
        err = backward(s, s->config.key == KEY_SAME ? &s->q : &s->k, s->tape_k, s->d_emb_k[i],
                       s->emb_k[i], s->inv_norm_k);
    s->seconds_backward += clock_seconds() - end;
    s->loss += c.loss;
    s->top1 += c.top1;
    return err;
}

/* The dictionary takes up the keys of this step; of both directions, those of x_q first. */
static int remember(struct step *s, const struct step_input *in)
{
    size_t B = (size_t)s->config.net.batch, BD = B * (size_t)s->config.net.dim;
    int both = s->config.method.symmetric;

    if (!s->config.kind->remember)
        return MOCO_OK;
    memcpy(s->new_keys, s->emb_k[both], BD * sizeof(float));
    if (both)
        memcpy(s->new_keys + BD, s->emb_k[0], BD * sizeof(float));
    for (size_t i = 0; in->ids && i < B; i++)
        s->new_ids[i] = s->new_ids[B + i] = in->ids[i];
    return s->config.kind->remember(s->state, s->new_keys, in->ids ? s->new_ids : NULL,
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

int step_run(struct step *s, const struct step_input *in)
{
    size_t P = net_param_count(s->net);
    int directions = s->config.method.symmetric ? 2 : 1, err = MOCO_OK;

    s->loss = s->top1 = 0;
    s->seconds_q = s->seconds_k = s->seconds_loss = s->seconds_backward = 0;
    memset(s->q.grads, 0, P * sizeof(float));
    if (s->config.key == KEY_SEPARATE)
        memset(s->k.grads, 0, P * sizeof(float));
    for (int i = 0; i < directions && !err; i++)
        err = direction(s, in, i);
    if (err)
        return err;
    s->top1 /= directions;
    if (!isfinite(s->loss))
        return error_set(MOCO_EDIVERGED, "the loss of step %llu is no longer finite: lower the "
                         "learning rate or raise the temperature", (unsigned long long)s->count);
    double start = clock_seconds();
    optimise(s, in->lr);
    err = remember(s, in);
    s->seconds_update = clock_seconds() - start;
    s->count++;
    return err;
}
