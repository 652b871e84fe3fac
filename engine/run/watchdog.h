/* watchdog.h: notices runs that go wrong while their numbers still look like numbers.
 *
 * Three signs give a notice, each once in a process: the loss is still that of guessing after a few
 * epochs; nearly every query finds its key while kNN falls, as when BatchNorm tells which images
 * share a batch (He et al. 2019, section 3.3); all queries of a batch have the same features
 * ("collapse"). A number that is not finite ends the run, and what was not finite first is named:
 * a view, a parameter, an output of a layer, a gradient.
 *
 * Cost of a step: one comparison, and a pass over the gradient of the first layer's weights, where
 * every gradient of activations that is not finite arrives. All else is looked at when it has
 * happened. */
#ifndef MOCO_ENGINE_RUN_WATCHDOG_H
#define MOCO_ENGINE_RUN_WATCHDOG_H

#include "engine/run/train.h"
#include "engine/step.h"

struct watchdog {
    double best_knn;  /* of this process; 0 at first */
    int told;         /* bits: what was noticed already */
    char cause[192];  /* what is not finite, for the middle of a sentence; "" as long as all is */
};

/* After an epoch, with p->knn where it was computed. */
void watchdog_epoch(struct watchdog *dog, const struct train_progress *p, const struct step *step,
                    const struct train_hooks *hooks);

/* After a micro-batch, and after the step's end: MOCO_OK, or MOCO_EDIVERGED with dog->cause. The
 * step is undefined then, running statistics included. */
int watchdog_part(struct watchdog *dog, struct step *step, const struct step_input *in);
int watchdog_step(struct watchdog *dog, const struct step *step);

/* Before a checkpoint: whether all weights of the query encoder are finite. */
int watchdog_weights(struct watchdog *dog, const struct step *step);

#endif
