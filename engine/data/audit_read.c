/* audit_read.c: every image of a set read once: its pixels' hash, what they are, their sums.
 *
 * Threads take chunks of images and sum up each by itself; sums are then added in the order of the
 * chunks, so the statistics do not depend on the number of threads. */
#define _GNU_SOURCE
#include "engine/data/audit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { CHUNK = 64 };

/* Of one channel. */
struct sums {
    double sum, squares, low, high, values;
};

struct chunk {
    size_t read;
    struct sums *channels; /* (channels) */
};

/* ---- an image ---- */

static uint64_t mix(uint64_t hash, uint64_t word, uint64_t factor)
{
    hash = (hash ^ word) * factor;
    return hash << 29 ^ hash >> 35;
}

static void hash_numbers(uint64_t hash[2], const float *x, size_t n)
{
    static const uint64_t factors[2] = { 0x9e3779b97f4a7c15u, 0xc2b2ae3d27d4eb4fu };
    for (size_t i = 0; i < n; i += 2) {
        uint64_t word = 0;
        memcpy(&word, x + i, (n - i < 2 ? 1 : 2) * sizeof *x);
        hash[0] = mix(hash[0], word, factors[0]);
        hash[1] = mix(hash[1], word, factors[1]);
    }
}

static void hash_image(uint64_t hash[2], const struct image *image)
{
    size_t plane = (size_t)image->height * (size_t)image->width;
    int channels = 1;
    for (int c = 1; c < image->channels && channels == 1; c++)
        if (memcmp(image->pixels, image->pixels + (size_t)c * plane, plane * sizeof(float)) != 0)
            channels = image->channels;
    hash[0] = (uint64_t)image->height << 32 | (uint64_t)image->width;
    hash[1] = (uint64_t)channels + 0x165667b19e3779f9u;
    hash_numbers(hash, image->pixels, (size_t)channels * plane);
}

static const struct sums sums_none = { 0, 0, INFINITY, -INFINITY, 0 };

/* gaps: NaN means a number that is missing. */
static struct sums sums_of(const float *x, size_t n, int gaps)
{
    struct sums s = sums_none;
    for (size_t i = 0; i < n; i++) {
        double value = (double)x[i];
        if (gaps && isnan(value))
            continue;
        s.values++;
        s.sum += value;
        s.squares += value * value;
        s.low = value < s.low ? value : s.low;
        s.high = value > s.high ? value : s.high;
    }
    return s;
}

static void add(struct sums *to, const struct sums *s)
{
    to->sum += s->sum;
    to->squares += s->squares;
    to->values += s->values;
    to->low = s->low < to->low ? s->low : to->low;
    to->high = s->high > to->high ? s->high : to->high;
}

/* found: it holds NaN or infinite numbers that nothing declares missing. */
static void judge(struct audit_image *out, struct chunk *chunk, struct sums *scratch,
                  const struct image *image, int found)
{
    size_t plane = (size_t)image->height * (size_t)image->width;
    out->height = image->height;
    out->width = image->width;
    out->constant = 1;
    out->infinite = (unsigned char)found;
    hash_image(out->hash, image);
    for (int c = 0; c < image->channels; c++) {
        scratch[c] = sums_of(image->pixels + (size_t)c * plane, plane, image->missing && !found);
        out->constant &= scratch[c].low >= scratch[c].high;
        out->infinite |= !isfinite(scratch[c].sum) || !isfinite(scratch[c].squares);
    }
    if (out->infinite)
        return;
    for (int c = 0; c < image->channels; c++)
        add(&chunk->channels[c], &scratch[c]);
}

static void look(struct audit_image *out, struct chunk *chunk, struct sums *scratch,
                 struct image *image, const struct source *source)
{
    int rc = source->read(source, out->index, image), found = rc == MOCO_ENOTFINITE;
    out->rc = found ? MOCO_OK : rc; /* its pixels are there */
    if (out->rc == MOCO_OK && image->channels != source->channels)
        out->rc = error_set(MOCO_EFORMAT, "%s: image %zu has %d channels, not %d", source->where,
                            out->index, image->channels, source->channels);
    if (out->rc == MOCO_OK)
        judge(out, chunk, scratch, image, found);
    else
        out->sentence = strdup(error_text());
}

/* ---- all images ---- */

struct pass {
    struct audit *audit;
    size_t chunks, done;
    struct chunk *chunk; /* (chunks) */
    struct sums *sums;   /* (chunks, channels) */
    audit_progress *progress;
    void *user;
    int rc; /* of a failure that is none of an image's */
    char sentence[1024];
};

static void take_failure(struct pass *pass, int rc)
{
#pragma omp critical(audit_failure)
    {
        pass->rc = rc;
        snprintf(pass->sentence, sizeof pass->sentence, "%s", error_text());
    }
}

static void look_at_chunk(struct pass *pass, size_t k, struct sums *scratch, struct image *image)
{
    const struct source *source = pass->audit->source;
    struct chunk *chunk = &pass->chunk[k];
    size_t end = (k + 1) * CHUNK < source->count ? (k + 1) * CHUNK : source->count;
    chunk->channels = pass->sums + k * (size_t)source->channels;
    for (int c = 0; c < source->channels; c++)
        chunk->channels[c] = sums_none;
    for (size_t i = k * CHUNK; i < end; i++) {
        pass->audit->images[i].index = i;
        look(&pass->audit->images[i], chunk, scratch, image, source);
        if (source_is_short(pass->audit->images[i].rc))
            take_failure(pass, pass->audit->images[i].rc);
    }
#pragma omp critical(audit_progress)
    {
        pass->done += end - k * CHUNK;
        if (pass->progress)
            pass->progress(pass->user, pass->done, source->count);
    }
}

static void look_at_all(struct pass *pass)
{
    size_t channels = (size_t)pass->audit->source->channels;
#pragma omp parallel
    {
        struct image image = { 0 };
        struct sums *scratch = malloc(channels * sizeof *scratch);
        if (!scratch)
            take_failure(pass, error_memory("statistics of an image", channels * sizeof *scratch));
#pragma omp for schedule(dynamic)
        for (size_t k = 0; k < pass->chunks; k++)
            if (scratch)
                look_at_chunk(pass, k, scratch, &image);
        free(scratch);
        image_close(&image);
    }
}

static void take_statistics(struct audit *out, const struct pass *pass)
{
    for (int c = 0; c < out->source->channels; c++) {
        struct sums all = sums_none;
        for (size_t k = 0; k < pass->chunks; k++)
            add(&all, &pass->chunk[k].channels[c]);
        double pixels = all.values;
        double mean = all.sum / pixels, variance = all.squares / pixels - mean * mean;
        out->mean[c] = mean;
        out->std[c] = isnan(variance) ? NAN : sqrt(fmax(variance, 0));
        out->low[c] = pixels > 0 ? all.low : NAN;
        out->high[c] = pixels > 0 ? all.high : NAN;
    }
}

int audit_read(struct audit *out, audit_progress *progress, void *user)
{
    size_t chunks = (out->source->count + CHUNK - 1) / CHUNK;
    size_t channels = (size_t)out->source->channels;
    struct pass pass = { .audit = out, .chunks = chunks, .progress = progress, .user = user };
    pass.chunk = calloc(chunks, sizeof *pass.chunk);
    pass.sums = malloc(chunks * channels * sizeof *pass.sums);
    int rc = pass.chunk && pass.sums ? MOCO_OK
                                     : error_memory("statistics of the data",
                                                    chunks * channels * sizeof *pass.sums);
    if (rc == MOCO_OK)
        look_at_all(&pass);
    if (rc == MOCO_OK && pass.rc != MOCO_OK)
        rc = error_set(pass.rc, "%s", pass.sentence);
    if (rc == MOCO_OK)
        take_statistics(out, &pass);
    free(pass.chunk);
    free(pass.sums);
    return rc;
}
