/* loader.c: see loader.h. A batch is a pure function of (seed, epoch, step): the OpenMP team or any
 * worker may make any batch, and nothing but the order of delivery is shared between them.
 * With workers, a ring of SLOTS batches passes between them and the caller; both sleep on a
 * condition when there is nothing to do. */
#include "engine/data/loader.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { SLOTS_AHEAD = 2 };

/* Working memory of one thread. */
struct hand {
    struct image image;
    struct augment_scratch scratch;
};

enum slot_state { SLOT_FREE, SLOT_TAKEN, SLOT_READY };

struct slot {
    struct batch batch;
    enum slot_state state;
    uint64_t number; /* of the batch since the seek */
    int err;
    char sentence[1024];
};

struct loader {
    const struct source *source;
    const struct policy *policy;
    size_t B, steps;
    uint64_t seed;
    uint32_t *order; /* (count) of `order_epoch` */
    uint64_t order_epoch;
    int has_order;
    uint64_t first; /* batch number 0 is step first of the run: epoch * steps + step */
    uint64_t next;  /* number that the caller takes next */

    struct hand *hands;
    int hand_count;
    struct slot *slots;
    int slot_count;

    int workers;
    pthread_t *threads;
    int running; /* threads that were started */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    uint64_t claimed; /* number that the next worker takes */
    int stop, held;   /* held: slot with the caller, -1 none */
};

size_t loader_steps(const struct loader *loader)
{
    return loader->steps;
}

static void make_order(uint32_t *order, size_t count, uint64_t seed, uint64_t epoch)
{
    struct rng rng = rng_at(seed, RNG_ORDER, epoch, 0);
    rng_permutation(&rng, order, count);
}

/* Both views of sample i of a batch. */
static int make_pair(const struct loader *l, struct hand *hand, const struct batch *batch, size_t i,
                     uint64_t epoch)
{
    size_t index = (size_t)batch->ids[i];
    size_t floats = (size_t)l->policy->channels * (size_t)l->policy->side * (size_t)l->policy->side;
    int err = l->source->read(l->source, index, &hand->image);
    for (unsigned view = 0; view < 2 && !err; view++) {
        struct rng rng = rng_at(l->seed, RNG_VIEW, epoch, 2 * (uint64_t)index + view);
        struct view drawn;
        augment_draw(&drawn, l->policy, hand->image.height, hand->image.width, &rng);
        err = augment_apply((view ? batch->x_k : batch->x_q) + i * floats, &hand->image, &drawn,
                            l->policy, &hand->scratch);
    }
    return err;
}

static void set_ids(const struct loader *l, struct slot *slot, const uint32_t *order, size_t step)
{
    for (size_t i = 0; i < l->B; i++)
        slot->batch.ids[i] = order[step * l->B + i];
}

/* The OpenMP team makes one batch. */
static void make_together(struct loader *l, struct slot *slot, uint64_t epoch)
{
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 4) num_threads(l->hand_count)
    for (long i = 0; i < (long)l->B; i++) {
        int err = make_pair(l, &l->hands[omp_get_thread_num()], &slot->batch, (size_t)i, epoch);
        if (err) {
#pragma omp critical(moco_loader)
            if (!failed) {
                failed = err;
                snprintf(slot->sentence, sizeof slot->sentence, "%s", error_text());
            }
        }
    }
    slot->err = failed;
}

static void make_alone(struct loader *l, struct hand *hand, struct slot *slot, uint64_t epoch)
{
    slot->err = MOCO_OK;
    for (size_t i = 0; i < l->B && !slot->err; i++)
        slot->err = make_pair(l, hand, &slot->batch, i, epoch);
    if (slot->err)
        snprintf(slot->sentence, sizeof slot->sentence, "%s", error_text());
}

/* Under the lock: ids of batch `number`; the order is remade when its epoch begins. */
static uint64_t begin_batch(struct loader *l, struct slot *slot, uint64_t number)
{
    uint64_t at = l->first + number, epoch = at / l->steps;
    if (!l->has_order || epoch != l->order_epoch) {
        make_order(l->order, l->source->count, l->seed, epoch);
        l->order_epoch = epoch;
        l->has_order = 1;
    }
    set_ids(l, slot, l->order, (size_t)(at % l->steps));
    slot->number = number;
    return epoch;
}

struct worker {
    struct loader *loader;
    struct hand *hand;
};

static struct slot *free_slot(struct loader *l)
{
    for (int i = 0; i < l->slot_count; i++)
        if (l->slots[i].state == SLOT_FREE)
            return &l->slots[i];
    return NULL;
}

static void *work(void *argument)
{
    struct worker me = *(struct worker *)argument;
    struct loader *l = me.loader;
    struct slot *slot;

    free(argument);
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->stop && !(slot = free_slot(l)))
            pthread_cond_wait(&l->work, &l->lock);
        if (l->stop)
            break;
        slot->state = SLOT_TAKEN;
        uint64_t epoch = begin_batch(l, slot, l->claimed++);
        pthread_mutex_unlock(&l->lock);
        make_alone(l, me.hand, slot, epoch);
        pthread_mutex_lock(&l->lock);
        slot->state = SLOT_READY;
        pthread_cond_broadcast(&l->done);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static void stop_workers(struct loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->stop = 1;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->running; i++)
        pthread_join(l->threads[i], NULL);
    l->running = 0;
    l->stop = 0;
}

static int start_workers(struct loader *l)
{
    for (int i = 0; i < l->workers; i++) {
        struct worker *w = malloc(sizeof *w);
        if (!w)
            return error_memory("a loader thread", sizeof *w);
        *w = (struct worker){ l, &l->hands[i] };
        if (pthread_create(&l->threads[i], NULL, work, w)) {
            free(w);
            return error_set(MOCO_ENOMEM, "the system refused loader thread %d of %d: use fewer "
                             "--workers", i + 1, l->workers);
        }
        l->running++;
    }
    return MOCO_OK;
}

int loader_seek(struct loader *l, uint64_t epoch, size_t step)
{
    stop_workers(l);
    for (int i = 0; i < l->slot_count; i++)
        l->slots[i].state = SLOT_FREE;
    l->first = epoch * l->steps + step;
    l->next = l->claimed = 0;
    l->held = -1;
    l->has_order = 0;
    return start_workers(l);
}

static struct slot *ready_slot(struct loader *l, uint64_t number)
{
    for (int i = 0; i < l->slot_count; i++)
        if (l->slots[i].state == SLOT_READY && l->slots[i].number == number)
            return &l->slots[i];
    return NULL;
}

/* Gives back what the caller held and waits for the next in order. */
static struct slot *take_from_workers(struct loader *l)
{
    struct slot *slot;
    pthread_mutex_lock(&l->lock);
    if (l->held >= 0)
        l->slots[l->held].state = SLOT_FREE;
    pthread_cond_broadcast(&l->work);
    while (!(slot = ready_slot(l, l->next)))
        pthread_cond_wait(&l->done, &l->lock);
    l->held = (int)(slot - l->slots);
    pthread_mutex_unlock(&l->lock);
    return slot;
}

int loader_next(struct loader *l, const struct batch **out)
{
    struct slot *slot = &l->slots[0];
    if (l->workers)
        slot = take_from_workers(l);
    else
        make_together(l, slot, begin_batch(l, slot, l->next));
    l->next++;
    *out = &slot->batch;
    return slot->err ? error_set(slot->err, "%s", slot->sentence) : MOCO_OK;
}

static int open_slots(struct loader *l)
{
    size_t floats = l->B * (size_t)l->policy->channels * (size_t)l->policy->side *
                    (size_t)l->policy->side;
    for (int i = 0; i < l->slot_count; i++) {
        struct batch *b = &l->slots[i].batch;
        b->x_q = malloc(floats * sizeof *b->x_q);
        b->x_k = malloc(floats * sizeof *b->x_k);
        b->ids = malloc(l->B * sizeof *b->ids);
        if (!b->x_q || !b->x_k || !b->ids)
            return error_memory("a batch", 2 * floats * sizeof *b->x_q);
    }
    return MOCO_OK;
}

int loader_open(struct loader **out, const struct source *source, const struct policy *policy,
                size_t B, uint64_t seed, int workers)
{
    struct loader *l = calloc(1, sizeof *l);
    int err;

    *out = NULL;
    if (!l)
        return error_memory("the loader", sizeof *l);
    *l = (struct loader){ .source = source, .policy = policy, .B = B, .seed = seed, .held = -1,
                          .workers = workers > 0 ? workers : 0, .steps = source->count / B };
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->done, NULL);
    l->hand_count = workers > 0 ? workers : omp_get_max_threads();
    l->slot_count = workers > 0 ? workers + SLOTS_AHEAD : 1;
    l->order = malloc(source->count * sizeof *l->order);
    l->hands = calloc((size_t)l->hand_count, sizeof *l->hands);
    l->slots = calloc((size_t)l->slot_count, sizeof *l->slots);
    l->threads = calloc((size_t)l->hand_count, sizeof *l->threads);
    err = l->order && l->hands && l->slots && l->threads
              ? open_slots(l)
              : error_memory("the loader", source->count * sizeof *l->order);
    if (!err && l->steps == 0)
        err = error_set(MOCO_EARG, "a batch of %zu is larger than the %zu images of %s", B,
                        source->count, source->where);
    if (err)
        loader_close(&l);
    *out = l;
    return err;
}

void loader_close(struct loader **loader)
{
    struct loader *l = *loader;
    if (!l)
        return;
    stop_workers(l);
    for (int i = 0; l->slots && i < l->slot_count; i++) {
        free(l->slots[i].batch.x_q);
        free(l->slots[i].batch.x_k);
        free(l->slots[i].batch.ids);
    }
    for (int i = 0; l->hands && i < l->hand_count; i++) {
        image_close(&l->hands[i].image);
        augment_scratch_close(&l->hands[i].scratch);
    }
    pthread_cond_destroy(&l->done);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l->threads);
    free(l->slots);
    free(l->hands);
    free(l->order);
    free(l);
    *loader = NULL;
}
