/* forecast.h: how fast a run will be, how long it takes and how much memory, before it starts.
 *
 * In: the settings of a run. Out: rates of a few of its real steps, loader included, and what
 * follows for the whole run. Nothing is written. */
#ifndef MOCO_ENGINE_RUN_FORECAST_H
#define MOCO_ENGINE_RUN_FORECAST_H

#include "engine/data/summary.h"
#include "engine/run/memory.h"
#include "engine/run/train.h"

struct forecast {
    int timed;                           /* steps, after a warm-up */
    double step_s;                       /* median */
    double img_s, img_s_min, img_s_max;  /* of the median, the slowest and the fastest step */
    double data_share;                   /* of the time, waiting for batches; 0..1 */
    uint64_t steps;                      /* of an epoch */
    int epochs;
    int evaluations;                     /* kNN, that of epoch 0 included */
    double evaluation_s;                 /* one; embedding, beside which comparing takes little */
    double total_s;                      /* of the run, without checkpoints */
    struct memory_plan plan;
    struct memory_limit limit;           /* before anything was allocated */
    struct summary data;
    size_t predicted, measured;          /* peaks of the process, in bytes; predicted is that of the
                                          * run, measured that of these steps, without the
                                          * features that kNN compares; 0: not known here */
};

/* Settings that follow from the data are filled in; hooks->notice is used, and may be NULL. */
int forecast_run(struct forecast *out, struct config *config, const struct moco_simd *simd,
                 const struct train_hooks *hooks);

#endif
