/* step_open.c: what a step is made of: checks, memory, first values; see step.h. */
#include "engine/step.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/contrast/consistency.h"

/* ---- what goes together ---- */

static const char *const key_names[] = { "momentum", "shared", "partial", "same", "separate",
                                         "none", "joint" };

static int is_stage(const char *stage)
{
    static const char *const stages[] = { "conv1", "bn1", "layer1", "layer2", "layer3", "layer4" };
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (!strcmp(stage, stages[i]))
            return 1;
    return 0;
}

int key_choice_named(struct key_choice *out, const char *name)
{
    size_t length = strcspn(name, ":");
    const char *detail = name[length] ? name + length + 1 : "";
    int kind = 0;

    *out = (struct key_choice){ 0 };
    while (kind <= KEY_JOINT && (strncmp(name, key_names[kind], length) || key_names[kind][length]))
        kind++;
    out->kind = (enum key_encoder)kind;
    if (kind > KEY_JOINT || (name[length] && kind != KEY_PARTIAL && kind != KEY_SEPARATE))
        return error_set(MOCO_EARG, "unknown key encoder %.64s: momentum, shared, partial:STAGE, "
                         "same, separate, separate:ARCH, none and joint are known", name);
    if (kind == KEY_PARTIAL && !is_stage(detail))
        return error_set(MOCO_EARG, "key encoder partial needs the last stage that it shares: "
                         "conv1, bn1, layer1, layer2, layer3 or layer4, not '%.32s'", detail);
    snprintf(kind == KEY_PARTIAL ? out->stage : out->arch, sizeof out->arch, "%s", detail);
    return MOCO_OK;
}

static int keys_fit(const struct step_config *c)
{
    enum key_encoder key = c->key.kind;
    switch (c->kind->keys) {
    case KEYS_FIXED:
        return key == KEY_MOMENTUM || key == KEY_SHARED || key == KEY_PARTIAL;
    case KEYS_TRAINED:
        return key_is_trained(key);
    case KEYS_NONE:
        return key == (c->consistency > 0.0f ? KEY_SAME : KEY_NONE);
    default:
        return key == KEY_JOINT;
    }
}

static const char *keys_text(const struct step_config *c)
{
    switch (c->kind->keys) {
    case KEYS_FIXED:
        return "momentum, shared or partial:STAGE";
    case KEYS_TRAINED:
        return "same or separate";
    case KEYS_NONE:
        return c->consistency > 0.0f ? "same, for the second view of the consistency term" : "none";
    default:
        return "joint";
    }
}

int step_check_keys(const struct step_config *c)
{
    if (!keys_fit(c))
        return error_set(MOCO_EARG, "method %s does not go with key-encoder %s: it needs %s",
                         c->kind->name, key_names[c->key.kind], keys_text(c));
    if (c->shuffle && (key_is_trained(c->key.kind) || !key_has_branch(c->key.kind)))
        return error_set(MOCO_EARG, "shuffle-bn is for a key encoder without gradient, method %s "
                         "has none: give --no-shuffle-bn", c->kind->name);
    if (c->method.symmetric && (c->kind->keys != KEYS_FIXED || c->kind->both))
        return error_set(MOCO_EARG, c->kind->both ? "method %s is symmetric as it is: give "
                                                    "--no-symmetric"
                                                  : "method %s has no symmetric form: give "
                                                    "--no-symmetric", c->kind->name);
    return MOCO_OK;
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
    if (c->shuffle && c->net.bn_splits < 2)
        return error_set(MOCO_EARG, "ShuffleBN with bn-splits %d permutes keys within one group, "
                         "which changes nothing: use bn-splits 2 or more, or --no-shuffle-bn",
                         c->net.bn_splits);
    int err = step_check_keys(c);
    return err ? err : check_accumulate(c);
}

/* ---- memory ---- */

/* The sizes of what the step's own arena holds, in floats and in the order of carve(). */
struct own_sizes {
    size_t moments_q, moments_k; /* of one array each */
    size_t rows, joint, raw, images, scratch, moved;
};

static size_t image_floats(const struct net_config *c)
{
    return (size_t)c->channels * (size_t)c->side * (size_t)c->side;
}

static struct own_sizes own_sizes(const struct step_config *c, const struct net *net,
                                  const struct net *net_k)
{
    size_t rows = (size_t)(c->net.batch / (c->accumulate ? c->accumulate : 1));
    size_t D = (size_t)c->net.dim, passes = c->key.kind == KEY_JOINT ? 2 : 1;
    struct own_sizes s = {
        .moments_q = net_param_count(net),
        .moments_k = c->key.kind == KEY_SEPARATE ? net_param_count(net_k) : 0,
        .rows = (size_t)c->net.batch * D, .raw = passes * rows * D,
        .joint = passes == 2 ? 2 * rows * D : 0,
        .images = c->shuffle || passes == 2 ? passes * rows * image_floats(&c->net) : 0,
        .scratch = c->consistency > 0.0f ? consistency_scratch(rows, D, c->kind->unit) : 0,
    };
    if (c->accumulate > 1) /* running statistics are averaged over the micro-batches */
        s.moved = net_stat_count(net) > net_stat_count(net_k) ? net_stat_count(net)
                                                              : net_stat_count(net_k);
    return s;
}

static size_t floats(size_t n)
{
    return arena_round(n * sizeof(float));
}

/* Bytes of the step's own arena: the sum of what carve() takes. */
static size_t own_bytes(const struct step_config *c, const struct net *net,
                        const struct net *net_k)
{
    struct own_sizes s = own_sizes(c, net, net_k);
    size_t states = (size_t)optimiser_states(c->optimiser.kind), B = (size_t)c->net.batch;
    return states * (floats(s.moments_q) + floats(s.moments_k)) + 8 * floats(s.rows) +
           floats(2 * s.rows) + 2 * floats(s.joint) + 3 * floats(s.raw) +
           arena_round(2 * B * sizeof(int64_t)) + 2 * floats(2 * B) +
           arena_round(B * sizeof(uint32_t)) + floats(s.images) + floats(s.scratch) +
           4 * floats(s.moved);
}

static float *take(struct step *s, size_t n)
{
    return arena_take(&s->arena, n * sizeof(float));
}

static void carve(struct step *s)
{
    const struct step_config *c = &s->config;
    struct own_sizes size = own_sizes(c, s->net, s->net_k);
    size_t B = (size_t)c->net.batch;

    for (int i = 0; i < optimiser_states(c->optimiser.kind); i++) {
        s->moments_q[i] = take(s, size.moments_q);
        s->moments_k[i] = size.moments_k ? take(s, size.moments_k) : NULL;
    }
    for (int i = 0; i < 2; i++) {
        s->emb_q[i] = take(s, size.rows);
        s->emb_k[i] = take(s, size.rows);
        s->d_emb_q[i] = take(s, size.rows);
        s->d_emb_k[i] = take(s, size.rows);
    }
    s->new_rows = take(s, 2 * size.rows);
    s->joint = take(s, size.joint);
    s->d_joint = take(s, size.joint);
    s->raw_q = take(s, size.raw);
    s->raw_k = take(s, size.raw);
    s->d_raw = take(s, size.raw);
    s->new_ids = arena_take(&s->arena, 2 * B * sizeof *s->new_ids);
    s->inv_norm_q = take(s, 2 * B);
    s->inv_norm_k = take(s, 2 * B);
    s->perm = arena_take(&s->arena, B * sizeof *s->perm);
    s->x_shuffled = take(s, size.images);
    s->scratch = take(s, size.scratch);
    for (int i = 0; i < 2 && size.moved; i++) {
        s->moved[i].before = take(s, size.moved);
        s->moved[i].sum = take(s, size.moved);
    }
}

void step_memory(struct step_memory *out, const struct step_config *c, const struct net *net,
                 const struct net *net_k)
{
    enum key_encoder key = c->key.kind;
    int trained = key_is_trained(key);
    if (!net_k)
        net_k = net;
    *out = (struct step_memory){
        .encoders = encoder_bytes(net, 1, 1) + own_bytes(c, net, net_k),
        .activations = net_tape_bytes(net, 1, 0),
        .dictionary = c->kind->bytes(&c->method),
    };
    if (key_has_branch(key))
        out->activations += net_tape_bytes(net_k, trained, !trained);
    if (key_has_branch(key) && key != KEY_SAME)
        out->encoders += encoder_bytes(net_k, key == KEY_SEPARATE, key_has_params(key));
}

size_t step_key_count(const struct step *s)
{
    return key_has_params(s->config.key.kind) ? net_key_count(s->net_k) : 0;
}

size_t step_shared_count(const struct step *s)
{
    return s->config.key.kind == KEY_PARTIAL ? net_stage_count(s->net_k, s->config.key.stage) : 0;
}

/* ---- opening ---- */

int step_net(struct net **out, const struct step_config *config, const struct moco_simd *simd)
{
    struct net_config part = config->net;
    const struct method *kind = config->kind;
    int err = check(config);

    *out = NULL;
    if (err)
        return err;
    if (config->accumulate > 1)
        part.batch /= config->accumulate;
    if (config->key.kind == KEY_JOINT)
        part.batch *= 2;
    if (kind->layer) {
        snprintf(part.layer.name, sizeof part.layer.name, "%s", kind->layer);
        part.layer.rows = (int)kind->layer_rows(&config->method);
        part.layer.bias = kind->layer_bias;
    }
    return net_open(out, &part, simd);
}

int step_key_net(struct net **out, const struct step_config *config, const struct moco_simd *simd)
{
    struct net_config part = config->net;
    const char *arch = config->key.arch;

    *out = NULL;
    if (config->key.kind != KEY_SEPARATE || !arch[0] || !strcmp(arch, config->net.arch))
        return MOCO_OK;
    if (config->accumulate > 1)
        part.batch /= config->accumulate;
    snprintf(part.arch, sizeof part.arch, "%s", arch);
    part.predictor = 0;
    return net_open(out, &part, simd);
}

/* The key branch: which arrays are its own depends on where its parameters come from. */
static int open_key(struct step *s)
{
    enum key_encoder key = s->config.key.kind;
    if (!key_has_branch(key) || key == KEY_SAME)
        return MOCO_OK;
    return encoder_open(&s->k, s->net_k, key == KEY_SEPARATE,
                        key == KEY_SHARED ? s->q.params : NULL);
}

static int open_tapes(struct step *s)
{
    enum key_encoder key = s->config.key.kind;
    int trained = key_is_trained(key), err = tape_open(&s->tape_q, s->net, 1, NULL);
    if (err || !key_has_branch(key))
        return err;
    return tape_open(&s->tape_k, s->net_k, trained, trained ? NULL : s->tape_q);
}

static int open_arena(struct step *s)
{
    int err = arena_open(&s->arena, own_bytes(&s->config, s->net, s->net_k), "the training step");
    if (!err)
        carve(s);
    return err;
}

static int open_nets(struct step *s)
{
    int err = step_net(&s->net, &s->config, &s->simd);
    if (!err)
        err = step_key_net(&s->net_k, &s->config, &s->simd);
    if (!err && !s->net_k)
        s->net_k = s->net;
    return err;
}

int step_open(struct step *s, const struct step_config *config, const struct moco_simd *simd)
{
    *s = (struct step){ .config = *config, .simd = *simd };
    if (!s->config.accumulate)
        s->config.accumulate = 1;
    s->rows = (size_t)(config->net.batch / s->config.accumulate);
    int err = open_nets(s);
    if (!err)
        err = encoder_open(&s->q, s->net, 1, NULL);
    s->q.predicts = config->net.predictor;
    if (!err)
        err = open_key(s);
    if (!err)
        err = open_tapes(s);
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
    if (s->net_k != s->net)
        net_close(&s->net_k);
    net_close(&s->net);
    arena_close(&s->arena);
    *s = (struct step){ 0 };
}

void step_init(struct step *s)
{
    enum key_encoder key = s->config.key.kind;
    encoder_init(&s->q, s->net, s->config.seed);
    if (key == KEY_SEPARATE)
        encoder_init(&s->k, s->net_k, s->config.seed + 1);
    else
        step_copy_keys(s);
}

void step_copy_keys(struct step *s)
{
    enum key_encoder key = s->config.key.kind;
    if (key_has_params(key))
        memcpy(s->k.params, s->q.params, step_key_count(s) * sizeof(float));
    if (!key_has_branch(key) || key == KEY_SAME)
        return;
    memcpy(s->k.stats, s->q.stats, net_stat_count(s->net_k) * sizeof(float));
    s->k.batches = s->q.batches;
}
