/* metrics.c: pairs of images, a block of rows at a time; see metrics.h. */
#include "engine/eval/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/watch.h"

enum { BLOCK = 64 };

double metrics_deviation(double *least, const float *x, size_t n, size_t D)
{
    double sum = 0.0;
    *least = INFINITY;
    for (size_t d = 0; d < D; d++) {
        double mean = 0.0, square = 0.0;
        for (size_t i = 0; i < n; i++)
            mean += x[i * D + d];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++)
            square += (x[i * D + d] - mean) * (x[i * D + d] - mean);
        double deviation = sqrt(square / (double)n);
        *least = deviation < *least ? deviation : *least;
        sum += deviation;
    }
    return sum / (double)D;
}

/* Sums over one block of rows. */
struct sums {
    double near; /* Σ exp(-2 ‖a_i - a_j‖²), j > i */
    size_t right;
};

/* s: (rows, n) products of the rows first.. with all; unit rows: ‖x - y‖² = 2 - 2 x·y. */
static void add_pairs(struct sums *sums, const float *s, size_t first, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = first + i + 1; j < n; j++)
            sums->near += exp(-2.0 * (2.0 - 2.0 * s[i * n + j]));
}

static void add_right(struct sums *sums, const float *s, size_t first, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++) {
        size_t nearer = 0;
        for (size_t j = 0; j < n; j++)
            nearer += j != first + i && !(s[i * n + j] < s[i * n + first + i]);
        sums->right += nearer == 0;
    }
}

/* sums: (blocks), of one thread each. */
static int sum_blocks(struct sums *sums, const float *a, const float *b, size_t n, size_t D,
                      const struct moco_simd *simd)
{
    int failed = 0, stopped = 0;
    watch_part("metrics, pairs", "images", 0, n);
#pragma omp parallel
    {
        float *s = malloc(BLOCK * n * sizeof *s);
#pragma omp for schedule(dynamic)
        for (size_t first = 0; first < n; first += BLOCK) {
            size_t rows = n - first < BLOCK ? n - first : BLOCK;
            if (watch_step(first) || watch_all(&stopped))
                continue;
            if (!s) {
#pragma omp atomic write
                failed = 1;
                continue;
            }
            simd->logits(s, a + first * D, a, rows, n, D);
            add_pairs(&sums[first / BLOCK], s, first, rows, n);
            simd->logits(s, a + first * D, b, rows, n, D);
            add_right(&sums[first / BLOCK], s, first, rows, n);
        }
        free(s);
    }
    if (stopped)
        return watch_end();
    return failed ? error_memory("similarities", BLOCK * n * sizeof(float)) : MOCO_OK;
}

static double distance(const float *a, const float *b, size_t D)
{
    double sum = 0.0;
    for (size_t d = 0; d < D; d++)
        sum += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
    return sum;
}

int metrics_of_views(struct metrics *out, const float *a, const float *b, size_t n, size_t D,
                     const struct moco_simd *simd)
{
    size_t blocks = (n + BLOCK - 1) / BLOCK;
    double pairs = 0.5 * (double)n * ((double)n - 1.0);
    struct sums *sums = calloc(blocks, sizeof *sums), all = {0};
    if (n < 2) {
        free(sums);
        return error_set(MOCO_EARG, "metrics compare images: two are needed, there is %zu", n);
    }
    int err = sums ? sum_blocks(sums, a, b, n, D, simd) : error_memory("sums", blocks);
    for (size_t i = 0; i < blocks && !err; i++) {
        all.near += sums[i].near;
        all.right += sums[i].right;
    }
    free(sums);
    *out = (struct metrics){.uniformity = log(all.near / pairs),
                            .top1 = 100.0 * (double)all.right / (double)n};
    for (size_t i = 0; i < n; i++)
        out->alignment += distance(a + i * D, b + i * D, D) / (double)n;
    out->deviation = metrics_deviation(&out->least, a, n, D);
    return err;
}
