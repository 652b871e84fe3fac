/* program.h: what a net is inside: a list of operations on numbered values.
 *
 * A value is an activation (B, C/lanes, H, W, lanes). resnet.c writes the list, plan.c decides
 * where in memory each value and each gradient lives, encoder.c walks the list forwards and
 * backwards. Private to engine/net. */
#ifndef MOCO_ENGINE_NET_PROGRAM_H
#define MOCO_ENGINE_NET_PROGRAM_H

#include "engine/base/arena.h"
#include "engine/net/conv.h"
#include "engine/net/encoder.h"

enum { NORM_SAVED = 4 };
enum { NOBODY = -1 };
enum { NO_VALUE = -1, INPUT_VALUE = -2 }; /* INPUT_VALUE: the image batch, plain, not planned */

enum op_kind {
    OP_CONV,    /* dst = conv(src) */
    OP_NORM,    /* dst = [relu](batchnorm(src) [+ add]) */
    OP_MAXPOOL, /* 3x3, stride 2, padding 1 */
};

struct op {
    enum op_kind kind;
    int src, add, dst;  /* values */
    /* OP_CONV */
    struct conv *conv;
    size_t weight;      /* offset into params */
    /* OP_NORM */
    int relu;
    int remade;         /* dst is made again for the backward pass although something is added */
    size_t gamma, beta; /* offsets into params */
    size_t mean, var;   /* offsets into stats */
    size_t saved;       /* offset into the tape's NORM_SAVED arrays of (splits, C) */
    size_t open;        /* offset into the tape's bits, in bytes; where relu and add */
    /* plan.c: offsets into a tape's memory, in floats */
    size_t scratch_at, keep_scratch_at, back_scratch_at; /* of the convolution, by kind of pass */
    size_t sum_at;      /* where a second gradient of src or add waits to be added */
};

struct value {
    int C, H, W;
    size_t numbers;   /* B * ceil(C / lanes) * lanes * H * W */
    size_t floats;    /* that they take the place of */
    /* plan.c */
    int first;        /* the operation that makes it */
    int last_forward; /* the last that reads it in a forward pass */
    int first_read, last_read; /* operations whose backward passes read it, or NOBODY */
    int kept;         /* from the forward pass to the backward pass */
    int redo;         /* the backward pass makes it again from its maker's operands */
    int made_at;      /* before that operation's backward pass; NOBODY */
    size_t forward_at; /* on a tape that keeps nothing */
    size_t at, grad_at, redo_at; /* on one that keeps: itself, its gradient, itself made again */
};

struct linear {
    int in, out;
    size_t weight, bias; /* offsets into params */
    int biased;          /* there is a bias */
};

/* A layer on rows (B, width): the head's, then the predictor's. */
enum head_kind { HEAD_LINEAR, HEAD_NORM, HEAD_RELU };
struct head_layer {
    enum head_kind kind;
    int out;              /* columns of what it gives */
    struct linear linear;
    int affine;           /* HEAD_NORM has scale and shift: */
    size_t gamma, beta;   /* offsets into params */
    size_t mean, var;     /* offsets into stats */
};
enum { HEAD_LAYERS_MAX = 12 };

struct net {
    struct net_config config;
    struct moco_simd simd;
    int lanes;

    struct tensor *tensors;
    size_t tensor_count, param_count, stat_count;

    struct op *ops;
    int op_count;
    struct value *values;
    int value_count;
    int pooled;               /* the value that is averaged over its pixels */
    struct head_layer head[HEAD_LAYERS_MAX];
    int head_count, projector_count; /* layers; those before the predictor */
    size_t key_count;         /* floats of params before the predictor's */
    size_t saved_count;       /* floats that the BatchNorms save on a tape */
    size_t open_bytes;        /* what their ReLUs let through, a bit a number */

    size_t work_forward, work_training; /* floats of activations, by kind of tape */
};

/* resnet.c: fills tensors, ops, values, linear. */
int resnet_build(struct net *net);

/* plan.c: lifetimes and offsets. */
int plan_memory(struct net *net);

static inline size_t value_numbers(const struct net *net, int C, int H, int W)
{
    size_t blocks = (size_t)(C + net->lanes - 1) / (size_t)net->lanes;
    return (size_t)net->config.batch * blocks * (size_t)net->lanes * (size_t)H * (size_t)W;
}

/* Whether a keeping tape notes what the ReLU lets through: its input can not be told from src. */
static inline int has_bits(const struct op *op)
{
    return op->kind == OP_NORM && op->relu && op->add >= 0;
}

/* Time spent in one operation: forward, data gradient, weight gradient. */
struct op_clock {
    double seconds[3];
    int count[3];
};

/* encoder.c */
struct op_clock *tape_clock(const struct tape *tape, int op);

/* finite.c: whether all numbers are, and the error where those of an operation's first image are
 * not. */
int net_all_finite(enum moco_number number, const void *x, size_t n);
int net_check_finite(const struct net *net, const struct op *op, const void *dst);

/* report.c: the error of an operation whose output is not finite. */
int layer_overflow(const struct net *net, const struct op *op);

/* A NET_TRAIN pass as far as the first operation whose result is not finite: its index, op_count
 * for pooling and head, -1 where all are finite. */
int encoder_trace(struct encoder *encoder, const struct net *net, struct tape *tape,
                  float *features, const float *x);

/* norm.c: BatchNorm over strided groups of the batch, on activations of the kernels' numbers. */
struct norm_pass {
    const struct moco_activation *kernels;
    int B, C, pixels, lanes, splits;
    float *partial; /* (2, B, C padded): per-plane sums, scratch */
    float *coef;    /* (3, splits, C padded): scratch */
};
size_t norm_partial_floats(int B, int C, int lanes);
size_t norm_coef_floats(int splits, int C, int lanes);

/* saved: (NORM_SAVED, splits, C) mean, inverse deviation, scale and shift, written in NET_TRAIN.
 * open: NULL, or a bit for each number of dst: whether it is above 0 (simd.h, bn_apply).
 * running_mean, running_var: (C), moved in NET_TRAIN, used in NET_EVAL. */
void norm_forward(const struct norm_pass *p, void *dst, uint8_t *open, const void *src,
                  const void *add, const float *gamma, const float *beta, float *running_mean,
                  float *running_var, float *saved, int relu, enum net_mode mode);

/* dst of that forward pass again, to the byte. */
void norm_again(const struct norm_pass *p, void *dst, const void *src, const void *add,
                const float *saved, int relu);

/* d_dst becomes what came through the ReLU, which is the gradient of `add` too; d_src is written,
 * and may be d_dst where nothing was added; d_gamma, d_beta: (C) are added to. open: of
 * the forward pass, needed where something was added before the ReLU; NULL: what the ReLU let
 * through follows from src. */
void norm_backward(const struct norm_pass *p, void *d_src, void *d_dst, float *d_gamma,
                   float *d_beta, const uint8_t *open, const void *src, const float *gamma,
                   const float *saved, int relu);

/* sum += more, both of n numbers, n a multiple of 8. */
void norm_add(const struct moco_activation *kernels, void *sum, const void *more, size_t n);

/* pool.c: void pointers are activations of kind `number`. */
void maxpool_forward(enum moco_number number, void *dst, const void *src, size_t planes, int H,
                     int W, int lanes);
void maxpool_backward(enum moco_number number, void *d_src, const void *d_dst, const void *src,
                      size_t planes, int H, int W, int lanes);
void avgpool_forward(enum moco_number number, float *dst, const void *src, int B, int C,
                     int pixels, int lanes);
void avgpool_backward(enum moco_number number, void *d_src, const float *d_dst, int B, int C,
                      int pixels, int lanes);

/* head.c: what a tape keeps of the head. */
struct head_tape {
    float *out[HEAD_LAYERS_MAX];   /* (B, out) of each layer */
    float *saved[HEAD_LAYERS_MAX]; /* of a norm: means, inverse deviations, (2, out) */
    float *d[2];                   /* gradients, taking turns */
    float *room;                   /* of linear_backward() */
};
size_t head_floats(const struct net *net, int keep);
void head_carve(struct head_tape *t, const struct net *net, int keep, float *floats);

/* Layers that a pass goes through. */
int head_layers(const struct net *net, const struct encoder *e, enum net_mode mode);

/* features: (B, D) of pooled: (B, backbone); and gradients of a NET_TRAIN pass. */
void head_forward(struct encoder *e, const struct net *net, struct head_tape *t, float *features,
                  const float *pooled, enum net_mode mode);
void head_backward(struct encoder *e, const struct net *net, struct head_tape *t, float *d_pooled,
                   const float *d_features, const float *pooled);

/* linear.c: dst(B, out) = src(B, in) W^T [+ b], and its gradients (d_weight, d_bias added to).
 * room: linear_room() floats. d_src may be NULL. */
size_t linear_room(const struct linear *layer, int B);
void linear_forward(const struct moco_simd *simd, const struct linear *layer, float *dst,
                    const float *src, const float *params, int B);
void linear_backward(const struct moco_simd *simd, const struct linear *layer, float *d_src,
                     float *grads, const float *d_dst, const float *src, const float *params,
                     int B, float *room);

#endif
