/* head.c: what stands between the pooled features and the loss: the head (torchvision's fc), and
 * the predictor behind it (Chen, Xie, He 2021, section 3; Grill et al. 2020), as a list of layers
 * on rows (B, width).
 *
 * Each layer's output is kept on the tape, so that the backward pass finds every operand. A
 * BatchNorm's statistics here are those of the whole batch, whatever bn-splits says of the
 * network: sums over a column are in double and in the order of the batch, whatever the number of
 * threads. */
#include <math.h>
#include <string.h>

#include "engine/net/program.h"

#define EPSILON 1e-5
enum { COLUMNS = 64 }; /* of a piece of work of a BatchNorm */
static const float MOMENTUM = 0.1f;

static size_t rows_floats(const struct net *net, int width)
{
    return arena_round((size_t)net->config.batch * (size_t)width * sizeof(float)) / sizeof(float);
}

/* Mean and inverse deviation, (2, width). */
static size_t saved_floats(int width)
{
    return arena_round(2 * (size_t)width * sizeof(float)) / sizeof(float);
}

static int widest(const struct net *net)
{
    int most = 0;
    for (int i = 0; i < net->head_count; i++)
        most = net->head[i].out > most ? net->head[i].out : most;
    return most;
}

static size_t room_floats(const struct net *net)
{
    size_t most = 0;
    for (int i = 0; i < net->head_count; i++) {
        const struct head_layer *l = &net->head[i];
        size_t room = l->kind == HEAD_LINEAR ? linear_room(&l->linear, net->config.batch) : 0;
        most = room > most ? room : most;
    }
    return arena_round(most * sizeof(float)) / sizeof(float);
}

size_t head_floats(const struct net *net, int keep)
{
    size_t floats = keep ? 2 * rows_floats(net, widest(net)) + room_floats(net) : 0;
    for (int i = 0; i < net->head_count; i++) {
        floats += rows_floats(net, net->head[i].out);
        if (net->head[i].kind == HEAD_NORM)
            floats += saved_floats(net->head[i].out);
    }
    return floats;
}

void head_carve(struct head_tape *t, const struct net *net, int keep, float *floats)
{
    *t = (struct head_tape){ 0 };
    for (int i = 0; i < net->head_count; i++) {
        t->out[i] = floats;
        floats += rows_floats(net, net->head[i].out);
        t->saved[i] = floats;
        if (net->head[i].kind == HEAD_NORM)
            floats += saved_floats(net->head[i].out);
    }
    for (int i = 0; i < 2 && keep; i++) {
        t->d[i] = floats;
        floats += rows_floats(net, widest(net));
    }
    t->room = floats;
}

/* ---- BatchNorm of rows ---- */

struct norm_rows {
    const struct head_layer *layer;
    int B;
    float *mean, *inv; /* (width) */
};

static struct norm_rows norm_of(const struct net *net, const struct head_tape *t, int i)
{
    const struct head_layer *l = &net->head[i];
    return (struct norm_rows){ .layer = l, .B = net->config.batch, .mean = t->saved[i],
                               .inv = t->saved[i] + l->out };
}

/* Mean and Σ (x - mean)² of column c. */
static void column_sums(double *mean, double *square, const struct norm_rows *n, const float *src,
                        int c)
{
    const float *x = src + c;
    size_t width = (size_t)n->layer->out;
    *mean = *square = 0.0;
    for (int r = 0; r < n->B; r++)
        *mean += (double)x[(size_t)r * width];
    *mean /= n->B;
    for (int r = 0; r < n->B; r++) {
        double d = (double)x[(size_t)r * width] - *mean;
        *square += d * d;
    }
}

/* Those of the batch; the running ones move towards them, the variance unbiased. */
static void batch_statistics(const struct norm_rows *n, struct encoder *e, const float *src, int c)
{
    float *running_mean = &e->stats[n->layer->mean + (size_t)c];
    float *running_var = &e->stats[n->layer->var + (size_t)c];
    double mean, square;
    column_sums(&mean, &square, n, src, c);
    n->mean[c] = (float)mean;
    n->inv[c] = (float)(1.0 / sqrt(square / n->B + EPSILON));
    *running_mean += MOMENTUM * ((float)mean - *running_mean);
    *running_var += MOMENTUM * ((float)(square / (n->B > 1 ? n->B - 1 : 1)) - *running_var);
}

static void running_statistics(const struct norm_rows *n, const struct encoder *e, int c)
{
    n->mean[c] = e->stats[n->layer->mean + (size_t)c];
    n->inv[c] = (float)(1.0 / sqrt((double)e->stats[n->layer->var + (size_t)c] + EPSILON));
}

static float gamma_of(const struct head_layer *l, const struct encoder *e, int c)
{
    return l->affine ? e->params[l->gamma + (size_t)c] : 1.0f;
}

static void norm_columns(const struct norm_rows *n, const struct encoder *e, float *dst,
                         const float *src, int first, int last)
{
    const struct head_layer *l = n->layer;
    for (int r = 0; r < n->B; r++)
        for (int c = first; c < last; c++) {
            size_t at = (size_t)r * (size_t)l->out + (size_t)c;
            float beta = l->affine ? e->params[l->beta + (size_t)c] : 0.0f;
            dst[at] = (src[at] - n->mean[c]) * n->inv[c] * gamma_of(l, e, c) + beta;
        }
}

static void norm_rows_forward(const struct norm_rows *n, struct encoder *e, float *dst,
                              const float *src, enum net_mode mode)
{
    int width = n->layer->out;
#pragma omp parallel for schedule(static)
    for (int first = 0; first < width; first += COLUMNS) {
        int last = first + COLUMNS < width ? first + COLUMNS : width;
        for (int c = first; c < last; c++) {
            if (mode == NET_TRAIN)
                batch_statistics(n, e, src, c);
            else
                running_statistics(n, e, c);
        }
        norm_columns(n, e, dst, src, first, last);
    }
}

/* d_src = γ inv (g - mean(g) - x̂ mean(g x̂)) of column c. */
static void column_gradient(const struct norm_rows *n, struct encoder *e, float *d_src,
                            const float *d_dst, const float *src, int c)
{
    const struct head_layer *l = n->layer;
    size_t width = (size_t)l->out;
    double mean = (double)n->mean[c], inv = (double)n->inv[c], sum = 0.0, sum_x = 0.0;

    for (int r = 0; r < n->B; r++) {
        size_t at = (size_t)r * width + (size_t)c;
        sum += (double)d_dst[at];
        sum_x += (double)d_dst[at] * ((double)src[at] - mean) * inv;
    }
    for (int r = 0; r < n->B; r++) {
        size_t at = (size_t)r * width + (size_t)c;
        double x = ((double)src[at] - mean) * inv;
        d_src[at] = (float)((double)gamma_of(l, e, c) * inv *
                            ((double)d_dst[at] - sum / n->B - x * sum_x / n->B));
    }
    if (l->affine) {
        e->grads[l->gamma + (size_t)c] += (float)sum_x;
        e->grads[l->beta + (size_t)c] += (float)sum;
    }
}

static void norm_rows_backward(const struct norm_rows *n, struct encoder *e, float *d_src,
                               const float *d_dst, const float *src)
{
#pragma omp parallel for schedule(static)
    for (int c = 0; c < n->layer->out; c++)
        column_gradient(n, e, d_src, d_dst, src, c);
}

/* ---- the list ---- */

int head_layers(const struct net *net, const struct encoder *e, enum net_mode mode)
{
    return mode == NET_TRAIN && e->predicts ? net->head_count : net->projector_count;
}

void head_forward(struct encoder *e, const struct net *net, struct head_tape *t, float *features,
                  const float *pooled, enum net_mode mode)
{
    int layers = head_layers(net, e, mode);
    size_t B = (size_t)net->config.batch;
    const float *src = pooled;

    for (int i = 0; i < layers; i++) {
        const struct head_layer *l = &net->head[i];
        if (l->kind == HEAD_LINEAR) {
            linear_forward(&net->simd, &l->linear, t->out[i], src, e->params, net->config.batch);
        } else if (l->kind == HEAD_NORM) {
            struct norm_rows n = norm_of(net, t, i);
            norm_rows_forward(&n, e, t->out[i], src, mode);
        } else {
            for (size_t j = 0; j < B * (size_t)l->out; j++)
                t->out[i][j] = src[j] > 0 ? src[j] : 0;
        }
        src = t->out[i];
    }
    int width = layers ? net->head[layers - 1].out : net->config.dim;
    memcpy(features, src, B * (size_t)width * sizeof *features);
}

void head_backward(struct encoder *e, const struct net *net, struct head_tape *t, float *d_pooled,
                   const float *d_features, const float *pooled)
{
    const float *d_dst = d_features;
    size_t B = (size_t)net->config.batch;
    int layers = head_layers(net, e, NET_TRAIN);

    if (!layers)
        memcpy(d_pooled, d_features, B * (size_t)net->config.dim * sizeof *d_pooled);
    for (int i = layers - 1; i >= 0; i--) {
        const struct head_layer *l = &net->head[i];
        const float *src = i ? t->out[i - 1] : pooled;
        float *d_src = i ? t->d[i % 2] : d_pooled;
        if (l->kind == HEAD_LINEAR) {
            linear_backward(&net->simd, &l->linear, d_src, e->grads, d_dst, src, e->params,
                            net->config.batch, t->room);
        } else if (l->kind == HEAD_NORM) {
            struct norm_rows n = norm_of(net, t, i);
            norm_rows_backward(&n, e, d_src, d_dst, src);
        } else {
            for (size_t j = 0; j < B * (size_t)l->out; j++)
                d_src[j] = src[j] > 0 ? d_dst[j] : 0;
        }
        d_dst = d_src;
    }
}
