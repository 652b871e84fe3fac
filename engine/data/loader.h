/* loader.h: batches of pairs of views, in a reproducible order.
 *
 * In: a source and a policy. Out: batches x_q, x_k of (B, C, S, S) with the ids of their images.
 * The order of an epoch depends on (seed, epoch) alone (order.h); a view depends on
 * (seed, epoch, index of the image, 0 or 1) alone, never on the number of workers. The last,
 * partial batch of an epoch is dropped. Of a sample with several images two different ones are
 * drawn for the two views, which share no parameters. A batch may come in parts, so that memory
 * never holds a whole one: the images and their order are the same.
 * Some samples may be drawn more often: the last `extra` rows of each batch come from a list of
 * them, round after round, a function of (seed, epoch, step); each round sees them under views of
 * its own. The other rows go through all samples once an epoch as ever.
 * An image that can not be read is replaced by one drawn from the stream (seed, epoch, its index),
 * under the views that it would have had; the batch says so.
 * workers = 0: the OpenMP team makes the batch when it is asked for (no oversubscription, the
 * default); workers > 0: that many threads work ahead through a bounded queue of batches and sleep
 * when it is full. */
#ifndef MOCO_ENGINE_DATA_LOADER_H
#define MOCO_ENGINE_DATA_LOADER_H

#include "engine/data/view/augment.h"

/* An image that could not be read, and the sentence why. */
struct bad_image {
    int64_t id;
    char *why;
};

/* A batch, or a part of one: rows = B / parts. */
struct batch {
    float *x_q, *x_k;      /* (rows, C, S, S) */
    int64_t *ids;          /* (rows) sample of each row: the image's index, see source.h's views */
    struct bad_image *bad; /* (bad_count) those that others stand for, in the rows' order */
    size_t bad_count;
};

struct loader_config {
    size_t B;      /* images of a batch, a multiple of parts */
    int parts;     /* that a batch comes in */
    uint64_t seed;
    int workers;
    size_t window; /* order.h's; 0: ORDER_WINDOW */
    size_t extra;             /* rows of a batch from the list below, fewer than B */
    const int64_t *extra_ids; /* (extra_count) samples; borrowed, must outlive the loader */
    size_t extra_count;
};

struct loader; /* opaque */

/* Views of `source` under `policy`; both are borrowed and outlive the loader. */
int loader_open(struct loader **out, const struct source *source, const struct policy *policy,
                const struct loader_config *config);

/* Memory that a loader takes. */
size_t loader_bytes(const struct source *source, const struct policy *policy,
                    const struct loader_config *config);

/* Which images the two views of a sample are made of; `from` is the sample, or the one that it
 * takes the place of. */
void loader_images(uint64_t image[2], const struct source *source, uint64_t seed, uint64_t epoch,
                   uint64_t sample, uint64_t from);

/* Steps of an epoch: count / (B - extra). */
size_t loader_steps(const struct loader *loader);

/* The next batch asked for is step `step` of epoch `epoch` (both from 0), from its first part. Call
 * it at the start and to jump; going on to the following epoch happens by itself. */
int loader_seek(struct loader *loader, uint64_t epoch, size_t step);

/* The next batch or part; it belongs to the loader and is valid until the next call. A failure that
 * no other image helps with gives its sentence here, in the calling thread. */
int loader_next(struct loader *loader, const struct batch **out);

void loader_close(struct loader **loader);

#endif
