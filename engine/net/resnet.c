/* resnet.c: ResNet-18/34 (basic blocks) and 50/101 (bottlenecks) as a list of operations
 * (He, Zhang, Ren, Sun 2016), with torchvision's names and order of tensors.
 *
 * Stage i has width * 2^(i-1) planes; the bottleneck carries its stride in the 3x3 and widens by
 * four. Stems: cifar is 3x3 stride 1 padding 1; imagenet is 7x7 stride 2 padding 3, then max-pool.
 * BatchNorm, the residual addition and the ReLU behind it are one operation. */
#include "engine/net/program.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

static const struct arch {
    const char *name;
    int bottleneck, blocks[4];
} archs[] = {
    { "resnet18", 0, { 2, 2, 2, 2 } },
    { "resnet34", 0, { 3, 4, 6, 3 } },
    { "resnet50", 1, { 3, 4, 6, 3 } },
    { "resnet101", 1, { 3, 4, 23, 3 } },
};

enum { OPS_MAX = 400, TENSORS_MAX = 800 }; /* resnet101 has 209 operations and 626 tensors */

static int add_value(struct net *net, int C, int H, int W)
{
    size_t numbers = value_numbers(net, C, H, W);
    size_t bytes = numbers * net->simd.activation[net->config.number].bytes;
    net->values[net->value_count] =
        (struct value){ .C = C, .H = H, .W = W, .numbers = numbers,
                        .floats = (bytes + sizeof(float) - 1) / sizeof(float) };
    return net->value_count++;
}

__attribute__((format(printf, 4, 5))) static struct tensor *
add_tensor(struct net *net, enum tensor_kind kind, int rank, const char *format, ...)
{
    struct tensor *t = &net->tensors[net->tensor_count++];
    va_list args;

    *t = (struct tensor){ .kind = kind, .rank = rank };
    va_start(args, format);
    vsnprintf(t->name, sizeof t->name, format, args);
    va_end(args);
    return t;
}

/* Gives the tensor its place; offsets are multiples of 16 floats, the gaps stay zero for ever. */
static size_t place(struct net *net, struct tensor *t)
{
    size_t *end = t->kind == TENSOR_PARAM ? &net->param_count : &net->stat_count;
    t->count = 1;
    for (int i = 0; i < t->rank; i++)
        t->count *= t->shape[i];
    t->offset = *end;
    *end += arena_round(t->count * sizeof(float)) / sizeof(float);
    return t->offset;
}

static size_t add_vector(struct net *net, enum tensor_kind kind, const char *prefix,
                         const char *leaf, int count)
{
    struct tensor *t = add_tensor(net, kind, 1, "%s.%s", prefix, leaf);
    t->shape[0] = (size_t)count;
    return place(net, t);
}

static int add_conv(struct net *net, int *out, int src, const char *name, int OC, int kernel,
                    int stride)
{
    const struct net_config *c = &net->config;
    int plain = src == INPUT_VALUE, pad = kernel / 2;
    int IC = plain ? c->channels : net->values[src].C;
    int H = plain ? c->side : net->values[src].H, W = plain ? c->side : net->values[src].W;
    struct conv_shape shape = {
        .B = c->batch, .IC = IC, .OC = OC, .H = H, .W = W,
        .OH = (H + 2 * pad - kernel) / stride + 1, .OW = (W + 2 * pad - kernel) / stride + 1,
        .kernel = kernel, .stride = stride, .pad = pad,
        .lanes = net->lanes, .src_plain = plain, .policy = c->conv,
        .number = c->number,
    };
    struct tensor *t = add_tensor(net, TENSOR_PARAM, 4, "%s.weight", name);
    struct op *op = &net->ops[net->op_count];

    t->shape[0] = (size_t)OC, t->shape[1] = (size_t)IC;
    t->shape[2] = t->shape[3] = (size_t)kernel;
    *op = (struct op){ .kind = OP_CONV, .src = src, .add = NO_VALUE, .weight = place(net, t) };
    int err = conv_open(&op->conv, &shape, &net->simd, name);
    if (err)
        return err;
    net->op_count++;
    op->dst = *out = add_value(net, OC, shape.OH, shape.OW);
    return MOCO_OK;
}

/* The five tensors of a BatchNorm, in torchvision's order; the operation itself comes later. */
static struct op norm_tensors(struct net *net, const char *name, int C)
{
    struct op op = { .kind = OP_NORM, .add = NO_VALUE };
    op.gamma = add_vector(net, TENSOR_PARAM, name, "weight", C);
    op.beta = add_vector(net, TENSOR_PARAM, name, "bias", C);
    op.mean = add_vector(net, TENSOR_STAT, name, "running_mean", C);
    op.var = add_vector(net, TENSOR_STAT, name, "running_var", C);
    add_tensor(net, TENSOR_COUNT, 0, "%s.num_batches_tracked", name)->count = 1;
    op.saved = net->saved_count;
    net->saved_count += NORM_SAVED * (size_t)net->config.bn_splits * (size_t)C;
    return op;
}

static int add_norm(struct net *net, struct op op, int src, int add, int relu)
{
    const struct value *v = &net->values[src];
    op.src = src, op.add = add, op.relu = relu;
    op.dst = add_value(net, v->C, v->H, v->W);
    net->ops[net->op_count++] = op;
    return op.dst;
}

/* conv + BN with its tensors under `conv` and `norm`; ReLU when asked. */
static int add_unit(struct net *net, int *out, int src, const char *conv, const char *norm, int OC,
                    int kernel, int stride, int relu)
{
    int y, err = add_conv(net, &y, src, conv, OC, kernel, stride);
    if (err)
        return err;
    *out = add_norm(net, norm_tensors(net, norm, OC), y, NO_VALUE, relu);
    return MOCO_OK;
}

/* Which outputs of blocks are made again instead of kept: a bottleneck's are four times as wide as
 * what is in between, a quarter of all that is kept; the last stage's are small.
 * One that follows a downsampling is kept, so that the chain of identity shortcuts has a start. */
static int is_remade(const struct net *net, int bottleneck, int planes, int in, int shortcut)
{
    return bottleneck && planes <= 4 * net->config.width && shortcut == in;
}

/* One residual block. x: value in and out. */
static int add_block(struct net *net, int *x, const char *prefix, int bottleneck, int planes,
                     int stride)
{
    int in = *x, y = in, shortcut = in, OC = planes * (bottleneck ? 4 : 1), err = MOCO_OK;
    int units = bottleneck ? 3 : 2;
    char conv[64], norm[64];
    struct op last = { 0 };

    for (int i = 1; i <= units && !err; i++) {
        int kernel = bottleneck && i != 2 ? 1 : 3;
        int step = i == (bottleneck ? 2 : 1) ? stride : 1;
        snprintf(conv, sizeof conv, "%s.conv%d", prefix, i);
        snprintf(norm, sizeof norm, "%s.bn%d", prefix, i);
        if (i < units) {
            err = add_unit(net, &y, y, conv, norm, planes, kernel, step, 1);
        } else {
            err = add_conv(net, &y, y, conv, OC, kernel, step);
            last = norm_tensors(net, norm, OC);
        }
    }
    if (!err && (stride != 1 || net->values[in].C != OC)) {
        snprintf(conv, sizeof conv, "%s.downsample.0", prefix);
        snprintf(norm, sizeof norm, "%s.downsample.1", prefix);
        err = add_unit(net, &shortcut, in, conv, norm, OC, 1, stride, 0);
    }
    last.remade = is_remade(net, bottleneck, planes, in, shortcut);
    if (!err)
        *x = add_norm(net, last, y, shortcut, 1);
    return err;
}

static int add_stem(struct net *net, int *x)
{
    int imagenet = net->config.stem == STEM_IMAGENET;
    int err = add_unit(net, x, INPUT_VALUE, "conv1", "bn1", net->config.width, imagenet ? 7 : 3,
                       imagenet ? 2 : 1, 1);
    if (!err && imagenet) {
        const struct value *v = &net->values[*x];
        struct op op = { .kind = OP_MAXPOOL, .src = *x, .add = NO_VALUE };
        op.dst = *x = add_value(net, v->C, (v->H - 1) / 2 + 1, (v->W - 1) / 2 + 1);
        net->ops[net->op_count++] = op;
    }
    return err;
}

/* The tensors of a linear layer. */
static struct linear linear_tensors(struct net *net, const char *name, int in, int out, int biased)
{
    struct tensor *t = add_tensor(net, TENSOR_PARAM, 2, "%s.weight", name);
    struct linear l = { .in = in, .out = out, .biased = biased };

    t->shape[0] = (size_t)out, t->shape[1] = (size_t)in;
    l.weight = place(net, t);
    if (biased)
        l.bias = add_vector(net, TENSOR_PARAM, name, "bias", out);
    return l;
}

static struct head_layer *add_head_layer(struct net *net, enum head_kind kind, int out)
{
    struct head_layer *l = &net->head[net->head_count++];
    *l = (struct head_layer){ .kind = kind, .out = out };
    return l;
}

static void add_linear(struct net *net, const char *name, int in, int out, int biased)
{
    add_head_layer(net, HEAD_LINEAR, out)->linear = linear_tensors(net, name, in, out, biased);
}

static void add_head_norm(struct net *net, const char *name, int C, int affine)
{
    struct head_layer *l = add_head_layer(net, HEAD_NORM, C);
    l->affine = affine;
    if (affine) {
        l->gamma = add_vector(net, TENSOR_PARAM, name, "weight", C);
        l->beta = add_vector(net, TENSOR_PARAM, name, "bias", C);
    }
    l->mean = add_vector(net, TENSOR_STAT, name, "running_mean", C);
    l->var = add_vector(net, TENSOR_STAT, name, "running_var", C);
    add_tensor(net, TENSOR_COUNT, 0, "%s.num_batches_tracked", name)->count = 1;
}

/* Linear, BN, ReLU, linear, without biases: projector and predictor of MoCo v3. */
static void add_mlp_v3(struct net *net, const char *name, int in)
{
    char leaf[40];
    int hidden = net->config.hidden;
    snprintf(leaf, sizeof leaf, "%s.0", name);
    add_linear(net, leaf, in, hidden, 0);
    snprintf(leaf, sizeof leaf, "%s.1", name);
    add_head_norm(net, leaf, hidden, 1);
    add_head_layer(net, HEAD_RELU, hidden);
    snprintf(leaf, sizeof leaf, "%s.3", name);
    add_linear(net, leaf, hidden, net->config.dim, 0);
}

static void add_head(struct net *net)
{
    int in = net->values[net->pooled].C, dim = net->config.dim;
    if (net->config.head == HEAD_FC) {
        add_linear(net, "fc", in, dim, 1);
    } else if (net->config.head == HEAD_MLP) {
        add_linear(net, "fc.0", in, in, 1);
        add_head_layer(net, HEAD_RELU, in);
        add_linear(net, "fc.2", in, dim, 1);
    } else if (net->config.head == HEAD_NONE) {
        net->config.dim = in;
    } else {
        add_mlp_v3(net, "fc", in);
        add_head_norm(net, "fc.4", dim, 0);
    }
    net->projector_count = net->head_count;
    net->key_count = net->param_count;
    if (net->config.predictor)
        add_mlp_v3(net, "predictor", dim);
    if (net->config.layer.rows)
        linear_tensors(net, net->config.layer.name, dim, net->config.layer.rows,
                       net->config.layer.bias);
}

static const struct arch *arch_named(const char *name)
{
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (!strcmp(archs[i].name, name))
            return &archs[i];
    return NULL;
}

int resnet_build(struct net *net)
{
    const struct arch *arch = arch_named(net->config.arch);
    char prefix[32];
    int x = NO_VALUE, err;

    if (!arch)
        return error_set(MOCO_EARG,
                         "unknown architecture %s: resnet18, resnet34, resnet50 and resnet101 are "
                         "known", net->config.arch);
    net->ops = calloc(OPS_MAX, sizeof *net->ops);
    net->values = calloc(OPS_MAX, sizeof *net->values);
    net->tensors = calloc(TENSORS_MAX, sizeof *net->tensors);
    if (!net->ops || !net->values || !net->tensors)
        return error_memory("the list of layers", OPS_MAX * sizeof *net->ops);
    err = add_stem(net, &x);
    for (int stage = 0; stage < 4 && !err; stage++)
        for (int block = 0; block < arch->blocks[stage] && !err; block++) {
            snprintf(prefix, sizeof prefix, "layer%d.%d", stage + 1, block);
            err = add_block(net, &x, prefix, arch->bottleneck, net->config.width << stage,
                            stage > 0 && block == 0 ? 2 : 1);
        }
    if (err)
        return err;
    net->pooled = x;
    add_head(net);
    return MOCO_OK;
}
