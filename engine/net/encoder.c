/* encoder.c: walks a net's list of operations, forwards and backwards.
 *
 * Backwards each value has one gradient buffer. Its first reader (in reverse) writes it, a second
 * one writes into the waiting room and is added: that happens where a block's input also feeds
 * its shortcut. A BatchNorm leaves the gradient of what was added to it, or else of its input, in
 * the place of its output's. */
#include "engine/net/encoder.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/watch.h"
#include "engine/base/size.h"
#include "engine/net/program.h"

struct tape {
    struct arena arena;
    int keep;
    float *work;     /* activations, gradients, scratch, as plan.c says; the host's, or its own */
    float *saved;    /* (saved_count) of the BatchNorms */
    uint8_t *open;   /* (open_bytes) of their ReLUs, when it keeps */
    float *partial, *coef;
    float *pooled, *d_pooled; /* (B, backbone) */
    struct head_tape head;
    const float *x;  /* input of the newest pass; borrowed */
    struct op_clock *clocks; /* (op_count) */
    unsigned char *written; /* (value_count): has a gradient in this backward pass */
};

/* Floats of each of a tape's pieces; one list serves sizing and carving. */
struct tape_sizes {
    size_t work, saved, open, partial, coef, pooled, head;
};

/* A keeping tape's working memory serves the other kind too. */
static size_t work_floats(const struct net *net, int keep)
{
    return keep && net->work_training > net->work_forward ? net->work_training
                                                          : net->work_forward;
}

static struct tape_sizes tape_sizes(const struct net *net, int keep, int hosted)
{
    const struct net_config *c = &net->config;
    struct tape_sizes s = {
        .work = hosted ? 0 : work_floats(net, keep),
        .saved = net->saved_count,
        .open = keep ? (net->open_bytes + sizeof(float) - 1) / sizeof(float) : 0,
        .pooled = (size_t)c->batch * net_backbone_dim(net), .head = head_floats(net, keep),
    };
    for (int i = 0; i < net->value_count; i++) {
        size_t partial = norm_partial_floats(c->batch, net->values[i].C, net->lanes);
        size_t coef = norm_coef_floats(c->bn_splits, net->values[i].C, net->lanes);
        s.partial = partial > s.partial ? partial : s.partial;
        s.coef = coef > s.coef ? coef : s.coef;
    }
    return s;
}

size_t net_tape_bytes(const struct net *net, int keep, int hosted)
{
    struct tape_sizes s = tape_sizes(net, keep, hosted);
    const size_t floats[] = { s.work, s.saved, s.open, s.partial,
                              s.coef, s.head,  s.pooled, s.pooled };
    size_t bytes = arena_round((size_t)net->value_count) +
                   arena_round((size_t)net->op_count * sizeof(struct op_clock));
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        bytes = size_add(bytes, arena_round(size_mul(floats[i], sizeof(float))));
    return bytes;
}

static float *take(struct arena *arena, size_t floats)
{
    return arena_take(arena, floats * sizeof(float));
}

int tape_open(struct tape **out, const struct net *net, int keep, struct tape *host)
{
    struct tape_sizes s = tape_sizes(net, keep, host != NULL);
    struct tape *t = calloc(1, sizeof *t);
    int err;

    *out = NULL;
    if (!t)
        return error_memory("a tape", sizeof *t);
    err = arena_open(&t->arena, net_tape_bytes(net, keep, host != NULL), "activations");
    if (err) {
        free(t);
        return err;
    }
    t->keep = keep;
    t->work = host ? host->work : take(&t->arena, s.work);
    t->saved = take(&t->arena, s.saved);
    t->open = (uint8_t *)take(&t->arena, s.open);
    t->partial = take(&t->arena, s.partial);
    t->coef = take(&t->arena, s.coef);
    t->pooled = take(&t->arena, s.pooled);
    t->d_pooled = take(&t->arena, s.pooled);
    head_carve(&t->head, net, keep, take(&t->arena, s.head));
    t->clocks = arena_take(&t->arena, (size_t)net->op_count * sizeof *t->clocks);
    t->written = arena_take(&t->arena, (size_t)net->value_count);
    *out = t;
    return MOCO_OK;
}

void tape_close(struct tape **tape)
{
    if (!*tape)
        return;
    arena_close(&(*tape)->arena);
    free(*tape);
    *tape = NULL;
}

/* A value during a forward pass. */
static void *value_at(const struct net *net, const struct tape *t, int value)
{
    const struct value *v = &net->values[value];
    return t->work + (t->keep ? v->at : v->forward_at);
}

static const void *source_of(const struct net *net, const struct tape *t, int value)
{
    return value == INPUT_VALUE ? t->x : value_at(net, t, value);
}

/* The same during the backward pass: what is not kept has been made again. */
static const void *read_back(const struct net *net, const struct tape *t, int value)
{
    if (value == INPUT_VALUE)
        return t->x;
    const struct value *v = &net->values[value];
    return t->work + (v->kept ? v->at : v->redo_at);
}

static struct norm_pass norm_of(const struct net *net, const struct tape *t, const struct op *op)
{
    const struct value *v = &net->values[op->src];
    return (struct norm_pass){ .kernels = &net->simd.activation[net->config.number],
                               .B = net->config.batch, .C = v->C,
                               .pixels = v->H * v->W, .lanes = net->lanes,
                               .splits = net->config.bn_splits, .partial = t->partial,
                               .coef = t->coef };
}

/* Planes of a value: samples times channel blocks. */
static size_t planes_of(const struct net *net, const struct value *v)
{
    return v->numbers / ((size_t)(v->H * v->W) * (size_t)net->lanes);
}

struct op_clock *tape_clock(const struct tape *tape, int op)
{
    return &tape->clocks[op];
}

/* Books the time since `start` on an operation's pass; returns the time. */
static double book(const struct net *net, struct tape *t, const struct op *op, int pass,
                   double start)
{
    struct op_clock *clock = &t->clocks[op - net->ops];
    double end = clock_seconds();
    clock->seconds[pass] += end - start;
    clock->count[pass]++;
    return end;
}

static int forward_op(struct encoder *e, const struct net *net, struct tape *t,
                      const struct op *op, enum net_mode mode)
{
    const void *src = source_of(net, t, op->src); /* values: (B, C/lanes, H, W, lanes) */
    void *dst = value_at(net, t, op->dst);

    if (op->kind == OP_CONV)
        return conv_forward(op->conv, dst, src, e->params + op->weight,
                            t->work + (t->keep ? op->keep_scratch_at : op->scratch_at));
    if (op->kind == OP_NORM) {
        struct norm_pass pass = norm_of(net, t, op);
        norm_forward(&pass, dst, t->keep && has_bits(op) ? t->open + op->open : NULL, src,
                     op->add >= 0 ? value_at(net, t, op->add) : NULL,
                     e->params + op->gamma, e->params + op->beta, e->stats + op->mean,
                     e->stats + op->var, t->saved + op->saved, op->relu, mode);
    } else {
        const struct value *v = &net->values[op->src];
        maxpool_forward(net->config.number, dst, src, planes_of(net, v), v->H, v->W,
                        net->lanes);
    }
    return MOCO_OK;
}

static void pool_forward(const struct net *net, struct tape *t)
{
    const struct value *v = &net->values[net->pooled];
    avgpool_forward(net->config.number, t->pooled, value_at(net, t, net->pooled),
                    net->config.batch, v->C, v->H * v->W, net->lanes);
}

int encoder_forward(struct encoder *e, const struct net *net, struct tape *t, float *features,
                    float *backbone, const float *x, enum net_mode mode)
{
    int err = MOCO_OK;

    t->x = x;
    for (int i = 0; i < net->op_count && !err; i++) {
        double start = clock_seconds();
        err = watch_stopped();
        if (!err)
            err = forward_op(e, net, t, &net->ops[i], mode);
        if (!err && mode == NET_EVAL)
            err = net_check_finite(net, &net->ops[i], value_at(net, t, net->ops[i].dst));
        book(net, t, &net->ops[i], CONV_FORWARD, start);
    }
    if (err)
        return err;
    pool_forward(net, t);
    if (backbone)
        memcpy(backbone, t->pooled,
               (size_t)net->config.batch * net_backbone_dim(net) * sizeof *backbone);
    head_forward(e, net, &t->head, features, t->pooled, mode);
    e->batches += mode == NET_TRAIN;
    return MOCO_OK;
}

int encoder_trace(struct encoder *e, const struct net *net, struct tape *t, float *features,
                  const float *x)
{
    size_t D = (size_t)net->config.dim;
    t->x = x;
    for (int i = 0; i < net->op_count; i++) {
        int dst = net->ops[i].dst;
        if (forward_op(e, net, t, &net->ops[i], NET_TRAIN) ||
            !net_all_finite(net->config.number, value_at(net, t, dst), net->values[dst].numbers))
            return i;
    }
    pool_forward(net, t);
    head_forward(e, net, &t->head, features, t->pooled, NET_TRAIN);
    return net_all_finite(MOCO_FP32, features, (size_t)net->config.batch * D) ? -1 : net->op_count;
}

/* Where an operation puts a gradient of `value`; finish_gradient() completes it. */
static void *gradient_room(const struct net *net, struct tape *t, const struct op *op, int value)
{
    return t->work + (t->written[value] ? op->sum_at : net->values[value].grad_at);
}

static void finish_gradient(const struct net *net, struct tape *t, const struct op *op, int value)
{
    if (t->written[value]) {
        void *sum = t->work + net->values[value].grad_at;
        norm_add(&net->simd.activation[net->config.number], sum, t->work + op->sum_at,
                 net->values[value].numbers);
    }
    t->written[value] = 1;
}

static int conv_op_backward(struct encoder *e, const struct net *net, struct tape *t,
                            const struct op *op, const void *d_dst)
{
    double start = clock_seconds();
    int err = conv_backward_weights(op->conv, e->grads + op->weight, read_back(net, t, op->src),
                                    d_dst, t->work + op->back_scratch_at);
    start = book(net, t, op, CONV_BACKWARD_WEIGHTS, start);
    if (err || op->src == INPUT_VALUE)
        return err;
    err = conv_backward_data(op->conv, gradient_room(net, t, op, op->src), d_dst,
                             e->params + op->weight, t->work + op->back_scratch_at);
    finish_gradient(net, t, op, op->src);
    book(net, t, op, CONV_BACKWARD_DATA, start);
    return err;
}

/* Makes the values again that operation i and those before it will read; the time belongs to their
 * BatchNorms' backward passes. */
static void remake(const struct net *net, struct tape *t, int i)
{
    for (int value = 0; value < net->value_count; value++) {
        const struct value *v = &net->values[value];
        if (!v->redo || v->made_at != i)
            continue;
        double start = clock_seconds();
        const struct op *maker = &net->ops[v->first];
        struct norm_pass pass = norm_of(net, t, maker);
        norm_again(&pass, t->work + v->redo_at, read_back(net, t, maker->src),
                   maker->add >= 0 ? read_back(net, t, maker->add) : NULL,
                   t->saved + maker->saved, maker->relu);
        t->clocks[v->first].seconds[CONV_BACKWARD_DATA] += clock_seconds() - start;
    }
}

static int backward_op(struct encoder *e, const struct net *net, struct tape *t,
                       const struct op *op)
{
    void *d_dst = t->work + net->values[op->dst].grad_at;
    double start = clock_seconds();

    if (op->kind == OP_CONV)
        return conv_op_backward(e, net, t, op, d_dst);
    if (op->kind == OP_NORM) {
        struct norm_pass pass = norm_of(net, t, op);
        norm_backward(&pass, t->work + net->values[op->src].grad_at, d_dst, e->grads + op->gamma,
                      e->grads + op->beta,
                      has_bits(op) ? t->open + op->open : NULL, read_back(net, t, op->src),
                      e->params + op->gamma, t->saved + op->saved, op->relu);
        t->written[op->src] = 1;
        if (op->add >= 0)
            t->written[op->add] = 1; /* in the place of d_dst */
    } else {
        const struct value *v = &net->values[op->src];
        maxpool_backward(net->config.number, gradient_room(net, t, op, op->src), d_dst,
                         read_back(net, t, op->src), planes_of(net, v), v->H, v->W, net->lanes);
        finish_gradient(net, t, op, op->src);
    }
    book(net, t, op, CONV_BACKWARD_DATA, start);
    return MOCO_OK;
}

int encoder_backward(struct encoder *e, const struct net *net, struct tape *t,
                     const float *d_features)
{
    const struct value *v = &net->values[net->pooled];
    int err = MOCO_OK;

    memset(t->written, 0, (size_t)net->value_count);
    head_backward(e, net, &t->head, t->d_pooled, d_features, t->pooled);
    avgpool_backward(net->config.number, t->work + v->grad_at, t->d_pooled, net->config.batch, v->C,
                     v->H * v->W, net->lanes);
    t->written[net->pooled] = 1;
    for (int i = net->op_count - 1; i >= 0 && !err; i--) {
        remake(net, t, i);
        err = backward_op(e, net, t, &net->ops[i]);
    }
    return err;
}
