/* consistency.h: λ‖v(x1) - v(x2)‖² for two views of one image, beside any loss (MixMatch,
 * Berthelot et al. 2019; UDA, Xie et al. 2020). v are unit features. */
#ifndef MOCO_ENGINE_CONTRAST_CONSISTENCY_H
#define MOCO_ENGINE_CONTRAST_CONSISTENCY_H

#include "engine/contrast/method.h"

/* Floats of scratch: none when the features are unit rows already. */
size_t consistency_scratch(size_t rows, size_t D, int unit);

/* Adds the term, a mean over B, to c's loss, d_q and, where there is one, d_k. With `unit` 0 the
 * features are normalised here first. scratch: consistency_scratch() floats. */
void consistency_add(struct contrast *c, float lambda, size_t B, size_t D, int unit,
                     const struct moco_simd *simd, float *scratch);

#endif
