/* audit_size.c: smallest, largest and median size, and the images whose size is odd; the rule is in
 * audit.h. */
#include "engine/data/audit.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

static int shorter(const int size[2])
{
    return size[0] < size[1] ? size[0] : size[1];
}

static int ascending(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int by_size(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

/* *most: the size that most of the sorted sizes have; returns how many. */
static size_t most_frequent(int most[2], int (*sizes)[2], size_t n)
{
    size_t best = 0;
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && !by_size(sizes[i], sizes[end]);)
            end++;
        if (end - i > best) {
            best = end - i;
            memcpy(most, sizes[i], sizeof sizes[i]);
        }
    }
    return best;
}

static void take_extremes(struct audit *audit, const int (*sizes)[2], size_t n)
{
    memcpy(audit->smallest, sizes[0], sizeof sizes[0]);
    memcpy(audit->largest, sizes[0], sizeof sizes[0]);
    for (size_t i = 1; i < n; i++) {
        int64_t area = (int64_t)sizes[i][0] * sizes[i][1];
        if (area < (int64_t)audit->smallest[0] * audit->smallest[1])
            memcpy(audit->smallest, sizes[i], sizeof sizes[i]);
        if (area > (int64_t)audit->largest[0] * audit->largest[1])
            memcpy(audit->largest, sizes[i], sizeof sizes[i]);
    }
}

static int is_odd(const struct audit_image *image, const int usual[2], int median)
{
    const int size[2] = { image->height, image->width };
    int side = shorter(size), longer = size[0] + size[1] - side;
    if (usual)
        return size[0] != usual[0] || size[1] != usual[1];
    return (int64_t)4 * side < median || side > (int64_t)4 * median || longer > (int64_t)3 * side;
}

int audit_sizes(struct audit *audit)
{
    size_t n = 0, count = audit->source->count;
    int most[2] = { 0 }, rc = MOCO_OK;
    int(*sizes)[2] = malloc((audit->read + 1) * sizeof *sizes);
    int *sides = malloc((audit->read + 1) * 3 * sizeof *sides);
    if (!sizes || !sides)
        rc = error_memory("sizes of images", audit->read * 5 * sizeof *sides);
    for (size_t i = 0; rc == MOCO_OK && i < count; i++) {
        if (audit->images[i].rc != MOCO_OK)
            continue;
        sizes[n][0] = sides[n] = audit->images[i].height;
        sizes[n][1] = sides[audit->read + n] = audit->images[i].width;
        sides[2 * audit->read + n] = shorter(sizes[n]);
        n++;
    }
    if (rc == MOCO_OK && n > 0) {
        qsort(sizes, n, sizeof *sizes, by_size);
        for (size_t k = 0; k < 3; k++)
            qsort(sides + k * n, n, sizeof *sides, ascending);
        take_extremes(audit, (const int (*)[2])sizes, n);
        audit->median[0] = sides[n / 2];
        audit->median[1] = sides[n + n / 2];
        int one_size = 10 * most_frequent(most, sizes, n) >= 9 * n, median = sides[2 * n + n / 2];
        for (size_t i = 0; rc == MOCO_OK && i < count; i++)
            if (audit->images[i].rc == MOCO_OK &&
                is_odd(&audit->images[i], one_size ? most : NULL, median))
                rc = audit_find(audit, AUDIT_ODD_SIZE, i, i, NULL);
    }
    free(sizes);
    free(sides);
    return rc;
}
