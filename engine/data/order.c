/* order.c: see order.h.
 *
 * The permutation without a table is a generalised Feistel network (Black and Rogaway, Ciphers with
 * arbitrary finite domains, 2002): i = row * columns + column, and in turn the row moves by a hash
 * of the column and the column by a hash of the row, which can be undone and so is one to one on
 * rows * columns numbers. These are few more than n; what lands outside is sent through again.
 *
 * In an epoch chunks are counted from a sample drawn for it, so their borders and the samples left
 * over behind the last whole chunk, which join the last window, are others each time. */
#define _GNU_SOURCE
#include "engine/data/order.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"

/* Streams of RNG_ORDER: 0 is the whole permutation's. */
enum { STREAM_START = 1, STREAM_CHUNKS, STREAM_WINDOWS };
static const uint64_t LAST_STREAM = UINT64_MAX; /* and those before it are the rounds' */

/* ---- a permutation without a table ---- */

/* The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
 * OOPSLA 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

void permuter_set(struct permuter *p, uint64_t n, uint64_t seed, uint64_t epoch, uint64_t index)
{
    struct rng rng = rng_at(seed, RNG_ORDER, epoch, index);
    p->n = n;
    p->rows = (uint64_t)ceil(sqrt((double)n));
    p->columns = (n + p->rows - 1) / p->rows;
    for (int i = 0; i < ORDER_ROUNDS; i++) {
        p->keys[i] = (uint64_t)rng_u32(&rng) << 32;
        p->keys[i] |= rng_u32(&rng);
    }
}

uint64_t permuter_at(const struct permuter *p, uint64_t i)
{
    do {
        uint64_t row = i / p->columns, column = i % p->columns;
        for (int r = 0; r < ORDER_ROUNDS; r += 2) {
            row = (row + mix(column + p->keys[r]) % p->rows) % p->rows;
            column = (column + mix(row + p->keys[r + 1]) % p->columns) % p->columns;
        }
        i = row * p->columns + column;
    } while (i >= p->n);
    return i;
}

/* ---- rounds ---- */

void rounds_open(struct rounds *r, uint64_t n, uint64_t seed)
{
    *r = (struct rounds){ .n = n, .seed = seed };
}

uint64_t rounds_at(struct rounds *r, uint64_t place, uint64_t *round)
{
    *round = place / r->n;
    if (!r->ready || r->round != *round) {
        permuter_set(&r->permuter, r->n, r->seed, 0, LAST_STREAM - *round);
        r->round = *round;
        r->ready = 1;
    }
    return permuter_at(&r->permuter, place % r->n);
}

/* ---- the order ---- */

size_t order_bytes(size_t count, size_t window)
{
    return count <= window ? count * sizeof(uint32_t) : 0;
}

int order_open(struct order *order, size_t count, size_t window, uint64_t seed)
{
    *order = (struct order){ .seed = seed, .count = count };
    if (window < ORDER_WINDOW_MIN || window > ORDER_WINDOW_MAX)
        return error_set(MOCO_EARG, "images are shuffled in windows of %d to %d, not %zu",
                         ORDER_WINDOW_MIN, ORDER_WINDOW_MAX, window);
    if (count <= window) {
        order->whole = malloc(count * sizeof *order->whole);
        return order->whole ? MOCO_OK
                            : error_memory("the order of images", order_bytes(count, window));
    }
    order->chunk = window / 64 < ORDER_CHUNK ? window / 64 : ORDER_CHUNK;
    order->chunks = count / order->chunk;
    uint64_t most = window / order->chunk; /* chunks of a window */
    order->windows = (order->chunks + most - 1) / most;
    return MOCO_OK;
}

void order_close(struct order *order)
{
    free(order->whole);
    *order = (struct order){ 0 };
}

/* The first chunk of a window; windows share the chunks evenly. */
static uint64_t first_chunk(const struct order *order, uint64_t window)
{
    return window * order->chunks / order->windows;
}

static void begin_window(struct order *order, uint64_t window)
{
    uint64_t first = first_chunk(order, window), end = first_chunk(order, window + 1);
    uint64_t n = (end - first) * order->chunk;
    if (window + 1 == order->windows)
        n = order->count - first * order->chunk;
    order->window = window;
    permuter_set(&order->inside, n, order->seed, order->epoch, STREAM_WINDOWS + window);
}

static void begin_epoch(struct order *order, uint64_t epoch)
{
    struct rng rng = rng_at(order->seed, RNG_ORDER, epoch, order->whole ? 0 : STREAM_START);
    order->epoch = epoch;
    order->ready = 1;
    if (order->whole) {
        rng_permutation(&rng, order->whole, (size_t)order->count);
        return;
    }
    order->start = rng_below(&rng, order->count);
    permuter_set(&order->outside, order->chunks, order->seed, epoch, STREAM_CHUNKS);
    begin_window(order, 0);
}

/* The window that holds a chunk's place: the last whose first chunk is not behind it. */
static uint64_t window_of(const struct order *order, uint64_t chunk)
{
    chunk = chunk < order->chunks ? chunk : order->chunks - 1; /* left over: in the last one */
    return ((chunk + 1) * order->windows - 1) / order->chunks;
}

static uint64_t sample_at(struct order *order, uint64_t place)
{
    uint64_t window = window_of(order, place / order->chunk);
    if (window != order->window)
        begin_window(order, window);
    uint64_t start = first_chunk(order, window) * order->chunk;
    place = start + permuter_at(&order->inside, place - start);
    uint64_t chunk = place / order->chunk;
    if (chunk < order->chunks)
        place += (permuter_at(&order->outside, chunk) - chunk) * order->chunk;
    return (order->start + place) % order->count;
}

void order_take(struct order *order, int64_t *out, uint64_t epoch, size_t first, size_t n)
{
    if (!order->ready || order->epoch != epoch)
        begin_epoch(order, epoch);
    for (size_t i = 0; i < n; i++)
        out[i] = (int64_t)(order->whole ? order->whole[first + i]
                                        : sample_at(order, (uint64_t)(first + i)));
}
