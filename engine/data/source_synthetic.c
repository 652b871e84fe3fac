/* source_synthetic.c: generated images, so that the demo and the tests need no download.
 *
 * The class is a shape; colour, position, scale, tilt and background are drawn for each image, so
 * raw pixels say little about the class and features of shape say all. An image is a pure function
 * of (seed, part, index). A shape is a signed distance d in units of its size: d < 0 is inside, and
 * one pixel of blending smooths the edge. Values are rounded to 1/255, like a photograph's. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/data/source.h"

enum { SHAPES = 8 };

static const char *const shape_names[SHAPES] = { "disc",  "square", "triangle", "cross",
                                                 "ring",  "bars",   "moon",     "corner" };

struct synthetic {
    long n, classes, side, seed;
    int test; /* the part: indices of the two never meet */
    int32_t *labels;
};

static double box(double x, double y, double a, double b)
{
    return fmax(fabs(x) - a, fabs(y) - b);
}

static double disc(double x, double y, double r)
{
    return hypot(x, y) - r;
}

/* Signed distance (or a bound of it) to shape `kind` at (x, y). */
static double shape(long kind, double x, double y)
{
    switch (kind) {
    case 0:
        return disc(x, y, 0.9);
    case 1:
        return box(x, y, 0.8, 0.8);
    case 2:
        return fmax(y - 0.7, fmax(0.87 * x - 0.5 * y, -0.87 * x - 0.5 * y) - 0.45);
    case 3:
        return fmin(box(x, y, 0.95, 0.28), box(x, y, 0.28, 0.95));
    case 4:
        return fabs(disc(x, y, 0.75)) - 0.2;
    case 5:
        return fmin(box(x, y - 0.6, 0.9, 0.22), box(x, y + 0.6, 0.9, 0.22));
    case 6:
        return fmax(disc(x, y, 0.9), -disc(x - 0.45, y, 0.7));
    default:
        return fmin(box(x + 0.6, y, 0.28, 0.9), box(x, y - 0.6, 0.9, 0.28));
    }
}

/* What is drawn for one image. */
struct scene {
    double cx, cy, size, sine, cosine;      /* place and tilt of the shape, pixels */
    double front[3], back[2][3];            /* colours */
    double wave_x, wave_y, phase, contrast; /* of the background's stripes */
    double noise;
};

static double colour_distance(const double *a, const double *b)
{
    return fabs(a[0] - b[0]) + fabs(a[1] - b[1]) + fabs(a[2] - b[2]);
}

static void draw_scene(struct scene *s, struct rng *rng, double side)
{
    double tilt = rng_between(rng, -0.35, 0.35), angle = rng_between(rng, 0, 2 * M_PI);
    double frequency = rng_between(rng, 0.1, 0.9);

    s->size = side * rng_between(rng, 0.2, 0.36);
    s->cx = rng_between(rng, s->size, side - s->size);
    s->cy = rng_between(rng, s->size, side - s->size);
    s->sine = sin(tilt), s->cosine = cos(tilt);
    s->wave_x = frequency * cos(angle), s->wave_y = frequency * sin(angle);
    s->phase = rng_between(rng, 0, 2 * M_PI);
    s->contrast = rng_between(rng, 0, 1);
    s->noise = rng_between(rng, 0, 0.06);
    for (int b = 0; b < 2; b++)
        for (int c = 0; c < 3; c++)
            s->back[b][c] = rng_uniform(rng);
    do {
        for (int c = 0; c < 3; c++)
            s->front[c] = rng_uniform(rng);
    } while (colour_distance(s->front, s->back[0]) < 0.6 ||
             colour_distance(s->front, s->back[1]) < 0.6);
}

static void paint(const struct scene *s, long kind, struct image *out, struct rng *rng)
{
    size_t plane = (size_t)out->height * (size_t)out->width;
    for (int i = 0; i < out->height; i++)
        for (int j = 0; j < out->width; j++) {
            double dx = (j + 0.5 - s->cx) / s->size, dy = (i + 0.5 - s->cy) / s->size;
            double d = shape(kind, s->cosine * dx + s->sine * dy, s->cosine * dy - s->sine * dx);
            double inside = fmin(fmax(0.5 - d * s->size, 0), 1);
            double wave = 0.5 + 0.5 * s->contrast * sin(s->wave_x * j + s->wave_y * i + s->phase);
            for (size_t c = 0; c < 3; c++) {
                double back = s->back[0][c] * wave + s->back[1][c] * (1 - wave);
                double x = inside * s->front[c] + (1 - inside) * back + s->noise * rng_normal(rng);
                out->pixels[c * plane + (size_t)(i * out->width + j)] =
                    (float)(rint(fmin(fmax(x, 0), 1) * 255) / 255);
            }
        }
}

static int synthetic_read(const struct source *source, size_t index, struct image *out)
{
    const struct synthetic *s = source->state;
    struct rng rng = rng_at((uint64_t)s->seed, RNG_SYNTHETIC, (uint64_t)s->test, index);
    struct scene scene;
    int err = image_resize(out, 3, (int)s->side, (int)s->side);
    if (err)
        return err;
    draw_scene(&scene, &rng, (double)s->side);
    paint(&scene, s->labels[index], out, &rng);
    return MOCO_OK;
}

static void synthetic_close(struct source *source)
{
    struct synthetic *s = source->state;
    free(s->labels);
    free(s);
}

/* One `name=value` of the specification. */
static int set_part(struct synthetic *s, const char *text)
{
    const struct {
        const char *name;
        long *value, lo, hi;
    } parts[] = { { "n=", &s->n, 1, 1 << 26 },
                  { "classes=", &s->classes, 1, SHAPES },
                  { "side=", &s->side, 8, 1024 },
                  { "seed=", &s->seed, 0, 1L << 40 } };
    if (!strcmp(text, "split=train") || !strcmp(text, "split=test")) {
        s->test = text[7] == 'e';
        return MOCO_OK;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t length = strlen(parts[i].name);
        char *end;
        if (strncmp(text, parts[i].name, length))
            continue;
        long value = strtol(text + length, &end, 10);
        if (*end || end == text + length || value < parts[i].lo || value > parts[i].hi)
            return error_set(MOCO_EARG, "synthetic: %s must be %ld to %ld", text, parts[i].lo,
                             parts[i].hi);
        *parts[i].value = value;
        return MOCO_OK;
    }
    return error_set(MOCO_EARG, "synthetic: knows n=, classes=, side=, seed= and split=train|test, "
                     "not %s", text);
}

int source_open_synthetic(struct source *source, const char *path)
{
    struct synthetic *s = calloc(1, sizeof *s);
    char text[1024], *at = text, *part;
    int err = MOCO_OK;

    if (!s)
        return error_memory("a data source", sizeof *s);
    *s = (struct synthetic){ .n = 4000, .classes = SHAPES, .side = 32, .seed = 1 };
    source->state = s, source->close = synthetic_close, source->read = synthetic_read;
    snprintf(text, sizeof text, "%s", path);
    while (!err && (part = strsep(&at, ",")))
        if (*part)
            err = set_part(s, part);
    if (err)
        return err;
    s->labels = malloc((size_t)s->n * sizeof *s->labels);
    if (!s->labels)
        return error_memory("labels", (size_t)s->n * sizeof *s->labels);
    for (long i = 0; i < s->n; i++)
        s->labels[i] = (int32_t)(i % s->classes);
    source->count = (size_t)s->n;
    source->channels = 3, source->height = source->width = (int)s->side;
    source->classes = (int)s->classes, source->dtype = DTYPE_U8;
    source->labels = s->labels, source->class_names = shape_names;
    return MOCO_OK;
}
