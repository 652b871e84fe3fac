/* step_branch.h: the two branches of a step: from images to features, and gradients back. Private
 * to the files of the step.
 *
 * Everything works on one micro-batch: x (rows, C, S, S), features (rows, D). Errors are the
 * encoder's. */
#ifndef MOCO_ENGINE_STEP_BRANCH_H
#define MOCO_ENGINE_STEP_BRANCH_H

#include "engine/step.h"

/* The momentum update, and what the key branch takes over from the query branch. */
void branch_move_keys(struct step *s, float m);

/* v(f_q(x)), v the normalisation where the method wants it. */
int branch_queries(struct step *s, float *q, const float *x);

/* v(f_k(x)); perm: the order in which the network sees x, or NULL. Row i of k is that of x. */
int branch_keys(struct step *s, float *k, const float *x, const uint32_t *perm);

/* KEY_JOINT: features of both views from one pass of [x_q; x_k]. */
int branch_joint(struct step *s, float *q, float *k, const float *x_q, const float *x_k);

/* Gradients of the parameters, from those of the features of the newest passes. d_k NULL: the key
 * branch is not trained. */
int branch_backward(struct step *s, const struct contrast *c);

#endif
