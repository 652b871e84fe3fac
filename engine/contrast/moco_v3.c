/* moco_v3.c: MoCo without a queue (Chen, Xie, He 2021, algorithm 1).
 *
 * L = 2T [CE(q1 k2ᵀ / T) + CE(q2 k1ᵀ / T)], each row's positive on the diagonal, means over the
 * batch. q goes through a predictor, k comes from the momentum encoder, without gradient. The step
 * brings both directions, one a call; the factor 2T makes the gradient independent of T's size. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/contrast/inbatch.h"
#include "engine/contrast/method.h"

static void moco_v3_close(void *state)
{
    if (state)
        inbatch_close(state);
    free(state);
}

static size_t moco_v3_bytes(const struct method_config *c)
{
    return inbatch_bytes(c->B, c->D);
}

static int moco_v3_open(void **state, const struct method_config *c, const struct moco_simd *simd)
{
    struct inbatch *s = calloc(1, sizeof *s);

    *state = NULL;
    if (!s)
        return error_memory("the method", sizeof *s);
    int err = inbatch_open(s, c->B, c->D, c->T, simd);
    if (err)
        moco_v3_close(s);
    else
        *state = s;
    return err;
}

static int moco_v3_loss(void *state, struct contrast *c)
{
    const struct inbatch *s = state;

    inbatch_loss(state, &c->loss, &c->top1, c->d_q, NULL, c->q, c->k, 2.0 * (double)s->T);
    return MOCO_OK;
}

static double moco_v3_guess(const struct method_config *c)
{
    return 2.0 * 2.0 * (double)c->T * log((double)c->B);
}

const struct method method_moco_v3 = {
    .name = "moco-v3",
    .unit = 1,
    .keys = KEYS_FIXED,
    .both = 1,
    .whole_batch = 1,
    .positive_index = 0,
    .reads = "moco-m moco-m-cos moco-mlp-dim moco-t",
    .open = moco_v3_open,
    .close = moco_v3_close,
    .bytes = moco_v3_bytes,
    .loss = moco_v3_loss,
    .guess = moco_v3_guess,
};
