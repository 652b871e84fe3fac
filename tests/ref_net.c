/* ref_net.c: ResNet forward in double precision, straightforward loops (He et al. 2016).
 *
 * Slow on purpose: every line can be held against the definition. BatchNorm in training mode takes
 * its statistics over the samples n with n mod bn_splits = g, for each group g; the running
 * statistics move once towards the groups' average (variance unbiased). */
#include "tests/ref_net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct map {
    int C, H, W;
    double *at; /* (B, C, H, W) */
};

static double *numbers(size_t count)
{
    double *at = calloc(count, sizeof *at);
    if (!at) {
        fprintf(stderr, "reference network: out of memory\n");
        exit(2);
    }
    return at;
}

static struct map map_of(const struct ref_net *net, int C, int H, int W)
{
    return (struct map){ C, H, W, numbers((size_t)net->config.batch * (size_t)(C * H * W)) };
}

static double *place(const struct map *m, int n, int c)
{
    return m->at + (size_t)(n * m->C + c) * (size_t)(m->H * m->W);
}

static const struct tensor *find(const struct ref_net *net, const char *prefix, const char *leaf)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", prefix, leaf);
    for (size_t i = 0; i < net->count; i++)
        if (!strcmp(net->tensors[i].name, name))
            return &net->tensors[i];
    fprintf(stderr, "reference network: there is no tensor %s\n", name);
    exit(2);
}

static int exists(const struct ref_net *net, const char *name)
{
    for (size_t i = 0; i < net->count; i++)
        if (!strcmp(net->tensors[i].name, name))
            return 1;
    return 0;
}

static const double *param(const struct ref_net *net, const char *prefix, const char *leaf)
{
    return net->params + find(net, prefix, leaf)->offset;
}

/* One output: the window at (y, x) of sample n with the kernel of output channel o. */
static double window(const struct map *in, const double *w, int n, int y, int x, int kernel)
{
    double sum = 0;
    for (int c = 0; c < in->C; c++) {
        const double *plane = place(in, n, c);
        for (int v = y < 0 ? 0 : y; v < y + kernel && v < in->H; v++)
            for (int u = x < 0 ? 0 : x; u < x + kernel && u < in->W; u++)
                sum += w[(c * kernel + v - y) * kernel + u - x] * plane[v * in->W + u];
    }
    return sum;
}

static struct map conv(const struct ref_net *net, const struct map *in, const char *name,
                       int stride)
{
    const struct tensor *t = find(net, name, "weight");
    int kernel = (int)t->shape[2], pad = kernel / 2;
    struct map out = map_of(net, (int)t->shape[0], (in->H + 2 * pad - kernel) / stride + 1,
                            (in->W + 2 * pad - kernel) / stride + 1);

    for (int n = 0; n < net->config.batch; n++)
        for (int o = 0; o < out.C; o++) {
            const double *w = net->params + t->offset + o * in->C * kernel * kernel;
            for (int p = 0; p < out.H * out.W; p++)
                place(&out, n, o)[p] = window(in, w, n, p / out.W * stride - pad,
                                              p % out.W * stride - pad, kernel);
        }
    return out;
}

/* Mean and Σ (x - mean)² of channel c over the samples first, first + step, … */
static void moments(const struct ref_net *net, const struct map *m, int c, int first, int step,
                    double *mean, double *m2)
{
    int pixels = m->H * m->W, B = net->config.batch, count = (B / step) * pixels;
    *mean = *m2 = 0;
    for (int n = first; n < B; n += step)
        for (int p = 0; p < pixels; p++)
            *mean += place(m, n, c)[p] / count;
    for (int n = first; n < B; n += step)
        for (int p = 0; p < pixels; p++)
            *m2 += (place(m, n, c)[p] - *mean) * (place(m, n, c)[p] - *mean);
}

static void scale_channel(const struct ref_net *net, struct map *m, int c, int first, int step,
                          double mean, double var, double gamma, double beta)
{
    double inverse = 1 / sqrt(var + 1e-5);
    for (int n = first; n < net->config.batch; n += step)
        for (int p = 0; p < m->H * m->W; p++)
            place(m, n, c)[p] = gamma * (place(m, n, c)[p] - mean) * inverse + beta;
}

static void norm(struct ref_net *net, struct map *m, const char *name, enum net_mode mode)
{
    const double *gamma = param(net, name, "weight"), *beta = param(net, name, "bias");
    double *run_mean = net->stats + find(net, name, "running_mean")->offset;
    double *run_var = net->stats + find(net, name, "running_var")->offset;
    int splits = mode == NET_TRAIN ? net->config.bn_splits : 1;
    int count = net->config.batch / splits * m->H * m->W;

    for (int c = 0; c < m->C; c++) {
        double mean = run_mean[c], m2, sum_mean = 0, sum_var = 0;
        if (mode == NET_EVAL) {
            scale_channel(net, m, c, 0, 1, mean, run_var[c], gamma[c], beta[c]);
            continue;
        }
        for (int g = 0; g < splits; g++) {
            moments(net, m, c, g, splits, &mean, &m2);
            scale_channel(net, m, c, g, splits, mean, m2 / count, gamma[c], beta[c]);
            sum_mean += mean / splits;
            sum_var += m2 / (count - 1) / splits;
        }
        run_mean[c] = 0.9 * run_mean[c] + 0.1 * sum_mean;
        run_var[c] = 0.9 * run_var[c] + 0.1 * sum_var;
    }
}

static void note_choice(struct ref_net *net, size_t choice)
{
    net->sides = (net->sides ^ choice) * 0x100000001b3u;
}

static double relu_of(struct ref_net *net, double x)
{
    note_choice(net, x > 0);
    return fmax(x, 0);
}

static void add_relu(struct ref_net *net, struct map *m, const struct map *add)
{
    size_t count = (size_t)net->config.batch * (size_t)(m->C * m->H * m->W);
    for (size_t i = 0; i < count; i++)
        m->at[i] = relu_of(net, m->at[i] + (add ? add->at[i] : 0));
}

/* conv `name`.<conv> and its BatchNorm; replaces nothing: the caller frees. */
static struct map unit(struct ref_net *net, const struct map *in, const char *prefix,
                       const char *conv_leaf, const char *norm_leaf, int stride,
                       enum net_mode mode)
{
    char name[96];
    snprintf(name, sizeof name, "%s%s", prefix, conv_leaf);
    struct map out = conv(net, in, name, stride);
    snprintf(name, sizeof name, "%s%s", prefix, norm_leaf);
    norm(net, &out, name, mode);
    return out;
}

static struct map block(struct ref_net *net, const struct map *in, const char *prefix, int stride,
                        int bottleneck, enum net_mode mode)
{
    static const char *const convs[] = { "conv1", "conv2", "conv3" };
    static const char *const norms[] = { "bn1", "bn2", "bn3" };
    int units = bottleneck ? 3 : 2, carrier = bottleneck ? 1 : 0;
    struct map y = *in, shortcut = *in;
    char name[96];

    for (int i = 0; i < units; i++) {
        struct map next =
            unit(net, &y, prefix, convs[i], norms[i], i == carrier ? stride : 1, mode);
        if (i > 0)
            free(y.at);
        if (i < units - 1)
            add_relu(net, &next, NULL);
        y = next;
    }
    snprintf(name, sizeof name, "%sdownsample.0.weight", prefix);
    if (exists(net, name))
        shortcut = unit(net, in, prefix, "downsample.0", "downsample.1", stride, mode);
    add_relu(net, &y, &shortcut);
    if (shortcut.at != in->at)
        free(shortcut.at);
    return y;
}

/* 3x3, stride 2, padding 1: what lies outside does not take part. */
static struct map maxpool(struct ref_net *net, const struct map *in)
{
    struct map out = map_of(net, in->C, (in->H - 1) / 2 + 1, (in->W - 1) / 2 + 1);
    for (int n = 0; n < net->config.batch; n++)
        for (int c = 0; c < in->C; c++)
            for (int p = 0; p < out.H * out.W; p++) {
                double most = -INFINITY;
                int first = 0;
                for (int i = 0; i < 9; i++) {
                    int y = p / out.W * 2 - 1 + i / 3, x = p % out.W * 2 - 1 + i % 3;
                    if (y < 0 || y >= in->H || x < 0 || x >= in->W ||
                        !(place(in, n, c)[y * in->W + x] > most))
                        continue;
                    most = place(in, n, c)[y * in->W + x];
                    first = i;
                }
                note_choice(net, (size_t)first);
                place(&out, n, c)[p] = most;
            }
    return out;
}

/* (B, out) = (B, in) . weightᵀ + bias. */
static double *linear(struct ref_net *net, const double *in, const char *name, int relu)
{
    const struct tensor *t = find(net, name, "weight");
    const double *w = net->params + t->offset, *bias = param(net, name, "bias");
    size_t O = t->shape[0], I = t->shape[1], B = (size_t)net->config.batch;
    double *out = numbers(B * O);

    for (size_t n = 0; n < B; n++)
        for (size_t o = 0; o < O; o++) {
            double sum = bias[o];
            for (size_t i = 0; i < I; i++)
                sum += w[o * I + i] * in[n * I + i];
            out[n * O + o] = relu ? relu_of(net, sum) : sum;
        }
    return out;
}

static double *average(struct ref_net *net, const struct map *m)
{
    int pixels = m->H * m->W;
    double *out = numbers((size_t)(net->config.batch * m->C));
    for (int i = 0; i < net->config.batch * m->C; i++)
        for (int p = 0; p < pixels; p++)
            out[i] += m->at[(size_t)i * (size_t)pixels + (size_t)p] / pixels;
    return out;
}

static void head(double *features, struct ref_net *net, const double *pooled)
{
    int mlp = net->config.head == HEAD_MLP;
    double *hidden = mlp ? linear(net, pooled, "fc.0", 1) : NULL;
    double *out = linear(net, mlp ? hidden : pooled, mlp ? "fc.2" : "fc", 0);

    memcpy(features, out, (size_t)(net->config.batch * net->config.dim) * sizeof *features);
    free(hidden);
    free(out);
}

static struct map stem(struct ref_net *net, const double *x, enum net_mode mode)
{
    int imagenet = net->config.stem == STEM_IMAGENET, S = net->config.side;
    struct map in = map_of(net, net->config.channels, S, S), y, pooled;

    memcpy(in.at, x, (size_t)(net->config.batch * in.C * S * S) * sizeof *x);
    y = unit(net, &in, "", "conv1", "bn1", imagenet ? 2 : 1, mode);
    free(in.at);
    add_relu(net, &y, NULL);
    if (!imagenet)
        return y;
    pooled = maxpool(net, &y);
    free(y.at);
    return pooled;
}

void ref_forward(double *features, struct ref_net *net, const double *x, enum net_mode mode)
{
    struct map y = stem(net, x, mode);
    char prefix[64], name[96];
    double *pooled;

    for (int stage = 1; stage <= 4; stage++)
        for (int i = 0;; i++) {
            snprintf(prefix, sizeof prefix, "layer%d.%d.", stage, i);
            snprintf(name, sizeof name, "%sconv1.weight", prefix);
            if (!exists(net, name))
                break;
            snprintf(name, sizeof name, "%sconv3.weight", prefix);
            struct map next = block(net, &y, prefix, stage > 1 && i == 0 ? 2 : 1,
                                    exists(net, name), mode);
            free(y.at);
            y = next;
        }
    pooled = average(net, &y);
    head(features, net, pooled);
    free(pooled);
    free(y.at);
}
