/* parametric.c: instance discrimination with one weight vector for each image (Dosovitskiy et al.
 * 2014, Exemplar-CNN; Wu, Xiong, Yu, Lin 2018, eq. 1), the baseline of the non-parametric form.
 *
 * P(i|f) = exp(w_i·f) / Σ_j exp(w_j·f), f not normalised, no bias, no temperature. W (n, D),
 * instance.weight, is trained like every parameter, so it needs n × D numbers three times over and
 * says nothing about an image that is not in the training set.
 *
 * dL/df = Σ_j p_j w_j - w_i comes from the InfoNCE kernel with T = 1, the own row as the positive.
 * dL/dW = (P - I)ᵀ f / B follows in chunks of W's rows, from the logits made again and log Σ_j,
 * so that (B, n) probabilities are never stored. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/contrast/method.h"
#include "engine/contrast/rows.h"

enum { CHUNK = 64 }; /* rows of W */

struct parametric {
    struct method_config config;
    struct moco_simd simd;
    struct arena arena; /* all below */
    float *loss;        /* (B); a call fills its rows */
    float *top1;        /* (B) */
    float *log_sum;     /* (B) log Σ_j exp(w_j·f) */
    float *own;         /* (B, D) the images' own rows of W */
    float *turned;      /* (D, rows) f transposed */
    int64_t *numbers;   /* (n) 0, 1, … */
    float *scratch;     /* (threads, stride): of the kernel; or p (CHUNK, B) and its gradient */
    size_t stride;
    int threads;
};

static void parametric_close(void *state)
{
    struct parametric *s = state;

    if (!s)
        return;
    arena_close(&s->arena);
    free(s);
}

/* What is taken for one process's threads; sets stride. */
static struct arena_pieces buffers(struct parametric *s)
{
    const struct method_config *c = &s->config;
    size_t row = c->B * sizeof(float), matrix = c->B * c->D * sizeof(float);
    size_t kernel = moco_infonce_scratch(c->D), chunk = CHUNK * (c->B + c->D);

    s->threads = omp_get_max_threads();
    s->stride = rows_stride(kernel > chunk ? kernel : chunk);
    return (struct arena_pieces){ {
        { &s->loss, row },
        { &s->top1, row },
        { &s->log_sum, row },
        { &s->own, matrix },
        { &s->turned, matrix },
        { &s->numbers, c->n * sizeof(int64_t) },
        { &s->scratch, (size_t)s->threads * s->stride * sizeof(float) },
    } };
}

static size_t parametric_bytes(const struct method_config *config)
{
    struct parametric s = { .config = *config };
    struct arena_pieces pieces = buffers(&s);

    return arena_pieces_bytes(&pieces);
}

static int parametric_open(void **state, const struct method_config *config,
                           const struct moco_simd *simd)
{
    struct parametric *s;
    int err;

    *state = NULL;
    if (config->B == 0 || config->n < 2)
        return error_set(MOCO_EARG, "batch %zu and %zu images: at least 1 and 2", config->B,
                         config->n);
    s = calloc(1, sizeof *s);
    if (!s)
        return error_memory("the method", sizeof *s);
    *s = (struct parametric){ .config = *config, .simd = *simd };
    struct arena_pieces pieces = buffers(s);
    err = arena_open_pieces(&s->arena, &pieces, "the buffers of the loss");
    if (err) {
        parametric_close(s);
        return err;
    }
    rows_count(s->numbers, config->n);
    *state = s;
    return MOCO_OK;
}

static size_t parametric_rows(const struct method_config *c)
{
    return c->n;
}

/* Losses, d_f and log Σ of the thread's rows. */
static void loss_rows(struct parametric *s, const struct contrast *c, struct row_share r,
                      float *scratch)
{
    size_t D = s->config.D, first = r.first, at = first * D;
    float share = 1.0f / (float)s->config.B, own;

    rows_gather(s->own + at, c->weight, c->ids + first, r.count, D);
    s->simd.infonce(s->loss + first, s->top1 + first, c->d_q + at, c->q + at, s->own + at,
                    c->weight, c->ids + first, s->numbers, r.count, s->config.n, D, 1.0f, scratch);
    for (size_t i = first; i < first + r.count; i++) {
        s->simd.logits(&own, c->q + i * D, s->own + i * D, 1, 1, D);
        s->log_sum[i] = s->loss[i] + own;
        for (size_t d = 0; d < D; d++) {
            c->d_q[i * D + d] *= share;
            s->turned[d * c->rows + i] = c->q[i * D + d];
        }
    }
}

/* d_weight of rows first..first+count-1. */
static void weight_rows(const struct parametric *s, const struct contrast *c, size_t first,
                        size_t count, float *p)
{
    size_t D = s->config.D, rows = c->rows;
    float *d_rows = p + CHUNK * s->config.B, share = 1.0f / (float)s->config.B;

    s->simd.logits(p, c->weight + first * D, c->q, count, rows, D);
    for (size_t j = 0; j < count; j++)
        for (size_t i = 0; i < rows; i++) {
            float *at = &p[j * rows + i];
            *at = expf(*at - s->log_sum[i]);
            *at = (*at - (c->ids[i] == (int64_t)(first + j) ? 1.0f : 0.0f)) * share;
        }
    s->simd.logits(d_rows, p, s->turned, count, D, rows);
    for (size_t i = 0; i < count * D; i++)
        c->d_weight[first * D + i] += d_rows[i];
}

static int parametric_loss(void *state, struct contrast *c)
{
    struct parametric *s = state;
    size_t n = s->config.n;
    int err = rows_check_ids(c->ids, c->rows, n);

    if (err)
        return err;
#pragma omp parallel num_threads(s->threads)
    {
        struct row_share r = rows_share(c->rows);
        float *scratch = s->scratch + r.thread * s->stride;

        if (r.count)
            loss_rows(s, c, r, scratch);
#pragma omp barrier
#pragma omp for schedule(static)
        for (size_t j = 0; j < n; j += CHUNK)
            weight_rows(s, c, j, n - j < CHUNK ? n - j : CHUNK, scratch);
    }
    c->loss = rows_mean(s->loss, c->rows, s->config.B);
    c->top1 = rows_mean(s->top1, c->rows, s->config.B);
    return MOCO_OK;
}

static double parametric_guess(const struct method_config *c)
{
    return log((double)c->n);
}

const struct method method_parametric = {
    .name = "parametric",
    .keys = KEYS_NONE,
    .positive_index = 0,
    .layer = "instance",
    .reads = "mlp",
    .open = parametric_open,
    .close = parametric_close,
    .bytes = parametric_bytes,
    .layer_rows = parametric_rows,
    .loss = parametric_loss,
    .guess = parametric_guess,
};
