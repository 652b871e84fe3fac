/* weights.h: weights.safetensors, the query network with torchvision's names. Its metadata has
 * architecture, normalisation and recipe, no path, time, host or resume count. Files of others are
 * read too, by the names that foreign.h knows. */
#ifndef MOCO_ENGINE_RUN_SAVED_WEIGHTS_H
#define MOCO_ENGINE_RUN_SAVED_WEIGHTS_H

#include "engine/data/view/augment.h"
#include "engine/net/encoder.h"
#include "engine/run/saved/foreign.h"
#include "engine/run/saved/safetensors.h"

/* mean, std: (channels), NULL where not known; recipe as in checkpoint_save(), NULL of an encoder
 * that others trained. */
int weights_save(const char *path, const struct net *net, const struct encoder *q,
                 const float *mean, const float *std, const char *recipe);

/* The encoder that a weights file, a checkpoint or a file of others holds. */
struct weights_info {
    struct net_config net; /* batch 0; HEAD_NONE: the file has no head that moco knows */
    float mean[AUGMENT_CHANNELS_MAX], std[AUGMENT_CHANNELS_MAX];
    int own;               /* moco wrote the file */
    struct foreign names;
    char prefixes[400];    /* those of the other encoders in the file, ", " between; "" */
    char left_out[300];    /* the first tensors that belong to none of them and are not read */
    size_t left_out_count;
};
int weights_info(struct weights_info *out, const struct st_file *file);

/* Sentences about a file of others: which of its encoders is taken, what else is not read; "" where
 * there is nothing to say. */
enum { WEIGHTS_NOTE = 1100 };
void weights_notes(char prefix[WEIGHTS_NOTE], char left_out[WEIGHTS_NOTE], const char *path,
                   const struct weights_info *info);

/* Reads the encoder of `info` into one of `net`: all of it, or without the head, whose numbers then
 * stay. */
enum weights_part { WEIGHTS_ALL, WEIGHTS_BACKBONE };
int weights_load(struct encoder *encoder, const struct net *net, const struct st_file *file,
                 const struct weights_info *info, enum weights_part part);

/* The file that a path means: of a run's folder its `first` or else its `second` file. 0, or a code
 * where a folder has neither. */
int weights_path(char *out, size_t size, const char *path, const char *first, const char *second);

#endif
