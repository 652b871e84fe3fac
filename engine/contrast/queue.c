/* queue.c: the ring of MoCo (He et al. 2019, section 3.2; Algorithm 1, enqueue and dequeue).
 *
 * slot (ptr + i) mod K takes key i; ptr <- (ptr + N) mod K; fill <- min(fill + N, K). A batch that
 * passes the end of the ring is two copies, so K needs not be a multiple of N. */
#include "engine/contrast/queue.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/contrast/rows.h"

enum { NO_IMAGE = -1, NAMELESS_IMAGE = -2 };

int queue_open(struct queue *queue, size_t K, size_t D, uint64_t seed)
{
    *queue = (struct queue){ .K = K, .D = D };
    if (K == 0 || D == 0)
        return error_set(MOCO_EARG, "a queue of %zu keys of %zu columns: both must be at least 1",
                         K, D);
    if (D > SIZE_MAX / sizeof(float) / K || K > SIZE_MAX / sizeof(int64_t))
        return error_memory("the queue", SIZE_MAX);
    queue->keys = malloc(K * D * sizeof *queue->keys);
    queue->ids = malloc(K * sizeof *queue->ids);
    if (!queue->keys || !queue->ids)
        goto fail;
    rows_random_unit(queue->keys, K, D, seed);
    for (size_t i = 0; i < K; i++)
        queue->ids[i] = NO_IMAGE;
    return MOCO_OK;
fail:
    queue_close(queue);
    return error_memory("the queue", K * D * sizeof(float) + K * sizeof(int64_t));
}

/* n keys into the slots from `slot` on; they do not pass the end of the ring. */
static void put(struct queue *queue, size_t slot, const float *keys, const int64_t *ids, size_t n)
{
    memcpy(queue->keys + slot * queue->D, keys, n * queue->D * sizeof *keys);
    for (size_t i = 0; i < n; i++)
        queue->ids[slot + i] = ids ? ids[i] : NAMELESS_IMAGE;
}

int queue_push(struct queue *queue, const float *keys, const int64_t *ids, size_t N)
{
    size_t slot = (size_t)queue->ptr, fill = (size_t)queue->fill, K = queue->K, tail;

    if (N > K)
        return error_set(MOCO_EARG, "%zu keys a step do not fit a queue of %zu; use a smaller "
                         "batch or a longer queue", N, K);
    /* Both may come from a checkpoint: a damaged one must not write outside the ring. */
    if (queue->ptr < 0 || slot >= K || queue->fill < 0 || fill > K)
        return error_set(MOCO_EFORMAT, "the queue of %zu keys has pointer %lld and fill %lld; its "
                         "checkpoint is damaged", K, (long long)queue->ptr,
                         (long long)queue->fill);
    tail = K - slot < N ? K - slot : N;
    put(queue, slot, keys, ids, tail);
    if (N > tail)
        put(queue, 0, keys + tail * queue->D, ids ? ids + tail : NULL, N - tail);
    queue->ptr = (int64_t)((slot + N) % K);
    queue->fill = (int64_t)(fill + N < K ? fill + N : K);
    return MOCO_OK;
}

void queue_close(struct queue *queue)
{
    free(queue->keys);
    free(queue->ids);
    *queue = (struct queue){ 0 };
}
