/* method.h: the small interface behind which every method stands.
 *
 * A method is one file that fills a `struct method`: what it needs from the step, its loss with
 * the gradient for a batch, what it remembers afterwards, what it saves. The step does not know
 * which method runs. Adding one touches its file, the table in method.c, one test, one doc line. */
#ifndef MOCO_ENGINE_CONTRAST_METHOD_H
#define MOCO_ENGINE_CONTRAST_METHOD_H

#include <stddef.h>
#include <stdint.h>

#include "simd/simd.h"

/* How the memory bank's denominator is had (Wu et al. 2018, section 3.2; memory_bank.c). */
enum bank_loss { BANK_NCE, BANK_SAMPLED, BANK_FULL };

/* Settings that methods read. */
struct method_config {
    size_t B;          /* of a step */
    size_t D;
    float T;
    uint64_t seed;     /* of what is drawn: first rows, negatives, pairs */
    size_t n;          /* images of the training set */
    /* queue */
    size_t K;
    int mask;          /* leave out unfilled slots and slots of the query's own image */
    int symmetric;     /* two directions a step */
    /* memory bank */
    enum bank_loss bank;
    size_t negatives;  /* M rows drawn for each sample; NCE and sampled */
    float blend;       /* b: row <- unit(b row + (1 - b) v) */
    float proximal;    /* λ of λ‖v - row‖² */
    int running_z;     /* NCE: Z is a running average instead of the first batch's */
    /* margin */
    float margin;
    int by_label;      /* pairs by class instead of by image */
    int normalise;     /* features are L2-normalised before distances are taken */
    /* semi-supervised */
    size_t classes;
};

/* One direction of one step, or of one of its micro-batches: features in, loss and gradients out.
 * Losses of rows are divided by B, so what the micro-batches of a step give adds up to the mean. */
struct contrast {
    size_t rows;           /* B, or those of a micro-batch */
    const float *q;        /* (rows, D) features of the query branch */
    const float *k;        /* (rows, D) of the key branch, row i the positive of query i; or NULL */
    float *d_q;            /* (rows, D) gradient of `loss` with respect to q; written */
    float *d_k;            /* (rows, D) the same for k; NULL when no gradient flows there */
    const float *raw;      /* (rows, D) q before the normalisation; */
    float *d_raw;          /* (rows, D) its gradient beside that through q. Both NULL unless the
                            * method is `raw`; d_raw comes as zeros */
    const int64_t *ids;    /* (rows) image of each sample, or NULL */
    const int32_t *labels; /* (rows) class of each sample, -1 unknown; or NULL */
    /* The method's own layer, where it has one: (its rows, D) and (its rows). */
    const float *weight, *bias;
    float *d_weight, *d_bias; /* added to */
    /* What a replayed step brings instead of drawing it; NULL otherwise. */
    const int64_t *index;     /* (rows, M) rows of the bank */
    const int32_t *different; /* (rows) pair (q_i, k_i) shows two classes */
    uint64_t step;            /* of the run, from 0, and micro-batch within it: what is drawn */
    uint64_t part;            /* depends on both and on the seed */
    size_t judged;         /* rows that loss and top1 tell of; comes as all of them.
                            * Semi-supervised: those with a label */
    double loss;           /* Σ over the rows / B */
    double top1;           /* share of B: queries whose positive has the largest logit; margin:
                            * pairs on the right side of half the margin; semi-supervised: right
                            * answers, a share of the rows with a label */
    double beyond;         /* margin: different pairs beyond it */
};

/* A tensor of a method's state, for the checkpoint. */
struct state_tensor {
    const char *name;    /* "queue", "queue_ids", … */
    enum { STATE_F32, STATE_I64 } type;
    int rank;
    size_t shape[2];
    void *data;          /* owned by the method */
};

/* Where the second features may come from; engine/step.h has the kinds of key encoder. */
enum method_keys {
    KEYS_FIXED,   /* an encoder without gradient: momentum, shared, partial */
    KEYS_TRAINED, /* a trained one: same, separate */
    KEYS_NONE,    /* there is one view; a second only for a consistency term */
    KEYS_JOINT,   /* both views in one pass through one network */
};

struct method {
    const char *name;    /* as typed behind --method */
    int unit;            /* features are L2-normalised before they reach loss() */
    int raw;             /* loss() reads features before the normalisation too */
    enum method_keys keys;
    int both;            /* always two directions, keys of both views before the queries; the batch
                          * is the dictionary (MoCo v3) */
    int whole_batch;     /* negatives come from the batch itself: it can not be divided */
    int positive_index;  /* column of the positive in the logits */
    int labels;          /* loss() reads labels */
    const char *reads;   /* names of settings that not all methods read, a space between them */
    const char *layer;   /* name of a linear layer of its own on the features; or NULL */
    int layer_bias;

    int (*open)(void **state, const struct method_config *config, const struct moco_simd *simd);
    void (*close)(void *state);

    /* Memory that open() takes. */
    size_t (*bytes)(const struct method_config *config);

    /* Rows of `layer`. */
    size_t (*layer_rows)(const struct method_config *config);

    /* Loss of one direction, for the dictionary as it stood at the start of the step. */
    int (*loss)(void *state, struct contrast *c);

    /* After the optimiser: takes up what the step made. rows, ids: (count, D), (count) in order of
     * entry; ids may be NULL. NULL function: nothing is remembered. */
    int remembers_queries; /* rows are the features of queries, not of keys */
    int (*remember)(void *state, const float *rows, const int64_t *ids, size_t count);

    /* The i-th tensor of the state, or 0 when there are no more. NULL: there are none. */
    int (*state)(void *state, size_t i, struct state_tensor *out);

    /* Filled and all slots of the dictionary; NULL when there is none. */
    void (*fill)(const void *state, size_t *filled, size_t *slots);

    /* Loss of a guess among all candidates, of one direction; 0 where that has no meaning. */
    double (*guess)(const struct method_config *config);
};

extern const struct method method_moco;        /* He et al. 2019 */
extern const struct method method_moco_v3;     /* Chen, Xie, He 2021 */
extern const struct method method_end_to_end;  /* van den Oord et al. 2018; He et al. 2019, 3.2 */
extern const struct method method_memory_bank; /* Wu, Xiong, Yu, Lin 2018 */
extern const struct method method_parametric;  /* Dosovitskiy et al. 2014; Wu et al. 2018, eq. 1 */
extern const struct method method_margin;      /* Hadsell, Chopra, LeCun 2006 */
extern const struct method method_semi_supervised; /* Berthelot et al. 2019; Xie et al. 2020 */

/* All of them. */
const struct method *const *method_list(size_t *count);

/* The method of that name; NULL, with a sentence that lists the known ones. */
const struct method *method_named(const char *name);

#endif
