/* channels.c: channels that are no colours: factors of each by itself, about its own mean, and grey
 * that is the mean of all. Each is normalised by its own mean and deviation. */
#include "tests/augment/augment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { CHANNELS = 4, SIDE = 6, PLANE = SIDE * SIDE };

static double mean_of(const float *plane, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += (double)plane[i];
    return sum / n;
}

/* The largest distance of a plane from `from` moved away from a value by a factor, in 0..1. */
static double off_by(const float *plane, const float *from, int n, double factor, double about)
{
    double worst = 0.0;
    for (int i = 0; i < n; i++) {
        double want = (double)from[i] * factor + about * (1.0 - factor);
        worst = fmax(worst, fabs(fmin(fmax(want, 0.0), 1.0) - (double)plane[i]));
    }
    return worst;
}

static void policy_per_channel(struct policy *policy)
{
    policy_plain(policy, SIDE, CHANNELS);
    policy->jitter_p = 1.0f, policy->brightness = 0.4f, policy->contrast = 0.3f;
    policy->per_channel = 1;
}

static void draw_pixels(float *pixels, struct rng *rng)
{
    for (int i = 0; i < CHANNELS * PLANE; i++)
        pixels[i] = (float)rng_uniform(rng);
}

/* The view with the factors of one part, brightness or contrast, alone. */
static void check_part(float *pixels, const struct view *view, int part,
                       const struct policy *policy)
{
    float out[CHANNELS * PLANE];
    struct view one = *view;

    for (int c = 0; c < CHANNELS; c++) {
        CHECK_MSG(!c || view->channel_factor[part][c] != view->channel_factor[part][0],
                  "channel %d has the first one's factor", c);
        one.channel_factor[!part][c] = 1.0f;
    }
    apply_whole(out, pixels, CHANNELS, SIDE, &one, policy);
    for (int c = 0; c < CHANNELS; c++) {
        const float *plane = pixels + c * PLANE;
        double about = part == JITTER_CONTRAST ? mean_of(plane, PLANE) : 0.0;
        double off = off_by(out + c * PLANE, plane, PLANE, (double)view->channel_factor[part][c],
                            about);
        CHECK_MSG(off < 1e-6, "part %d of channel %d differs by %g", part, c, off);
    }
}

static void test_factors(void)
{
    float pixels[CHANNELS * PLANE];
    struct rng rng = rng_at(9, RNG_TEST, 0, 0);
    struct policy policy;
    struct view view;

    draw_pixels(pixels, &rng);
    policy_per_channel(&policy);
    augment_draw(&view, &policy, SIDE, SIDE, &rng);
    CHECK(view.factor[JITTER_SATURATION] == 1.0f && view.factor[JITTER_HUE] == 0.0f);
    for (int part = 0; part < 2; part++)
        check_part(pixels, &view, part, &policy);
}

static void test_grey(void)
{
    float pixels[CHANNELS * PLANE], out[CHANNELS * PLANE], grey[PLANE];
    struct rng rng = rng_at(14, RNG_TEST, 0, 0);
    struct policy policy;
    struct view view = { .grey = VIEW_GREY_MEAN };

    draw_pixels(pixels, &rng);
    policy_per_channel(&policy);
    apply_whole(out, pixels, CHANNELS, SIDE, &view, &policy);
    for (int i = 0; i < PLANE; i++)
        grey[i] = (pixels[i] + pixels[PLANE + i] + pixels[2 * PLANE + i]
                   + pixels[3 * PLANE + i]) / 4.0f;
    CHECK(off_by(out, grey, PLANE, 1.0, 0.0) < 1e-6);
    CHECK(!memcmp(out + 3 * PLANE, out, PLANE * sizeof *out));
    policy.grey_p = 1.0f;
    augment_draw(&view, &policy, SIDE, SIDE, &rng);
    CHECK(view.grey == VIEW_GREY_MEAN);
    policy.per_channel = 0;
    augment_draw(&view, &policy, SIDE, SIDE, &rng);
    CHECK(!view.grey && !view.per_channel);
}

/* Mean and deviation of each channel, and what is refused. */
static void test_normalise(void)
{
    float pixels[2 * 4] = { 0, 1, 0.5f, 0.25f, 1, 1, 0, 0 }, out[8];
    struct image image = { pixels, 2, 2, 2, 8, 0, 0 };
    struct augment_scratch scratch = { 0 };
    struct policy policy;
    struct view view = { .height = 2, .width = 2 };

    policy_plain(&policy, 2, 2);
    policy.mean[1] = 0.5f, policy.std[1] = 0.25f;
    CHECK(augment_plain(out, &image, &policy, &scratch) == 0);
    CHECK(out[2] == 0.5f && out[4] == 2.0f && out[7] == -2.0f);
    view.left = 1;
    CHECK_MSG(augment_apply(out, &image, &view, &policy, &scratch) == MOCO_EARG, "crop outside");
    view.left = 0, view.sigma = 1.0f, policy.blur_kernel = 5;
    CHECK_MSG(augment_apply(out, &image, &view, &policy, &scratch) == MOCO_EARG, "blur too wide");
    policy.channels = 3;
    CHECK_MSG(augment_plain(out, &image, &policy, &scratch) == MOCO_EARG, "channels differ");
    augment_scratch_close(&scratch);
}

/* A spectrum in one row: at the view's scale it has 2^32 columns. The view is that of its middle,
 * where 0 becomes 1. */
static void test_long_row(void)
{
    enum { LONG = 1 << 22, LARGE = 1 << 10 };
    float *pixels = calloc(LONG, sizeof *pixels), *out = calloc(LARGE * LARGE, sizeof *out);
    struct image image = { pixels, 1, 1, LONG, LONG, 0, 0 };
    struct augment_scratch scratch = { 0 };
    struct policy policy;

    policy_plain(&policy, LARGE, 1);
    CHECK(pixels && out);
    for (int x = LONG / 2; pixels && x < LONG; x++)
        pixels[x] = 1.0f;
    if (pixels && out) {
        CHECK(augment_plain(out, &image, &policy, &scratch) == 0);
        CHECK_MSG(out[0] < 0.01f && out[LARGE - 1] > 0.99f, "from %g to %g", (double)out[0],
                  (double)out[LARGE - 1]);
    }
    augment_scratch_close(&scratch);
    free(pixels);
    free(out);
}

void test_channels(void)
{
    test_long_row();
    test_factors();
    test_grey();
    test_normalise();
}
