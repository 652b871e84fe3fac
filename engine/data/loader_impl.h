/* loader_impl.h: a loader from inside, for loader.c and the files beside it.
 *
 * A slot is a batch, or a part of one, in the making. */
#ifndef MOCO_ENGINE_DATA_LOADER_IMPL_H
#define MOCO_ENGINE_DATA_LOADER_IMPL_H

#include <pthread.h>

#include "engine/data/loader.h"
#include "engine/data/order.h"

enum { LOADER_AHEAD = 3, LOADER_SLOTS = LOADER_AHEAD + 1, LOADER_SENTENCE = 1024 };

struct slot {
    struct batch batch;
    uint64_t *from;          /* (B) each row's sample, as its streams name it */
    uint64_t epoch;
    size_t done;             /* samples */
    int rc;                  /* of the first sample of the batch that failed */
    size_t failed;           /* which one */
    char sentence[LOADER_SENTENCE];
};

/* What a thread draws with. */
struct hand {
    struct image image;
    struct augment_scratch scratch;
};

struct loader {
    const struct source *source;
    const struct policy *policy;
    size_t B, steps, view_floats; /* samples of a slot; slots of an epoch; floats of a view */
    size_t parts;          /* slots of a step */
    uint64_t seed;
    struct order order;
    size_t extra;          /* rows of a slot from extra_ids */
    const int64_t *extra_ids;
    struct rounds rounds;  /* over extra_ids */
    uint64_t epoch;        /* of the next ticket to be begun */
    size_t step;
    int slot_count;
    struct slot slots[LOADER_SLOTS];
    int hand_count;
    struct hand *hands;    /* (hand_count) */

    int workers, running;  /* asked for; started */
    pthread_t *threads;    /* (workers) */
    pthread_mutex_t mutex; /* guards all below, the slots' counts and the order */
    pthread_cond_t room, ready;
    int has_mutex, stop;
    uint64_t ticket, wanted; /* being handed out; next for the caller */
    size_t sample;         /* next one of `ticket`; B: a new ticket is due */
    int next_hand;
};

/* Draws both views of row b of a slot; a sample that can not be read is replaced. Threads share no
 * hand, and nothing of the loader is written. */
int loader_draw(const struct loader *loader, struct hand *hand, struct slot *slot, size_t b);

/* The sentences of a slot's bad images are freed. */
void loader_forget_bad(struct slot *slot, size_t B);

/* Ends the workers, if there are any; loader_next() starts them again. */
void loader_stop(struct loader *loader);

#endif
