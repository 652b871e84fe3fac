/* noise.c: mean and variance of noise, within four standard deviations; a dropped channel, which is
 * 0 behind noise too and leaves the others alone. */
#include "tests/augment/augment.h"

#include <math.h>
#include <string.h>

#include "engine/data/view/noise.h"

/* Mean and variance of n values of x with noise; its own seed each. */
static void check_noise(const char *what, void (*add)(float *, size_t, float, struct rng *),
                        float strength, float x, double variance, uint64_t seed)
{
    enum { N = 100001 };
    static float values[N];
    struct rng rng = rng_at(seed, RNG_TEST, 0, 0);
    double sum = 0.0, squares = 0.0;

    for (int i = 0; i < N; i++)
        values[i] = x;
    add(values, N, strength, &rng);
    for (int i = 0; i < N; i++) {
        double d = (double)values[i] - (double)x;
        sum += d, squares += d * d;
    }
    CHECK_MSG(fabs(sum / N) <= 4.0 * sqrt(variance / N), "%s at %g: mean off by %g", what,
              (double)x, sum / N);
    /* The fourth moment is at most (3 + 1 / counts) variance^2. */
    CHECK_MSG(fabs(squares / N / variance - 1.0) <= 4.0 * sqrt((2.0 + 10.0) / N),
              "%s at %g: variance %g, not %g", what, (double)x, squares / N, variance);
}

static void test_moments(void)
{
    float fixed[3] = { 0.0f, -1.0f, NAN };
    struct rng rng = rng_at(12, RNG_TEST, 0, 0);

    check_noise("noise", noise_gaussian, 0.1f, 0.25f, 0.01, 20);
    check_noise("noise", noise_gaussian, 3.0f, -2.0f, 9.0, 21);
    check_noise("shot noise", noise_poisson, 10.0f, 0.0625f, 0.00625, 22);
    check_noise("shot noise", noise_poisson, 10.0f, 1.0f, 0.1, 23);
    check_noise("shot noise", noise_poisson, 500.0f, 0.75f, 0.0015, 24);
    noise_poisson(fixed, 3, 100.0f, &rng);
    CHECK(fixed[0] == 0.0f && fixed[1] == 0.0f && isnan(fixed[2]));
}

/* A dropped channel is 0 once normalised, also behind noise; the others are as without. */
static void test_drop(void)
{
    enum { CHANNELS = 3, SIDE = 4, PLANE = SIDE * SIDE };
    float pixels[CHANNELS * PLANE], out[CHANNELS * PLANE], kept[CHANNELS * PLANE];
    struct policy policy;
    struct view view = { .noise = rng_at(13, RNG_TEST, 0, 0) };

    policy_plain(&policy, SIDE, CHANNELS);
    policy.noise = 0.2f;
    for (int i = 0; i < CHANNELS * PLANE; i++)
        pixels[i] = (float)i / 64.0f;
    for (int c = 0; c < CHANNELS; c++)
        policy.mean[c] = 0.25f + 0.1f * (float)c, policy.std[c] = 0.3f;
    apply_whole(kept, pixels, CHANNELS, SIDE, &view, &policy);
    view.drop[1] = 1, view.dropped = 1;
    apply_whole(out, pixels, CHANNELS, SIDE, &view, &policy);
    CHECK(!memcmp(out, kept, PLANE * sizeof(*out)));
    CHECK(!memcmp(out + 2 * PLANE, kept + 2 * PLANE, PLANE * sizeof(*out)));
    for (int i = PLANE; i < 2 * PLANE; i++)
        CHECK(out[i] == 0.0f && kept[i] != 0.0f);
}

void test_noise(void)
{
    test_moments();
    test_drop();
}
