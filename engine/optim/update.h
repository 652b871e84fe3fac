/* update.h: streaming passes over whole arenas: SGD and the momentum of the key encoder.
 *
 * Parameters, gradients and velocities of an encoder are one array each (encoder.h), so an update
 * is one loop, cut into equal pieces for the threads: the same bits for any number of them. */
#ifndef MOCO_ENGINE_OPTIM_UPDATE_H
#define MOCO_ENGINE_OPTIM_UPDATE_H

#include <stddef.h>

#include "simd/simd.h"

/* θ_k <- m θ_k + (1 - m) θ_q (He et al. 2019, eq. 2). k, q: (n). */
void ema_update(const struct moco_simd *simd, float *k, const float *q, size_t n, float m);

/* SGD with momentum and weight decay on all parameters. p, u, g: (n). */
void sgd_update(const struct moco_simd *simd, float *p, float *u, const float *g, size_t n,
                float lr, float momentum, float weight_decay);

#endif
