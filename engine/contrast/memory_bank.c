/* memory_bank.c: non-parametric instance discrimination (Wu, Xiong, Yu, Lin 2018).
 *
 * Every image is its own class, and a row b_j of the memory bank stands for the weight vector that
 * a classifier would have for it: P(i|v) = exp(b_i·v / T) / Σ_j exp(b_j·v / T) (eq. 2), T the
 * temperature. The sum over all n images is had in one of three ways:
 *   full     as it stands
 *   sampled  (n/m) Σ_k exp(b_jk·v / T) over m rows drawn from the others (eq. 8)
 *   nce      noise-contrastive estimation (eq. 5-7): h = P / (P + m/n), P = exp(s) / Z,
 *            L = -log h(i) - Σ_k log(1 - h(jk)); Z = n times the mean of all exp(s) of the first
 *            batch, positives included, then held, as the published code does it; or a running
 *            average of that. It is a constant to the gradient either way. With micro-batches the
 *            first of a step takes the place of the batch.
 * Proximal regularisation (eq. 9) adds λ‖v - b_i‖²: the feature of an image moves little from
 * visit to visit. After the optimiser b_i <- unit(b b_i + (1 - b) v). */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/contrast/bank.h"
#include "engine/contrast/method.h"
#include "engine/contrast/rows.h"

static const double Z_KEPT = 0.9; /* of a running Z at each batch */

struct memory_bank {
    struct method_config config;
    struct moco_simd simd;
    struct bank bank;
    struct arena arena; /* all below */
    float *log_z;       /* (1) NaN before the first batch */
    float *loss;        /* (B); a call fills its rows */
    float *top1;        /* (B) */
    double *sums;       /* (B) Σ exp(s) of a row, for Z */
    float *own;         /* (B, D) rows of the batch's images, when full */
    int64_t *numbers;   /* (n) 0, 1, …, when full */
    int64_t *drawn;     /* (threads, M), else */
    float *scores;      /* (threads, M) */
    float *scratch;     /* (threads, stride), when full */
    size_t stride;      /* floats */
    int threads;
};

static void memory_bank_close(void *state)
{
    struct memory_bank *s = state;

    if (!s)
        return;
    bank_close(&s->bank);
    arena_close(&s->arena);
    free(s);
}

/* What is taken for one process's threads; sets stride. The full sum reads all rows by their names,
 * the others draw some. */
static struct arena_pieces buffers(struct memory_bank *s)
{
    const struct method_config *c = &s->config;
    size_t full = c->bank == BANK_FULL, row = c->B * sizeof(float);

    s->threads = omp_get_max_threads();
    s->stride = rows_stride(moco_infonce_scratch(c->D));
    size_t T = (size_t)s->threads, drawn = full ? 0 : T * c->negatives;
    return (struct arena_pieces){ {
        { &s->log_z, sizeof(float) },
        { &s->loss, row },
        { &s->top1, row },
        { &s->sums, c->B * sizeof(double) },
        { &s->own, full * c->D * row },
        { &s->numbers, full * c->n * sizeof(int64_t) },
        { &s->drawn, drawn * sizeof(int64_t) },
        { &s->scores, drawn * sizeof(float) },
        { &s->scratch, full * T * s->stride * sizeof(float) },
    } };
}

static int check_config(const struct method_config *c)
{
    if (c->B == 0 || !(c->T > 0.0f))
        return error_set(MOCO_EARG, "batch %zu and temperature %g: both must be above 0", c->B,
                         (double)c->T);
    if (c->bank != BANK_FULL && c->negatives < 1)
        return error_set(MOCO_EARG, "the memory bank draws %zu negatives: at least 1",
                         c->negatives);
    if (!(c->blend >= 0.0f && c->blend <= 1.0f) || !(c->proximal >= 0.0f))
        return error_set(MOCO_EARG, "bank momentum %g and proximal weight %g: from 0 to 1, and at "
                         "least 0", (double)c->blend, (double)c->proximal);
    return MOCO_OK;
}

static int memory_bank_open(void **state, const struct method_config *config,
                            const struct moco_simd *simd)
{
    struct memory_bank *s;
    int err = check_config(config);

    *state = NULL;
    if (err)
        return err;
    s = calloc(1, sizeof *s);
    if (!s)
        return error_memory("the method", sizeof *s);
    *s = (struct memory_bank){ .config = *config, .simd = *simd };
    struct arena_pieces pieces = buffers(s);
    err = bank_open(&s->bank, config->n, config->D, config->seed);
    if (!err)
        err = arena_open_pieces(&s->arena, &pieces, "the buffers of the loss");
    if (err) {
        memory_bank_close(s);
        return err;
    }
    *s->log_z = NAN;
    if (config->bank == BANK_FULL)
        rows_count(s->numbers, config->n);
    *state = s;
    return MOCO_OK;
}

static size_t memory_bank_bytes(const struct method_config *config)
{
    struct memory_bank s = { .config = *config };
    struct arena_pieces pieces = buffers(&s);

    return bank_bytes(config->n, config->D) + arena_pieces_bytes(&pieces);
}

/* ---- rows of a call ---- */

/* The rows drawn for sample i, in the calling thread's buffer. */
static const int64_t *drawn(const struct memory_bank *s, const struct contrast *c, size_t i,
                            int64_t *buffer)
{
    size_t M = s->config.negatives;

    if (c->index)
        return c->index + i * M;
    bank_draw(buffer, M, s->config.n, c->ids[i], s->config.seed, c->step,
              c->part * s->config.B + i);
    return buffer;
}

/* Σ exp(s) over the own row and the drawn ones. */
static double exp_sum(const struct memory_bank *s, const struct contrast *c, size_t i,
                      const int64_t *index, float *scores)
{
    size_t D = s->config.D, M = s->config.negatives;
    const float *v = c->q + i * D;
    double T = s->config.T, sum;
    float own;

    s->simd.gather_logits(&own, v, s->bank.rows, c->ids + i, 1, 1, D);
    s->simd.gather_logits(scores, v, s->bank.rows, index, 1, M, D);
    sum = exp((double)own / T);
    for (size_t j = 0; j < M; j++)
        sum += exp((double)scores[j] / T);
    return sum;
}

static void full_rows(struct memory_bank *s, const struct contrast *c, struct row_share r)
{
    size_t D = s->config.D, first = r.first, at = first * D;

    rows_gather(s->own + at, s->bank.rows, c->ids + first, r.count, D);
    s->simd.infonce(s->loss + first, s->top1 + first, c->d_q + at, c->q + at, s->own + at,
                    s->bank.rows, c->ids + first, s->numbers, r.count, s->config.n, D, s->config.T,
                    s->scratch + r.thread * s->stride);
}

static void drawn_row(struct memory_bank *s, const struct contrast *c, size_t i, int64_t *buffer)
{
    size_t D = s->config.D, M = s->config.negatives;
    const int64_t *index = drawn(s, c, i, buffer);
    const float *v = c->q + i * D;
    float *d_v = c->d_q + i * D;
    double share = (double)s->config.n / (double)M;

    if (s->config.bank == BANK_SAMPLED)
        s->simd.sampled(s->loss + i, s->top1 + i, d_v, v, s->bank.rows, c->ids + i, index, 1, M, D,
                        s->config.T, (float)log(share));
    else
        s->simd.nce(s->loss + i, s->top1 + i, d_v, v, s->bank.rows, c->ids + i, index, 1, M, D,
                    s->config.T, (float)((double)*s->log_z - log(share)));
}

/* λ‖v - b_i‖², and the share of the batch. */
static void finish_row(struct memory_bank *s, const struct contrast *c, size_t i)
{
    size_t D = s->config.D;
    const float *v = c->q + i * D, *row = s->bank.rows + (size_t)c->ids[i] * D;
    float *d_v = c->d_q + i * D, lambda = s->config.proximal, share = 1.0f / (float)s->config.B;
    double square = 0.0;

    for (size_t d = 0; d < D; d++) {
        float apart = v[d] - row[d];
        square += (double)apart * (double)apart;
        d_v[d] = (d_v[d] + 2.0f * lambda * apart) * share;
    }
    s->loss[i] += (float)((double)lambda * square);
}

/* Z from this batch: n times the mean of all exp(s). */
static void estimate_z(struct memory_bank *s, const struct contrast *c)
{
    size_t M = s->config.negatives;
    double sum = 0.0, z, old = exp((double)*s->log_z);

#pragma omp parallel for schedule(static) num_threads(s->threads)
    for (size_t i = 0; i < c->rows; i++) {
        size_t at = (size_t)omp_get_thread_num() * M;
        s->sums[i] = exp_sum(s, c, i, drawn(s, c, i, s->drawn + at), s->scores + at);
    }
    for (size_t i = 0; i < c->rows; i++)
        sum += s->sums[i];
    z = (double)s->config.n * sum / ((double)c->rows * (double)(M + 1));
    *s->log_z = (float)log(isnan(*s->log_z) ? z : Z_KEPT * old + (1.0 - Z_KEPT) * z);
}

static int memory_bank_loss(void *state, struct contrast *c)
{
    struct memory_bank *s = state;
    int full = s->config.bank == BANK_FULL;
    int err = rows_check_ids(c->ids, c->rows, s->config.n);

    if (err)
        return err;
    if (s->config.bank == BANK_NCE &&
        (isnan(*s->log_z) || (s->config.running_z && c->part == 0)))
        estimate_z(s, c);
#pragma omp parallel num_threads(s->threads)
    {
        struct row_share r = rows_share(c->rows);

        if (full && r.count)
            full_rows(s, c, r);
        for (size_t i = r.first; i < r.first + r.count; i++) {
            if (!full)
                drawn_row(s, c, i, s->drawn + r.thread * s->config.negatives);
            finish_row(s, c, i);
        }
    }
    c->loss = rows_mean(s->loss, c->rows, s->config.B);
    c->top1 = rows_mean(s->top1, c->rows, s->config.B);
    return MOCO_OK;
}

static int memory_bank_remember(void *state, const float *v, const int64_t *ids, size_t count)
{
    struct memory_bank *s = state;
    int err = rows_check_ids(ids, count, s->config.n);

    if (!err)
        bank_update(&s->bank, v, ids, count, s->config.blend);
    return err;
}

static int memory_bank_state(void *state, size_t i, struct state_tensor *out)
{
    struct memory_bank *s = state;
    const struct state_tensor tensors[] = {
        { "bank", STATE_F32, 2, { s->bank.n, s->bank.D }, s->bank.rows },
        { "bank_log_z", STATE_F32, 1, { 1, 0 }, s->log_z },
    };

    if (i >= (s->config.bank == BANK_NCE ? 2 : 1))
        return 0;
    *out = tensors[i];
    return 1;
}

/* A guess gives every image the probability 1/n; for NCE that is h = 1 / (1 + m). */
static double memory_bank_guess(const struct method_config *c)
{
    double m = (double)c->negatives;

    if (c->bank != BANK_NCE)
        return log((double)c->n);
    return log1p(m) + m * log1p(1.0 / m);
}

const struct method method_memory_bank = {
    .name = "memory-bank",
    .unit = 1,
    .keys = KEYS_NONE,
    .positive_index = 0,
    .reads = "bank-momentum full-softmax mlp moco-t nce nce-z negatives proximal sampled",
    .open = memory_bank_open,
    .close = memory_bank_close,
    .bytes = memory_bank_bytes,
    .loss = memory_bank_loss,
    .remembers_queries = 1,
    .remember = memory_bank_remember,
    .state = memory_bank_state,
    .guess = memory_bank_guess,
};
