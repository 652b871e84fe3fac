/* inbatch.h: InfoNCE of a batch against itself (van den Oord et al. 2018, eq. 4): the keys of the
 * other images are the negatives. End-to-end training and MoCo v3 share it. */
#ifndef MOCO_ENGINE_CONTRAST_INBATCH_H
#define MOCO_ENGINE_CONTRAST_INBATCH_H

#include "engine/base/arena.h"
#include "simd/simd.h"

struct inbatch {
    struct moco_simd simd;
    size_t B, D;
    float T;
    struct arena arena; /* all below */
    float *a;           /* (B, B) S T, then (P - I) / (T B) */
    float *a_turned;    /* (B, B) transposed */
    float *q_turned;    /* (D, B) */
    float *k_turned;    /* (D, B) */
    double *loss;       /* (B) */
    double *top1;       /* (B) */
};

size_t inbatch_bytes(size_t B, size_t D);
int inbatch_open(struct inbatch *s, size_t B, size_t D, float T, const struct moco_simd *simd);
void inbatch_close(struct inbatch *s);

/* Of q, k: (B, D), row i of k the positive of row i of q. loss: scale times the mean over the rows,
 * top1: the share of rows whose positive has the largest logit, of equals the first. d_q, d_k:
 * (B, D) gradients of `loss`; d_k may be NULL. */
void inbatch_loss(struct inbatch *s, double *loss, double *top1, float *d_q, float *d_k,
                  const float *q, const float *k, double scale);

#endif
