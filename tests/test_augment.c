/* test_augment.c: views against torchvision's, and the distribution of what is drawn.
 *
 * argv[1]: the folder with views.bin and views2.bin (format: tests/oracle/augment_golden.py). A
 * view with mean 0 and std 1 may differ from the recorded one by 1e-4 anywhere. A frequency k / n
 * passes within four standard deviations: |k - n p| <= 4 sqrt(n p (1 - p)). */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/view/augment.h"
#include "engine/data/view/noise.h"
#include "tests/check.h"
#include "tests/levels.h"

enum { DRAWS = 20000, CASES_MIN = 40 };

struct golden {
    int32_t channels, h, w, side, top, left, height, width, flip, jitter, order[4], grey, kernel;
    float factor[4], sigma;
};

/* What a case of views2.bin has beside. */
struct golden_later {
    int32_t flip_vertical, turns, solarise, aliased;
    float angle, threshold;
};

static void policy_plain(struct policy *policy, int side, int channels)
{
    *policy = (struct policy){ .side = side, .channels = channels,
                               .ratio_lo = 3.0f / 4.0f, .ratio_hi = 4.0f / 3.0f };
    for (int c = 0; c < channels; c++)
        policy->std[c] = 1.0f;
}

/* The policy of MoCo v2 at the size of CIFAR. */
static void policy_full(struct policy *policy)
{
    policy_plain(policy, 32, 3);
    policy->scale_lo = 0.2f, policy->scale_hi = 1.0f;
    policy->flip_p = 0.5f, policy->jitter_p = 0.8f, policy->grey_p = 0.2f;
    policy->brightness = policy->contrast = policy->saturation = 0.4f, policy->hue = 0.1f;
    policy->blur_p = 0.5f, policy->blur_lo = 0.1f, policy->blur_hi = 2.0f;
}

static struct view golden_view(const struct golden *golden, const struct golden_later *later)
{
    struct view view = { .top = golden->top, .left = golden->left, .height = golden->height,
                         .width = golden->width, .flip = golden->flip, .jitter = golden->jitter,
                         .grey = golden->grey, .sigma = golden->sigma,
                         .flip_vertical = later->flip_vertical, .turns = later->turns,
                         .angle = later->angle, .solarise = later->solarise };
    for (int i = 0; i < 4; i++) {
        view.order[i] = (enum jitter_part)golden->order[i];
        view.factor[i] = golden->factor[i];
    }
    return view;
}

/* Largest difference of one case; negative on failure. */
static float golden_difference(const struct golden *golden, const struct golden_later *later,
                               const unsigned char *pixels, const float *expected,
                               struct augment_scratch *scratch)
{
    size_t in = (size_t)(golden->channels * golden->h * golden->w);
    size_t out = (size_t)(golden->channels * golden->side * golden->side);
    struct image image = { .pixels = malloc(in * sizeof(float)), .channels = golden->channels,
                           .height = golden->h, .width = golden->w, .capacity = in };
    float *dst = malloc(out * sizeof(float)), worst = 0.0f;
    struct view view = golden_view(golden, later);
    struct policy policy;

    policy_plain(&policy, golden->side, golden->channels);
    policy.blur_kernel = golden->kernel;
    policy.aliased = later->aliased, policy.solarise_threshold = later->threshold;
    for (size_t i = 0; i < in; i++)
        image.pixels[i] = (float)pixels[i] / 255.0f;
    int rc = golden->height ? augment_apply(dst, &image, &view, &policy, scratch)
                            : augment_plain(dst, &image, &policy, scratch);
    for (size_t i = 0; i < out && !rc; i++)
        worst = fmaxf(worst, isfinite(dst[i]) ? fabsf(dst[i] - expected[i]) : INFINITY);
    free(dst);
    free(image.pixels);
    return rc ? -1.0f : worst;
}

static void test_golden(const char *folder, const char *name, size_t later_size)
{
    char path[1024];
    struct golden golden;
    struct golden_later later = { 0 };
    struct augment_scratch scratch = { 0 };
    int cases = 0;
    float worst = 0.0f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    CHECK_MSG(file != NULL, "cannot open %s", path);
    if (!file)
        return;
    for (; fread(&golden, sizeof(golden), 1, file) == 1
           && fread(&later, 1, later_size, file) == later_size; cases++) {
        size_t in = (size_t)(golden.channels * golden.h * golden.w);
        size_t out = (size_t)(golden.channels * golden.side * golden.side);
        unsigned char *pixels = malloc(in);
        float *expected = malloc(out * sizeof(float)), difference = -1.0f;
        if (fread(pixels, 1, in, file) == in && fread(expected, sizeof(float), out, file) == out)
            difference = golden_difference(&golden, &later, pixels, expected, &scratch);
        CHECK_MSG(difference >= 0.0f && difference <= 1e-4f, "%s: case %d differs by %g", name,
                  cases, (double)difference);
        worst = fmaxf(worst, difference);
        free(pixels);
        free(expected);
    }
    CHECK_MSG(cases >= CASES_MIN, "%d cases in %s", cases, path);
    printf("%s: %d cases, largest difference %.2g\n", name, cases, (double)worst);
    fclose(file);
    augment_scratch_close(&scratch);
}

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

/* All that came after the first operations. */
static void policy_later(struct policy *policy)
{
    policy->aliased = 1, policy->flip_vertical_p = 0.3f, policy->quarter_turns = 1;
    policy->rotate = 20.0f, policy->solarise_p = 0.2f, policy->solarise_threshold = 0.5f;
    policy->poisson = 100.0f, policy->noise = 0.1f, policy->drop_p = 0.4f;
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

/* A view of an image of its own size. */
static void apply_whole(float *out, float *pixels, int channels, int side, const struct view *view,
                        const struct policy *policy)
{
    size_t n = (size_t)(channels * side * side);
    struct image image = { pixels, channels, side, side, n, 0 };
    struct augment_scratch scratch = { 0 };
    struct view whole = *view;

    whole.height = whole.width = side;
    CHECK_MSG(augment_apply(out, &image, &whole, policy, &scratch) == 0, "%s", error_text());
    augment_scratch_close(&scratch);
}

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

/* Channels that are no colours: factors of each by itself, about its own mean; grey is the mean. */
static void test_per_channel(void)
{
    enum { CHANNELS = 4, SIDE = 6, PLANE = SIDE * SIDE };
    float pixels[CHANNELS * PLANE], out[CHANNELS * PLANE], grey[PLANE];
    struct rng rng = rng_at(9, RNG_TEST, 0, 0);
    struct policy policy;
    struct view view;

    for (int i = 0; i < CHANNELS * PLANE; i++)
        pixels[i] = (float)rng_uniform(&rng);
    policy_plain(&policy, SIDE, CHANNELS);
    policy.jitter_p = 1.0f, policy.brightness = 0.4f, policy.contrast = 0.3f;
    policy.per_channel = 1;
    augment_draw(&view, &policy, SIDE, SIDE, &rng);
    CHECK(view.factor[JITTER_SATURATION] == 1.0f && view.factor[JITTER_HUE] == 0.0f);
    for (int part = 0; part < 2; part++) {
        struct view one = view;
        for (int c = 0; c < CHANNELS; c++) {
            CHECK_MSG(!c || view.channel_factor[part][c] != view.channel_factor[part][0],
                      "channel %d has the first one's factor", c);
            one.channel_factor[!part][c] = 1.0f;
        }
        apply_whole(out, pixels, CHANNELS, SIDE, &one, &policy);
        for (int c = 0; c < CHANNELS; c++) {
            const float *plane = pixels + c * PLANE;
            double about = part == JITTER_CONTRAST ? mean_of(plane, PLANE) : 0.0;
            double off = off_by(out + c * PLANE, plane, PLANE,
                                (double)view.channel_factor[part][c], about);
            CHECK_MSG(off < 1e-6, "part %d of channel %d differs by %g", part, c, off);
        }
    }
    view = (struct view){ .grey = VIEW_GREY_MEAN };
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

/* Flips and turns move pixels and change none: flips first, then turns against the clock. */
static void test_moves(void)
{
    enum { SIDE = 5 };
    float pixels[SIDE * SIDE], out[SIDE * SIDE];
    struct policy policy;

    policy_plain(&policy, SIDE, 1);
    for (int i = 0; i < SIDE * SIDE; i++)
        pixels[i] = (float)i;
    for (int move = 0; move < 16; move++) {
        struct view view = { .flip = move & 1, .flip_vertical = move >> 1 & 1, .turns = move >> 2 };
        int wrong = 0;
        apply_whole(out, pixels, 1, SIDE, &view, &policy);
        for (int i = 0; i < SIDE * SIDE; i++) {
            int y = i / SIDE, x = i % SIDE;
            for (int turn = 0; turn < view.turns; turn++) {
                int kept = y;
                y = x, x = SIDE - 1 - kept;
            }
            x = view.flip ? SIDE - 1 - x : x;
            y = view.flip_vertical ? SIDE - 1 - y : y;
            wrong += out[i] != pixels[y * SIDE + x];
        }
        CHECK_MSG(wrong == 0, "move %d: %d pixels at a wrong place", move, wrong);
    }
}

/* Outside is 0 or the mirror image; within the inner circle the two are the same. */
static void test_rotation_edges(void)
{
    enum { SIDE = 24, PLANE = SIDE * SIDE };
    float pixels[PLANE], zero[PLANE], mirror[PLANE];
    struct view view = { .angle = 37.0f };
    struct policy policy;
    int outside = 0, wrong = 0;

    policy_plain(&policy, SIDE, 1);
    for (int i = 0; i < PLANE; i++)
        pixels[i] = 0.75f;
    apply_whole(zero, pixels, 1, SIDE, &view, &policy);
    policy.rotate_reflect = 1;
    apply_whole(mirror, pixels, 1, SIDE, &view, &policy);
    for (int i = 0; i < PLANE; i++) {
        outside += zero[i] == 0.0f;
        wrong += fabsf(mirror[i] - 0.75f) > 1e-6f;
    }
    CHECK_MSG(outside > 40 && zero[0] == 0.0f && wrong == 0, "%d outside, %d wrong", outside,
              wrong);
    for (int i = 0; i < PLANE; i++)
        pixels[i] = (float)(i * 37 % 101) / 101.0f;
    apply_whole(mirror, pixels, 1, SIDE, &view, &policy);
    policy.rotate_reflect = 0;
    apply_whole(zero, pixels, 1, SIDE, &view, &policy);
    for (int i = 0; i < PLANE; i++) {
        double y = i / SIDE - 11.5, x = i % SIDE - 11.5;
        CHECK(x * x + y * y > 11.0 * 11.0 || zero[i] == mirror[i]);
    }
}

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

static void test_noise(void)
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

/* The same stream gives the same view, whatever the scratch was used for before. */
static void test_repeatable(void)
{
    enum { SIDE = 32, FLOATS = 3 * SIDE * SIDE };
    static float pixels[3 * 48 * 40], a[FLOATS], b[FLOATS];
    struct image image = { pixels, 3, 48, 40, 3 * 48 * 40, 0 };
    struct augment_scratch fresh = { 0 }, used = { 0 };
    struct policy policy;

    struct rng noise = rng_at(6, RNG_TEST, 0, 0);
    for (size_t i = 0; i < image.capacity; i++)
        pixels[i] = (float)rng_uniform(&noise);
    policy_full(&policy);
    policy_later(&policy);
    policy.mean[1] = 0.5f, policy.std[1] = 0.25f;
    for (uint64_t i = 0; i < 50; i++) {
        struct view v, w;
        struct rng first = rng_at(7, RNG_VIEW, 1, i), second = rng_at(7, RNG_VIEW, 1, i);
        augment_draw(&v, &policy, 48, 40, &first);
        augment_draw(&w, &policy, 48, 40, &second);
        CHECK(augment_apply(a, &image, &v, &policy, &used) == 0);
        CHECK(augment_apply(b, &image, &w, &policy, &fresh) == 0);
        CHECK_MSG(memcmp(a, b, sizeof(a)) == 0, "view %d is not repeatable", (int)i);
        augment_scratch_close(&fresh);
    }
    augment_scratch_close(&used);
}

/* A view of bytes is the view of the floats that stand for them, and every level of instructions
 * gives the bytes of the plain C. */
static void compare_levels(const struct policy *policy, int height, int width, uint64_t number)
{
    enum { MOST = 4 * 61 * 61 };
    static float want[MOST], got[MOST];
    size_t out = (size_t)policy->channels * (size_t)policy->side * (size_t)policy->side;
    struct image floats = { 0 }, bytes = { 0 };
    struct augment_scratch scratch = { 0 };
    struct moco_simd tables[TABLES_MAX];
    struct policy with = *policy;
    struct rng rng = rng_at(11, RNG_TEST, 0, number);
    struct view view;

    CHECK(!image_resize(&floats, policy->channels, height, width));
    CHECK(!image_resize(&bytes, policy->channels, height, width));
    for (int i = 0; i < height * width; i++)
        for (int c = 0; c < policy->channels; c++) {
            unsigned char byte = (unsigned char)rng_below(&rng, 256);
            ((unsigned char *)bytes.pixels)[4 * i + c] = byte;
            floats.pixels[c * height * width + i] = (float)byte / 255.0f;
        }
    bytes.bytes = policy->channels == 3;
    augment_draw(&view, policy, height, width, &rng);
    for (size_t t = 0, count = all_tables(tables); t < count; t++) {
        with.simd = &tables[t];
        CHECK(!augment_apply(got, &floats, &view, &with, &scratch));
        if (t == 0)
            memcpy(want, got, out * sizeof(*want));
        CHECK_MSG(!memcmp(got, want, out * sizeof(*want)), "view %d: %s differs from ref",
                  (int)number, tables[t].name);
        if (!bytes.bytes)
            continue;
        CHECK(!augment_apply(got, &bytes, &view, &with, &scratch));
        CHECK_MSG(!memcmp(got, want, out * sizeof(*want)), "view %d: bytes differ, %s",
                  (int)number, tables[t].name);
    }
    image_close(&floats);
    image_close(&bytes);
    augment_scratch_close(&scratch);
}

static void test_levels(void)
{
    static const int side[] = { 32, 61, 17, 48 }, channels[] = { 3, 1, 4, 3, 3 };
    struct policy policy;

    for (uint64_t i = 0; i < 48; i++) {
        policy_full(&policy);
        policy.side = side[i % 4];
        policy.channels = channels[i % 5];
        if (i % 2)
            policy_later(&policy);
        policy.per_channel = i % 6 == 5;
        for (int c = 0; c < policy.channels; c++)
            policy.mean[c] = 0.4f + 0.1f * (float)c, policy.std[c] = 0.25f;
        compare_levels(&policy, 20 + (int)(i * 37 % 150), 24 + (int)(i * 53 % 150), i);
    }
}

static void test_normalise_and_errors(void)
{
    float pixels[2 * 4] = { 0, 1, 0.5f, 0.25f, 1, 1, 0, 0 }, out[8];
    struct image image = { pixels, 2, 2, 2, 8, 0 };
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

int main(int argc, char **argv)
{
    CHECK_MSG(argc == 2, "usage: test_augment FOLDER");
    if (argc == 2)
        test_golden(argv[1], "views.bin", 0);
    if (argc == 2)
        test_golden(argv[1], "views2.bin", sizeof(struct golden_later));
    test_crop_statistics();
    test_fall_back();
    test_choice_statistics();
    test_later_statistics();
    test_per_channel();
    test_moves();
    test_rotation_edges();
    test_noise();
    test_drop();
    test_repeatable();
    test_levels();
    test_normalise_and_errors();
    return check_summary("augment");
}
