/* bad.h: images of a run that can not be read: a warning each, a count, a limit.
 *
 * In: batches, whose `bad` says which images others stand for. Out: notices, and an error when one
 * epoch meets more than --max-bad of its images. An image counts once in every epoch that asks for
 * it; the count of the epoch under way lies in the checkpoint, so a resumed run stops where an
 * uninterrupted one would. */
#ifndef MOCO_ENGINE_RUN_BAD_H
#define MOCO_ENGINE_RUN_BAD_H

#include <stddef.h>
#include <stdint.h>

struct run;
struct batch;

enum { BAD_WARNINGS = 20 }; /* of single images; then only counts */

struct bad_list {
    int64_t *ids; /* (n) different images that this process met, ascending; owned */
    size_t n, capacity;
};

/* Takes up what a batch says; an error above the limit. */
int bad_take(struct run *run, const struct batch *batch);

/* Notices at the end of an epoch (its count starts anew) and of the run, where there is something
 * to say. */
void bad_end_epoch(struct run *run, uint64_t epoch);
void bad_end_run(const struct run *run);

void bad_close(struct bad_list *list);

#endif
