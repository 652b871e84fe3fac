/* semi_supervised.c: a few labels beside many images without (the consistency row of MixMatch,
 * Berthelot et al. 2019, and UDA, Xie et al. 2020).
 *
 * L = cross-entropy of classifier(f(x1)) over the samples of the batch that have a label, a mean
 * over those, + λ mean ‖v(x1) - v(x2)‖² over all samples, v the normalised feature, f the one
 * before the normalisation. The second term is the step's consistency term (consistency.c), with
 * gradients into both views; this file has the first and the classifier, a linear layer of its own.
 * With λ = 0 what is left is training on the few labels alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/contrast/method.h"

struct semi_supervised {
    struct method_config config;
    struct arena arena; /* all below */
    double *p;          /* (classes) of one sample */
};

static void semi_supervised_close(void *state)
{
    struct semi_supervised *s = state;

    if (!s)
        return;
    arena_close(&s->arena);
    free(s);
}

static size_t semi_supervised_bytes(const struct method_config *c)
{
    return arena_round(c->classes * sizeof(double));
}

static int semi_supervised_open(void **state, const struct method_config *config,
                                const struct moco_simd *simd)
{
    struct semi_supervised *s;

    (void)simd;
    *state = NULL;
    if (config->classes < 2)
        return error_set(MOCO_EARG, "semi-supervised training needs labels of at least 2 classes, "
                         "the data have %zu", config->classes);
    s = calloc(1, sizeof *s);
    if (!s)
        return error_memory("the method", sizeof *s);
    s->config = *config;
    int err = arena_open(&s->arena, semi_supervised_bytes(config), "the buffers of the loss");
    if (err) {
        semi_supervised_close(s);
        return err;
    }
    s->p = arena_take(&s->arena, config->classes * sizeof *s->p);
    *state = s;
    return MOCO_OK;
}

static size_t semi_supervised_rows(const struct method_config *c)
{
    return c->classes;
}

/* p becomes the probabilities of one sample; the class with the largest, of equals the first. */
static int32_t classify(struct semi_supervised *s, const struct contrast *c, const float *f)
{
    size_t D = s->config.D, classes = s->config.classes, best = 0;
    double sum = 0.0, top;

    for (size_t k = 0; k < classes; k++) {
        s->p[k] = (double)c->bias[k];
        for (size_t d = 0; d < D; d++)
            s->p[k] += (double)f[d] * (double)c->weight[k * D + d];
        best = s->p[k] > s->p[best] ? k : best;
    }
    top = s->p[best];
    for (size_t k = 0; k < classes; k++)
        sum += s->p[k] = exp(s->p[k] - top);
    for (size_t k = 0; k < classes; k++)
        s->p[k] /= sum;
    return (int32_t)best;
}

/* -log p(label) of one sample, and its gradients, over the number of labelled samples. */
static double add_sample(struct semi_supervised *s, struct contrast *c, size_t i, double share)
{
    size_t D = s->config.D, label = (size_t)c->labels[i];
    const float *f = c->raw + i * D;
    float *d_f = c->d_raw + i * D;
    double loss = -log(fmax(s->p[label], 1e-300));

    for (size_t k = 0; k < s->config.classes; k++) {
        double g = (s->p[k] - (k == label)) * share;
        c->d_bias[k] += (float)g;
        for (size_t d = 0; d < D; d++) {
            c->d_weight[k * D + d] += (float)(g * (double)f[d]);
            d_f[d] += (float)(g * (double)c->weight[k * D + d]);
        }
    }
    return loss * share;
}

static int check_labels(const struct semi_supervised *s, const struct contrast *c, size_t *labelled)
{
    *labelled = 0;
    if (!c->labels)
        return error_set(MOCO_EARG, "semi-supervised training needs labels, and the data have "
                         "none");
    for (size_t i = 0; i < c->rows; i++) {
        if (c->labels[i] >= 0 && (size_t)c->labels[i] >= s->config.classes)
            return error_set(MOCO_EARG, "sample %zu has label %d, but there are %zu classes", i,
                             (int)c->labels[i], s->config.classes);
        *labelled += c->labels[i] >= 0;
    }
    return MOCO_OK;
}

static int semi_supervised_loss(void *state, struct contrast *c)
{
    struct semi_supervised *s = state;
    size_t labelled, right = 0, bytes = c->rows * s->config.D * sizeof(float);
    int err = check_labels(s, c, &labelled);

    if (err)
        return err;
    memset(c->d_q, 0, bytes);
    memset(c->d_k, 0, bytes);
    c->loss = 0.0;
    for (size_t i = 0; i < c->rows; i++) {
        if (c->labels[i] < 0)
            continue;
        right += classify(s, c, c->raw + i * s->config.D) == c->labels[i];
        c->loss += add_sample(s, c, i, 1.0 / (double)labelled);
    }
    c->judged = labelled;
    c->top1 = labelled ? (double)right / (double)labelled : 0.0;
    return MOCO_OK;
}

static double semi_supervised_guess(const struct method_config *c)
{
    return log((double)c->classes);
}

const struct method method_semi_supervised = {
    .name = "semi-supervised",
    .unit = 1,
    .raw = 1,
    .keys = KEYS_TRAINED,
    .whole_batch = 1,
    .labels = 1,
    .layer = "classifier",
    .layer_bias = 1,
    .reads = "labels-fraction labels-per-batch mlp",
    .open = semi_supervised_open,
    .close = semi_supervised_close,
    .bytes = semi_supervised_bytes,
    .layer_rows = semi_supervised_rows,
    .loss = semi_supervised_loss,
    .guess = semi_supervised_guess,
};
