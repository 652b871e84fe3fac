/* loader.c: batches of pairs of views; see loader.h.
 *
 * A slot is a batch, or a part of one, in the making. Slots are filled in the order of tickets (0,
 * 1, …): who takes the first sample of a ticket writes the ids of the whole slot, so what is in
 * it never depends on who draws it. With workers, four slots form a ring: one in the caller's
 * hands and three ahead. Threads share the samples of a slot, not whole slots: the first batch is
 * ready soonest, and all state between them is under one mutex that is held for moments only. */
#define _GNU_SOURCE
#include "engine/data/loader.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/order.h"
#include "engine/data/part.h"

enum { AHEAD = 3, SLOTS = AHEAD + 1, WORKERS_MAX = 1024, SENTENCE = 1024 };
enum { REPLACEMENTS = 16 }; /* tried for an image that can not be read */
enum { ROUND_BIT = 40 };    /* of an index of a stream: above all samples */

struct slot {
    struct batch batch;
    uint64_t *from;          /* (B) each row's sample, as its streams name it */
    uint64_t epoch;
    size_t done;             /* samples */
    int rc;                  /* of the first sample of the batch that failed */
    size_t failed;           /* which one */
    char sentence[SENTENCE]; /* about it */
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
    struct slot slots[SLOTS];
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

/* ---- a sample ---- */

/* Views first..end-1 of image `index`, under the parameters of sample `from`. */
static int draw_image(const struct loader *loader, struct hand *hand, struct slot *slot, size_t b,
                      uint64_t index, uint64_t from, int first, int end)
{
    const struct source *source = loader->source;
    const struct policy *policy = loader->policy;
    float *dst[2] = { slot->batch.x_q, slot->batch.x_k };
    struct view views[2];
    int height, width, rc = part_size(source, (size_t)index, &hand->image, &height, &width);
    for (int i = first; i < end && rc == MOCO_OK; i++) {
        struct rng rng = rng_at(loader->seed, RNG_VIEW, slot->epoch, 2 * from + (uint64_t)i);
        augment_draw(&views[i], policy, height, width, &rng);
    }
    if (rc == MOCO_OK)
        rc = part_read(source, (size_t)index, &hand->image, views + first, end - first,
                       policy->side);
    if (rc == MOCO_OK && hand->image.channels != policy->channels)
        rc = error_set(MOCO_EFORMAT, "%s: image %llu has %d channels, but the views have %d",
                       source->where, (unsigned long long)index, hand->image.channels,
                       policy->channels);
    for (int i = first; i < end && rc == MOCO_OK; i++)
        rc = augment_apply(dst[i] + b * loader->view_floats, &hand->image, &views[i], policy,
                           &hand->scratch);
    return rc;
}

void loader_images(uint64_t image[2], const struct source *source, uint64_t seed, uint64_t epoch,
                   uint64_t sample, uint64_t from)
{
    uint64_t T = source_views(source);
    image[0] = image[1] = sample * T;
    if (T == 1)
        return;
    struct rng rng = rng_at(seed, RNG_PAIR, epoch, from);
    uint64_t a = rng_below(&rng, T), b = rng_below(&rng, T - 1);
    image[0] += a;
    image[1] += b + (b >= a);
}

/* The two views of a sample; `from`: whose parameters they have. */
static int draw_views(const struct loader *loader, struct hand *hand, struct slot *slot, size_t b,
                      uint64_t sample, uint64_t from)
{
    uint64_t image[2];
    loader_images(image, loader->source, loader->seed, slot->epoch, sample, from);
    if (image[0] == image[1])
        return draw_image(loader, hand, slot, b, image[0], from, 0, 2);
    int rc = draw_image(loader, hand, slot, b, image[0], from, 0, 1);
    return rc == MOCO_OK ? draw_image(loader, hand, slot, b, image[1], from, 1, 2) : rc;
}

/* Others in the place of a sample that can not be read. */
static int replace_sample(const struct loader *loader, struct hand *hand, struct slot *slot,
                          size_t b, int rc)
{
    int64_t *id = &slot->batch.ids[b];
    uint64_t from = slot->from[b];
    struct rng rng = rng_at(loader->seed, RNG_REPLACE, slot->epoch, from);
    struct bad_image *bad = &slot->batch.bad[b];
    *bad = (struct bad_image){ *id, strdup(error_text()) };
    if (!bad->why)
        return error_memory("a sentence", SENTENCE);
    for (int i = 0; i < REPLACEMENTS && source_is_bad(rc); i++) {
        *id = (int64_t)rng_below(&rng, source_samples(loader->source));
        rc = draw_views(loader, hand, slot, b, (uint64_t)*id, from);
    }
    if (source_is_bad(rc))
        return error_set(rc, "an image and %d drawn in its place can not be read; the first: %s",
                         REPLACEMENTS, bad->why);
    return rc;
}

static int draw_sample(const struct loader *loader, struct hand *hand, struct slot *slot, size_t b)
{
    uint64_t index = (uint64_t)slot->batch.ids[b];
    int rc = draw_views(loader, hand, slot, b, index, slot->from[b]);
    return source_is_bad(rc) ? replace_sample(loader, hand, slot, b, rc) : rc;
}

/* Keeps the failure of the lowest sample, whichever thread comes first. */
static void note_failure(struct slot *slot, size_t b, int rc)
{
    if (slot->rc != MOCO_OK && slot->failed < b)
        return;
    slot->rc = rc;
    slot->failed = b;
    snprintf(slot->sentence, sizeof slot->sentence, "%s", error_text());
}

/* ---- order ---- */

static void forget_bad(struct slot *slot, size_t B)
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
    forget_bad(slot, loader->B);
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
        int rc = draw_sample(loader, &loader->hands[omp_get_thread_num()], slot, b);
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
    while (!loader->stop && loader->sample == 0 && loader->ticket >= loader->wanted + AHEAD)
        pthread_cond_wait(&loader->room, &loader->mutex);
    if (loader->stop)
        return NULL;
    /* While this thread slept, another may have handed out the whole ticket. */
    if (loader->sample == loader->B)
        return take_sample(loader, b);
    struct slot *slot = &loader->slots[loader->ticket % SLOTS];
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
        int rc = draw_sample(loader, hand, slot, b);
        pthread_mutex_lock(&loader->mutex);
        if (rc != MOCO_OK)
            note_failure(slot, b, rc);
        if (++slot->done == loader->B)
            pthread_cond_signal(&loader->ready);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

static void stop_workers(struct loader *loader)
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
    for (int i = 0; i < SLOTS; i++)
        loader->slots[i].done = 0;
    while (loader->running < loader->workers) {
        int code = pthread_create(&loader->threads[loader->running], NULL, work, loader);
        if (code != 0) {
            int had = loader->running;
            stop_workers(loader);
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
    struct slot *slot = &loader->slots[mine % SLOTS];
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
    stop_workers(loader); /* loader_next() starts them again */
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

static size_t slots_of(int workers)
{
    return workers ? SLOTS : 1;
}

static size_t hands_of(int workers)
{
    return workers ? (size_t)workers : (size_t)omp_get_max_threads();
}

static size_t window_of(const struct loader_config *config)
{
    return config->window ? config->window : ORDER_WINDOW;
}

size_t loader_bytes(const struct source *source, const struct policy *policy,
                    const struct loader_config *config)
{
    size_t view = (size_t)policy->channels * (size_t)policy->side * (size_t)policy->side;
    size_t sample = 2 * view * sizeof(float) + sizeof(int64_t) + sizeof(uint64_t) +
                    sizeof(struct bad_image);
    return slots_of(config->workers) * (config->B / (size_t)config->parts) * sample +
           order_bytes(source_samples(source), window_of(config)) +
           hands_of(config->workers) * (source_reader_bytes(source) + 2 * view * sizeof(float));
}

static int check(const struct source *source, const struct policy *policy,
                 const struct loader_config *c)
{
    if (c->B == 0 || c->B > source_samples(source))
        return error_set(MOCO_EARG, "a batch of %zu from %zu images of %s: a batch needs 1 to all "
                         "images", c->B, source_samples(source), source->where);
    if (c->parts < 1 || c->B % (size_t)c->parts)
        return error_set(MOCO_EARG, "a batch of %zu can not come in %d equal parts", c->B,
                         c->parts);
    if (c->extra && (c->extra >= c->B || !c->extra_count || c->parts > 1))
        return error_set(MOCO_EARG, "%zu of the %zu images of a batch from %zu that are drawn more "
                         "often, in %d part%s: fewer than all, from at least 1, in 1 part",
                         c->extra, c->B, c->extra_count, c->parts, c->parts == 1 ? "" : "s");
    if (c->workers < 0 || c->workers > WORKERS_MAX)
        return error_set(MOCO_EARG, "%d workers; give 0 to %d", c->workers, WORKERS_MAX);
    if (policy->side <= 0 || policy->channels <= 0 || policy->channels > AUGMENT_CHANNELS_MAX)
        return error_set(MOCO_EARG, "views of %d channels, side %d: give 1 to %d channels and a "
                         "positive side", policy->channels, policy->side, AUGMENT_CHANNELS_MAX);
    return MOCO_OK;
}

static int allocate(struct loader *loader)
{
    size_t bytes = loader->B * loader->view_floats * sizeof(float);
    loader->hands = calloc((size_t)loader->hand_count, sizeof *loader->hands);
    loader->threads = calloc((size_t)loader->workers + 1, sizeof *loader->threads);
    if (!loader->hands || !loader->threads)
        return error_memory("the threads of a loader",
                            (size_t)loader->hand_count * sizeof *loader->hands);
    for (int i = 0; i < loader->slot_count; i++) {
        struct batch *batch = &loader->slots[i].batch;
        batch->x_q = malloc(bytes);
        batch->x_k = malloc(bytes);
        batch->ids = malloc(loader->B * sizeof *batch->ids);
        loader->slots[i].from = malloc(loader->B * sizeof *loader->slots[i].from);
        batch->bad = calloc(loader->B, sizeof *batch->bad);
        if (!batch->x_q || !batch->x_k || !batch->ids || !batch->bad ||
            !loader->slots[i].from)
            return error_memory("batches", 2 * bytes * (size_t)loader->slot_count);
    }
    return MOCO_OK;
}

static int open_mutex(struct loader *loader)
{
    if (pthread_mutex_init(&loader->mutex, NULL) != 0)
        return error_set(MOCO_ENOMEM, "no mutex for the loader");
    pthread_cond_init(&loader->room, NULL); /* neither fails on Linux with default attributes */
    pthread_cond_init(&loader->ready, NULL);
    loader->has_mutex = 1;
    return MOCO_OK;
}

int loader_open(struct loader **out, const struct source *source, const struct policy *policy,
                const struct loader_config *c)
{
    *out = NULL;
    int rc = check(source, policy, c);
    if (rc != MOCO_OK)
        return rc;
    struct loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return error_memory("a loader", sizeof *loader);
    *loader = (struct loader){ .source = source, .policy = policy, .B = c->B / (size_t)c->parts,
                               .parts = (size_t)c->parts, .seed = c->seed, .workers = c->workers,
                               .extra = c->extra, .extra_ids = c->extra_ids };
    loader->steps = source_samples(source) / (c->B - c->extra) * (size_t)c->parts;
    rounds_open(&loader->rounds, c->extra_count, c->seed);
    loader->view_floats = (size_t)policy->channels * (size_t)policy->side * (size_t)policy->side;
    loader->slot_count = (int)slots_of(c->workers);
    loader->hand_count = (int)hands_of(c->workers);
    rc = order_open(&loader->order, source_samples(source), window_of(c), c->seed);
    if (rc == MOCO_OK)
        rc = allocate(loader);
    if (rc == MOCO_OK)
        rc = open_mutex(loader);
    if (rc != MOCO_OK)
        goto fail;
    *out = loader;
    return MOCO_OK;
fail:
    loader_close(&loader);
    return rc;
}

static void close_slots(struct loader *loader)
{
    for (int i = 0; i < SLOTS; i++) {
        forget_bad(&loader->slots[i], loader->B);
        free(loader->slots[i].batch.bad);
        free(loader->slots[i].batch.x_q);
        free(loader->slots[i].batch.x_k);
        free(loader->slots[i].batch.ids);
        free(loader->slots[i].from);
    }
}

static void close_hands(struct loader *loader)
{
    for (int i = 0; loader->hands && i < loader->hand_count; i++) {
        image_close(&loader->hands[i].image);
        augment_scratch_close(&loader->hands[i].scratch);
    }
    free(loader->hands);
}

void loader_close(struct loader **out)
{
    struct loader *loader = out ? *out : NULL;
    if (!loader)
        return;
    stop_workers(loader);
    if (loader->has_mutex) {
        pthread_mutex_destroy(&loader->mutex);
        pthread_cond_destroy(&loader->room);
        pthread_cond_destroy(&loader->ready);
    }
    close_slots(loader);
    close_hands(loader);
    free(loader->threads);
    order_close(&loader->order);
    free(loader);
    *out = NULL;
}
