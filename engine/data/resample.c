/* resample.c: the two passes of the resize, fused row by row.
 *
 * The weights of both axes are computed once per view. Then each output row is first blended from
 * its input rows (contiguous, vectorised, only the columns of the crop), and that one row is
 * gathered into `side` outputs: dst[y][x] = sum_j h(x, j) sum_i v(y, i) in[i][j]. A mirrored view
 * only has the weights of an axis listed backwards, so a flip costs nothing. */
#include "engine/data/resample.h"

#include <math.h>

/* The weights of one axis: output o reads pixels start[o]..start[o]+taps-1 with weights[o*taps]. */
struct axis {
    int taps;
    int *start;     /* (side) */
    float *weights; /* (side, taps) */
};

static double span_scale(const struct span *span)
{
    return (double)span->count / span->to;
}

/* Half the width of the triangle, in pixels of the image. */
static double span_support(const struct span *span)
{
    double scale = span_scale(span);
    return scale > 1.0 && !span->aliased ? scale : 1.0;
}

static int span_taps(const struct span *span)
{
    double support = span_support(span);
    double taps = ceil(2.0 * support);

    if (span->count == span->to)
        return 1; /* every output is its own pixel: exact also beside an infinity */
    return taps < span->count ? (int)taps : span->count;
}

size_t resample_floats(const struct span *rows, const struct span *columns, int side)
{
    size_t per_output = (size_t)span_taps(rows) + (size_t)span_taps(columns) + 2;
    return (size_t)side * per_output + (size_t)columns->count;
}

/* Weights of output `o`; returns the first pixel they belong to. */
static int axis_output(float *weights, const struct span *span, int taps, int o)
{
    double scale = span_scale(span), support = span_support(span);
    double centre = scale * (o + 0.5), low = centre - support + 0.5;
    int first = low > 0.0 ? (int)low : 0;
    /* All outputs have `taps` pixels; at the far edge that means starting earlier, with zeros. */
    int start = first < span->count - taps ? first : span->count - taps;
    double total = 0.0;

    for (int t = 0; t < taps; t++) {
        double w = 1.0 - fabs(start + t + 0.5 - centre) / support;
        weights[t] = (float)(w > 0.0 ? w : 0.0);
        total += weights[t];
    }
    for (int t = 0; t < taps; t++)
        weights[t] = (float)(weights[t] / total);
    return start;
}

/* Fills `axis` in `memory`; returns what is behind it. */
static float *axis_build(struct axis *axis, const struct span *span, int side, int flip,
                         float *memory)
{
    axis->taps = span_taps(span);
    axis->start = (int *)memory; /* an int is as wide as a float on every target */
    axis->weights = memory + side;
    for (int i = 0; i < side; i++) {
        int slot = flip ? side - 1 - i : i;
        axis->start[slot] = axis_output(axis->weights + (size_t)slot * (size_t)axis->taps, span,
                                        axis->taps, span->first + i);
    }
    return axis->weights + (size_t)side * (size_t)axis->taps;
}

/* out[x] = sum_t weights[t] in[t][x], rows `stride` apart. */
static void blend_rows(float *restrict out, const float *restrict in, size_t stride,
                       const float *weights, int taps, int n)
{
    if (taps == 1) {
        for (int x = 0; x < n; x++)
            out[x] = weights[0] * in[x];
        return;
    }

    float w0 = weights[0], w1 = weights[1];
    const float *restrict next = in + stride;
    for (int x = 0; x < n; x++)
        out[x] = w0 * in[x] + w1 * next[x];
    for (int t = 2; t < taps; t++) {
        const float *restrict row = in + (size_t)t * stride;
        float w = weights[t];
        for (int x = 0; x < n; x++)
            out[x] += w * row[x];
    }
}

static void gather_columns(float *restrict out, const float *restrict row,
                           const struct axis *columns, int side)
{
    const int *restrict start = columns->start;
    const float *restrict weights = columns->weights;
    int taps = columns->taps;

    if (taps == 2) { /* enlarging: most views of small images */
        for (int x = 0; x < side; x++)
            out[x] = weights[2 * x] * row[start[x]] + weights[2 * x + 1] * row[start[x] + 1];
        return;
    }
    for (int x = 0; x < side; x++) {
        const float *w = weights + (size_t)x * (size_t)taps, *in = row + start[x];
        float sum = 0.0f;
        for (int t = 0; t < taps; t++)
            sum += w[t] * in[t];
        out[x] = sum;
    }
}

void resample(float *dst, const struct image *image, const struct span *rows,
              const struct span *columns, int side, int mirror, float *scratch)
{
    size_t stride = (size_t)image->width, plane = stride * (size_t)image->height;
    struct axis v, h;
    float *row = axis_build(&v, rows, side, mirror & MIRROR_ROWS, scratch);
    row = axis_build(&h, columns, side, mirror & MIRROR_COLUMNS, row);

    for (int c = 0; c < image->channels; c++) {
        const float *in = image->pixels + (size_t)c * plane + (size_t)rows->from * stride
                          + columns->from;
        for (int y = 0; y < side; y++) {
            blend_rows(row, in + (size_t)v.start[y] * stride, stride,
                       v.weights + (size_t)y * (size_t)v.taps, v.taps, columns->count);
            gather_columns(dst, row, &h, side);
            dst += side;
        }
    }
}
