/* metrics.h: what features say about themselves, without labels.
 *
 * In: unit rows of two views of each image. Out: alignment and uniformity (Wang and Isola 2020,
 * equations 4 and 5 with α = 2, t = 2), the deviation of each column (0 where all images have the
 * same features; Chen and He 2021, section 4.1), and the accuracy of the pretext task. */
#ifndef MOCO_ENGINE_EVAL_METRICS_H
#define MOCO_ENGINE_EVAL_METRICS_H

#include <stddef.h>

#include "simd/simd.h"

struct metrics {
    double alignment;  /* E ‖f(x) - f(x⁺)‖² over the views of an image; 0 is best */
    double uniformity; /* log E exp(-2 ‖f(x) - f(y)‖²) over pairs of images; 0: all are one */
    double deviation;  /* mean over the columns; 1 / sqrt(D) when spread over the sphere */
    double least;      /* of all columns */
    double top1;       /* percent of images whose other view is nearer than that of any other */
};

/* a, b: (n, D) unit rows, row i of both from image i. n >= 2. */
int metrics_of_views(struct metrics *out, const float *a, const float *b, size_t n, size_t D,
                     const struct moco_simd *simd);

/* Mean deviation of the columns of unit rows x: (n, D); *least: the smallest. */
double metrics_deviation(double *least, const float *x, size_t n, size_t D);

#endif
