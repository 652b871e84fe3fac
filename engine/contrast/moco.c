/* moco.c: momentum contrast (He et al. 2019, eq. 1 and Algorithm 1).
 *
 * L = -log exp(q·k/T) / Σ_j exp(q·x_j/T) over the positive k (column 0) and the K keys of the
 * queue as they stood before this batch, a mean over the batch. The queue takes the step's keys
 * afterwards. Rows are split over the threads; as the kernel's rows do not depend on the split and
 * the mean is summed in row order, the bytes are those of one thread. */
#include "engine/contrast/method.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/contrast/queue.h"
#include "engine/contrast/rows.h"

struct moco {
    struct method_config config;
    struct moco_simd simd;
    struct queue queue;
    struct arena arena; /* all below */
    float *loss;        /* (B); a call fills its rows */
    float *top1;        /* (B) */
    float *scratch;     /* (threads, stride) */
    size_t stride;      /* floats of one thread's scratch, whole cache lines */
    int threads;        /* that have scratch: no more may take part */
};

static void moco_close_state(void *state)
{
    struct moco *s = state;

    if (!s)
        return;
    queue_close(&s->queue);
    arena_close(&s->arena);
    free(s);
}

/* What is taken for one process's threads; sets stride. */
static struct arena_pieces buffers(struct moco *s)
{
    size_t row = s->config.B * sizeof(float);

    s->threads = omp_get_max_threads();
    s->stride = rows_stride(moco_infonce_scratch(s->config.D));
    return (struct arena_pieces){ {
        { &s->loss, row },
        { &s->top1, row },
        { &s->scratch, (size_t)s->threads * s->stride * sizeof(float) },
    } };
}

static int check_config(const struct method_config *config)
{
    size_t rows = config->symmetric ? 2 * config->B : config->B;

    if (config->B == 0 || !(config->T > 0.0f))
        return error_set(MOCO_EARG, "batch %zu and temperature %g: both must be above 0",
                         config->B, (double)config->T);
    if (rows > config->K)
        return error_set(MOCO_EARG, "%zu keys a step do not fit a queue of %zu; use a smaller "
                         "batch or a longer queue", rows, config->K);
    return MOCO_OK;
}

static int moco_open_state(void **state, const struct method_config *config,
                           const struct moco_simd *simd)
{
    struct moco *s;
    int err = check_config(config);

    *state = NULL;
    if (err)
        return err;
    s = calloc(1, sizeof *s);
    if (!s)
        return error_memory("the method", sizeof *s);
    *s = (struct moco){ .config = *config, .simd = *simd };
    struct arena_pieces pieces = buffers(s);
    err = queue_open(&s->queue, config->K, config->D, config->seed);
    if (!err)
        err = arena_open_pieces(&s->arena, &pieces, "the buffers of the loss");
    if (err)
        moco_close_state(s);
    else
        *state = s;
    return err;
}

static size_t moco_bytes(const struct method_config *config)
{
    struct moco s = { .config = *config };
    struct arena_pieces pieces = buffers(&s);

    return queue_bytes(config->K, config->D) + arena_pieces_bytes(&pieces);
}

/* Rows of the call, on the calling thread. */
static void loss_rows(const struct moco *s, const struct contrast *c, struct row_share r)
{
    size_t D = s->config.D, first = r.first, at = first * D;
    float share = 1.0f / (float)s->config.B;
    const int64_t *q_id = s->config.mask ? c->ids + first : NULL;
    const int64_t *key_id = s->config.mask ? s->queue.ids : NULL;

    s->simd.infonce(s->loss + first, s->top1 + first, c->d_q + at, c->q + at, c->k + at,
                     s->queue.keys, q_id, key_id, r.count, s->config.K, D, s->config.T,
                     s->scratch + r.thread * s->stride);
    for (size_t i = at; i < (first + r.count) * D; i++)
        c->d_q[i] *= share;
}

static int moco_loss(void *state, struct contrast *c)
{
    struct moco *s = state;

    if (s->config.mask && !c->ids)
        return error_set(MOCO_EARG, "masking needs to know which image each sample is: give ids, "
                         "or turn mask off");
#pragma omp parallel num_threads(s->threads)
    {
        struct row_share r = rows_share(c->rows);

        if (r.count)
            loss_rows(s, c, r);
    }
    c->loss = rows_mean(s->loss, c->rows, s->config.B);
    c->top1 = rows_mean(s->top1, c->rows, s->config.B);
    return MOCO_OK;
}

static int moco_remember(void *state, const float *k, const int64_t *ids, size_t rows)
{
    struct moco *s = state;

    return queue_push(&s->queue, k, ids, rows);
}

static int moco_state(void *state, size_t i, struct state_tensor *out)
{
    struct moco *s = state;
    struct queue *q = &s->queue;
    const struct state_tensor tensors[] = {
        { "queue", STATE_F32, 2, { q->K, q->D }, q->keys },
        { "queue_ids", STATE_I64, 1, { q->K, 0 }, q->ids },
        { "queue_ptr", STATE_I64, 1, { 1, 0 }, &q->ptr },
        { "queue_fill", STATE_I64, 1, { 1, 0 }, &q->fill },
    };

    if (i >= sizeof tensors / sizeof tensors[0])
        return 0;
    *out = tensors[i];
    return 1;
}

static void moco_fill(const void *state, size_t *filled, size_t *slots)
{
    const struct moco *s = state;

    *filled = (size_t)s->queue.fill;
    *slots = s->queue.K;
}

static double moco_guess(const struct method_config *config)
{
    return (config->symmetric ? 2.0 : 1.0) * log((double)config->K + 1.0);
}

const struct method method_moco = {
    .name = "moco",
    .unit = 1,
    .keys = KEYS_FIXED,
    .positive_index = 0,
    .reads = "moco-k moco-m moco-m-cos moco-t mask mlp",
    .open = moco_open_state,
    .close = moco_close_state,
    .bytes = moco_bytes,
    .loss = moco_loss,
    .remember = moco_remember,
    .state = moco_state,
    .fill = moco_fill,
    .guess = moco_guess,
};
