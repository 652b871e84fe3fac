/* end_to_end.c: the batch is its own dictionary (van den Oord et al. 2018, eq. 4; He et al. 2019,
 * section 3.2, figure 2a), and both branches are trained. The formulas stand in inbatch.c. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/contrast/inbatch.h"
#include "engine/contrast/method.h"

static void end_to_end_close(void *state)
{
    if (state)
        inbatch_close(state);
    free(state);
}

static size_t end_to_end_bytes(const struct method_config *c)
{
    return inbatch_bytes(c->B, c->D);
}

static int end_to_end_open(void **state, const struct method_config *c,
                           const struct moco_simd *simd)
{
    struct inbatch *s = calloc(1, sizeof *s);

    *state = NULL;
    if (!s)
        return error_memory("the method", sizeof *s);
    int err = inbatch_open(s, c->B, c->D, c->T, simd);
    if (err)
        end_to_end_close(s);
    else
        *state = s;
    return err;
}

static int end_to_end_loss(void *state, struct contrast *c)
{
    inbatch_loss(state, &c->loss, &c->top1, c->d_q, c->d_k, c->q, c->k, 1.0);
    return MOCO_OK;
}

static double end_to_end_guess(const struct method_config *c)
{
    return log((double)c->B);
}

/* positive_index: the own column stands for the diagonal; of row 0 it is column 0. */
const struct method method_end_to_end = {
    .name = "end-to-end",
    .unit = 1,
    .keys = KEYS_TRAINED,
    .whole_batch = 1,
    .positive_index = 0,
    .reads = "mlp moco-t",
    .open = end_to_end_open,
    .close = end_to_end_close,
    .bytes = end_to_end_bytes,
    .loss = end_to_end_loss,
    .guess = end_to_end_guess,
};
