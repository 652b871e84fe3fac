/* linear_sgd.c: weights as He et al. 2019 find them: SGD on features of fresh views; see linear.h.
 *
 * The features of an epoch's views are computed first, in the order in which the batches will take
 * them. The softmax is taken from its largest logit, so a learning rate of 30 gives large logits,
 * not NaN; should a number overflow all the same, a sentence says so. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/watch.h"
#include "engine/eval/linear_fit.h"
#include "engine/optim/update.h"

enum { BATCH = 256 };

struct sgd {
    const struct rows *train;
    const struct score_side *side;
    const struct embed *embed;
    const struct linear_config *config;
    const struct moco_simd *simd;
    struct policy views;
    struct logistic problem;
    uint32_t *order;    /* (n) of an epoch */
    size_t *index;      /* (n) images in that order */
    float *features;    /* (n, D) of the epoch's views, in that order */
    float *x;           /* (BATCH, wide) */
    int32_t y[BATCH];
    float *grad, *velocity; /* (classes, wide) */
};

/* torchvision's defaults, as in the authors' script for the probe. */
static struct policy probe_views(const struct policy *policy)
{
    struct policy views = {.side = policy->side, .channels = policy->channels,
                           .scale_lo = 0.08f, .scale_hi = 1.0f, .ratio_lo = 3.0f / 4.0f,
                           .ratio_hi = 4.0f / 3.0f, .flip_p = 0.5f};
    memcpy(views.mean, policy->mean, sizeof views.mean);
    memcpy(views.std, policy->std, sizeof views.std);
    return views;
}

static void sgd_close(struct sgd *s)
{
    logistic_close(&s->problem);
    free(s->order);
    free(s->index);
    free(s->features);
    free(s->x);
    free(s->grad);
    free(s->velocity);
}

static int sgd_open(struct sgd *s)
{
    const struct rows *t = s->train;
    size_t n = t->n, weights = t->classes * t->wide;
    s->order = malloc(n * sizeof *s->order);
    s->index = malloc(n * sizeof *s->index);
    s->features = malloc(n * t->D * sizeof *s->features);
    s->x = calloc(BATCH * t->wide, sizeof *s->x);
    s->grad = calloc(weights, sizeof *s->grad);
    s->velocity = calloc(weights, sizeof *s->velocity);
    if (!s->order || !s->index || !s->features || !s->x || !s->grad || !s->velocity)
        return error_memory("features of views", n * t->D * sizeof *s->features);
    int err = logistic_open(&s->problem, BATCH, t->D, t->classes, s->simd);
    s->problem.x = s->x;
    s->problem.y = s->y;
    return err;
}

/* N(0, 0.01²), intercepts 0. */
static void first_weights(const struct sgd *s, float *w)
{
    const struct rows *t = s->train;
    size_t tensor;
    (void)net_tensors(s->embed->net, &tensor); /* the stream behind those of the encoder */
    struct rng rng = rng_at(s->config->seed, RNG_INIT, 0, tensor);
    for (size_t c = 0; c < t->classes; c++)
        for (size_t i = 0; i < t->D; i++)
            w[c * t->wide + i] = (float)(0.01 * rng_normal(&rng));
}

static int draw_epoch(struct sgd *s, int epoch)
{
    const struct rows *t = s->train;
    struct view_draw draw = {.seed = s->config->seed, .epoch = (uint64_t)epoch};
    struct rng rng = rng_at(s->config->seed, RNG_ORDER, (uint64_t)epoch, 0);
    rng_permutation(&rng, s->order, t->n);
    for (size_t i = 0; i < t->n; i++)
        s->index[i] = s->side->index[t->from[s->order[i]]];
    watch_part("linear", "views", (size_t)epoch * t->n, (size_t)s->config->epochs * t->n);
    return embed_views(s->features, s->embed, s->side->source, s->index, t->n, &s->views, &draw);
}

/* A tenth from 60 % of the epochs on, a hundredth from 80 %. */
static double rate_of(const struct linear_config *config, int epoch)
{
    return config->lr * (epoch * 10 >= config->epochs * 6 ? 0.1 : 1.0) *
           (epoch * 10 >= config->epochs * 8 ? 0.1 : 1.0);
}

static int step(struct sgd *s, float *w, size_t first, size_t rows, double lr, double *loss)
{
    const struct rows *t = s->train;
    for (size_t i = 0; i < rows; i++) {
        size_t at = s->order[first + i];
        if (!linear_row(s->x + i * t->wide, s->features + (first + i) * t->D, t->D, t->wide, NULL,
                        NULL))
            return linear_refuse(s->side, t->from[at]);
        s->y[i] = t->y[at];
    }
    s->problem.n = rows;
    (void)logistic_value(&s->problem, loss, s->grad, w);
    if (!isfinite(*loss))
        return error_set(MOCO_EDIVERGED, "the probe's loss is no longer finite at a learning rate "
                         "of %g: give a smaller --lr", lr);
    sgd_update(s->simd, w, s->velocity, s->grad, t->classes * t->wide, (float)lr, 0.9f, 0.0f);
    return MOCO_OK;
}

static int run_epoch(struct sgd *s, float *w, struct linear_result *out, int epoch)
{
    double lr = rate_of(s->config, epoch), sum = 0.0, loss = 0.0;
    size_t n = s->train->n;
    int err = draw_epoch(s, epoch);
    for (size_t first = 0; first < n && !err; first += BATCH) {
        size_t rows = n - first < BATCH ? n - first : BATCH;
        err = step(s, w, first, rows, lr, &loss);
        sum += loss * (double)rows;
    }
    out->loss = sum / (double)n;
    if (!err && s->config->progress)
        s->config->progress(s->config->user, epoch + 1, out->loss);
    return err;
}

int linear_sgd(float *w, struct linear_result *out, const struct rows *train,
               const struct score_side *side, const struct embed *embed,
               const struct policy *policy, const struct linear_config *config,
               const struct moco_simd *simd)
{
    struct sgd s = {.train = train, .side = side, .embed = embed, .config = config, .simd = simd,
                    .views = probe_views(policy)};
    int err = sgd_open(&s);
    if (!err)
        first_weights(&s, w);
    for (int epoch = 0; epoch < config->epochs && !err; epoch++)
        err = run_epoch(&s, w, out, epoch);
    sgd_close(&s);
    return err;
}
