/* loader_open.c: what a loader is made of: its settings are checked, its memory is counted and
 * taken, and given back. */
#define _GNU_SOURCE
#include "engine/data/loader_impl.h"

#include <omp.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/size.h"

enum { WORKERS_MAX = 1024 };

static size_t slots_of(int workers)
{
    return workers ? LOADER_SLOTS : 1;
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
    size_t slots = size_mul(slots_of(config->workers), config->B / (size_t)config->parts);
    size_t hand = size_add(source_reader_bytes(source), 2 * view * sizeof(float));
    return size_add(size_add(size_mul(slots, sample),
                             order_bytes(source_samples(source), window_of(config))),
                    size_mul(hands_of(config->workers), hand));
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
    for (int i = 0; i < LOADER_SLOTS; i++) {
        loader_forget_bad(&loader->slots[i], loader->B);
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
    loader_stop(loader);
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
