/* statistics.c: mean and deviation of the channels of a set; see source.h.
 *
 * Numbers that are missing are NaN and count neither in the sums nor among the pixels. Images that
 * have every value give the sums that they would give without this rule, to the byte. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/data/source.h"

/* Of one channel. */
struct sums {
    double sum, squares, pixels;
};

static void add_channel(struct sums *sums, const float *x, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    sums->sum += sum;
    sums->squares += squares;
    sums->pixels += (double)n;
}

static void add_values(struct sums *sums, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            add_channel(sums, x + i, 1);
}

/* sums: (channels) */
static void add_image(struct sums *sums, const struct image *image)
{
    size_t plane = (size_t)image->height * (size_t)image->width;
    for (int c = 0; c < image->channels; c++)
        (image->missing ? add_values : add_channel)(&sums[c], image->pixels + (size_t)c * plane,
                                                    plane);
}

static int sum_images(const struct source *source, struct sums *sums, size_t sample)
{
    struct image image = { 0 };
    size_t good = 0;
    int rc = MOCO_OK, last = MOCO_OK;
    for (size_t i = 0; i < sample && rc == MOCO_OK; i++) {
        size_t index = i * source->count / sample; /* all where all are sampled */
        rc = source->read(source, index, &image);
        if (source_is_bad(rc)) {
            last = rc;
            rc = MOCO_OK;
            continue;
        }
        if (rc == MOCO_OK && image.channels != source->channels)
            rc = error_set(MOCO_EFORMAT, "%s: image %zu has %d channels, not %d", source->where,
                           index, image.channels, source->channels);
        if (rc != MOCO_OK)
            break;
        add_image(sums, &image);
        good++;
    }
    image_close(&image);
    return rc == MOCO_OK && !good ? last : rc; /* the sentence is the last image's */
}

/* A constant channel gets std 1: it becomes 0, not infinite, when normalised. What is constant does
 * not depend on the unit: fluxes of 1e-17 are none, but what rounding leaves of a mean is. */
static int finish(const struct source *source, float *mean, float *std, const struct sums *sums,
                  size_t sample)
{
    for (int c = 0; c < source->channels; c++) {
        double pixels = sums[c].pixels;
        if (pixels == 0)
            return error_set(MOCO_EFORMAT, "%s: channel %d has no value in any of %zu images (%s); "
                             "write the set without it, or give --mean and --std", source->where, c,
                             sample, source->declared[0] ? source->declared : "all are NaN");
        double m = sums[c].sum / pixels, variance = sums[c].squares / pixels - m * m;
        if (!isfinite(m) || !isfinite(variance))
            return error_set(MOCO_EFORMAT, "%s: channel %d holds NaN or infinite values; replace "
                             "them first", source->where, c);
        mean[c] = (float)m;
        double deviation = variance > 1e-12 * m * m ? sqrt(variance) : 0.0;
        std[c] = deviation > 1e-30 ? (float)deviation : 1.0f; /* floats hold its inverse */
    }
    return MOCO_OK;
}

int source_statistics(const struct source *source, float *mean, float *std, size_t sample)
{
    sample = sample < source->count ? sample : source->count;
    if (sample == 0 || source->channels <= 0)
        return error_set(MOCO_EARG, "statistics of %s: no image to sample", source->where);
    struct sums *sums = calloc((size_t)source->channels, sizeof *sums);
    if (!sums)
        return error_memory("statistics", (size_t)source->channels * sizeof *sums);
    int rc = sum_images(source, sums, sample);
    if (rc == MOCO_OK)
        rc = finish(source, mean, std, sums, sample);
    free(sums);
    return rc;
}
