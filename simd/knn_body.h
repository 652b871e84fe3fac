/* knn_body.h: the k nearest keys of each query, one pass over panels of keys.
 *
 * A panel is packed once and meets all queries; a tile's similarities are compared with the
 * queries' floors while they are warm, and the few above join the lists (k ln(K / k) of K in random
 * order, fewer where a list opens with a floor). A full list is cut by halving the interval of
 * ordered floats that holds the k-th value, counting with vectors: first over the whole list, then
 * over the band that is left. */
#include <math.h>
#include <string.h>

#include "simd/tile.h"

enum { BAND = 4 * MOCO_VL, FEW = 6 }; /* so many keys join one by one, more by vectors */

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

/* The lanes of a vector that opens at i, of n in all. */
INLINE unsigned lanes_of(size_t i, size_t n)
{
    return n - i < MOCO_VL ? (1u << (n - i)) - 1 : (1u << MOCO_VL) - 1;
}

/* This and what follows reads whole vectors: s has MOCO_VL places to spare. */
static size_t count_above(const float *s, size_t n, float floor)
{
    f32x16 at = v_set1(floor);
    size_t above = 0, i = 0;

    for (; i + MOCO_VL <= n; i += MOCO_VL)
        above += (size_t)__builtin_popcount(v_above(v_load(s + i), at));
    if (i < n)
        above += (size_t)__builtin_popcount(v_above(v_load(s + i), at) & lanes_of(i, n));
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

    for (size_t i = 0; i < n; i += MOCO_VL) {
        f32x16 x = v_load(s + i);
        unsigned in = v_above(x, v_set1(floor)) & ~v_above(x, v_set1(top)) & lanes_of(i, n);

        size += v_squeeze(band + size, x, in);
    }
    return size;
}

/* The smallest float with fewer than k of s above it; none of s is below `floor` or is -inf. The
 * answer lies in low..high, and so do above_low - above_high of s. */
static float kth_largest(const float *s, size_t n, size_t k, float floor)
{
    int64_t low = order_of(floor) + (floor == -INFINITY), high = order_of(largest(s, n));
    size_t above_low = n, above_high = 0;
    float band[BAND + MOCO_VL];

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

/* The first n of the bits that are set. */
INLINE unsigned first_bits(unsigned bits, size_t n)
{
    unsigned left = bits;

    for (; left && n; n--)
        left &= left - 1;
    return bits ^ left;
}

void KERNEL(knn_cut)(const struct moco_knn *best, size_t b)
{
    size_t list = b * (best->room + MOCO_KNN_SPARE), n = best->count[b], kept = 0, equals;
    float *s = best->s + list, floor;
    uint32_t *index = best->index + list;

    if (n < best->k)
        return;
    floor = kth_largest(s, n, best->k, best->floor[b]);
    equals = best->k - count_above(s, n, floor);
    for (size_t i = 0; i < n; i += MOCO_VL) {
        f32x16 x = v_load(s + i), who = v_load_words(index + i);
        unsigned above = v_above(x, v_set1(floor)), below = v_above(v_set1(floor), x);
        unsigned equal = first_bits(~(above | below) & lanes_of(i, n), equals);
        unsigned stay = (above & lanes_of(i, n)) | equal;

        equals -= (size_t)__builtin_popcount(equal);
        v_squeeze(s + kept, x, stay);
        kept += v_squeeze(index + kept, who, stay);
    }
    best->count[b] = (uint32_t)kept;
    best->floor[b] = floor;
}

/* A packed panel of keys. */
struct panel {
    const float *keys; /* (D, TILE_KEYS) */
    uint64_t voters;   /* those that count */
    uint32_t index[TILE_KEYS];
};

/* A key joins list b, unless a cut has raised the floor meanwhile. */
INLINE void offer(const struct moco_knn *best, size_t b, float s, uint32_t index)
{
    size_t at = b * (best->room + MOCO_KNN_SPARE) + best->count[b];

    if (!(s > best->floor[b]))
        return;
    best->s[at] = s;
    best->index[at] = index;
    if (++best->count[b] == best->room)
        KERNEL(knn_cut)(best, b);
}

/* More than FEW keys join list b: by vectors, unless it may become full. */
static void offer_many(const struct moco_knn *best, size_t b, const float *dots, uint64_t bits,
                       const struct panel *panel)
{
    size_t end = b * (best->room + MOCO_KNN_SPARE) + best->count[b];
    size_t count = best->count[b] + (size_t)__builtin_popcountll(bits);
    float *s = best->s + end;
    uint32_t *index = best->index + end;

    for (; count >= best->room && bits; bits &= bits - 1) {
        size_t i = (size_t)__builtin_ctzll(bits);

        offer(best, b, dots[i], panel->index[i]);
    }
    if (!bits)
        return;
    best->count[b] = (uint32_t)count;
    UNROLL for (size_t c = 0; c < TILE_KEYS; c += MOCO_VL) {
        unsigned lanes = bits >> c & ((1u << MOCO_VL) - 1);
        unsigned n = v_squeeze(s, v_load(dots + c), lanes);

        v_squeeze(index, v_load_words(panel->index + c), lanes);
        s += n;
        index += n;
    }
}

/* One tile of queries against a panel. */
static void scan_tile(size_t rows, const struct moco_knn *best, size_t b, const float *q, size_t D,
                      const struct panel *panel)
{
    _Alignas(64) float dots[TILE_ROWS * TILE_KEYS];
    uint64_t bits[TILE_ROWS + 1], left;
    size_t row[TILE_ROWS + 1], hits = 0, all = 0;

    TILE_CASES(rows, dot_tile, dots, TILE_KEYS, TILE_KEYS, q, D, panel->keys, D, 0)
    for (size_t r = 0; r < rows; r++) {
        f32x16 floor = v_set1(best->floor[b + r]);
        size_t n;

        left = 0;
        UNROLL for (size_t c = 0; c < TILE_VECS; c++)
            left |= (uint64_t)v_above(v_load(dots + r * TILE_KEYS + c * MOCO_VL), floor)
                    << c * MOCO_VL;
        left &= panel->voters;
        n = (size_t)__builtin_popcountll(left);
        if (n > FEW) {
            offer_many(best, b + r, dots + r * TILE_KEYS, left, panel);
            continue;
        }
        bits[hits] = left;
        row[hits] = r;
        all += n;
        hits += n > 0;
    }
    bits[hits] = 0;
    row[hits] = 0;
    /* One loop for all rows, whose end is the one branch of a tile that cannot be foretold. */
    left = bits[0];
    for (size_t h = 0, r = row[0]; all > 0; all--) {
        size_t i = (size_t)__builtin_ctzll(left);

        offer(best, b + r, dots[r * TILE_KEYS + i], panel->index[i]);
        left &= left - 1;
        h += left == 0;
        r = row[h];
        left |= bits[h] & (0 - (uint64_t)(left == 0));
    }
}

void KERNEL(knn_scan)(const struct moco_knn *best, const float *q, const float *keys,
                      const int32_t *labels, size_t B, size_t K, size_t D, uint32_t first,
                      float *scratch)
{
    for (size_t j = 0; j < K; j += TILE_KEYS) {
        size_t n = least(K - j, TILE_KEYS);
        struct panel panel = {.keys = scratch};

        pack_panel(scratch, keys + j * D, D, n, D);
        for (size_t i = 0; i < TILE_KEYS; i++)
            panel.index[i] = first + (uint32_t)(j + i);
        for (size_t i = 0; i < n; i++)
            panel.voters |= (uint64_t)(!labels || labels[j + i] >= 0) << i;
        for (size_t b = 0; b < B; b += TILE_ROWS)
            scan_tile(least(B - b, TILE_ROWS), best, b, q + b * D, D, &panel);
    }
}
