/* knn_ref.c: the k nearest keys of each query in plain C, the specification to the byte.
 *
 * A similarity is one FMA chain over D. What exceeds the floor joins the list; a full list keeps
 * those above the k-th largest value and the first of those that equal it. That value is the
 * smallest float with fewer than k candidates above it, found by halving the ordered floats. */
#include "simd/ref_sums.h"

/* Floats in rising order as integers: the magnitude of the negative ones is turned over. */
static float float_of(int32_t order)
{
    int32_t bits = order < 0 ? order ^ INT32_MAX : order;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static int32_t order_of(float x)
{
    int32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? bits ^ INT32_MAX : bits;
}

static size_t count_above(const float *s, size_t n, float floor)
{
    size_t above = 0;

    for (size_t i = 0; i < n; i++)
        above += s[i] > floor;
    return above;
}

static float kth_largest(const float *s, size_t n, size_t k)
{
    int64_t low = order_of(-INFINITY), high = order_of(INFINITY);

    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (count_above(s, n, float_of((int32_t)middle)) < k)
            high = middle;
        else
            low = middle + 1;
    }
    return float_of((int32_t)low);
}

void moco_knn_cut_ref(const struct moco_knn *best, size_t b)
{
    size_t list = b * (best->room + MOCO_KNN_SPARE), equals;
    float *s = best->s + list, floor;
    uint32_t *index = best->index + list, n = best->count[b], kept = 0;

    if (n < best->k)
        return;
    floor = kth_largest(s, n, best->k);
    equals = best->k - count_above(s, n, floor);
    for (size_t i = 0; i < n; i++) {
        int stays = s[i] > floor;

        if (s[i] == floor && equals > 0) {
            equals--;
            stays = 1;
        }
        if (!stays)
            continue;
        s[kept] = s[i];
        index[kept++] = index[i];
    }
    best->count[b] = kept;
    best->floor[b] = floor;
}

static void offer(const struct moco_knn *best, size_t b, float s, uint32_t index)
{
    size_t at = b * (best->room + MOCO_KNN_SPARE) + best->count[b];

    if (!(s > best->floor[b]))
        return;
    best->s[at] = s;
    best->index[at] = index;
    if (++best->count[b] == best->room)
        moco_knn_cut_ref(best, b);
}

void moco_knn_scan_ref(const struct moco_knn *best, const float *q, const float *keys,
                       const int32_t *labels, size_t B, size_t K, size_t D, uint32_t first,
                       float *scratch)
{
    (void)scratch;
    for (size_t b = 0; b < B; b++)
        for (size_t j = 0; j < K; j++)
            if (!labels || labels[j] >= 0)
                offer(best, b, chain_dot(q + b * D, keys + j * D, D), first + (uint32_t)j);
}
