/* golden.c: views that torchvision made, and the parameters it drew for them. With mean 0 and std 1
 * ours may differ by 1e-4 anywhere. The format: tests/oracle/augment_golden.py. */
#include "tests/augment/augment.h"

#include <math.h>
#include <stdlib.h>

enum { CASES_MIN = 40 };

struct golden {
    int32_t channels, h, w, side, top, left, height, width, flip, jitter, order[4], grey, kernel;
    float factor[4], sigma;
};

/* What a case of views2.bin has beside. */
struct golden_later {
    int32_t flip_vertical, turns, solarise, aliased;
    float angle, threshold;
};

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

/* The same of the next case of a file: pixels (channels, h, w) as bytes, then the view. */
static float next_difference(FILE *file, const struct golden *golden,
                             const struct golden_later *later, struct augment_scratch *scratch)
{
    size_t in = (size_t)(golden->channels * golden->h * golden->w);
    size_t out = (size_t)(golden->channels * golden->side * golden->side);
    unsigned char *pixels = malloc(in);
    float *expected = malloc(out * sizeof(float)), difference = -1.0f;

    if (fread(pixels, 1, in, file) == in && fread(expected, sizeof(float), out, file) == out)
        difference = golden_difference(golden, later, pixels, expected, scratch);
    free(pixels);
    free(expected);
    return difference;
}

/* later_size: the bytes of a case's later part in this file. */
static void test_file(const char *folder, const char *name, size_t later_size)
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
        float difference = next_difference(file, &golden, &later, &scratch);
        CHECK_MSG(difference >= 0.0f && difference <= 1e-4f, "%s: case %d differs by %g", name,
                  cases, (double)difference);
        worst = fmaxf(worst, difference);
    }
    CHECK_MSG(cases >= CASES_MIN, "%d cases in %s", cases, path);
    printf("%s: %d cases, largest difference %.2g\n", name, cases, (double)worst);
    fclose(file);
    augment_scratch_close(&scratch);
}

void test_golden(const char *folder)
{
    test_file(folder, "views.bin", 0);
    test_file(folder, "views2.bin", sizeof(struct golden_later));
}
