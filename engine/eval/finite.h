/* finite.h: features that are no numbers. Weights may be finite and still too large, and so may
 * pixels: neighbours, probes and files of features would go on with what comes of them. */
#ifndef MOCO_ENGINE_EVAL_FINITE_H
#define MOCO_ENGINE_EVAL_FINITE_H

#include "engine/eval/embed.h"

/* Where rows come from; source NULL: an array in memory. */
struct finite_from {
    const struct source *source;
    const size_t *index;         /* of all rows, NULL: each is that of its own number */
    size_t first;                /* of all rows, the first of these */
    const struct embed_bad *bad; /* of all rows: those not to look at; or NULL */
};

/* MOCO_EDIVERGED with the image of the first of n rows of D numbers that is not finite, or whose
 * norm is not. inv_norm: (n) of rows that were normalised, for an infinite norm has made zeros of
 * them; NULL of others. */
int finite_check(const float *rows, const float *inv_norm, size_t n, size_t D,
                 const struct finite_from *from);

/* That error. where: the data's name, or NULL. */
int finite_refuse(size_t image, const char *where);

#endif
