/* net.c: opening a net, and the numbers of an encoder: memory and first values. */
#include "engine/net/encoder.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/net/conv_impl.h"
#include "engine/net/program.h"

/* oneDNN counts the pixels of a batch with ints; and then no sum of sizes passes 2^64. */
enum { PIXELS_MAX = INT_MAX };

static int check_config(const struct net_config *c)
{
    if (c->width < 1 || c->channels < 1 || c->dim < 1 || c->batch < 1 || c->bn_splits < 1)
        return error_set(MOCO_EARG,
                         "width %d, channels %d, dim %d, batch %d and bn-splits %d must all be "
                         "positive", c->width, c->channels, c->dim, c->batch, c->bn_splits);
    if (c->batch % c->bn_splits)
        return error_set(MOCO_EARG, "batch size %d is no multiple of bn-splits %d", c->batch,
                         c->bn_splits);
    if ((c->head == HEAD_V3 || c->predictor) && c->hidden < 1)
        return error_set(MOCO_EARG, "the head's hidden layer has %d columns: at least 1",
                         c->hidden);
    if (c->side < 4)
        return error_set(MOCO_EARG, "images of %d x %d pixels are too small", c->side, c->side);
    if ((double)c->batch * c->side * c->side > PIXELS_MAX)
        return error_set(MOCO_EARG, "%d images of %d x %d at once have %.3g pixels: up to %d are "
                         "possible; give a smaller batch, a smaller side, or --accumulate",
                         c->batch, c->side, c->side, (double)c->batch * c->side * c->side,
                         PIXELS_MAX);
    return MOCO_OK;
}

/* A width of 8 would leave half of each 16-channel block empty, and oneDNN has no fast convolution
 * for that; blocks of 8 fit. */
static int lanes_of(const struct net_config *config, const struct moco_simd *simd)
{
    return config->width % simd->lanes ? 8 : simd->lanes;
}

int net_bf16_pays(const struct net_config *config, const struct moco_simd *simd)
{
    return onednn_has_bf16(lanes_of(config, simd));
}

int net_open(struct net **out, const struct net_config *config, const struct moco_simd *simd)
{
    struct net *net;
    int err = check_config(config);

    *out = NULL;
    if (err)
        return err;
    net = calloc(1, sizeof *net);
    if (!net)
        return error_memory("a net", sizeof *net);
    net->config = *config;
    net->simd = *simd;
    net->lanes = lanes_of(config, simd);
    err = resnet_build(net);
    if (!err)
        err = plan_memory(net);
    if (err)
        net_close(&net);
    *out = net;
    return err;
}

void net_close(struct net **net)
{
    struct net *n = *net;
    if (!n)
        return;
    for (int i = 0; i < n->op_count; i++)
        conv_close(&n->ops[i].conv);
    free(n->ops);
    free(n->values);
    free(n->tensors);
    free(n);
    *net = NULL;
}

const struct net_config *net_get_config(const struct net *net)
{
    return &net->config;
}

const struct tensor *net_tensors(const struct net *net, size_t *count)
{
    *count = net->tensor_count;
    return net->tensors;
}

size_t net_param_count(const struct net *net)
{
    return net->param_count;
}

size_t net_stat_count(const struct net *net)
{
    return net->stat_count;
}

const char *net_head_name(enum net_head head)
{
    static const char *const names[] = { [HEAD_FC] = "fc", [HEAD_MLP] = "mlp", [HEAD_V3] = "v3",
                                         [HEAD_NONE] = "none" };
    return names[head];
}

size_t net_key_count(const struct net *net)
{
    return net->key_count;
}

const struct tensor *net_find(const struct net *net, const char *name)
{
    for (size_t i = 0; i < net->tensor_count; i++)
        if (net->tensors[i].kind == TENSOR_PARAM && !strcmp(net->tensors[i].name, name))
            return &net->tensors[i];
    return NULL;
}

/* Whether a tensor of that name belongs to the stage. */
static int is_of(const char *name, const char *stage)
{
    size_t length = strlen(stage);
    return !strncmp(name, stage, length) && name[length] == '.';
}

/* Stages stand one after the other: the end of its last parameter is that of all before it. */
size_t net_stage_count(const struct net *net, const char *stage)
{
    size_t end = 0;
    for (size_t i = 0; i < net->tensor_count; i++) {
        const struct tensor *t = &net->tensors[i];
        if (t->kind == TENSOR_PARAM && is_of(t->name, stage))
            end = t->offset + arena_round(t->count * sizeof(float)) / sizeof(float);
    }
    return end;
}

size_t net_backbone_dim(const struct net *net)
{
    return (size_t)net->values[net->pooled].C;
}

size_t encoder_bytes(const struct net *net, int with_grads, int own_params)
{
    size_t P = arena_round(net->param_count * sizeof(float));
    size_t S = arena_round(net->stat_count * sizeof(float));
    return (own_params ? P : 0) + (with_grads ? P : 0) + S;
}

int encoder_open(struct encoder *out, const struct net *net, int with_grads, float *params)
{
    size_t P = net->param_count * sizeof(float), S = net->stat_count * sizeof(float);
    struct arena *arena = calloc(1, sizeof *arena);
    int err;

    *out = (struct encoder){ 0 };
    if (!arena)
        return error_memory("an encoder", sizeof *arena);
    err = arena_open(arena, encoder_bytes(net, with_grads, !params), "an encoder's parameters");
    if (err) {
        free(arena);
        return err;
    }
    out->params = params ? params : arena_take(arena, P);
    out->grads = with_grads ? arena_take(arena, P) : NULL;
    out->stats = arena_take(arena, S);
    out->owned = arena;
    for (size_t i = 0; i < net->tensor_count; i++) {
        const struct tensor *t = &net->tensors[i];
        if (t->kind == TENSOR_STAT && strstr(t->name, "running_var"))
            for (size_t j = 0; j < t->count; j++)
                out->stats[t->offset + j] = 1.0f;
    }
    return MOCO_OK;
}

void encoder_close(struct encoder *encoder)
{
    if (encoder->owned)
        arena_close(encoder->owned);
    free(encoder->owned);
    *encoder = (struct encoder){ 0 };
}

/* First values of one parameter; `in` is the fan-in of the linear layer it belongs to. */
static void init_tensor(float *p, const struct tensor *t, size_t in, struct rng *rng)
{
    if (t->rank == 4) {
        double std = sqrt(2.0 / (double)(t->shape[0] * t->shape[2] * t->shape[3]));
        for (size_t i = 0; i < t->count; i++)
            p[i] = (float)(std * rng_normal(rng));
    } else if (in) {
        double bound = 1.0 / sqrt((double)in);
        for (size_t i = 0; i < t->count; i++)
            p[i] = (float)rng_between(rng, -bound, bound);
    } else {
        float value = strstr(t->name, ".weight") ? 1.0f : 0.0f; /* BatchNorm */
        for (size_t i = 0; i < t->count; i++)
            p[i] = value;
    }
}

void encoder_init(struct encoder *encoder, const struct net *net, uint64_t seed)
{
    size_t in = 0;
    for (size_t i = 0; i < net->tensor_count; i++) {
        const struct tensor *t = &net->tensors[i];
        struct rng rng = rng_at(seed, RNG_INIT, 0, i);
        if (t->kind != TENSOR_PARAM)
            continue;
        if (t->rank == 2)
            in = t->shape[1];
        else if (!strstr(t->name, ".bias") || net->tensors[i - 1].rank != 2)
            in = 0; /* of a BatchNorm; a linear bias has the bound of the weight before it */
        init_tensor(encoder->params + t->offset, t, in, &rng);
    }
}
