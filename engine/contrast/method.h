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

/* Settings that methods read. */
struct method_config {
    size_t B;          /* of a step */
    size_t D, K;
    float T;
    int mask;          /* leave out unfilled slots and slots of the query's own image */
    int symmetric;     /* two directions a step */
    uint64_t seed;     /* of the queue's first rows */
};

/* One direction of one step, or of one of its micro-batches: features in, loss and gradients out.
 * Losses of rows are divided by B, so what the micro-batches of a step give adds up to the mean. */
struct contrast {
    size_t rows;         /* B, or those of a micro-batch */
    const float *q;      /* (rows, D) features of the query branch */
    const float *k;      /* (rows, D) features of the key branch, row i the positive of query i */
    float *d_q;          /* (rows, D) gradient of `loss` with respect to q; written */
    float *d_k;          /* (rows, D) the same for k; NULL when no gradient flows there */
    const int64_t *ids;  /* (rows) image of each sample, or NULL */
    double loss;         /* Σ over the rows / B */
    double top1;         /* queries whose positive has the largest logit / B */
};

/* A tensor of a method's state, for the checkpoint. */
struct state_tensor {
    const char *name;    /* "queue", "queue_ids", … */
    enum { STATE_F32, STATE_I64 } type;
    int rank;
    size_t shape[2];
    void *data;          /* owned by the method */
};

struct method {
    const char *name;    /* as typed behind --method */
    int unit;            /* features are L2-normalised before they reach loss() */
    int key_gradient;    /* the key branch is trained too */
    int whole_batch;     /* negatives come from the batch itself: it can not be divided */
    int positive_index;  /* column of the positive in the logits */

    int (*open)(void **state, const struct method_config *config, const struct moco_simd *simd);
    void (*close)(void *state);

    /* Memory that open() takes. */
    size_t (*bytes)(const struct method_config *config);

    /* Loss of one direction, for the dictionary as it stood at the start of the step. */
    int (*loss)(void *state, struct contrast *c);

    /* After the optimiser: takes up what the step made. k, ids: (rows, D), (rows) in order of
     * entry; ids may be NULL. NULL function: nothing is remembered. */
    int (*remember)(void *state, const float *k, const int64_t *ids, size_t rows);

    /* The i-th tensor of the state, or 0 when there are no more. */
    int (*state)(void *state, size_t i, struct state_tensor *out);

    /* Filled and all slots of the dictionary; both 0 when there is none. */
    void (*fill)(const void *state, size_t *filled, size_t *slots);
};

extern const struct method method_moco;       /* He et al. 2019 */
extern const struct method method_end_to_end; /* van den Oord et al. 2018; He et al. 2019, 3.2 */

/* The method of that name; NULL, with a sentence that lists the known ones. */
const struct method *method_named(const char *name);

#endif
