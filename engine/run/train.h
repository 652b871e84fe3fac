/* train.h: a training run from a data argument to weights.safetensors.
 *
 * In: a configuration. Out: the run folder (config.json, log.csv and the same for TensorBoard,
 * checkpoint.safetensors, weights.safetensors). The state is (settings, step counter) and what the
 * checkpoint holds; nothing measured enters it, so a run that was interrupted anywhere and resumed
 * gives the same bytes as one that was not. Reports and the wish to stop go through callbacks. */
#ifndef MOCO_ENGINE_RUN_TRAIN_H
#define MOCO_ENGINE_RUN_TRAIN_H

#include "engine/run/config/config.h"

struct step;

enum { TRAIN_INTERRUPTED = 1 }; /* stopped as asked, after a checkpoint if a step was made */
/* What stop() asks: nothing; save and return; save and go on. */
enum { TRAIN_GO = 0, TRAIN_STOP, TRAIN_SAVE };
enum { TRAIN_WARM_UP = 2, TRAIN_PROFILED = 5 }; /* steps */

/* Where a run stands; sent after every step and at the end of every epoch. */
struct train_progress {
    int epoch, epochs;          /* epoch from 1 */
    uint64_t step, steps;       /* in this epoch */
    double loss, top1;          /* mean of this epoch so far; NAN while no step had a label that
                                 * its loss could be about */
    double step_loss;           /* of the newest step alone */
    double ln_k1;               /* loss of a dictionary that tells nothing apart */
    double lr;
    double queue_fill;          /* 0..1; NAN without a queue */
    double img_s;               /* this epoch, this process */
    double data_s, compute_s;   /* the same: waiting for batches, training */
    double eta_s;               /* of the whole run, without kNN */
    double knn;                 /* percent; NAN when not computed now */
    double accuracy;            /* the same of the classifier that semi-supervised training has */
    int epoch_done;
    const struct source *source; /* that is trained on */
};

/* All may be NULL. */
struct train_hooks {
    void *user;
    void (*started)(void *user, const struct config *config, uint64_t step, uint64_t steps);
    void (*progress)(void *user, const struct train_progress *progress);
    void (*notice)(void *user, const char *sentence);
    /* After TRAIN_PROFILED steps, with --profile: the step's tapes hold the layers' mean times. */
    void (*profile)(void *user, const struct step *step);
    /* Polled after every step, and within a second in evaluation and filling: TRAIN_... */
    int (*stop)(void *user);
    /* How far an evaluation or filling is: "WHAT: done of count UNIT". */
    void (*waiting)(void *user, const char *what, const char *unit, size_t done, size_t count);
};

/* Trains as `config` says; settings that follow from the data are filled in. MOCO_OK when the run
 * is complete (at once if it was), TRAIN_INTERRUPTED, or an error. */
int train_run(struct config *config, const struct moco_simd *simd,
              const struct train_hooks *hooks);

/* Fills in what follows from the data: side, stem, mean, std, batch, BN groups, K, m. Part of
 * train_run(). */
int train_resolve(struct config *config, const struct source *source,
                  const struct train_hooks *hooks);

/* The part of it that views need. */
int views_resolve(struct config *config, const struct source *source,
                  const struct train_hooks *hooks);

/* Creates a folder and those above it, as far as they are missing. */
int train_folder(const char *path);

#endif
