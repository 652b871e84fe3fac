/* checkpoint.h: a training state and the files it lives in.
 *
 * checkpoint.safetensors holds everything that a run needs to go on bit for bit: q.<tensor>,
 * k.<tensor>, u.<tensor> (velocity), the method's tensors, and in the metadata step counter,
 * settings and the data's fingerprint. All random numbers are functions of (seed, epoch, index),
 * so there is no generator to save. */
#ifndef MOCO_ENGINE_RUN_SAVED_CHECKPOINT_H
#define MOCO_ENGINE_RUN_SAVED_CHECKPOINT_H

#include "engine/run/config/config.h"
#include "engine/step.h"

/* What stands beside the tensors. */
struct checkpoint_info {
    uint64_t step;       /* steps done */
    uint64_t images;     /* in the training set */
    double loss_sum;     /* of the epoch under way, over the steps that had something to judge */
    double top1_sum;
    uint64_t epoch_steps; /* of that epoch; and without anything to judge, absent when 0: */
    uint64_t unjudged;
    uint64_t log_bytes;  /* of log.csv at that moment: a resumed run cuts it there */
    int channels;
    uint64_t bad;        /* images that this epoch met and could not read; absent when 0 */
};

/* recipe: JSON text of the settings that define the run (config_recipe()). */
int checkpoint_save(const char *path, const struct step *step, const struct checkpoint_info *info,
                    const char *recipe);

/* Reads into an opened step of the same settings; a file of other settings is refused with a
 * sentence that names the first that differs. */
int checkpoint_load(const char *path, struct step *step, struct checkpoint_info *info,
                    const char *recipe);

/* Whether a checkpoint, or the weights at the end of a run, were made with these settings; refused
 * in the same way. */
int checkpoint_compare(const char *path, const char *recipe);

/* out: a setting that either was made with, as text; "" where it says none. */
int checkpoint_setting(char *out, size_t size, const char *path, const char *name);

#endif
