/* knn_body.h: the k nearest keys of each query, one pass over panels of keys.
 *
 * A panel is packed once and meets all queries; a tile's similarities are compared with the
 * queries' floors while they are warm, and the few above join the lists (k ln(K / k) of K in random
 * order). A full list is cut by halving the interval of ordered floats that holds the k-th value,
 * counting with vectors: first over the whole list, then over the band that is left. */
#include <math.h>
#include <string.h>

#include "simd/tile.h"

enum { BAND = 4 * MOCO_VL };

/* Floats in rising order as integers: the magnitude of the negative ones is turned over. */
static float float_of(int64_t order)
{
    int32_t bits = (int32_t)(order < 0 ? order ^ INT32_MAX : order);
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static int64_t order_of(float x)
{
    int32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? bits ^ INT32_MAX : bits;
}

static size_t count_above(const float *s, size_t n, float floor)
{
    f32x16 at = v_set1(floor);
    size_t above = 0, i = 0;

    for (; i + MOCO_VL <= n; i += MOCO_VL)
        above += (size_t)__builtin_popcount(v_above(v_load(s + i), at));
    for (; i < n; i++)
        above += s[i] > floor;
    return above;
}

static float largest(const float *s, size_t n)
{
    f32x16 top = v_set1(-INFINITY);
    size_t i = 0;
    float most;

    for (; i + MOCO_VL <= n; i += MOCO_VL)
        top = v_max(v_load(s + i), top);
    for (most = v_largest(top); i < n; i++)
        most = s[i] > most ? s[i] : most;
    return most;
}

/* Those of s above `floor` and not above `top`: at most BAND. */
static size_t gather_band(float *band, const float *s, size_t n, float floor, float top)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++) {
        band[size] = s[i];
        size += (s[i] > floor) & !(s[i] > top);
    }
    return size;
}

/* The smallest float with fewer than k of s above it; none of s is below `floor` or is -inf. The
 * answer lies in low..high, and so do above_low - above_high of s. */
static float kth_largest(const float *s, size_t n, size_t k, float floor)
{
    int64_t low = order_of(floor) + (floor == -INFINITY), high = order_of(largest(s, n));
    size_t above_low = n, above_high = 0;
    float band[BAND + 1];

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        size_t above;

        if (s != band && above_low - above_high <= BAND) {
            n = gather_band(band, s, n, float_of(low - 1), float_of(high));
            k -= above_high;
            above_low = n;
            above_high = 0;
            s = band;
        }
        above = count_above(s, n, float_of(middle));
        if (above < k) {
            high = middle;
            above_high = above;
        } else {
            low = middle + 1;
            above_low = above;
        }
    }
    return float_of(low);
}

void KERNEL(knn_cut)(const struct moco_knn *best, size_t b)
{
    float *s = best->s + b * best->room, floor;
    uint32_t *index = best->index + b * best->room, n = best->count[b], kept = 0;
    size_t equals;

    if (n < best->k)
        return;
    floor = kth_largest(s, n, best->k, best->floor[b]);
    equals = best->k - count_above(s, n, floor);
    for (uint32_t i = 0; i < n; i++) {
        float x = s[i];
        size_t equal = (x == floor) & (equals > 0);

        s[kept] = x;
        index[kept] = index[i];
        kept += (x > floor) | equal;
        equals -= equal;
    }
    best->count[b] = kept;
    best->floor[b] = floor;
}

/* The keys of a panel that `bits` names join list b in rising order. A cut may raise the floor on
 * the way. */
static void offer(const struct moco_knn *best, size_t b, const float *dots, uint64_t bits,
                  uint32_t first)
{
    float *s = best->s + b * best->room, floor = best->floor[b];
    uint32_t *index = best->index + b * best->room, count = best->count[b];

    for (; bits; bits &= bits - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(bits);

        if (!(dots[i] > floor))
            continue;
        s[count] = dots[i];
        index[count] = first + i;
        if (++count < best->room)
            continue;
        best->count[b] = count;
        KERNEL(knn_cut)(best, b);
        count = best->count[b];
        floor = best->floor[b];
    }
    best->count[b] = count;
}

/* One tile of queries against a packed panel; `voters`: the keys of it that count. */
static void scan_tile(size_t rows, const struct moco_knn *best, size_t b, const float *q, size_t D,
                      const float *panel, uint64_t voters, uint32_t first)
{
    _Alignas(64) float dots[TILE_ROWS * TILE_KEYS];

    TILE_CASES(rows, dot_tile, dots, TILE_KEYS, TILE_KEYS, q, D, panel, D, 0)
    for (size_t r = 0; r < rows; r++) {
        f32x16 floor = v_set1(best->floor[b + r]);
        uint64_t bits = 0;

        UNROLL for (size_t c = 0; c < TILE_VECS; c++)
            bits |= (uint64_t)v_above(v_load(dots + r * TILE_KEYS + c * MOCO_VL), floor)
                    << c * MOCO_VL;
        if (bits & voters)
            offer(best, b + r, dots + r * TILE_KEYS, bits & voters, first);
    }
}

static uint64_t voters_of(const int32_t *labels, size_t n)
{
    uint64_t voters = 0;

    for (size_t i = 0; i < n; i++)
        voters |= (uint64_t)(!labels || labels[i] >= 0) << i;
    return voters;
}

void KERNEL(knn_scan)(const struct moco_knn *best, const float *q, const float *keys,
                      const int32_t *labels, size_t B, size_t K, size_t D, uint32_t first,
                      float *scratch)
{
    for (size_t j = 0; j < K; j += TILE_KEYS) {
        size_t n = least(K - j, TILE_KEYS);
        uint64_t voters = voters_of(labels ? labels + j : NULL, n);

        pack_panel(scratch, keys + j * D, D, n, D);
        for (size_t b = 0; b < B; b += TILE_ROWS)
            scan_tile(least(B - b, TILE_ROWS), best, b, q + b * D, D, scratch, voters,
                      first + (uint32_t)j);
    }
}
