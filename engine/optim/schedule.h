/* schedule.h: learning rate and key momentum over a run. */
#ifndef MOCO_ENGINE_OPTIM_SCHEDULE_H
#define MOCO_ENGINE_OPTIM_SCHEDULE_H

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

#endif
