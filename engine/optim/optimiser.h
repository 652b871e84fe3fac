/* optimiser.h: how gradients move parameters: SGD, LARS or AdamW.
 *
 * In: the parameters and gradients of one encoder, as arenas in the net's order. Out: the
 * parameters moved, and the optimiser's own state, one or two arrays of the same shape that start
 * at zero. */
#ifndef MOCO_ENGINE_OPTIM_OPTIMISER_H
#define MOCO_ENGINE_OPTIM_OPTIMISER_H

#include "engine/net/encoder.h"

enum optimiser_kind {
    OPTIMISER_SGD,   /* with momentum and weight decay of all parameters */
    OPTIMISER_LARS,  /* You, Gitman, Ginsburg 2017; vectors are neither decayed nor adapted */
    OPTIMISER_ADAMW, /* Loshchilov and Hutter 2019 */
};

struct optimiser {
    enum optimiser_kind kind;
    float weight_decay;
    float momentum;              /* SGD, LARS */
    float trust;                 /* LARS: step of a matrix as a share of its norm; 0.001 */
    float beta1, beta2, epsilon; /* AdamW: 0.9, 0.999, 1e-8 */
};

/* "sgd", "lars", "adamw"; a sentence lists them for another word. */
int optimiser_named(enum optimiser_kind *out, const char *name);

/* Arrays of state: velocity u of SGD and LARS; both moments u, v of AdamW. */
int optimiser_states(enum optimiser_kind kind);

/* One update, the t-th (from 1). params, u, v, grads: (net_param_count()); v NULL unless AdamW. */
void optimiser_update(const struct optimiser *optimiser, const struct moco_simd *simd,
                      const struct net *net, float *params, float *u, float *v,
                      const float *grads, float lr, uint64_t t);

#endif
