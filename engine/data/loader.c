/* loader.c: batches of pairs of views; see loader.h.
 *
 * Slots are filled in the order of tickets (0, 1, 2): who takes the first sample of a ticket writes
 * the ids of the whole slot, so what is in it never depends on who draws it. With workers, four
 * slots form a ring: one in the caller's hands and three ahead. Threads share the samples of a
 * slot, not whole slots: the first batch is ready soonest, and all state between them is under one
 * mutex that is held for moments only. */
#define _GNU_SOURCE
#include "engine/data/loader_impl.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { ROUND_BIT = 40 }; /* of an index of a stream: above all samples */

/* ---- slots ---- */

/* Keeps the failure of the lowest sample, whichever thread comes first. */
static void note_failure(struct slot *slot, size_t b, int rc)
{
    if (slot->rc != MOCO_OK && slot->failed < b)
        return;
    slot->rc = rc;
    slot->failed = b;
    snprintf(slot->sentence, sizeof slot->sentence, "%s", error_text());
}

void loader_forget_bad(struct slot *slot, size_t B)
{
    for (size_t b = 0; b < B && slot->batch.bad; b++) {
        free(slot->batch.bad[b].why);
        slot->batch.bad[b].why = NULL;
    }
    slot->batch.bad_count = 0;
}

/* The last rows of a slot. A sample may come several times an epoch, each time in another round: to
 * the streams it is another sample then. */
static void take_extra(struct loader *loader, struct slot *slot)
{
    size_t first = loader->B - loader->extra;
    uint64_t slots = loader->epoch * loader->steps + loader->step, round;
    for (size_t j = 0; j < loader->extra; j++) {
        uint64_t at = rounds_at(&loader->rounds, slots * loader->extra + j, &round);
        slot->batch.ids[first + j] = loader->extra_ids[at];
        slot->from[first + j] = (uint64_t)slot->batch.ids[first + j] + ((round + 1) << ROUND_BIT);
    }
}

static void begin_slot(struct loader *loader, struct slot *slot)
{
    size_t rows = loader->B - loader->extra;
    loader_forget_bad(slot, loader->B);
    order_take(&loader->order, slot->batch.ids, loader->epoch, loader->step * rows, rows);
    for (size_t b = 0; b < rows; b++)
        slot->from[b] = (uint64_t)slot->batch.ids[b];
    take_extra(loader, slot);
    slot->epoch = loader->epoch;
    slot->done = 0;
    slot->rc = MOCO_OK;
    if (++loader->step == loader->steps) {
        loader->step = 0;
        loader->epoch++;
    }
}

/* Moves what each row noted to the front. */
static void gather_bad(struct batch *batch, size_t B)
{
    for (size_t b = 0; b < B; b++) {
        struct bad_image bad = batch->bad[b];
        batch->bad[b].why = NULL;
        if (bad.why)
            batch->bad[batch->bad_count++] = bad;
    }
}

static int hand_over(const struct loader *loader, struct slot *slot, const struct batch **out)
{
    if (slot->rc != MOCO_OK)
        return error_set(slot->rc, "%s", slot->sentence);
    gather_bad(&slot->batch, loader->B);
    *out = &slot->batch;
    return MOCO_OK;
}

/* ---- without workers ---- */

static int next_by_team(struct loader *loader, const struct batch **out)
{
    struct slot *slot = &loader->slots[0];
    int team = omp_get_max_threads();
    team = team < loader->hand_count ? team : loader->hand_count;
    begin_slot(loader, slot);
#pragma omp parallel for schedule(dynamic) num_threads(team)
    for (size_t b = 0; b < loader->B; b++) {
        int rc = loader_draw(loader, &loader->hands[omp_get_thread_num()], slot, b);
        if (rc != MOCO_OK) {
#pragma omp critical(loader_failure)
            note_failure(slot, b, rc);
        }
    }
    return hand_over(loader, slot, out);
}

/* ---- with workers ---- */

/* With the mutex held: the slot to work on and *b in it; NULL when it is time to stop. */
static struct slot *take_sample(struct loader *loader, size_t *b)
{
    if (loader->sample == loader->B) {
        loader->ticket++;
        loader->sample = 0;
    }
    while (!loader->stop && loader->sample == 0 && loader->ticket >= loader->wanted + LOADER_AHEAD)
        pthread_cond_wait(&loader->room, &loader->mutex);
    if (loader->stop)
        return NULL;
    /* While this thread slept, another may have handed out the whole ticket. */
    if (loader->sample == loader->B)
        return take_sample(loader, b);
    struct slot *slot = &loader->slots[loader->ticket % LOADER_SLOTS];
    if (loader->sample == 0)
        begin_slot(loader, slot);
    *b = loader->sample++;
    return slot;
}

static void *work(void *argument)
{
    struct loader *loader = argument;
    size_t b;
    pthread_mutex_lock(&loader->mutex);
    struct hand *hand = &loader->hands[loader->next_hand++];
    for (struct slot *slot; (slot = take_sample(loader, &b)) != NULL;) {
        pthread_mutex_unlock(&loader->mutex);
        int rc = loader_draw(loader, hand, slot, b);
        pthread_mutex_lock(&loader->mutex);
        if (rc != MOCO_OK)
            note_failure(slot, b, rc);
        if (++slot->done == loader->B)
            pthread_cond_signal(&loader->ready);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

void loader_stop(struct loader *loader)
{
    if (loader->running == 0)
        return;
    pthread_mutex_lock(&loader->mutex);
    loader->stop = 1;
    pthread_cond_broadcast(&loader->room);
    pthread_mutex_unlock(&loader->mutex);
    while (loader->running > 0)
        pthread_join(loader->threads[--loader->running], NULL);
}

static int start_workers(struct loader *loader)
{
    loader->stop = 0;
    loader->ticket = loader->wanted = 0;
    loader->sample = 0;
    loader->next_hand = 0;
    for (int i = 0; i < LOADER_SLOTS; i++)
        loader->slots[i].done = 0;
    while (loader->running < loader->workers) {
        int code = pthread_create(&loader->threads[loader->running], NULL, work, loader);
        if (code != 0) {
            int had = loader->running;
            loader_stop(loader);
            return error_set(MOCO_ENOMEM, "starting worker %d of %d: %s; ask for fewer workers",
                             had + 1, loader->workers, strerror(code));
        }
        loader->running++;
    }
    return MOCO_OK;
}

static int next_by_workers(struct loader *loader, const struct batch **out)
{
    pthread_mutex_lock(&loader->mutex);
    uint64_t mine = loader->wanted;
    struct slot *slot = &loader->slots[mine % LOADER_SLOTS];
    /* The slot may still carry the batch of four tickets ago: its count is that of a full one. */
    while (loader->ticket < mine || (loader->ticket == mine && loader->sample == 0) ||
           slot->done < loader->B)
        pthread_cond_wait(&loader->ready, &loader->mutex);
    loader->wanted++;
    pthread_cond_broadcast(&loader->room);
    pthread_mutex_unlock(&loader->mutex);
    return hand_over(loader, slot, out);
}

/* ---- the interface ---- */

size_t loader_steps(const struct loader *loader)
{
    return loader->steps / loader->parts;
}

int loader_seek(struct loader *loader, uint64_t epoch, size_t step)
{
    if (step >= loader_steps(loader))
        return error_set(MOCO_EARG, "step %zu of an epoch of %zu steps", step,
                         loader_steps(loader));
    loader_stop(loader); /* loader_next() starts them again */
    loader->epoch = epoch;
    loader->step = step * loader->parts;
    return MOCO_OK;
}

int loader_next(struct loader *loader, const struct batch **out)
{
    *out = NULL;
    if (loader->workers == 0)
        return next_by_team(loader, out);
    int rc = loader->running ? MOCO_OK : start_workers(loader);
    return rc == MOCO_OK ? next_by_workers(loader, out) : rc;
}
