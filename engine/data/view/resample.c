/* resample.c: the two passes of the resize, fused by blocks of rows.
 *
 * The weights of both axes are computed once per view. Each output row is first blended from its
 * input rows (only the columns of the crop), and blocks of such rows then become as wide as is
 * kept:
 *   dst[y][x] = sum_j h(x, j) sum_i v(y, i) in[i][j].
 * Rows of bytes become floats when a blend first asks for them; a ring holds as many as one blend
 * reads. A mirrored view only has the weights of an axis listed backwards, so a flip costs
 * nothing. */
#include "engine/data/view/resample.h"

#include <math.h>

enum { BLOCK = MOCO_RESIZE_ROWS, COLOURS = 3, LINE = 16 /* floats of a cache line */ };

/* The weights of one axis: output o reads pixels start[o]..start[o]+taps-1 with weights[o*taps]. */
struct axis {
    int taps;
    int32_t *start; /* (keep) */
    float *weights; /* (keep, taps) */
};

/* All that a resize works with; behind the first three it lies in the scratch. */
struct resize {
    const struct moco_simd *simd;
    const struct image *image;
    int top, left;        /* of what is read */
    size_t width, ld;     /* pixels of a blended row, and floats between two */
    struct axis v, h;
    const float **row;    /* (v.taps) where the rows of a blend lie */
    int *held;            /* (v.taps) which row of the image each place of the ring has */
    float *ring;          /* (v.taps, 3, ld) rows of bytes as floats */
    float *blended;       /* (planes at once, BLOCK, ld) */
    float *turned;
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

static size_t up(size_t floats)
{
    return (floats + LINE - 1) / LINE * LINE;
}

/* Channels that pass together: the three of a row of bytes, else one. */
static size_t together(const struct image *image)
{
    return image->bytes ? COLOURS : 1;
}

static size_t axis_floats(const struct span *span)
{
    return up((size_t)span->keep * ((size_t)span_taps(span) + 1));
}

static size_t ring_floats(const struct image *image, size_t taps, size_t ld)
{
    return image->bytes ? taps * COLOURS * ld : 0;
}

size_t resample_floats(const struct image *image, const struct span *rows,
                       const struct span *columns)
{
    size_t taps = (size_t)span_taps(rows), ld = up((size_t)columns->count);
    return axis_floats(rows) + axis_floats(columns)
           + up(taps * sizeof(float *) / sizeof(float)) + up(taps) + ring_floats(image, taps, ld)
           + together(image) * BLOCK * ld + moco_resize_scratch((size_t)columns->count);
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
static float *axis_build(struct axis *axis, const struct span *span, int flip, float *memory)
{
    int keep = span->keep;

    axis->taps = span_taps(span);
    axis->start = (int32_t *)memory; /* as wide as a float */
    axis->weights = memory + keep;
    for (int i = 0; i < keep; i++) {
        int slot = flip ? keep - 1 - i : i;
        axis->start[slot] = axis_output(axis->weights + (size_t)slot * (size_t)axis->taps, span,
                                        axis->taps, span->first + i);
    }
    return memory + axis_floats(span);
}

/* The columns that are read at all: fewer than the part has where the centre is cut out. */
static void narrow(struct resize *z, const struct span *columns)
{
    int a = z->h.start[0], b = z->h.start[columns->keep - 1], first = a < b ? a : b;

    for (int x = 0; x < columns->keep; x++)
        z->h.start[x] -= first;
    z->left = columns->from + first;
    z->width = (size_t)((a < b ? b : a) - first + z->h.taps);
    z->ld = up(z->width);
}

static void open_resize(struct resize *z, const struct span *rows, const struct span *columns,
                        int mirror, float *scratch)
{
    float *at = axis_build(&z->v, rows, mirror & MIRROR_ROWS, scratch);
    size_t taps = (size_t)z->v.taps;

    at = axis_build(&z->h, columns, mirror & MIRROR_COLUMNS, at);
    z->top = rows->from;
    narrow(z, columns);
    z->row = (const float **)(void *)at;
    z->held = (int *)(at += up(taps * sizeof(float *) / sizeof(float)));
    z->ring = at += up(taps);
    z->blended = at += ring_floats(z->image, taps, z->ld);
    z->turned = at + together(z->image) * BLOCK * z->ld;
    for (size_t t = 0; t < taps; t++)
        z->held[t] = -1;
}

/* Row y of the image as floats: the first of three planes, ld apart, in the ring. */
static const float *unpacked(struct resize *z, int y)
{
    int place = y % z->v.taps;
    float *to = z->ring + (size_t)place * COLOURS * z->ld;
    const unsigned char *bytes = (const unsigned char *)z->image->pixels;

    if (z->held[place] != y) {
        size_t at = (size_t)y * (size_t)z->image->width + (size_t)z->left;
        z->simd->unpack(to, z->ld, bytes + 4 * at, z->width);
        z->held[place] = y;
    }
    return to;
}

static const float *plane_row(const struct resize *z, size_t c, int y)
{
    size_t row = c * (size_t)z->image->height + (size_t)y;
    return z->image->pixels + row * (size_t)z->image->width + (size_t)z->left;
}

/* The rows from y on, blended, in channel c and those that come with it. */
static void blend_row(struct resize *z, float *out, size_t c, int y)
{
    size_t taps = (size_t)z->v.taps;
    const float *w = z->v.weights + (size_t)y * taps;
    int from = z->top + z->v.start[y];

    for (size_t t = 0; t < taps; t++)
        z->row[t] = z->image->bytes ? unpacked(z, from + (int)t) : plane_row(z, c, from + (int)t);
    for (size_t p = 0; p < together(z->image); p++, out += BLOCK * z->ld) {
        z->simd->blend(out, z->row, w, taps, z->width);
        for (size_t t = 0; t < taps; t++)
            z->row[t] += z->ld;
    }
}

void resample(float *dst, const struct image *image, const struct span *rows,
              const struct span *columns, int mirror, const struct moco_simd *simd, float *scratch)
{
    struct resize z = { .simd = simd, .image = image };
    size_t height = (size_t)rows->keep, width = (size_t)columns->keep, planes = together(image);

    open_resize(&z, rows, columns, mirror, scratch);
    for (size_t c = 0; c < (size_t)image->channels; c += planes)
        for (int y = 0; y < rows->keep; y += BLOCK) {
            int count = rows->keep - y < BLOCK ? rows->keep - y : BLOCK;
            for (int i = 0; i < count; i++)
                blend_row(&z, z.blended + (size_t)i * z.ld, c, y + i);
            for (size_t p = 0; p < planes; p++)
                simd->resize(dst + ((c + p) * height + (size_t)y) * width, width,
                             z.blended + p * BLOCK * z.ld, z.ld, z.width, z.h.start, z.h.weights,
                             (size_t)z.h.taps, (size_t)count, width, z.turned);
        }
}
