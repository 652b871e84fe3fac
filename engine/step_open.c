/* step_open.c: what a step is made of: checks, memory, first values; see step.h. */
#include "engine/step.h"

#include <string.h>

#include "engine/base/error.h"

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

static int is_trained(const struct step_config *c)
{
    return c->key == KEY_SAME || c->key == KEY_SEPARATE;
}

static int check_accumulate(const struct step_config *c)
{
    if (c->accumulate < 2)
        return c->accumulate < 0 ? error_set(MOCO_EARG, "accumulate is %d: a step has at least one "
                                             "micro-batch", c->accumulate)
                                 : MOCO_OK;
    if (c->kind->whole_batch)
        return error_set(MOCO_EARG, "method %s takes its negatives from the batch, so a batch in "
                         "%d parts would be another method: use a smaller batch, or accumulate 1",
                         c->kind->name, c->accumulate);
    if (c->net.batch % c->accumulate)
        return error_set(MOCO_EARG, "batch size %d is no multiple of accumulate %d", c->net.batch,
                         c->accumulate);
    return MOCO_OK;
}

static int check(const struct step_config *c)
{
    int trained = is_trained(c);
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
    return check_accumulate(c);
}

/* ---- memory ---- */

/* Encoders whose running statistics are averaged over the micro-batches. */
static size_t averaged_floats(const struct step_config *c, const struct net *net)
{
    return c->accumulate > 1 ? 4 * net_stat_count(net) : 0; /* before and sum, of q and k */
}

static size_t image_bytes(const struct net_config *c)
{
    return (size_t)c->channels * (size_t)c->side * (size_t)c->side * sizeof(float);
}

/* Bytes of the step's own arena: the sum of what carve() takes. */
static size_t own_bytes(const struct step_config *c, const struct net *net)
{
    size_t B = (size_t)c->net.batch, rows = (size_t)net_get_config(net)->batch;
    size_t D = (size_t)c->net.dim, row = D * sizeof(float);
    size_t velocity = arena_round(net_param_count(net) * sizeof(float));
    return velocity * (c->key == KEY_SEPARATE ? 2 : 1) + 8 * arena_round(B * row) +
           arena_round(2 * B * row) + arena_round(rows * row) +
           arena_round(2 * B * sizeof(int64_t)) + 2 * arena_round(rows * sizeof(float)) +
           arena_round(rows * sizeof(uint32_t)) +
           arena_round(c->shuffle ? rows * image_bytes(&c->net) : 0) +
           arena_round(averaged_floats(c, net) * sizeof(float));
}

static float *take(struct step *s, size_t floats)
{
    return arena_take(&s->arena, floats * sizeof(float));
}

static void carve(struct step *s)
{
    const struct step_config *c = &s->config;
    size_t P = net_param_count(s->net), S = net_stat_count(s->net);
    size_t BD = (size_t)c->net.batch * (size_t)c->net.dim;

    s->velocity_q = take(s, P);
    s->velocity_k = c->key == KEY_SEPARATE ? take(s, P) : NULL;
    for (int i = 0; i < 2; i++) {
        s->emb_q[i] = take(s, BD);
        s->emb_k[i] = take(s, BD);
        s->d_emb_q[i] = take(s, BD);
        s->d_emb_k[i] = take(s, BD);
    }
    s->new_keys = take(s, 2 * BD);
    s->raw = take(s, s->rows * (size_t)c->net.dim);
    s->new_ids = arena_take(&s->arena, 2 * (size_t)c->net.batch * sizeof *s->new_ids);
    s->inv_norm_q = take(s, s->rows);
    s->inv_norm_k = take(s, s->rows);
    s->perm = arena_take(&s->arena, s->rows * sizeof *s->perm);
    s->x_shuffled =
        c->shuffle ? arena_take(&s->arena, s->rows * image_bytes(&c->net)) : NULL;
    if (averaged_floats(c, s->net))
        for (int i = 0; i < 2; i++) {
            s->moved[i].before = take(s, S);
            s->moved[i].sum = take(s, S);
        }
}

void step_memory(struct step_memory *out, const struct step_config *c, const struct net *net)
{
    int own_key = c->key == KEY_MOMENTUM || c->key == KEY_SEPARATE;
    *out = (struct step_memory){
        .encoders = encoder_bytes(net, 1, 1) + own_bytes(c, net),
        .activations =
            net_tape_bytes(net, 1, 0) + net_tape_bytes(net, is_trained(c), !is_trained(c)),
        .dictionary = c->kind->bytes(&c->method),
    };
    if (c->key != KEY_SAME)
        out->encoders += encoder_bytes(net, c->key == KEY_SEPARATE, own_key);
}

/* ---- opening ---- */

int step_net(struct net **out, const struct step_config *config, const struct moco_simd *simd)
{
    struct net_config part = config->net;
    int err = check(config);

    *out = NULL;
    if (err)
        return err;
    if (config->accumulate > 1)
        part.batch /= config->accumulate;
    return net_open(out, &part, simd);
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

static int open_arena(struct step *s)
{
    int err = arena_open(&s->arena, own_bytes(&s->config, s->net), "the training step");
    if (!err)
        carve(s);
    return err;
}

int step_open(struct step *s, const struct step_config *config, const struct moco_simd *simd)
{
    *s = (struct step){ .config = *config, .simd = *simd };
    if (!s->config.accumulate)
        s->config.accumulate = 1;
    int err = step_net(&s->net, config, simd);
    if (!err) {
        s->rows = (size_t)net_get_config(s->net)->batch;
        err = encoder_open(&s->q, s->net, 1, NULL);
    }
    if (!err)
        err = open_key(s);
    if (!err)
        err = tape_open(&s->tape_q, s->net, 1, NULL);
    if (!err)
        err = tape_open(&s->tape_k, s->net, is_trained(config),
                        is_trained(config) ? NULL : s->tape_q);
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
    tape_close(&s->tape_k); /* it may use the other's memory */
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
