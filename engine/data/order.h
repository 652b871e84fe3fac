/* order.h: the order of the samples of an epoch, a function of (seed, epoch, place) alone.
 *
 * In: numbers of an epoch's places. Out: samples, each exactly once an epoch. Up to `window`
 * samples are shuffled as a whole (Fisher-Yates, 4 bytes a sample). Of a larger set, chunks of
 * neighbours are permuted over all of it and dealt into windows of at most `window` samples, each
 * of which is shuffled: reading stays in the chunks of one window at a time, so what the system
 * keeps of the file in memory serves them all. (The last window also has the fewer than a chunk
 * that were left over.) Both permutations are computed where they are asked for, so a large set
 * takes no memory and any place is reached at once. */
#ifndef MOCO_ENGINE_DATA_ORDER_H
#define MOCO_ENGINE_DATA_ORDER_H

#include <stddef.h>
#include <stdint.h>

enum {
    ORDER_WINDOW = 1 << 22,     /* the usual window: 16 MiB of order at most */
    ORDER_WINDOW_MIN = 64,
    ORDER_WINDOW_MAX = 1 << 24, /* 64 MiB */
    ORDER_CHUNK = 1024,         /* samples, or a 64th of a smaller window */
    ORDER_ROUNDS = 8,
};

/* A permutation of 0..n-1 without a table. */
struct permuter {
    uint64_t n, rows, columns;   /* rows * columns >= n */
    uint64_t keys[ORDER_ROUNDS];
};

/* keys from the stream (seed, RNG_ORDER, epoch, index); n > 0. */
void permuter_set(struct permuter *p, uint64_t n, uint64_t seed, uint64_t epoch, uint64_t index);
uint64_t permuter_at(const struct permuter *p, uint64_t i);

/* Samples 0..n-1 round after round without an end, each round a permutation of its own. */
struct rounds {
    struct permuter permuter;
    uint64_t seed, n, round; /* that `permuter` is of */
    int ready;
};

void rounds_open(struct rounds *rounds, uint64_t n, uint64_t seed); /* n > 0 */

/* The sample of a place, a function of (seed, place); *round: place / n. */
uint64_t rounds_at(struct rounds *rounds, uint64_t place, uint64_t *round);

struct order {
    uint64_t seed, count, epoch;
    int ready;                /* what follows is of `epoch` */
    uint32_t *whole;          /* (count), NULL for a large set; owned */
    uint64_t chunk, chunks, windows;
    uint64_t start;           /* of an epoch: the sample that chunks are counted from */
    uint64_t window;          /* that `inside` shuffles */
    struct permuter outside, inside;
};

/* count > 0; window: ORDER_WINDOW_MIN..ORDER_WINDOW_MAX. An order that is {0} may be closed. */
int order_open(struct order *order, size_t count, size_t window, uint64_t seed);
void order_close(struct order *order);

/* Memory that it takes. */
size_t order_bytes(size_t count, size_t window);

/* out: (n), the samples of the places first..first+n-1 of `epoch`; first + n <= count. */
void order_take(struct order *order, int64_t *out, uint64_t epoch, size_t first, size_t n);

#endif
