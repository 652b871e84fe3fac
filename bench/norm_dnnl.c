/* norm_dnnl.c: the rows bn_add_relu_fwd|bwd/.../onednn, a peer to measure our kernels against:
 * BatchNorm + addition + ReLU in training as oneDNN 2.x offers it, on its own blocked layout.
 *
 *   forward:  batch normalisation; then addition with a fused ReLU, in place
 *   backward: ReLU from the saved output (which is the addition's gradient too); then batch
 *             normalisation
 * A peer, not part of the engine: that is why oneDNN is named here. */
#include <stdio.h>
#include <stdlib.h>

#include <oneapi/dnnl/dnnl.h>

#include "bench/bench.h"

enum { ARGS = 8 };

struct operation {
    dnnl_primitive_t run;
    dnnl_exec_arg_t args[ARGS];
    int count;
};

struct norm {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_memory_desc_t image, channel, pair; /* (B, C, side, side), (C), (2, C) */
    float *data[9];
    dnnl_memory_t src, add, dst, d_dst, d_add, d_src, mean, variance, affine, d_affine;
    struct operation forward[2], backward[2];
};

static dnnl_memory_t memory(struct norm *x, const dnnl_memory_desc_t *desc, float *data)
{
    dnnl_memory_t out = NULL;
    dnnl_memory_create(&out, desc, x->engine, data);
    return out;
}

static void argument(struct operation *op, int which, dnnl_memory_t memory)
{
    op->args[op->count++] = (dnnl_exec_arg_t){ .arg = which, .memory = memory };
}

/* Primitive of an operation descriptor; the descriptor comes back for use as a hint. */
static dnnl_primitive_desc_t make(struct norm *x, struct operation *op, const void *desc,
                                  dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint)
{
    dnnl_primitive_desc_t made = NULL;
    if (!dnnl_primitive_desc_create(&made, desc, attr, x->engine, hint))
        dnnl_primitive_create(&op->run, made);
    return made;
}

static void make_forward(struct norm *x, dnnl_primitive_desc_t *hint)
{
    dnnl_batch_normalization_desc_t norm;
    dnnl_binary_desc_t add;
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t relu;
    dnnl_batch_normalization_forward_desc_init(&norm, dnnl_forward_training, &x->image, 1e-5f,
                                               dnnl_use_scaleshift);
    *hint = make(x, &x->forward[0], &norm, NULL, NULL);
    argument(&x->forward[0], DNNL_ARG_SRC, x->src);
    argument(&x->forward[0], DNNL_ARG_DST, x->dst);
    argument(&x->forward[0], DNNL_ARG_MEAN, x->mean);
    argument(&x->forward[0], DNNL_ARG_VARIANCE, x->variance);
    argument(&x->forward[0], DNNL_ARG_SCALE_SHIFT, x->affine);

    dnnl_post_ops_create(&relu);
    dnnl_post_ops_append_eltwise(relu, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
    dnnl_primitive_attr_create(&attr);
    dnnl_primitive_attr_set_post_ops(attr, relu);
    dnnl_binary_desc_init(&add, dnnl_binary_add, &x->image, &x->image, &x->image);
    dnnl_primitive_desc_destroy(make(x, &x->forward[1], &add, attr, NULL));
    argument(&x->forward[1], DNNL_ARG_SRC_0, x->dst);
    argument(&x->forward[1], DNNL_ARG_SRC_1, x->add);
    argument(&x->forward[1], DNNL_ARG_DST, x->dst);
    dnnl_primitive_attr_destroy(attr);
    dnnl_post_ops_destroy(relu);
}

static void make_backward(struct norm *x, dnnl_primitive_desc_t norm_hint)
{
    dnnl_eltwise_desc_t relu;
    dnnl_batch_normalization_desc_t norm;
    struct operation unused = { 0 };
    dnnl_eltwise_forward_desc_init(&relu, dnnl_forward_training, dnnl_eltwise_relu_use_dst_for_bwd,
                                   &x->image, 0.0f, 0.0f);
    dnnl_primitive_desc_t hint = make(x, &unused, &relu, NULL, NULL);
    dnnl_eltwise_backward_desc_init(&relu, dnnl_eltwise_relu_use_dst_for_bwd, &x->image, &x->image,
                                    0.0f, 0.0f);
    dnnl_primitive_desc_destroy(make(x, &x->backward[0], &relu, NULL, hint));
    argument(&x->backward[0], DNNL_ARG_DST, x->dst);
    argument(&x->backward[0], DNNL_ARG_DIFF_DST, x->d_dst);
    argument(&x->backward[0], DNNL_ARG_DIFF_SRC, x->d_add);
    dnnl_primitive_desc_destroy(hint);
    dnnl_primitive_destroy(unused.run);

    dnnl_batch_normalization_backward_desc_init(&norm, dnnl_backward, &x->image, &x->image, 1e-5f,
                                                dnnl_use_scaleshift);
    dnnl_primitive_desc_destroy(make(x, &x->backward[1], &norm, NULL, norm_hint));
    argument(&x->backward[1], DNNL_ARG_SRC, x->src);
    argument(&x->backward[1], DNNL_ARG_MEAN, x->mean);
    argument(&x->backward[1], DNNL_ARG_VARIANCE, x->variance);
    argument(&x->backward[1], DNNL_ARG_DIFF_DST, x->d_add);
    argument(&x->backward[1], DNNL_ARG_SCALE_SHIFT, x->affine);
    argument(&x->backward[1], DNNL_ARG_DIFF_SRC, x->d_src);
    argument(&x->backward[1], DNNL_ARG_DIFF_SCALE_SHIFT, x->d_affine);
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
                                 x->variance, x->affine, x->d_affine };
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
        dnnl_memory_destroy(memories[i]);
    for (int i = 0; i < 2; i++) {
        dnnl_primitive_destroy(x->forward[i].run);
        dnnl_primitive_destroy(x->backward[i].run);
    }
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
        *images[i] = memory(x, &x->image, x->data[i] = bench_numbers(n));
    x->data[6] = bench_numbers(2 * C);
    x->mean = memory(x, &x->channel, x->data[6]);
    x->variance = memory(x, &x->channel, x->data[6] + C);
    x->affine = memory(x, &x->pair, x->data[7] = bench_numbers(2 * C));
    x->d_affine = memory(x, &x->pair, x->data[8] = bench_numbers(2 * C));
}

static int norm_open(struct bench *b)
{
    dnnl_dim_t B = (dnnl_dim_t)b->size[0], C = (dnnl_dim_t)b->size[1];
    dnnl_dim_t side = (dnnl_dim_t)b->size[2];
    dnnl_dims_t image = { B, C, side, side }, channel = { C }, pair = { 2, C };
    struct norm *x = b->state = calloc(1, sizeof *x);
    dnnl_primitive_desc_t hint = NULL;
    if (!x || dnnl_engine_create(&x->engine, dnnl_cpu, 0) ||
        dnnl_stream_create(&x->stream, x->engine, dnnl_stream_default_flags))
        return bench_fail("oneDNN can not start");
    dnnl_memory_desc_init_by_tag(&x->image, 4, image, dnnl_f32,
                                 b->simd.lanes == 16 ? dnnl_nChw16c : dnnl_nChw8c);
    dnnl_memory_desc_init_by_tag(&x->channel, 1, channel, dnnl_f32, dnnl_x);
    dnnl_memory_desc_init_by_tag(&x->pair, 2, pair, dnnl_f32, dnnl_nc);
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
