/* step.h: one training step, from two views to updated weights (He et al. 2019, Algorithm 1).
 *
 * Holds the two branches, the method's state and the optimiser. Knows neither where images come
 * from nor which method runs. */
#ifndef MOCO_ENGINE_STEP_H
#define MOCO_ENGINE_STEP_H

#include "engine/base/arena.h"
#include "engine/contrast/method.h"
#include "engine/net/encoder.h"

/* Where the key branch's parameters come from (He et al. 2019, section 3.1). */
enum key_encoder {
    KEY_MOMENTUM, /* θ_k <- m θ_k + (1 - m) θ_q */
    KEY_SHARED,   /* θ_k is θ_q (m = 0), own running statistics, no gradient */
    KEY_SAME,     /* f_k is f_q: two passes through one network, gradients through both */
    KEY_SEPARATE, /* its own parameters, trained by their own gradients */
};

struct step_config {
    struct net_config net;
    struct method_config method;
    const struct method *kind;
    enum key_encoder key;
    int shuffle;         /* ShuffleBN: keys are permuted between the BN groups */
    float momentum, weight_decay;
    uint64_t seed;
};

/* What differs from step to step. */
struct step_input {
    const float *x_q, *x_k;  /* (B, C, S, S) */
    const int64_t *ids;      /* (B) or NULL */
    const uint32_t *perm;    /* (B) key order for ShuffleBN; NULL: drawn from seed and step */
    float lr, m;
};

struct step {
    struct step_config config;
    struct moco_simd simd;
    struct net *net;
    struct encoder q, k;        /* k's arrays are q's where they are shared */
    struct tape *tape_q, *tape_k;
    void *state;                /* of the method */
    float *velocity_q, *velocity_k; /* (P) SGD's u; velocity_k NULL unless KEY_SEPARATE */
    uint64_t count;             /* steps done */

    /* Of the newest step; [1] is the second direction when symmetric. */
    float *emb_q[2], *emb_k[2];     /* (B, D) as they entered the loss */
    float *d_emb_q[2], *d_emb_k[2]; /* (B, D); d_emb_k only with a key gradient */
    double loss, top1;
    double seconds_q, seconds_k, seconds_loss, seconds_backward, seconds_update;

    struct arena arena;         /* behind the pointers above */
    float *raw, *x_shuffled, *inv_norm_q, *inv_norm_k, *new_keys;
    int64_t *new_ids;
    uint32_t *perm;
};

int step_open(struct step *step, const struct step_config *config, const struct moco_simd *simd);
void step_close(struct step *step);

/* Fresh weights: θ_k an exact copy of θ_q (KEY_SEPARATE: weights of its own). */
void step_init(struct step *step);

/* One step. On failure the step is undefined and must be reloaded from a checkpoint. */
int step_run(struct step *step, const struct step_input *input);

/* "momentum", "shared", "same", "separate"; a sentence lists them for another word. */
int key_encoder_named(enum key_encoder *out, const char *name);

#endif
