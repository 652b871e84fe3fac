/* norm_dnnl.c: the rows bn_add_relu_fwd|bwd/.../onednn, a peer to measure our kernels against:
 * BatchNorm + addition + ReLU in training as oneDNN offers it, on its own blocked layout.
 *
 *   forward:  batch normalisation; then addition with a fused ReLU, in place
 *   backward: ReLU from the saved output (which is the addition's gradient too); then batch
 *             normalisation
 * A peer, not part of the engine: that is why oneDNN is named here. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "engine/net/dnnl_shim.h"

enum { ARGS = 10 };

struct operation {
    dnnl_primitive_t run;
    dnnl_exec_arg_t args[ARGS];
    int count;
};

struct norm {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    shim_desc image, channel; /* (B, C, side, side), (C) */
    float *data[9];
    dnnl_memory_t src, add, dst, d_dst, d_add, d_src;
    dnnl_memory_t mean, variance, scale, shift, d_scale, d_shift;
    struct operation forward[2], backward[2];
};

static dnnl_memory_t memory(struct norm *x, shim_const_desc desc, float *data)
{
    dnnl_memory_t out = NULL;
    dnnl_memory_create(&out, desc, x->engine, data);
    return out;
}

static void argument(struct operation *op, int which, dnnl_memory_t memory)
{
    op->args[op->count++] = (dnnl_exec_arg_t){ .arg = which, .memory = memory };
}

/* ---- the four operations, as 3.x and as 2.x describe them ---- */

enum { NORM_FLAGS = dnnl_use_scale | dnnl_use_shift };

#if DNNL_VERSION_MAJOR >= 3

static void describe_norm(const struct norm *x, dnnl_primitive_desc_t *out)
{
    dnnl_batch_normalization_forward_primitive_desc_create(out, x->engine, dnnl_forward_training,
                                                           x->image, x->image, 1e-5f, NORM_FLAGS,
                                                           NULL);
}

static void describe_norm_grad(const struct norm *x, dnnl_primitive_desc_t *out,
                               dnnl_primitive_desc_t hint)
{
    dnnl_batch_normalization_backward_primitive_desc_create(
        out, x->engine, dnnl_backward, x->image, x->image, x->image, 1e-5f, NORM_FLAGS, hint, NULL);
}

static void describe_add(const struct norm *x, dnnl_primitive_desc_t *out,
                         const_dnnl_primitive_attr_t attr)
{
    dnnl_binary_primitive_desc_create(out, x->engine, dnnl_binary_add, x->image, x->image,
                                      x->image, attr);
}

static void describe_relu_grad(const struct norm *x, dnnl_primitive_desc_t *out,
                               dnnl_primitive_desc_t *hint)
{
    dnnl_eltwise_forward_primitive_desc_create(hint, x->engine, dnnl_forward_training,
                                               dnnl_eltwise_relu_use_dst_for_bwd, x->image,
                                               x->image, 0.0f, 0.0f, NULL);
    dnnl_eltwise_backward_primitive_desc_create(out, x->engine, dnnl_eltwise_relu_use_dst_for_bwd,
                                                x->image, x->image, x->image, 0.0f, 0.0f, *hint,
                                                NULL);
}

#else

static void describe_norm(const struct norm *x, dnnl_primitive_desc_t *out)
{
    dnnl_batch_normalization_desc_t desc;
    dnnl_batch_normalization_forward_desc_init(&desc, dnnl_forward_training, x->image, 1e-5f,
                                               NORM_FLAGS);
    dnnl_primitive_desc_create(out, &desc, NULL, x->engine, NULL);
}

static void describe_norm_grad(const struct norm *x, dnnl_primitive_desc_t *out,
                               dnnl_primitive_desc_t hint)
{
    dnnl_batch_normalization_desc_t desc;
    dnnl_batch_normalization_backward_desc_init(&desc, dnnl_backward, x->image, x->image, 1e-5f,
                                                NORM_FLAGS);
    dnnl_primitive_desc_create(out, &desc, NULL, x->engine, hint);
}

static void describe_add(const struct norm *x, dnnl_primitive_desc_t *out,
                         const_dnnl_primitive_attr_t attr)
{
    dnnl_binary_desc_t desc;
    dnnl_binary_desc_init(&desc, dnnl_binary_add, x->image, x->image, x->image);
    dnnl_primitive_desc_create(out, &desc, attr, x->engine, NULL);
}

static void describe_relu_grad(const struct norm *x, dnnl_primitive_desc_t *out,
                               dnnl_primitive_desc_t *hint)
{
    dnnl_eltwise_desc_t desc;
    dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_training, dnnl_eltwise_relu_use_dst_for_bwd,
                                   x->image, 0.0f, 0.0f);
    dnnl_primitive_desc_create(hint, &desc, NULL, x->engine, NULL);
    dnnl_eltwise_backward_desc_init(&desc, dnnl_eltwise_relu_use_dst_for_bwd, x->image, x->image,
                                    0.0f, 0.0f);
    dnnl_primitive_desc_create(out, &desc, NULL, x->engine, *hint);
}

#endif

/* The primitive of a description, which is given back; a missing one shows in norm_open. */
static void make(struct operation *op, dnnl_primitive_desc_t desc)
{
    if (!desc)
        return;
    dnnl_primitive_create(&op->run, desc);
    dnnl_primitive_desc_destroy(desc);
}

static void make_forward(struct norm *x, dnnl_primitive_desc_t *hint)
{
    dnnl_primitive_desc_t add = NULL;
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t relu;

    describe_norm(x, hint);
    if (*hint)
        dnnl_primitive_create(&x->forward[0].run, *hint);
    argument(&x->forward[0], DNNL_ARG_SRC, x->src);
    argument(&x->forward[0], DNNL_ARG_DST, x->dst);
    argument(&x->forward[0], DNNL_ARG_MEAN, x->mean);
    argument(&x->forward[0], DNNL_ARG_VARIANCE, x->variance);
    argument(&x->forward[0], DNNL_ARG_SCALE, x->scale);
    argument(&x->forward[0], DNNL_ARG_SHIFT, x->shift);

    dnnl_post_ops_create(&relu);
#if DNNL_VERSION_MAJOR >= 3
    dnnl_post_ops_append_eltwise(relu, dnnl_eltwise_relu, 0.0f, 0.0f);
#else
    dnnl_post_ops_append_eltwise(relu, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
#endif
    dnnl_primitive_attr_create(&attr);
    dnnl_primitive_attr_set_post_ops(attr, relu);
    describe_add(x, &add, attr);
    make(&x->forward[1], add);
    argument(&x->forward[1], DNNL_ARG_SRC_0, x->dst);
    argument(&x->forward[1], DNNL_ARG_SRC_1, x->add);
    argument(&x->forward[1], DNNL_ARG_DST, x->dst);
    dnnl_primitive_attr_destroy(attr);
    dnnl_post_ops_destroy(relu);
}

static void make_backward(struct norm *x, dnnl_primitive_desc_t norm_hint)
{
    dnnl_primitive_desc_t relu = NULL, relu_hint = NULL, norm = NULL;

    describe_relu_grad(x, &relu, &relu_hint);
    make(&x->backward[0], relu);
    dnnl_primitive_desc_destroy(relu_hint);
    argument(&x->backward[0], DNNL_ARG_DST, x->dst);
    argument(&x->backward[0], DNNL_ARG_DIFF_DST, x->d_dst);
    argument(&x->backward[0], DNNL_ARG_DIFF_SRC, x->d_add);

    describe_norm_grad(x, &norm, norm_hint);
    make(&x->backward[1], norm);
    argument(&x->backward[1], DNNL_ARG_SRC, x->src);
    argument(&x->backward[1], DNNL_ARG_MEAN, x->mean);
    argument(&x->backward[1], DNNL_ARG_VARIANCE, x->variance);
    argument(&x->backward[1], DNNL_ARG_DIFF_DST, x->d_add);
    argument(&x->backward[1], DNNL_ARG_SCALE, x->scale);
    argument(&x->backward[1], DNNL_ARG_SHIFT, x->shift);
    argument(&x->backward[1], DNNL_ARG_DIFF_SRC, x->d_src);
    argument(&x->backward[1], DNNL_ARG_DIFF_SCALE, x->d_scale);
    argument(&x->backward[1], DNNL_ARG_DIFF_SHIFT, x->d_shift);
}

static void norm_run(struct bench *b)
{
    struct norm *x = b->state;
    struct operation *ops = b->variant ? x->backward : x->forward;
    for (int i = 0; i < 2; i++)
        dnnl_primitive_execute(ops[i].run, x->stream, ops[i].count, ops[i].args);
    dnnl_stream_wait(x->stream);
}

static void norm_close(struct bench *b)
{
    struct norm *x = b->state;
    dnnl_memory_t memories[] = { x->src, x->add, x->dst, x->d_dst, x->d_add, x->d_src, x->mean,
                                 x->variance, x->scale, x->shift, x->d_scale, x->d_shift };
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
        dnnl_memory_destroy(memories[i]);
    for (int i = 0; i < 2; i++) {
        dnnl_primitive_destroy(x->forward[i].run);
        dnnl_primitive_destroy(x->backward[i].run);
    }
    shim_desc_destroy(x->image);
    shim_desc_destroy(x->channel);
    dnnl_stream_destroy(x->stream);
    dnnl_engine_destroy(x->engine);
    for (size_t i = 0; i < sizeof x->data / sizeof *x->data; i++)
        free(x->data[i]);
    free(x);
    b->state = NULL;
}

static void make_memories(struct norm *x, size_t n, size_t C)
{
    dnnl_memory_t *images[] = { &x->src, &x->add, &x->dst, &x->d_dst, &x->d_add, &x->d_src };
    for (size_t i = 0; i < 6; i++)
        *images[i] = memory(x, x->image, x->data[i] = bench_numbers(n));
    x->data[6] = bench_numbers(2 * C);
    x->data[7] = bench_numbers(2 * C);
    x->data[8] = bench_numbers(2 * C);
    x->mean = memory(x, x->channel, x->data[6]);
    x->variance = memory(x, x->channel, x->data[6] + C);
    x->scale = memory(x, x->channel, x->data[7]);
    x->shift = memory(x, x->channel, x->data[7] + C);
    x->d_scale = memory(x, x->channel, x->data[8]);
    x->d_shift = memory(x, x->channel, x->data[8] + C);
}

static int norm_open(struct bench *b)
{
    dnnl_dim_t B = (dnnl_dim_t)b->size[0], C = (dnnl_dim_t)b->size[1];
    dnnl_dim_t side = (dnnl_dim_t)b->size[2];
    dnnl_dims_t image = { B, C, side, side }, channel = { C };
    struct norm *x = b->state = calloc(1, sizeof *x);
    dnnl_primitive_desc_t hint = NULL;
    if (!x || dnnl_engine_create(&x->engine, dnnl_cpu, 0) ||
        dnnl_stream_create(&x->stream, x->engine, dnnl_stream_default_flags) ||
        shim_desc_create(&x->image, 4, image, dnnl_f32,
                         b->simd.lanes == 16 ? dnnl_nChw16c : dnnl_nChw8c) ||
        shim_desc_create(&x->channel, 1, channel, dnnl_f32, dnnl_x))
        return bench_fail("oneDNN can not start");
    make_memories(x, (size_t)(B * C * side * side), (size_t)C);
    make_forward(x, &hint);
    make_backward(x, hint);
    dnnl_primitive_desc_destroy(hint);
    if (!x->forward[0].run || !x->forward[1].run || !x->backward[0].run || !x->backward[1].run) {
        norm_close(b);
        return bench_fail("oneDNN refuses batch normalisation on blocked activations");
    }
    return 0;
}

/* The bytes are those that our kernels move, so that GB/s compare the times. */
void bench_norm_dnnl(const struct moco_simd *best)
{
    const double activations = 128.0 * 64 * 32 * 32 * sizeof(float);
    for (int backward = 0; backward < 2; backward++) {
        struct bench b = { .simd = *best, .size = { 128, 64, 32 }, .variant = backward,
                           .bytes = (backward ? 8 : 4) * activations, .open = norm_open,
                           .run = norm_run, .close = norm_close };
        snprintf(b.name, sizeof b.name, "bn_add_relu_%s/128/64/32", backward ? "bwd" : "fwd");
        bench_add(&b, "onednn");
    }
}
