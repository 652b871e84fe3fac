/* draws.c: what is drawn for a view: crops inside the image and the limits, each operation as often
 * as the policy says. A frequency k / n passes within four standard deviations:
 * |k - n p| <= 4 sqrt(n p (1 - p)), and so does a mean. */
#include "tests/augment/augment.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 20000 };

static void check_frequency(const char *what, int count, int n, double p)
{
    CHECK_MSG(fabs(count - n * p) <= 4.0 * sqrt(n * p * (1.0 - p)), "%s: %d of %d, expected %g",
              what, count, n, n * p);
}

/* A crop lies inside the image, its unrounded size within the limits of area and ratio. */
static int crop_is_legal(const struct view *v, const struct policy *policy, int height, int width)
{
    double area = (double)height * width;
    return v->top >= 0 && v->left >= 0 && v->top + v->height <= height
           && v->left + v->width <= width
           && (v->width + 0.5) * (v->height + 0.5) >= policy->scale_lo * area
           && (v->width - 0.5) * (v->height - 0.5) <= policy->scale_hi * area
           && (v->width + 0.5) / (v->height - 0.5) >= policy->ratio_lo
           && (v->width - 0.5) / (v->height + 0.5) <= policy->ratio_hi;
}

static void test_crop_statistics(void)
{
    struct policy policy;
    int legal = 0, corner = 0, places = 0;
    double area = 0.0, log_ratio = 0.0;
    enum { H = 200, W = 200 };

    policy_full(&policy);
    policy.scale_hi = 0.5f; /* always fits, so that the mean area is known */
    for (int i = 0; i < DRAWS; i++) {
        struct rng rng = rng_at(3, RNG_TEST, 0, (uint64_t)i);
        struct view v;
        augment_draw(&v, &policy, H, W, &rng);
        legal += crop_is_legal(&v, &policy, H, W);
        area += (double)v.width * v.height / (H * W) / DRAWS;
        log_ratio += log((double)v.width / v.height) / DRAWS;
        corner += 2 * v.top < H - v.height;
        places += 2 * v.top != H - v.height;
    }
    CHECK_MSG(legal == DRAWS, "%d of %d crops are legal", legal, DRAWS);
    CHECK_MSG(fabs(area - 0.35) < 4.0 * 0.3 / sqrt(12.0 * DRAWS), "mean area %g", area);
    CHECK_MSG(fabs(log_ratio) < 4.0 * 2.0 * log(4.0 / 3.0) / sqrt(12.0 * DRAWS), "mean ratio %g",
              log_ratio);
    check_frequency("crop in the upper half", corner, places, 0.5);
}

static void test_fall_back(void)
{
    struct policy policy;
    struct view v;
    struct rng rng = rng_at(4, RNG_TEST, 0, 0);

    policy_full(&policy);
    policy.scale_lo = 0.9f;
    augment_draw(&v, &policy, 10, 400, &rng);
    CHECK_MSG(v.height == 10 && v.width == 13 && v.top == 0 && v.left == 193, "wide: %d x %d",
              v.height, v.width);
    augment_draw(&v, &policy, 400, 10, &rng);
    CHECK_MSG(v.height == 13 && v.width == 10 && v.top == 193 && v.left == 0, "high: %d x %d",
              v.height, v.width);
    policy.scale_lo = policy.scale_hi = 0.0f;
    augment_draw(&v, &policy, 30, 50, &rng);
    CHECK(v.height == 30 && v.width == 50 && v.top == 0 && v.left == 0);
}

/* Number of an order, 0..255. */
static int order_code(const struct view *v)
{
    return (int)v->order[0] << 6 | (int)v->order[1] << 4 | (int)v->order[2] << 2 | (int)v->order[3];
}

static int factors_are_legal(const struct view *v, const struct policy *policy)
{
    return fabsf(v->factor[JITTER_BRIGHTNESS] - 1.0f) <= policy->brightness + 1e-6f
           && fabsf(v->factor[JITTER_CONTRAST] - 1.0f) <= policy->contrast + 1e-6f
           && fabsf(v->factor[JITTER_SATURATION] - 1.0f) <= policy->saturation + 1e-6f
           && fabsf(v->factor[JITTER_HUE]) <= policy->hue + 1e-6f;
}

static void test_choice_statistics(void)
{
    struct policy policy;
    int flips = 0, jitters = 0, greys = 0, blurs = 0, legal = 0, orders[256] = { 0 }, kinds = 0;

    policy_full(&policy);
    for (int i = 0; i < DRAWS; i++) {
        struct rng rng = rng_at(5, RNG_TEST, 0, (uint64_t)i);
        struct view v;
        augment_draw(&v, &policy, 32, 32, &rng);
        flips += v.flip, jitters += v.jitter, greys += v.grey, blurs += v.sigma > 0.0f;
        legal += factors_are_legal(&v, &policy)
                 && (v.sigma == 0.0f || (v.sigma >= 0.1f && v.sigma <= 2.0f));
        if (v.jitter)
            orders[order_code(&v)]++;
    }
    check_frequency("flip", flips, DRAWS, 0.5);
    check_frequency("jitter", jitters, DRAWS, 0.8);
    check_frequency("grey", greys, DRAWS, 0.2);
    check_frequency("blur", blurs, DRAWS, 0.5);
    CHECK_MSG(legal == DRAWS, "%d of %d factors are legal", legal, DRAWS);
    for (int code = 0; code < 256; code++) {
        kinds += orders[code] > 0;
        if (orders[code])
            check_frequency("order of the jitter", orders[code], jitters, 1.0 / 24.0);
    }
    CHECK_MSG(kinds == 24, "%d orders", kinds);
}

static int same_older_part(const struct view *a, const struct view *b)
{
    return a->top == b->top && a->left == b->left && a->height == b->height
           && a->width == b->width && a->flip == b->flip && a->jitter == b->jitter
           && !memcmp(a->order, b->order, sizeof(a->order))
           && !memcmp(a->factor, b->factor, sizeof(a->factor)) && a->grey == b->grey
           && a->sigma == b->sigma;
}

/* The later operations leave the draws of the older ones alone, and have their own frequencies. */
static void test_later_statistics(void)
{
    struct policy older, policy;
    int same = 0, flips = 0, turns[4] = { 0 }, legal = 0, solarised = 0, dropped = 0, empty = 0;
    double angle = 0.0;

    policy_full(&older);
    policy = older;
    policy_later(&policy);
    for (int i = 0; i < DRAWS; i++) {
        struct rng first = rng_at(8, RNG_TEST, 0, (uint64_t)i), second = first;
        struct view a, b;
        augment_draw(&a, &older, 32, 32, &first);
        augment_draw(&b, &policy, 32, 32, &second);
        same += same_older_part(&a, &b) && !a.flip_vertical && !a.turns && a.angle == 0.0f
                && !a.solarise && !a.dropped;
        flips += b.flip_vertical, turns[b.turns & 3]++, solarised += b.solarise;
        legal += fabsf(b.angle) <= 20.0f && b.dropped == b.drop[0] + b.drop[1] + b.drop[2];
        angle += (double)b.angle / DRAWS;
        dropped += b.drop[1];
        empty += b.dropped == 3;
    }
    CHECK_MSG(same == DRAWS && legal == DRAWS && empty == 0, "%d same, %d legal, %d without a "
              "channel, of %d", same, legal, empty, DRAWS);
    check_frequency("vertical flip", flips, DRAWS, 0.3);
    check_frequency("solarised", solarised, DRAWS, 0.2);
    check_frequency("dropped channel", dropped, DRAWS, 0.4 - 0.4 * 0.4 * 0.4 / 3.0);
    for (int i = 0; i < 4; i++)
        check_frequency("quarter turns", turns[i], DRAWS, 0.25);
    CHECK_MSG(fabs(angle) < 4.0 * 40.0 / sqrt(12.0 * DRAWS), "mean angle %g", angle);
}

void test_draws(void)
{
    test_crop_statistics();
    test_fall_back();
    test_choice_statistics();
    test_later_statistics();
}
