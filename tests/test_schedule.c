/* test_schedule.c: corners of the learning rate.
 *
 * lr ½(1 + cos(π (epoch + first) / epochs)) counted from 1 and from 0; ×gamma at milestones;
 * the linear warm-up by steps on top of either. */
#include <math.h>

#include "engine/optim/schedule.h"
#include "tests/check.h"

static int near(double a, double b)
{
    return fabs(a - b) <= 1e-14 * (1.0 + fabs(b));
}

static void cosine_corners(void)
{
    struct schedule s = { .lr = 0.06, .cosine = 1, .epochs = 200, .first = 1 };

    CHECK(near(schedule_lr(&s, 0, 0, 97), 0.03 * (1 + cos(acos(-1.0) / 200))));
    CHECK(near(schedule_lr(&s, 99, 0, 97), 0.03));
    CHECK(near(schedule_lr(&s, 199, 96, 97), 0.0));
    CHECK(schedule_lr(&s, 7, 0, 97) == schedule_lr(&s, 7, 96, 97));
    s.first = 0;
    CHECK(schedule_lr(&s, 0, 0, 97) == 0.06);
    CHECK(near(schedule_lr(&s, 100, 3, 97), 0.03));
    CHECK(near(schedule_lr(&s, 199, 0, 97), 0.03 * (1 + cos(199 * acos(-1.0) / 200))));
    for (int e = 1; e < 200; e++)
        CHECK(schedule_lr(&s, e, 0, 97) < schedule_lr(&s, e - 1, 0, 97));
}

static void milestones(void)
{
    struct schedule s = { .lr = 0.03, .epochs = 200, .milestones = { 120, 160 },
                          .milestone_count = 2, .gamma = 0.1 };

    CHECK(schedule_lr(&s, 0, 0, 10) == 0.03);
    CHECK(schedule_lr(&s, 119, 9, 10) == 0.03);
    CHECK(near(schedule_lr(&s, 120, 0, 10), 0.003));
    CHECK(near(schedule_lr(&s, 159, 9, 10), 0.003));
    CHECK(near(schedule_lr(&s, 160, 0, 10), 0.0003));
    CHECK(near(schedule_lr(&s, 500, 0, 10), 0.0003));
    s.milestone_count = 0;
    CHECK(schedule_lr(&s, 199, 0, 10) == 0.03);
}

static void warm_up(void)
{
    struct schedule s = { .lr = 1.0, .epochs = 10, .gamma = 0.1, .warmup = 2.0 };

    CHECK(near(schedule_lr(&s, 0, 0, 5), 0.1));
    CHECK(near(schedule_lr(&s, 0, 4, 5), 0.5));
    CHECK(near(schedule_lr(&s, 1, 0, 5), 0.6));
    CHECK(schedule_lr(&s, 1, 4, 5) == 1.0);
    CHECK(schedule_lr(&s, 2, 0, 5) == 1.0);
    s.warmup = 0.5; /* ends inside an epoch */
    CHECK(near(schedule_lr(&s, 0, 0, 10), 0.2));
    CHECK(schedule_lr(&s, 0, 4, 10) == 1.0);
    CHECK(schedule_lr(&s, 0, 5, 10) == 1.0);
    s.cosine = s.first = 1;
    CHECK(near(schedule_lr(&s, 0, 0, 10), 0.1 * (1 + cos(acos(-1.0) / 10))));
    s.warmup = 0.0;
    CHECK(near(schedule_lr(&s, 0, 0, 10), 0.5 * (1 + cos(acos(-1.0) / 10))));
}

int main(void)
{
    cosine_corners();
    milestones();
    warm_up();
    return check_summary("schedule");
}
