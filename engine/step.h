/* step.h: one training step, from two views to updated weights (He et al. 2019, Algorithm 1).
 *
 * Holds the two branches, the method's state and the optimiser. Knows neither where images come
 * from nor which method runs.
 *
 * With accumulate = N a step is N micro-batches of B / N images, and memory holds the activations
 * of one. It is one step of the whole batch whose BatchNorm groups are the N micro-batches (each
 * in bn_splits groups): θ_k moves once, before the first keys; every micro-batch sees the
 * dictionary as it was before the step; gradients add up to the mean over B; running statistics
 * move once, towards the mean over the micro-batches; optimiser and dictionary follow the last.
 * Only sums over the batch are in another order. ShuffleBN permutes within a micro-batch. */
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
    struct net_config net; /* batch: B of a step */
    struct method_config method;
    const struct method *kind;
    enum key_encoder key;
    int accumulate;      /* micro-batches of a step; 0 stands for 1 */
    int shuffle;         /* ShuffleBN: keys are permuted between the BN groups */
    float momentum, weight_decay;
    uint64_t seed;
};

/* What differs from step to step. rows: B, or B / accumulate for step_part(). */
struct step_input {
    const float *x_q, *x_k;  /* (rows, C, S, S) */
    const int64_t *ids;      /* (rows) or NULL */
    const uint32_t *perm;    /* (rows) key order for ShuffleBN, of each micro-batch on its own;
                              * NULL: drawn from seed and step */
    float lr, m;
};

/* Running statistics of a branch while micro-batches move them. */
struct moved_stats {
    float *before, *sum; /* (S) at the start of the step; over the micro-batches so far */
    int64_t batches;     /* at the start */
};

struct step {
    struct step_config config;
    struct moco_simd simd;
    struct net *net;            /* its batch: rows */
    size_t rows;                /* of a micro-batch: B / accumulate */
    struct encoder q, k;        /* k's arrays are q's where they are shared */
    struct tape *tape_q, *tape_k;
    void *state;                /* of the method */
    float *velocity_q, *velocity_k; /* (P) SGD's u; velocity_k NULL unless KEY_SEPARATE */
    uint64_t count;             /* steps done */
    int part;                   /* micro-batches done of the step under way */

    /* Of the newest step; [1] is the second direction when symmetric. */
    float *emb_q[2], *emb_k[2];     /* (B, D) as they entered the loss */
    float *d_emb_q[2], *d_emb_k[2]; /* (B, D); d_emb_k only with a key gradient */
    double loss, top1;
    double seconds_q, seconds_k, seconds_loss, seconds_backward, seconds_update;

    struct arena arena;         /* behind the pointers above */
    float *raw, *x_shuffled, *inv_norm_q, *inv_norm_k, *new_keys;
    int64_t *new_ids;
    int has_ids;
    uint32_t *perm;
    struct moved_stats moved[2]; /* of q, k; with micro-batches only */
};

/* The program of a step: that of a micro-batch. The caller closes it. */
int step_net(struct net **out, const struct step_config *config, const struct moco_simd *simd);

/* Memory that step_open() takes beside that program, in bytes. */
struct step_memory {
    size_t encoders;    /* both, with gradients, velocities and the step's own buffers */
    size_t activations;
    size_t dictionary;  /* of the method */
};
void step_memory(struct step_memory *out, const struct step_config *config,
                 const struct net *net);

int step_open(struct step *step, const struct step_config *config, const struct moco_simd *simd);
void step_close(struct step *step);

/* Fresh weights: θ_k an exact copy of θ_q (KEY_SEPARATE: weights of its own). */
void step_init(struct step *step);

/* One step. On failure the step is undefined and must be reloaded from a checkpoint. */
int step_run(struct step *step, const struct step_input *input);

/* The same for a caller who has one micro-batch at a time: begin, `accumulate` parts, end. */
void step_begin(struct step *step);
int step_part(struct step *step, const struct step_input *input);
int step_end(struct step *step, float lr);

/* "momentum", "shared", "same", "separate"; a sentence lists them for another word. */
int key_encoder_named(enum key_encoder *out, const char *name);

#endif
