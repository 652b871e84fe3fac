/* schedule.h: learning rate and key momentum over a run. */
#ifndef MOCO_ENGINE_OPTIM_SCHEDULE_H
#define MOCO_ENGINE_OPTIM_SCHEDULE_H

#include <stdint.h>

enum { SCHEDULE_MILESTONES_MAX = 16 };

struct schedule {
    double lr;       /* base */
    int cosine;      /* lr ½(1 + cos(π e / epochs)); otherwise the milestones */
    int epochs;
    int first;       /* number of the first epoch in the cosine: 1 (the CIFAR recipe) or 0 */
    int milestones[SCHEDULE_MILESTONES_MAX]; /* epochs done before each ×gamma, ascending */
    int milestone_count;
    double gamma;    /* 0.1 */
    double warmup;   /* epochs of linear rise from 0, per step */
};

/* Learning rate of step `step` of `steps` in epoch `epoch` (all from 0). */
double schedule_lr(const struct schedule *schedule, int epoch, long step, long steps);

/* Momentum of the key encoder in step `step` of `steps` (from 0), rising from m to 1: 1 - (1 - m)
 * ½(1 + cos(π step / steps)) (Grill et al. 2020, section 3.1; Chen, Xie, He 2021). */
double schedule_momentum(double m, uint64_t step, uint64_t steps);

#endif
