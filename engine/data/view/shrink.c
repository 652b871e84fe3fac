/* shrink.c: an oblong image by squares; see shrink.h.
 *
 * resample() makes squares of `side`. So the longer axis is covered by as many of them as it takes,
 * the last one flush with the end; each has the weights that the whole would give it. */
#include "engine/data/view/shrink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/view/resample.h"

static int shorter_of(const struct image *image)
{
    return image->height < image->width ? image->height : image->width;
}

int shrink_due(const struct image *image, int side)
{
    return side > 0 && shorter_of(image) > side;
}

static int scaled(int n, int side, int shorter)
{
    return (int)((int64_t)n * side / shorter);
}

static size_t whole_lines(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static int make_room(struct shrink *shrink, size_t floats)
{
    if (floats <= shrink->capacity)
        return MOCO_OK;
    free(shrink->floats);
    shrink->capacity = 0;
    shrink->floats = aligned_alloc(64, floats * sizeof *shrink->floats);
    if (!shrink->floats)
        return error_memory("an image that is made smaller", floats * sizeof *shrink->floats);
    shrink->capacity = floats;
    return MOCO_OK;
}

/* square: (channels, side, side), to (top, left) of `out`. */
static void place(struct image *out, const float *square, int top, int left, int side)
{
    for (int c = 0; c < out->channels; c++)
        for (int y = 0; y < side; y++, square += side)
            memcpy(out->pixels + ((size_t)c * (size_t)out->height + (size_t)(top + y)) *
                                     (size_t)out->width + (size_t)left,
                   square, (size_t)side * sizeof *square);
}

static int shrink_values(struct shrink *shrink, const struct image *image, int side,
                         const struct moco_simd *simd)
{
    int shorter = shorter_of(image);
    struct span rows = { 0, image->height, scaled(image->height, side, shorter), 0, side, 0 };
    struct span columns = { 0, image->width, scaled(image->width, side, shorter), 0, side, 0 };
    size_t square = whole_lines((size_t)image->channels * (size_t)side * (size_t)side);
    int rc = make_room(shrink, square + whole_lines(resample_floats(image, &rows, &columns)));
    if (rc == MOCO_OK)
        rc = image_resize(&shrink->image, image->channels, rows.to, columns.to);
    for (int top = 0; rc == MOCO_OK && top < rows.to; top += side)
        for (int left = 0; left < columns.to; left += side) {
            rows.first = top < rows.to - side ? top : rows.to - side;
            columns.first = left < columns.to - side ? left : columns.to - side;
            resample(shrink->floats, image, &rows, &columns, 0, simd,
                     shrink->floats + square);
            place(&shrink->image, shrink->floats, rows.first, columns.first, side);
        }
    return rc;
}

void shrink_close(struct shrink *shrink)
{
    free(shrink->floats);
    image_close(&shrink->image);
    *shrink = (struct shrink){ 0 };
}

/* values: 0 where one is missing; there: 1 where not. */
static void split(struct image *values, struct image *there, const struct image *image)
{
    size_t n = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
    for (size_t i = 0; i < n; i++) {
        int gap = isnan(image->pixels[i]);
        values->pixels[i] = gap ? 0.0f : image->pixels[i];
        there->pixels[i] = gap ? 0.0f : 1.0f;
    }
}

/* What is there stands for what is not, as long as it has half of the weight. */
static void divide(struct image *image, const float *weight)
{
    size_t n = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
    for (size_t i = 0; i < n; i++) {
        int gap = weight[i] < 0.5f;
        image->pixels[i] = gap ? NAN : weight[i] < 1.0f ? image->pixels[i] / weight[i]
                                                       : image->pixels[i];
        image->missing += (size_t)gap;
    }
}

static int shrink_gaps(struct shrink *shrink, const struct image *image, int side,
                       const struct moco_simd *simd)
{
    struct image values = { 0 }, there = { 0 };
    int rc = image_resize(&values, image->channels, image->height, image->width);
    if (!rc)
        rc = image_resize(&there, image->channels, image->height, image->width);
    if (!rc) {
        split(&values, &there, image);
        rc = shrink_values(shrink, &there, side, simd);
    }
    if (!rc) { /* smaller than what it came from */
        const struct image *weight = &shrink->image;
        memcpy(there.pixels, weight->pixels, (size_t)weight->channels * (size_t)weight->height *
                                                 (size_t)weight->width * sizeof(float));
        rc = shrink_values(shrink, &values, side, simd);
    }
    if (!rc)
        divide(&shrink->image, there.pixels);
    image_close(&values);
    image_close(&there);
    return rc;
}

int shrink_image(struct shrink *shrink, const struct image *image, int side,
                 const struct moco_simd *simd)
{
    return (image->missing ? shrink_gaps : shrink_values)(shrink, image, side, simd);
}
