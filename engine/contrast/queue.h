/* queue.h: the dictionary of MoCo, a true ring (He et al. 2019, section 3.2).
 *
 * Any K >= 1 and any N <= K: a batch that wraps keeps every key, oldest out first. Every slot
 * knows the image it came from (-1: random start), and a fill counter says how many slots do. */
#ifndef MOCO_ENGINE_CONTRAST_QUEUE_H
#define MOCO_ENGINE_CONTRAST_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct queue {
    float *keys;   /* (K, D) unit rows; owned */
    int64_t *ids;  /* (K) image of each slot, -1 = none; owned */
    size_t K, D;
    int64_t ptr;   /* slot that the next key takes */
    int64_t fill;  /* slots that hold a key of an image, 0..K */
};

/* Memory of a queue. */
static inline size_t queue_bytes(size_t K, size_t D)
{
    return K * (D * sizeof(float) + sizeof(int64_t));
}

/* Random unit rows, ids -1, empty. */
int queue_open(struct queue *queue, size_t K, size_t D, uint64_t seed);

/* keys: (N, D), ids: (N) or NULL (then -2, an image without a number). N > K is an error that
 * names both. */
int queue_push(struct queue *queue, const float *keys, const int64_t *ids, size_t N);
void queue_close(struct queue *queue);

#endif
