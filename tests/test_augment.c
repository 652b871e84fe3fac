/* test_augment.c: views against torchvision's, and the distribution of what is drawn.
 *
 * argv[1]: the folder with views.bin (format: tests/oracle/augment_golden.py). A view with mean 0
 * and std 1 may differ from the recorded one by 1e-4 anywhere. A frequency k / n passes within four
 * standard deviations: |k - n p| <= 4 sqrt(n p (1 - p)). */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/augment.h"
#include "tests/check.h"

enum { DRAWS = 20000, CASES_MIN = 40 };

struct golden {
    int32_t channels, h, w, side, top, left, height, width, flip, jitter, order[4], grey, kernel;
    float factor[4], sigma;
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

static struct view golden_view(const struct golden *golden)
{
    struct view view = { .top = golden->top, .left = golden->left, .height = golden->height,
                         .width = golden->width, .flip = golden->flip, .jitter = golden->jitter,
                         .grey = golden->grey, .sigma = golden->sigma };
    for (int i = 0; i < 4; i++) {
        view.order[i] = (enum jitter_part)golden->order[i];
        view.factor[i] = golden->factor[i];
    }
    return view;
}

/* Largest difference of one case; negative on failure. */
static float golden_difference(const struct golden *golden, const unsigned char *pixels,
                               const float *expected, struct augment_scratch *scratch)
{
    size_t in = (size_t)(golden->channels * golden->h * golden->w);
    size_t out = (size_t)(golden->channels * golden->side * golden->side);
    struct image image = { malloc(in * sizeof(float)), golden->channels, golden->h, golden->w, in };
    float *dst = malloc(out * sizeof(float)), worst = 0.0f;
    struct view view = golden_view(golden);
    struct policy policy;

    policy_plain(&policy, golden->side, golden->channels);
    policy.blur_kernel = golden->kernel;
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

static void test_golden(const char *folder)
{
    char path[1024];
    struct golden golden;
    struct augment_scratch scratch = { 0 };
    int cases = 0;
    float worst = 0.0f;

    snprintf(path, sizeof(path), "%s/views.bin", folder);
    FILE *file = fopen(path, "rb");
    CHECK_MSG(file != NULL, "cannot open %s", path);
    if (!file)
        return;
    for (; fread(&golden, sizeof(golden), 1, file) == 1; cases++) {
        size_t in = (size_t)(golden.channels * golden.h * golden.w);
        size_t out = (size_t)(golden.channels * golden.side * golden.side);
        unsigned char *pixels = malloc(in);
        float *expected = malloc(out * sizeof(float)), difference = -1.0f;
        if (fread(pixels, 1, in, file) == in && fread(expected, sizeof(float), out, file) == out)
            difference = golden_difference(&golden, pixels, expected, &scratch);
        CHECK_MSG(difference >= 0.0f && difference <= 1e-4f, "case %d differs by %g", cases,
                  (double)difference);
        worst = fmaxf(worst, difference);
        free(pixels);
        free(expected);
    }
    CHECK_MSG(cases >= CASES_MIN, "%d cases in %s", cases, path);
    printf("%d cases, largest difference %.2g\n", cases, (double)worst);
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

/* The same stream gives the same view, whatever the scratch was used for before. */
static void test_repeatable(void)
{
    enum { SIDE = 32, FLOATS = 3 * SIDE * SIDE };
    static float pixels[3 * 48 * 40], a[FLOATS], b[FLOATS];
    struct image image = { pixels, 3, 48, 40, 3 * 48 * 40 };
    struct augment_scratch fresh = { 0 }, used = { 0 };
    struct policy policy;

    struct rng noise = rng_at(6, RNG_TEST, 0, 0);
    for (size_t i = 0; i < image.capacity; i++)
        pixels[i] = (float)rng_uniform(&noise);
    policy_full(&policy);
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

static void test_normalise_and_errors(void)
{
    float pixels[2 * 4] = { 0, 1, 0.5f, 0.25f, 1, 1, 0, 0 }, out[8];
    struct image image = { pixels, 2, 2, 2, 8 };
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
        test_golden(argv[1]);
    test_crop_statistics();
    test_fall_back();
    test_choice_statistics();
    test_repeatable();
    test_normalise_and_errors();
    return check_summary("augment");
}
