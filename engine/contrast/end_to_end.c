/* end_to_end.c: the batch is its own dictionary (van den Oord et al. 2018, eq. 4; He et al. 2019,
 * section 3.2, figure 2a), and both branches are trained.
 *
 * logits S = q kᵀ / T, (B, B); row i's positive is column i. P = softmax of the rows of S.
 * L = mean of -log P_ii;  d_q = (P - I) k / (T B);  d_k = (P - I)ᵀ q / (T B).
 * All three products are simd->logits, which wants its right side transposed: hence the turned
 * copies of q and k, and (P - I) written both ways. */
#include "engine/contrast/method.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

struct end_to_end {
    struct method_config config;
    struct moco_simd simd;
    struct arena arena; /* all below */
    float *a;           /* (B, B) S T, then (P - I) / (T B) */
    float *a_turned;    /* (B, B) transposed */
    float *q_turned;    /* (D, B) */
    float *k_turned;    /* (D, B) */
    double *loss;       /* (B) */
    double *top1;       /* (B) */
};

static void end_to_end_close(void *state)
{
    struct end_to_end *s = state;

    if (!s)
        return;
    arena_close(&s->arena);
    free(s);
}

static size_t end_to_end_bytes(const struct method_config *c)
{
    return 2 * (arena_round(c->B * c->B * sizeof(float)) +
                arena_round(c->B * c->D * sizeof(float)) + arena_round(c->B * sizeof(double)));
}

static int open_buffers(struct end_to_end *s)
{
    size_t B = s->config.B, square = arena_round(B * B * sizeof(float));
    size_t turned = arena_round(B * s->config.D * sizeof(float));
    size_t row = arena_round(B * sizeof(double));
    int err = arena_open(&s->arena, end_to_end_bytes(&s->config), "the buffers of the loss");

    if (err)
        return err;
    s->a = arena_take(&s->arena, square);
    s->a_turned = arena_take(&s->arena, square);
    s->q_turned = arena_take(&s->arena, turned);
    s->k_turned = arena_take(&s->arena, turned);
    s->loss = arena_take(&s->arena, row);
    s->top1 = arena_take(&s->arena, row);
    return MOCO_OK;
}

static int end_to_end_open(void **state, const struct method_config *config,
                           const struct moco_simd *simd)
{
    struct end_to_end *s;
    int err;

    *state = NULL;
    if (config->B == 0 || config->D == 0 || !(config->T > 0.0f))
        return error_set(MOCO_EARG, "batch %zu, %zu columns and temperature %g: all must be above "
                         "0", config->B, config->D, (double)config->T);
    s = calloc(1, sizeof *s);
    if (!s)
        return error_memory("the method", sizeof *s);
    s->config = *config;
    s->simd = *simd;
    err = open_buffers(s);
    if (err)
        goto fail;
    *state = s;
    return MOCO_OK;
fail:
    end_to_end_close(s);
    return err;
}

/* Columns first..last-1 of out (D, B) = src (B, D) transposed. */
static void turn(float *out, const float *src, size_t first, size_t last, size_t B, size_t D)
{
    for (size_t d = 0; d < D; d++)
        for (size_t i = first; i < last; i++)
            out[d * B + i] = src[i * D + d];
}

/* Ties go to the lowest column. */
static int positive_wins(const float *l, size_t own, size_t B)
{
    for (size_t j = 0; j < own; j++)
        if (!(l[j] < l[own]))
            return 0;
    for (size_t j = own + 1; j < B; j++)
        if (!(l[j] <= l[own]))
            return 0;
    return 1;
}

/* Loss of row i; its logits give way to its row of (P - I) / (T B). The other columns are summed
 * apart from the positive, so that P_ii - 1 = -others / sum loses no digits. */
static void softmax_row(struct end_to_end *s, size_t i)
{
    size_t B = s->config.B;
    float *a = s->a + i * B, top = a[0];
    double T = s->config.T, others = 0.0, own, scale;

    s->top1[i] = positive_wins(a, i, B);
    for (size_t j = 1; j < B; j++)
        top = a[j] > top ? a[j] : top;
    own = ((double)a[i] - top) / T;
    for (size_t j = 0; j < B; j++)
        if (j != i)
            others += exp(((double)a[j] - top) / T);
    s->loss[i] = own < 0.0 ? log(others + exp(own)) - own : log1p(others);
    scale = 1.0 / ((others + exp(own)) * T * (double)B);
    for (size_t j = 0; j < B; j++)
        a[j] = (float)(j == i ? -others * scale : exp(((double)a[j] - top) / T) * scale);
    for (size_t j = 0; j < B; j++)
        s->a_turned[j * B + i] = a[j];
}

/* One thread's rows. Every row of A must stand before d_k, and all of q and k be turned. */
static void loss_rows(struct end_to_end *s, const struct contrast *c, size_t first, size_t last)
{
    size_t B = s->config.B, D = s->config.D, rows = last - first;

    turn(s->q_turned, c->q, first, last, B, D);
    turn(s->k_turned, c->k, first, last, B, D);
    if (rows)
        s->simd.logits(s->a + first * B, c->q + first * D, c->k, rows, B, D);
    for (size_t i = first; i < last; i++)
        softmax_row(s, i);
#pragma omp barrier
    if (rows)
        s->simd.logits(c->d_q + first * D, s->a + first * B, s->k_turned, rows, D, B);
    if (rows && c->d_k)
        s->simd.logits(c->d_k + first * D, s->a_turned + first * B, s->q_turned, rows, D, B);
}

static int end_to_end_loss(void *state, struct contrast *c)
{
    struct end_to_end *s = state;
    size_t B = s->config.B;

#pragma omp parallel
    {
        size_t team = (size_t)omp_get_num_threads(), thread = (size_t)omp_get_thread_num();

        loss_rows(s, c, B * thread / team, B * (thread + 1) / team);
    }
    c->loss = c->top1 = 0.0;
    for (size_t i = 0; i < B; i++) {
        c->loss += s->loss[i];
        c->top1 += s->top1[i];
    }
    c->loss /= (double)B;
    c->top1 /= (double)B;
    return MOCO_OK;
}

static int end_to_end_state(void *state, size_t i, struct state_tensor *out)
{
    (void)state, (void)i, (void)out;
    return 0;
}

static void end_to_end_fill(const void *state, size_t *filled, size_t *slots)
{
    (void)state;
    *filled = *slots = 0;
}

/* positive_index: the own column stands for the diagonal; of row 0 it is column 0. */
const struct method method_end_to_end = {
    .name = "end-to-end",
    .unit = 1,
    .key_gradient = 1,
    .whole_batch = 1,
    .positive_index = 0,
    .open = end_to_end_open,
    .close = end_to_end_close,
    .bytes = end_to_end_bytes,
    .loss = end_to_end_loss,
    .remember = NULL,
    .state = end_to_end_state,
    .fill = end_to_end_fill,
};
