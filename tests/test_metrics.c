/* test_metrics.c: alignment, uniformity, deviations and pretext accuracy: closed forms, and pair by
 * pair in double. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/eval/metrics.h"
#include "tests/check.h"

enum { N = 150, D = 24 };

static struct moco_simd simd;

static int near(double x, double wanted)
{
    return fabs(x - wanted) < 1e-5 * (1.0 + fabs(wanted));
}

/* Unit rows: a direction shared by all, as much of it as `shared` says, and noise. */
static void draw(float *x, double shared, uint64_t stream)
{
    float norm[N];
    struct rng rng = rng_at(1, RNG_TEST, stream, 0);
    for (size_t i = 0; i < N * D; i++)
        x[i] = (float)(rng_normal(&rng) + (i % D == 3 ? shared : 0.0));
    simd.row_normalise(x, norm, x, N, D);
}

/* All the same: aligned, at the bound of uniformity's bad side, no deviation, and no image told
 * from another. */
static void collapsed(void)
{
    float x[N * D];
    struct metrics m;
    for (size_t i = 0; i < N * D; i++)
        x[i] = i % D == 5 ? 1.0f : 0.0f;
    CHECK(!metrics_of_views(&m, x, x, N, D, &simd));
    CHECK(m.alignment == 0.0 && m.uniformity == 0.0 && m.deviation == 0.0 && m.least == 0.0);
    CHECK(m.top1 == 0.0);
}

/* ±axes: pairs are at 2 or 4, each column has deviation sqrt(1/D), and its own view is nearest. */
static void axes(void)
{
    float x[2 * D * D];
    struct metrics m;
    memset(x, 0, sizeof x);
    for (size_t i = 0; i < 2 * D; i++)
        x[i * D + i / 2] = i % 2 ? -1.0f : 1.0f;
    CHECK(!metrics_of_views(&m, x, x, 2 * D, D, &simd));
    double opposite = 1.0 / (2 * D - 1);
    CHECK(near(m.uniformity, log(opposite * exp(-8.0) + (1.0 - opposite) * exp(-4.0))));
    CHECK(near(m.deviation, 1.0 / sqrt(D)) && near(m.least, m.deviation));
    CHECK(m.top1 == 100.0 && m.alignment == 0.0);
}

static double squared(const float *a, const float *b)
{
    double sum = 0.0;
    for (size_t d = 0; d < D; d++)
        sum += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
    return sum;
}

static void pair_by_pair(double shared)
{
    static float a[N * D], b[N * D], norm[N];
    struct metrics m, one;
    double align = 0.0, uniform = 0.0, right = 0.0;
    int before = omp_get_max_threads();
    draw(a, shared, 1);
    draw(b, shared, 2);
    for (size_t i = 0; i < N * D; i++)
        b[i] = a[i] + 2.5f * b[i];
    simd.row_normalise(b, norm, b, N, D);
    CHECK(!metrics_of_views(&m, a, b, N, D, &simd));
    for (size_t i = 0; i < N; i++) {
        int nearest = 1;
        for (size_t j = 0; j < N; j++) {
            nearest = nearest && (j == i || squared(a + i * D, b + j * D) >
                                                squared(a + i * D, b + i * D));
            uniform += j == i ? 0.0 : exp(-2.0 * squared(a + i * D, a + j * D)) / (N * (N - 1.0));
        }
        right += nearest * 100.0 / N;
        align += squared(a + i * D, b + i * D) / N;
    }
    CHECK_MSG(near(m.alignment, align) && near(m.uniformity, log(uniform)) && near(m.top1, right),
              "%g %g, %g %g, %g %g", m.alignment, align, m.uniformity, log(uniform), m.top1, right);
    CHECK(m.top1 > 5.0 && m.top1 < 100.0);
    omp_set_num_threads(3);
    CHECK(!metrics_of_views(&one, a, b, N, D, &simd));
    omp_set_num_threads(before);
    CHECK(memcmp(&one, &m, sizeof m) == 0);
}

/* The more they share, the less they deviate: Σ var = 1 - ‖mean‖². */
static void deviations(void)
{
    static float x[N * D];
    double last = 1.0, least;
    for (double shared = 0.0; shared < 200.0; shared = 4.0 * shared + 2.0) {
        draw(x, shared, 3);
        double deviation = metrics_deviation(&least, x, N, D);
        CHECK_MSG(deviation < last && least > 0.0 && least <= deviation, "%g: %g, %g", shared,
                  deviation, least);
        CHECK(shared > 0.0 || fabs(deviation * sqrt(D) - 1.0) < 0.05);
        CHECK(shared < 150.0 || deviation * sqrt(D) < 0.05);
        last = deviation;
    }
}

int main(void)
{
    struct metrics m;
    CHECK(moco_simd_init(&simd, NULL) == 0);
    collapsed();
    axes();
    pair_by_pair(0.0);
    pair_by_pair(3.0);
    deviations();
    CHECK(metrics_of_views(&m, NULL, NULL, 1, D, &simd) == MOCO_EARG);
    return check_summary("metrics");
}
