/* fill.c: the queue is filled with keys before the first step. */
#include "engine/run/run.h"

enum { FILL_EPOCH = 1 << 30 };

static int fill_batch(struct run *run, uint64_t i)
{
    const struct batch *batch;
    uint64_t pass = run->steps * (uint64_t)run->c->accumulate;
    run->info.bad = i % pass ? run->info.bad : 0;
    int rc = loader_next(run->loader, &batch);
    if (!rc)
        rc = bad_take(run, batch);
    if (rc)
        return rc;
    struct step_input input = {.x_k = batch->x_k, .ids = batch->ids};
    return step_fill(&run->step, &input, i);
}

/* From batches of an epoch that no training reaches. What can not be read is counted anew in each
 * pass over the images, and belongs to no epoch. Filling that is stopped leaves nothing to save: it
 * begins anew. */
int fill_queue(struct run *run)
{
    struct watch watch;
    size_t filled = 0, slots = 0;
    const struct method *kind = run->step.config.kind;
    int rc = loader_seek(run->loader, FILL_EPOCH, 0);
    kind->fill(run->step.state, &filled, &slots);
    run_watch(run, &watch);
    watch_part("filling the queue", "keys", 0, slots);
    for (uint64_t i = 0; filled < slots && !rc; i++) {
        rc = watch_step(filled);
        if (!rc)
            rc = fill_batch(run, i);
        kind->fill(run->step.state, &filled, &slots);
    }
    watch_begin(NULL);
    run->info.bad = 0;
    return rc == WATCH_STOPPED ? TRAIN_INTERRUPTED : rc;
}
