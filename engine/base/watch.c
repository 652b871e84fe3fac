/* watch.c: the watch of each thread; see watch.h. */
#include "engine/base/watch.h"

#include "engine/base/error.h"

static _Thread_local struct {
    const struct watch *watch;
    const char *what, *unit;
    size_t before, count;
} here;

void watch_begin(const struct watch *watch)
{
    here.watch = watch;
    here.count = 0;
}

void watch_part(const char *what, const char *unit, size_t done, size_t count)
{
    here.what = what;
    here.unit = unit;
    here.before = done;
    here.count = count;
}

int watch_end(void)
{
    return error_set(WATCH_STOPPED, "stopped as asked");
}

int watch_stopped(void)
{
    const struct watch *watch = here.watch;
    return watch && watch->stop && watch->stop(watch->user) ? watch_end() : MOCO_OK;
}

int watch_step(size_t done)
{
    const struct watch *watch = here.watch;
    if (watch && watch->progress && here.count)
        watch->progress(watch->user, here.what, here.unit, here.before + done, here.count);
    return watch_stopped();
}

int watch_all(int *stopped)
{
    int known;
    if (here.watch && watch_stopped()) {
#pragma omp atomic write
        *stopped = 1;
    }
#pragma omp atomic read
    known = *stopped;
    return known;
}
