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
 * Only sums over the batch are in another order; NCE takes its Z from the first micro-batch.
 * ShuffleBN permutes within a micro-batch. */
#ifndef MOCO_ENGINE_STEP_H
#define MOCO_ENGINE_STEP_H

#include "engine/base/arena.h"
#include "engine/contrast/method.h"
#include "engine/net/encoder.h"
#include "engine/optim/optimiser.h"

/* Where the second features come from (He et al. 2019, section 3.1). */
enum key_encoder {
    KEY_MOMENTUM, /* θ_k <- m θ_k + (1 - m) θ_q */
    KEY_SHARED,   /* θ_k is θ_q (m = 0), own running statistics, no gradient */
    KEY_PARTIAL,  /* shared up to a stage, momentum behind it */
    KEY_SAME,     /* f_k is f_q: two passes through one network, gradients through both */
    KEY_SEPARATE, /* its own parameters, trained by their own gradients */
    KEY_NONE,     /* one view only */
    KEY_JOINT,    /* both views in one pass of 2 B images through one network */
};

struct key_choice {
    enum key_encoder kind;
    char stage[16]; /* KEY_PARTIAL: the last shared one, "conv1", "bn1", "layer1" to "layer4" */
    char arch[16];  /* KEY_SEPARATE: "" for that of the query network */
};

struct step_config {
    struct net_config net; /* batch: B of a step */
    struct method_config method;
    const struct method *kind;
    struct key_choice key;
    int accumulate;      /* micro-batches of a step; 0 stands for 1 */
    int shuffle;         /* ShuffleBN: keys are permuted between the BN groups */
    struct optimiser optimiser;
    float consistency;   /* λ of ‖q - k‖² of the first direction, beside the method's loss */
    uint64_t seed;
};

/* What differs from step to step. rows: B, or B / accumulate for step_part(). */
struct step_input {
    const float *x_q, *x_k;  /* (rows, C, S, S) */
    const int64_t *ids;      /* (rows) or NULL */
    const int32_t *labels;   /* (rows), -1 unlabelled; or NULL */
    const uint32_t *perm;    /* (rows) key order for ShuffleBN, of each micro-batch on its own;
                              * NULL: drawn from seed and step */
    const int64_t *index;    /* (rows, M) rows of the bank, and */
    const int32_t *different; /* (rows) pairs of two classes; NULL: drawn */
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
    size_t rows;                /* of a micro-batch: B / accumulate */
    struct net *net, *net_k;    /* batch: rows, KEY_JOINT 2 rows; net_k is net but for another
                                 * architecture */
    struct encoder q, k;        /* k's arrays are q's where they are shared */
    struct tape *tape_q, *tape_k; /* tape_k NULL without a key branch */
    void *state;                /* of the method */
    float *moments_q[2], *moments_k[2]; /* (P) the optimiser's u and v, or NULL */
    uint64_t count;             /* steps done */
    int part;                   /* micro-batches done of the step under way */

    /* Of the newest step; [1] is the second direction when symmetric. */
    float *emb_q[2], *emb_k[2];     /* (B, D) as they entered the loss */
    float *d_emb_q[2], *d_emb_k[2]; /* (B, D); d_emb_k only with a key gradient */
    double loss, top1, beyond;      /* see struct contrast */
    size_t judged;                  /* over the directions and micro-batches */
    double seconds_q, seconds_k, seconds_loss, seconds_backward, seconds_update;

    struct arena arena;         /* behind the pointers above */
    float *raw_q, *raw_k, *d_raw;   /* features before the normalisation */
    float *inv_norm_q, *inv_norm_k;
    float *x_shuffled;              /* (rows, C, S, S); KEY_JOINT: (2 rows, C, S, S) */
    float *joint, *d_joint;         /* (2 rows, D), KEY_JOINT */
    float *new_rows, *scratch;
    int64_t *new_ids;
    int has_ids;
    uint32_t *perm;
    struct moved_stats moved[2]; /* of q, k; with micro-batches only */
};

/* The program of a step: that of a micro-batch. The caller closes it. */
int step_net(struct net **out, const struct step_config *config, const struct moco_simd *simd);

/* The same of the key branch, where that has another architecture; NULL otherwise. */
int step_key_net(struct net **out, const struct step_config *config,
                 const struct moco_simd *simd);

/* Memory that step_open() takes beside that program, in bytes. */
struct step_memory {
    size_t encoders;    /* both, with gradients, moments and the step's own buffers */
    size_t activations;
    size_t dictionary;  /* of the method */
};
void step_memory(struct step_memory *out, const struct step_config *config,
                 const struct net *net, const struct net *net_k);

int step_open(struct step *step, const struct step_config *config, const struct moco_simd *simd);
void step_close(struct step *step);

/* Fresh weights: θ_k an exact copy of θ_q (KEY_SEPARATE: weights of its own). */
void step_init(struct step *step);

/* θ_k and its running statistics become a copy of the query's, as far as it has its own; not where
 * it is of another architecture. */
void step_copy_keys(struct step *step);

/* One step. On failure the step is undefined and must be reloaded from a checkpoint. */
int step_run(struct step *step, const struct step_input *input);

/* The same for a caller who has one micro-batch at a time: begin, `accumulate` parts, end. */
void step_begin(struct step *step);
int step_part(struct step *step, const struct step_input *input);
int step_end(struct step *step, float lr);

/* Keys of x_k alone, into the dictionary, without a step: fills it before the training begins.
 * index: of the batch, which the permutation follows from. */
int step_fill(struct step *step, const struct step_input *input, uint64_t index);

/* The method's own layer, weights and gradients, in the query encoder's arena; *c is left alone
 * where it has none. */
void step_layer(const struct step *step, struct contrast *c);

/* "momentum", "shared", "partial:STAGE", "same", "separate[:ARCH]", "none", "joint"; a sentence
 * lists them for another word. */
int key_choice_named(struct key_choice *out, const char *name);

/* Whether method, key encoder, shuffling and symmetry go together; a sentence says what does
 * not. */
int step_check_keys(const struct step_config *config);

/* Whether the key branch is trained, and whether its parameters are its own. */
static inline int key_is_trained(enum key_encoder key)
{
    return key == KEY_SAME || key == KEY_SEPARATE;
}

static inline int key_has_branch(enum key_encoder key)
{
    return key != KEY_NONE && key != KEY_JOINT;
}

static inline int key_has_params(enum key_encoder key)
{
    return key == KEY_MOMENTUM || key == KEY_PARTIAL || key == KEY_SEPARATE;
}

/* Floats of θ_k, and how many of them are θ_q's: they stand first. */
size_t step_key_count(const struct step *step);
size_t step_shared_count(const struct step *step);

#endif
