/* schedule.c: learning rate over a run.
 *
 * Cosine (Loshchilov and Hutter 2016, eq. 5, without restarts): lr ½(1 + cos(π (epoch + first) /
 * epochs)), constant inside an epoch; the CIFAR recipe counts epochs from 1, so that the last one
 * has rate 0. Otherwise ×gamma at each milestone (He et al. 2019, section 4.1). Warm-up is a
 * factor on top that rises by steps (Goyal et al. 2017, section 2.2). */
#include "engine/optim/schedule.h"

#include <math.h>

/* From 1 at the beginning to 0 at the end of the course. */
static double half_cosine(double done)
{
    const double pi = 3.14159265358979323846;

    return 0.5 * (1.0 + cos(pi * done));
}

static double cosine(const struct schedule *s, int epoch)
{
    return half_cosine(((double)epoch + s->first) / s->epochs);
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

double schedule_momentum(double m, uint64_t step, uint64_t steps)
{
    return 1.0 - (1.0 - m) * half_cosine((double)step / (double)steps);
}
