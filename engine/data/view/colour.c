/* colour.c: the list of steps, what must end it, and the blur.
 *
 * A piece of the picture passes through all steps while it is in the first cache; the last of them
 * before a contrast also sums it. Blur is separable: w(t) ~ exp(-t^2 / 2 sigma^2),
 * t = -(taps-1)/2 .. (taps-1)/2, rows first. */
#include "engine/data/view/colour.h"

#include <math.h>
#include <string.h>

enum { PIECE = 1024, LANES = 16, PLANES = 3 };

/* The steps on one piece of planes first..first+planes-1. */
static void run_piece(struct colour *colour, size_t first, size_t planes, size_t begin,
                      size_t count, float *sums)
{
    colour->simd->colour(colour->x + first * colour->n + begin, colour->n, planes, count,
                         colour->step, colour->steps, sums);
}

/* The same, and adds the planes' sums: short float sums in lanes, added up in double, are fast, and
 * exact enough for large views. What fills no vector is added by itself. */
static void sum_piece(struct colour *colour, size_t first, size_t planes, size_t begin,
                      size_t count, double *total)
{
    float sums[PLANES * LANES];
    size_t whole = count / LANES * LANES;

    run_piece(colour, first, planes, begin, whole, sums);
    run_piece(colour, first, planes, begin + whole, count - whole, NULL);
    for (size_t c = 0; c < planes; c++) {
        for (size_t i = whole; i < count; i++)
            total[c] += (double)colour->x[(first + c) * colour->n + begin + i];
        for (size_t l = 0; l < LANES; l++)
            total[c] += (double)sums[c * LANES + l];
    }
}

/* All of these planes; total(planes), unless NULL: their sums. */
static void run_planes(struct colour *colour, size_t first, size_t planes, double *total)
{
    for (size_t begin = 0; begin < colour->n; begin += PIECE) {
        size_t count = colour->n - begin < PIECE ? colour->n - begin : PIECE;
        if (total)
            sum_piece(colour, first, planes, begin, count, total);
        else
            run_piece(colour, first, planes, begin, count, NULL);
    }
}

void colour_flush(struct colour *colour)
{
    size_t channels = (size_t)colour->channels, planes = channels == PLANES ? PLANES : 1;

    for (size_t c = 0; colour->steps && c < channels; c += planes)
        run_planes(colour, c, planes, NULL);
    colour->steps = 0;
}

/* Does what waits and returns the mean of the grey image, the grey of the planes' means. */
static double flush_to_mean(struct colour *colour)
{
    double n = (double)colour->n, total[PLANES] = { 0 }, mean = 0.0;

    if (colour->channels == PLANES) {
        run_planes(colour, 0, PLANES, total);
        mean = 0.2989 * (total[0] / n) + 0.587 * (total[1] / n) + 0.114 * (total[2] / n);
    }
    for (int c = 0; c < colour->channels && colour->channels != PLANES; c++) {
        total[0] = 0.0;
        run_planes(colour, (size_t)c, 1, total);
        mean += total[0] / n / colour->channels;
    }
    colour->steps = 0;
    return mean;
}

static void add_step(struct colour *colour, enum moco_colour_kind kind, float a, float b)
{
    if (colour->steps == COLOUR_STEPS)
        colour_flush(colour);
    colour->step[colour->steps++] = (struct moco_colour){ .kind = kind, .a = { a }, .b = { b } };
}

void colour_brightness(struct colour *colour, float factor)
{
    add_step(colour, MOCO_COLOUR_BLEND, factor, 0.0f);
}

void colour_contrast(struct colour *colour, float factor)
{
    double mean = flush_to_mean(colour);

    add_step(colour, MOCO_COLOUR_BLEND, factor, (float)(mean * (1.0 - (double)factor)));
}

void colour_saturation(struct colour *colour, float factor)
{
    add_step(colour, MOCO_COLOUR_SATURATION, factor, 1.0f - factor);
}

void colour_hue(struct colour *colour, float shift)
{
    add_step(colour, MOCO_COLOUR_HUE, 6.0f * shift, 0.0f);
}

void colour_grey(struct colour *colour)
{
    add_step(colour, MOCO_COLOUR_GREY, 0.0f, 0.0f);
}

/* Each group of planes has numbers of its own, so they go one after the other. */
void colour_normalise(struct colour *colour, const float *mean, const float *std)
{
    size_t channels = (size_t)colour->channels, planes = channels == PLANES ? PLANES : 1;

    add_step(colour, MOCO_COLOUR_NORMALISE, 0.0f, 0.0f);
    for (size_t c = 0; c < channels; c += planes) {
        struct moco_colour *last = &colour->step[colour->steps - 1];
        for (size_t i = 0; i < planes; i++)
            last->a[i] = mean[c + i], last->b[i] = 1.0f / std[c + i];
        run_planes(colour, c, planes, NULL);
    }
    colour->steps = 0;
}

void colour_mean(struct colour *colour)
{
    float *restrict x = colour->x, scale = 1.0f / (float)colour->channels;
    size_t n = colour->n;

    colour_flush(colour);
    for (int c = 1; c < colour->channels; c++) { /* the first plane takes up the sum */
        const float *restrict other = x + (size_t)c * n;
        for (size_t i = 0; i < n; i++)
            x[i] += other[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
    for (int c = 1; c < colour->channels; c++)
        memcpy(x + (size_t)c * n, x, n * sizeof(*x));
}

void colour_solarise(struct colour *colour, float threshold)
{
    float *x = colour->x;
    size_t n = (size_t)colour->channels * colour->n;

    colour_flush(colour);
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] >= threshold ? 1.0f - x[i] : x[i];
}

/* ---- blur ---- */

/* The scratch holds a plane, at whose start vectors lie within cache lines, a row with its margins,
 * weights, and the places of rows. */
size_t colour_blur_floats(int side, int taps)
{
    size_t places = (size_t)taps * sizeof(float *) / sizeof(float);
    return (size_t)side * (size_t)side + (size_t)side + 2 * (size_t)taps + places + 1;
}

/* Weights of a Gaussian; returns how many at both ends are too small to reach a float's last bit,
 * and so small that some CPUs take a hundred cycles to multiply by them. */
static int gaussian(float *weights, int taps, float sigma)
{
    double total = 0.0;
    int idle = 0;

    for (int t = 0; t < taps; t++) {
        double z = (t - (taps - 1) / 2) / (double)sigma;
        weights[t] = (float)exp(-0.5 * z * z);
        total += weights[t];
    }
    for (int t = 0; t < taps; t++)
        weights[t] = (float)(weights[t] / total);
    while (weights[idle] < 0x1p-60f)
        idle++;
    return idle;
}

/* Index i reflected into 0..n-1; the edge pixel itself is not repeated. */
static int reflect(int i, int n)
{
    if (i < 0)
        return -i;
    return i < n ? i : 2 * (n - 1) - i;
}

/* A row with its mirror images of `radius` pixels at both ends. */
static void pad_row(float *restrict padded, const float *restrict row, int radius, int side)
{
    for (int i = 1; i <= radius; i++) {
        padded[radius - i] = row[reflect(-i, side)];
        padded[radius + side - 1 + i] = row[reflect(side - 1 + i, side)];
    }
    memcpy(padded + radius, row, (size_t)side * sizeof(*row));
}

/* x: one plane. place: (taps) of the rows that are added. */
static void blur_plane(const struct moco_simd *simd, float *x, int side, const float *weights,
                       int taps, const float **place, float *plane, float *padded)
{
    size_t width = (size_t)side;

    for (int t = 0; t < taps; t++)
        place[t] = padded + t;
    for (size_t y = 0; y < width; y++) {
        pad_row(padded, x + y * width, taps / 2, side);
        simd->blend(plane + y * width, place, weights, (size_t)taps, width);
    }
    for (int y = 0; y < side; y++) {
        for (int t = 0; t < taps; t++)
            place[t] = plane + (size_t)reflect(y + t - taps / 2, side) * width;
        simd->blend(x + (size_t)y * width, place, weights, (size_t)taps, width);
    }
}

void colour_blur(struct colour *colour, int side, int taps, float sigma, float *scratch)
{
    size_t width = (size_t)side, all = (size_t)taps;
    float *plane = scratch, *padded = plane + width * width, *weights = padded + width + all;
    size_t used = width * width + width + 2 * all; /* pointers may need an even place */
    const float **place = (const float **)(void *)(scratch + used + used % 2);
    int idle = gaussian(weights, taps, sigma);

    colour_flush(colour);
    for (int c = 0; c < colour->channels; c++)
        blur_plane(colour->simd, colour->x + (size_t)c * colour->n, side, weights + idle,
                   taps - 2 * idle, place, plane, padded);
}
