/* augment.c: drawing the parameters of a view, and the order in which they are applied.
 *
 * The resize does the flips and its half of the quarter turns: a turn is a mirror image of the
 * columns (or rows), transposed. A crop has area = H W U(scale) and ratio = exp U(log ratio_lo,
 * log ratio_hi): width = sqrt(area ratio), height = sqrt(area / ratio); what does not fit is drawn
 * again, at most ten times. Operations that came later are drawn behind the older ones, so that a
 * run without them keeps its views. */
#define _GNU_SOURCE
#include "engine/data/view/augment.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/view/colour.h"
#include "engine/data/view/noise.h"
#include "engine/data/view/resample.h"
#include "engine/data/view/turn.h"

enum { CROP_TRIES = 10 };

static const struct view view_neutral = {
    .order = { JITTER_BRIGHTNESS, JITTER_CONTRAST, JITTER_SATURATION, JITTER_HUE },
    .factor = { 1.0f, 1.0f, 1.0f, 0.0f },
};

static int chance(struct rng *rng, float p)
{
    return rng_uniform(rng) < p;
}

/* The largest centred crop whose ratio is within the limits. */
static void crop_centre(struct view *out, const struct policy *policy, int height, int width)
{
    double ratio = (double)width / height;

    out->height = height, out->width = width;
    if (ratio < policy->ratio_lo)
        out->height = (int)lrint(width / (double)policy->ratio_lo);
    else if (ratio > policy->ratio_hi)
        out->width = (int)lrint(height * (double)policy->ratio_hi);
    out->top = (height - out->height) / 2;
    out->left = (width - out->width) / 2;
}

static void crop_draw(struct view *out, const struct policy *policy, int height, int width,
                      struct rng *rng)
{
    double log_lo = log(policy->ratio_lo), log_hi = log(policy->ratio_hi);

    for (int attempt = 0; attempt < CROP_TRIES; attempt++) {
        double area = (double)height * width
                      * rng_between(rng, policy->scale_lo, policy->scale_hi);
        double ratio = exp(rng_between(rng, log_lo, log_hi));
        long w = lrint(sqrt(area * ratio)), h = lrint(sqrt(area / ratio)); /* half to even */

        if (w > 0 && w <= width && h > 0 && h <= height) {
            out->width = (int)w, out->height = (int)h;
            out->top = (int)rng_below(rng, (uint64_t)(height - h) + 1);
            out->left = (int)rng_below(rng, (uint64_t)(width - w) + 1);
            return;
        }
    }
    crop_centre(out, policy, height, width);
}

/* A factor in 1±amount, never negative. */
static float factor_draw(struct rng *rng, float amount)
{
    double lo = amount < 1.0f ? 1.0 - (double)amount : 0.0;
    return (float)rng_between(rng, lo, 1.0 + (double)amount);
}

static void jitter_draw(struct view *out, const struct policy *policy, struct rng *rng)
{
    uint32_t order[4];

    rng_permutation(rng, order, 4);
    for (int i = 0; i < 4; i++)
        out->order[i] = (enum jitter_part)order[i];
    out->factor[JITTER_BRIGHTNESS] = factor_draw(rng, policy->brightness);
    out->factor[JITTER_CONTRAST] = factor_draw(rng, policy->contrast);
    if (policy->per_channel) {
        out->per_channel = 1;
        out->channel_factor[JITTER_BRIGHTNESS][0] = out->factor[JITTER_BRIGHTNESS];
        out->channel_factor[JITTER_CONTRAST][0] = out->factor[JITTER_CONTRAST];
        for (int c = 1; c < policy->channels; c++) {
            out->channel_factor[JITTER_BRIGHTNESS][c] = factor_draw(rng, policy->brightness);
            out->channel_factor[JITTER_CONTRAST][c] = factor_draw(rng, policy->contrast);
        }
    } else if (policy->channels == 3) {
        out->factor[JITTER_SATURATION] = factor_draw(rng, policy->saturation);
        out->factor[JITTER_HUE] = (float)rng_between(rng, -(double)policy->hue, policy->hue);
    }
}

/* Each channel by itself; should none be left, one of them stays. */
static void drop_draw(struct view *out, const struct policy *policy, struct rng *rng)
{
    for (int c = 0; c < policy->channels; c++) {
        out->drop[c] = (unsigned char)chance(rng, policy->drop_p);
        out->dropped += out->drop[c];
    }
    if (out->dropped == policy->channels) {
        out->drop[rng_below(rng, (uint64_t)policy->channels)] = 0;
        out->dropped--;
    }
}

static void draw_later_ones(struct view *out, const struct policy *policy, struct rng *rng)
{
    if (policy->flip_vertical_p > 0.0f)
        out->flip_vertical = chance(rng, policy->flip_vertical_p);
    if (policy->quarter_turns)
        out->turns = (int)rng_below(rng, 4);
    if (policy->rotate > 0.0f)
        out->angle = (float)rng_between(rng, -(double)policy->rotate, policy->rotate);
    if (policy->solarise_p > 0.0f)
        out->solarise = chance(rng, policy->solarise_p);
    if (policy->drop_p > 0.0f)
        drop_draw(out, policy, rng);
    out->noise = *rng;
}

static int grey_kind(const struct policy *policy)
{
    if (policy->per_channel)
        return VIEW_GREY_MEAN;
    return policy->channels == 3 ? VIEW_GREY_COLOUR : 0;
}

void augment_draw(struct view *out, const struct policy *policy, int height, int width,
                  struct rng *rng)
{
    *out = view_neutral;
    out->height = height, out->width = width;
    if (policy->scale_hi > 0.0f)
        crop_draw(out, policy, height, width, rng);
    out->flip = chance(rng, policy->flip_p);
    out->jitter = chance(rng, policy->jitter_p);
    if (out->jitter)
        jitter_draw(out, policy, rng);
    out->grey = chance(rng, policy->grey_p) ? grey_kind(policy) : 0;
    if (chance(rng, policy->blur_p))
        out->sigma = (float)rng_between(rng, policy->blur_lo, policy->blur_hi);
    draw_later_ones(out, policy, rng);
}

/* The odd number nearest to side / 10 where the policy names none. */
static int blur_taps(const struct policy *policy)
{
    return policy->blur_kernel > 0 ? policy->blur_kernel : policy->side / 20 * 2 + 1;
}

static int scratch_reserve(struct augment_scratch *scratch, size_t floats)
{
    if (floats <= scratch->capacity)
        return 0;
    size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
    free(scratch->floats);
    scratch->capacity = 0;
    scratch->floats = aligned_alloc(64, bytes);
    if (!scratch->floats)
        return error_memory("the scratch of the augmentation", bytes);
    scratch->capacity = floats;
    return 0;
}

/* The policy's kernels, or the best of this machine, which the scratch then remembers. */
static int find_kernels(const struct moco_simd **out, const struct policy *policy,
                        struct augment_scratch *scratch)
{
    *out = policy->simd ? policy->simd : &scratch->simd;
    if (policy->simd || scratch->simd.name || !moco_simd_init(&scratch->simd, NULL))
        return 0;
    return error_set(MOCO_EARG, "MOCO_SIMD names no kernels of this machine");
}

static int image_check(const struct image *image, const struct policy *policy)
{
    if (policy->side < 1)
        return error_set(MOCO_EARG, "views of side %d: the side must be at least 1", policy->side);
    if (image->channels != policy->channels || image->channels < 1
        || image->channels > AUGMENT_CHANNELS_MAX)
        return error_set(MOCO_EARG, "an image of %d channels where the policy has %d (1 to %d)",
                         image->channels, policy->channels, AUGMENT_CHANNELS_MAX);
    if (image->missing) /* one NaN spreads over a blurred view */
        return error_set(MOCO_EARG, "%zu numbers of an image have no value: image_fill() comes "
                         "before its views", image->missing);
    if (image->height < 1 || image->width < 1)
        return error_set(MOCO_EARG, "an image of %d x %d pixels is empty", image->height,
                         image->width);
    return 0;
}

static int view_check(const struct view *view, const struct image *image,
                      const struct policy *policy)
{
    int taps = blur_taps(policy);

    if (view->top < 0 || view->left < 0 || view->height < 1 || view->width < 1
        || view->height > image->height - view->top || view->width > image->width - view->left)
        return error_set(MOCO_EARG, "crop of %d x %d at (%d, %d) lies outside an image of %d x %d",
                         view->height, view->width, view->top, view->left, image->height,
                         image->width);
    if (view->sigma > 0.0f && (taps % 2 == 0 || taps / 2 >= policy->side))
        return error_set(MOCO_EARG, "a blur of %d taps: must be odd and below twice the side %d",
                         taps, policy->side);
    return 0;
}

/* Brightness and contrast of channels that are no colours. */
static void jitter_channels(struct colour *colour, const struct view *view, enum jitter_part part)
{
    struct colour one = { .simd = colour->simd, .x = colour->x, .channels = 1, .n = colour->n };

    for (int c = 0; c < colour->channels && part <= JITTER_CONTRAST; c++, one.x += one.n) {
        if (part == JITTER_BRIGHTNESS)
            colour_brightness(&one, view->channel_factor[part][c]);
        else
            colour_contrast(&one, view->channel_factor[part][c]);
        colour_flush(&one);
    }
}

static void jitter_apply(struct colour *colour, const struct view *view)
{
    for (int i = 0; i < 4; i++) {
        enum jitter_part part = view->order[i];
        float factor = view->factor[part];

        if (view->per_channel)
            jitter_channels(colour, view, part);
        if (view->per_channel || factor == view_neutral.factor[part])
            continue;
        if (part == JITTER_BRIGHTNESS)
            colour_brightness(colour, factor);
        else if (part == JITTER_CONTRAST)
            colour_contrast(colour, factor);
        else if (part == JITTER_SATURATION && colour->channels == 3)
            colour_saturation(colour, factor);
        else if (part == JITTER_HUE && colour->channels == 3)
            colour_hue(colour, factor);
    }
}

/* The mirror images that, with the transposition of an odd turn, make up flips and turns. */
static int mirrors(const struct view *view)
{
    int columns = (view->flip != 0) ^ (view->turns == 1 || view->turns == 2);
    int rows = (view->flip_vertical != 0) ^ (view->turns == 2 || view->turns == 3);
    return (columns ? MIRROR_COLUMNS : 0) | (rows ? MIRROR_ROWS : 0);
}

/* What needs all of the view's pixels at their new places. */
static void move_pixels(float *x, const struct view *view, const struct policy *policy,
                        float *scratch)
{
    if (view->turns % 2)
        turn_transpose(x, policy->channels, policy->side);
    if (view->angle != 0.0f)
        turn_rotate(x, policy->channels, policy->side, view->angle, policy->rotate_reflect,
                    scratch);
}

static void drop_channels(float *x, const struct view *view, const struct policy *policy, size_t n)
{
    for (int c = 0; c < policy->channels; c++, x += n)
        for (size_t i = 0; i < n && view->drop[c]; i++)
            x[i] = policy->mean[c];
}

static void spoil_pixels(struct colour *colour, const struct view *view,
                         const struct policy *policy)
{
    struct rng rng = view->noise;
    size_t values = (size_t)colour->channels * colour->n;

    if (view->solarise)
        colour_solarise(colour, policy->solarise_threshold);
    if (policy->poisson > 0.0f || policy->noise > 0.0f || view->dropped)
        colour_flush(colour);
    if (policy->poisson > 0.0f)
        noise_poisson(colour->x, values, policy->poisson, &rng);
    if (policy->noise > 0.0f)
        noise_gaussian(colour->x, values, policy->noise, &rng);
    if (view->dropped)
        drop_channels(colour->x, view, policy, colour->n);
}

/* Floats of scratch that the steps of this view share. */
static size_t apply_floats(const struct image *image, const struct view *view,
                           const struct policy *policy, const struct span *rows,
                           const struct span *columns)
{
    int side = policy->side;
    size_t most = resample_floats(image, rows, columns), more = 0;
    if (view->sigma > 0.0f)
        more = colour_blur_floats(side, blur_taps(policy));
    most = most > more ? most : more;
    more = view->angle != 0.0f ? turn_floats(side) : 0;
    return most > more ? most : more;
}

int augment_apply(float *dst, const struct image *image, const struct view *view,
                  const struct policy *policy, struct augment_scratch *scratch)
{
    int side = policy->side;
    struct colour colour = { .x = dst, .channels = policy->channels,
                             .n = (size_t)side * (size_t)side };
    struct span rows = { view->top, view->height, side, 0, side, policy->aliased };
    struct span columns = { view->left, view->width, side, 0, side, policy->aliased };
    int rc = image_check(image, policy);

    if (!rc)
        rc = view_check(view, image, policy);
    if (!rc)
        rc = scratch_reserve(scratch, apply_floats(image, view, policy, &rows, &columns));
    if (!rc)
        rc = find_kernels(&colour.simd, policy, scratch);
    if (rc)
        return rc;

    resample(dst, image, &rows, &columns, mirrors(view), colour.simd, scratch->floats);
    move_pixels(dst, view, policy, scratch->floats);
    if (view->jitter)
        jitter_apply(&colour, view);
    if (view->grey == VIEW_GREY_MEAN)
        colour_mean(&colour);
    else if (view->grey && policy->channels == 3)
        colour_grey(&colour);
    if (view->sigma > 0.0f)
        colour_blur(&colour, side, blur_taps(policy), view->sigma, scratch->floats);
    spoil_pixels(&colour, view, policy);
    colour_normalise(&colour, policy->mean, policy->std);
    return 0;
}

/* One axis of the evaluation view: `count` pixels where the shorter axis has `shorter`. Of an axis
 * that would have more pixels than an int counts, as of a spectrum in one row, the middle. */
static struct span plain_span(int count, int shorter, int side)
{
    int64_t most = (int64_t)(INT_MAX / side - 1) * shorter;
    int from = count > most ? (int)((count - most) / 2) : 0;
    count -= 2 * from;
    int to = (int)((int64_t)side * count / shorter);
    return (struct span){ from, count, to, (int)lrint((to - side) / 2.0), side, 0 };
}

int augment_plain(float *dst, const struct image *image, const struct policy *policy,
                  struct augment_scratch *scratch)
{
    int rc = image_check(image, policy);

    if (rc)
        return rc;

    int shorter = image->height < image->width ? image->height : image->width;
    struct span rows = plain_span(image->height, shorter, policy->side);
    struct span columns = plain_span(image->width, shorter, policy->side);
    if (policy->plain_height) { /* the whole image, however its sides then change */
        rows = (struct span){ 0, image->height, policy->plain_height, 0, policy->plain_height, 0 };
        columns = (struct span){ 0, image->width, policy->plain_width, 0, policy->plain_width, 0 };
    }
    struct colour colour = { .x = dst, .channels = policy->channels,
                             .n = (size_t)rows.keep * (size_t)columns.keep };
    rc = scratch_reserve(scratch, resample_floats(image, &rows, &columns));
    if (!rc)
        rc = find_kernels(&colour.simd, policy, scratch);
    if (rc)
        return rc;
    resample(dst, image, &rows, &columns, 0, colour.simd, scratch->floats);
    colour_normalise(&colour, policy->mean, policy->std);
    return 0;
}

void augment_scratch_close(struct augment_scratch *scratch)
{
    free(scratch->floats);
    *scratch = (struct augment_scratch){ 0 };
}
