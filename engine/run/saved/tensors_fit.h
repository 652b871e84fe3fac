/* tensors_fit.h: the numbers of a file's tensor; tensors.c and tensors_fit.c include it alone. */
#ifndef MOCO_ENGINE_RUN_SAVED_TENSORS_FIT_H
#define MOCO_ENGINE_RUN_SAVED_TENSORS_FIT_H

#include "engine/run/saved/safetensors.h"

/* MOCO_EFORMAT with the tensor's name where a number of it is not finite as a float, or a running
 * variance is below zero. Tensors of whole numbers pass. */
int tensors_check_numbers(const struct st_tensor *t, const char *path);

#endif
