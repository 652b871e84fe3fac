/* rows.c: see rows.h. */
#include "engine/contrast/rows.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"

/* Normal coordinates, divided by their norm. */
static void random_unit_row(float *row, size_t D, uint64_t seed, size_t index)
{
    struct rng rng = rng_at(seed, RNG_QUEUE, 0, index);
    double square = 0.0;

    for (size_t d = 0; d < D; d++) {
        row[d] = (float)rng_normal(&rng);
        square += (double)row[d] * row[d];
    }
    for (size_t d = 0; d < D; d++)
        row[d] = (float)(row[d] / fmax(sqrt(square), 1e-12));
}

void rows_random_unit(float *rows, size_t n, size_t D, uint64_t seed)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++)
        random_unit_row(rows + i * D, D, seed, i);
}

void rows_count(int64_t *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        numbers[i] = (int64_t)i;
}

void rows_gather(float *dst, const float *rows, const int64_t *index, size_t count, size_t D)
{
    for (size_t i = 0; i < count; i++)
        memcpy(dst + i * D, rows + (size_t)index[i] * D, D * sizeof *dst);
}

struct row_share rows_share(size_t rows)
{
    size_t team = (size_t)omp_get_num_threads(), thread = (size_t)omp_get_thread_num();
    size_t first = rows * thread / team;
    return (struct row_share){ first, rows * (thread + 1) / team - first, thread };
}

double rows_mean(const float *x, size_t count, size_t B)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i];
    return sum / (double)B;
}

int rows_check_ids(const int64_t *ids, size_t count, size_t n)
{
    if (!ids)
        return error_set(MOCO_EARG, "the method needs to know which image each sample is: give "
                         "ids");
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= n)
            return error_set(MOCO_EARG, "sample %zu is image %lld, but there are images 0 to %zu",
                             i, (long long)ids[i], n - 1);
    return MOCO_OK;
}
