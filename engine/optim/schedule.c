/* schedule.c: learning rate over a run.
 *
 * Cosine (Loshchilov and Hutter 2016, eq. 5, without restarts): lr ½(1 + cos(π (epoch + first) /
 * epochs)), constant inside an epoch; the CIFAR recipe counts epochs from 1, so that the last one
 * has rate 0. Otherwise ×gamma at each milestone (He et al. 2019, section 4.1). Warm-up is a
 * factor on top that rises by steps (Goyal et al. 2017, section 2.2). */
#include "engine/optim/schedule.h"

#include <math.h>

static double cosine(const struct schedule *s, int epoch)
{
    const double pi = 3.14159265358979323846;

    return 0.5 * (1.0 + cos(pi * ((double)epoch + s->first) / s->epochs));
}

static double staircase(const struct schedule *s, int epoch)
{
    double factor = 1.0;

    for (int i = 0; i < s->milestone_count; i++)
        if (epoch >= s->milestones[i])
            factor *= s->gamma;
    return factor;
}

static double warm_up(const struct schedule *s, int epoch, long step, long steps)
{
    double done = (double)epoch * (double)steps + (double)step + 1.0;
    double rise = s->warmup * (double)steps;

    return done < rise ? done / rise : 1.0;
}

double schedule_lr(const struct schedule *schedule, int epoch, long step, long steps)
{
    double base = schedule->cosine ? cosine(schedule, epoch) : staircase(schedule, epoch);

    return schedule->lr * base * warm_up(schedule, epoch, step, steps);
}
