/* weights.h: weights.safetensors, the query network with torchvision's names. Its metadata has
 * architecture, normalisation and recipe, no path, time, host or resume count. */
#ifndef MOCO_ENGINE_RUN_SAVED_WEIGHTS_H
#define MOCO_ENGINE_RUN_SAVED_WEIGHTS_H

#include "engine/data/view/augment.h"
#include "engine/net/encoder.h"
#include "engine/run/saved/safetensors.h"

/* mean, std: (channels); recipe as in checkpoint_save(). */
int weights_save(const char *path, const struct net *net, const struct encoder *q,
                 const float *mean, const float *std, const char *recipe);

/* The architecture that a weights file (or, by its q. tensors, a checkpoint) describes. */
struct weights_info {
    struct net_config net; /* batch 0 */
    float mean[AUGMENT_CHANNELS_MAX], std[AUGMENT_CHANNELS_MAX];
};
int weights_info(struct weights_info *out, const struct st_file *file);

/* Reads tensors called prefix + name into the encoder; `prefix` is "" or "q.". */
int weights_load(struct encoder *encoder, const struct net *net, const struct st_file *file,
                 const char *prefix);

#endif
