/* source_synthetic.c: drawn shapes, for demos and tests without any file.
 *
 * [n=4000,classes=8,side=32,seed=1,split=train]: image i shows shape i % classes with its own
 * colour, place, size and small turn on its own background (gradient, waves, noise), so pixels
 * say little about the class while the outline says all. A shape is a signed distance in units of
 * its radius, negative inside; one pixel of blend makes it anti-aliased. An image is a pure
 * function of (seed, split, i); the test split draws from indices of its own. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/data/format/raw.h"

#define TEST_FROM ((uint64_t)1 << 40) /* first stream of the test split */

struct synthetic {
    unsigned long long n, classes, side, seed;
    int test;
};

/* ---- shapes ---- */

static float disc(float x, float y)
{
    return hypotf(x, y) - 0.85f;
}

static float box(float x, float y, float w, float h)
{
    return fmaxf(fabsf(x) - w, fabsf(y) - h);
}

static float square(float x, float y)
{
    return box(x, y, 0.75f, 0.75f);
}

static float triangle(float x, float y)
{
    float slanted = 0.8660254f * fabsf(x) - 0.5f * y;
    return fmaxf(slanted, y) - 0.5f;
}

static float cross(float x, float y)
{
    return fminf(box(x, y, 0.95f, 0.27f), box(x, y, 0.27f, 0.95f));
}

static float ring(float x, float y)
{
    return fabsf(hypotf(x, y) - 0.72f) - 0.2f;
}

static float bars(float x, float y)
{
    return fminf(box(x, y, 0.85f, 0.17f), box(x, fabsf(y) - 0.68f, 0.85f, 0.17f));
}

/* Five points: the angle is folded into half a point, whose edge is a line. */
static float star(float x, float y)
{
    const float wedge = (float)M_PI / 5.0f, inner = 0.42f;
    float angle = fmodf(fabsf(atan2f(x, -y)), 2.0f * wedge), r = hypotf(x, y);
    angle = angle > wedge ? 2.0f * wedge - angle : angle;
    float px = r * cosf(angle) - 1.0f, py = r * sinf(angle);
    float ex = inner * cosf(wedge) - 1.0f, ey = inner * sinf(wedge);
    return (px * -ey + py * ex) / -hypotf(ex, ey);
}

static float crescent(float x, float y)
{
    return fmaxf(disc(x, y), 0.75f - hypotf(x - 0.45f, y));
}

static float half_disc(float x, float y)
{
    return fmaxf(hypotf(x, y - 0.4f) - 0.95f, y - 0.4f);
}

static float two_dots(float x, float y)
{
    return hypotf(fabsf(x) - 0.55f, y) - 0.4f;
}

static const struct {
    const char *name;
    float (*distance)(float x, float y);
} shapes[] = {
    { "disc", disc }, { "square", square }, { "triangle", triangle }, { "cross", cross },
    { "ring", ring }, { "bars", bars },     { "star", star },         { "crescent", crescent },
    { "half-disc", half_disc }, { "two-dots", two_dots },
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

/* ---- drawing ---- */

struct drawing {
    float x, y, radius, turn_cos, turn_sin; /* of the shape, in pixels */
    float ink[3], from[3], to[3];           /* shape; both ends of the gradient */
    float slope[2], wave[2], phase;         /* direction of the gradient; texture */
    float wave_height, noise;
};

static void draw_colours(struct drawing *d, struct rng *rng)
{
    float apart = 0;
    for (int c = 0; c < 3; c++) {
        d->from[c] = (float)rng_uniform(rng);
        d->to[c] = (float)rng_between(rng, d->from[c] - 0.35, d->from[c] + 0.35);
    }
    while (apart < 0.45f) { /* else the shape could not be seen */
        apart = 0;
        for (int c = 0; c < 3; c++) {
            d->ink[c] = (float)rng_uniform(rng);
            float gap = d->ink[c] - 0.5f * (d->from[c] + d->to[c]);
            apart += gap * gap;
        }
        apart = sqrtf(apart);
    }
}

static void draw_drawing(struct drawing *d, float side, struct rng *rng)
{
    double turn = rng_between(rng, -0.35, 0.35), angle = rng_between(rng, 0, 2 * M_PI);
    double frequency = rng_between(rng, 1.0, 4.0) * 2 * M_PI / side;
    d->radius = side * (float)rng_between(rng, 0.26, 0.40);
    d->x = (float)rng_between(rng, side * 0.38, side * 0.62);
    d->y = (float)rng_between(rng, side * 0.38, side * 0.62);
    d->turn_cos = (float)cos(turn), d->turn_sin = (float)sin(turn);
    d->slope[0] = (float)cos(angle) / side, d->slope[1] = (float)sin(angle) / side;
    angle = rng_between(rng, 0, 2 * M_PI);
    d->wave[0] = (float)(frequency * cos(angle)), d->wave[1] = (float)(frequency * sin(angle));
    d->phase = (float)rng_between(rng, 0, 2 * M_PI);
    d->wave_height = (float)rng_between(rng, 0, 0.12);
    d->noise = (float)rng_between(rng, 0.01, 0.06);
    draw_colours(d, rng);
}

/* Share of the pixel at (x, y) that the shape covers. */
static float cover(const struct drawing *d, int shape, float x, float y)
{
    float u = (x - d->x) / d->radius, v = (y - d->y) / d->radius;
    float distance = shapes[shape].distance(u * d->turn_cos + v * d->turn_sin,
                                            v * d->turn_cos - u * d->turn_sin);
    return fminf(fmaxf(0.5f - distance * d->radius, 0.0f), 1.0f);
}

static void paint(struct image *out, const struct drawing *d, int shape, struct rng *rng)
{
    int side = out->width;
    size_t plane = (size_t)side * (size_t)side;
    for (size_t i = 0; i < plane; i++) {
        float x = (float)(i % (size_t)side) + 0.5f, y = (float)(i / (size_t)side) + 0.5f;
        float half = 0.5f * (float)side, inside = cover(d, shape, x, y);
        float t = 0.5f + (x - half) * d->slope[0] + (y - half) * d->slope[1];
        float wave = d->wave_height * sinf(x * d->wave[0] + y * d->wave[1] + d->phase);
        for (size_t c = 0; c < 3; c++) {
            float ground = d->from[c] + t * (d->to[c] - d->from[c]) + wave;
            float grain = d->noise * (float)rng_between(rng, -1.7320508, 1.7320508);
            float value = ground + inside * (d->ink[c] - ground) + grain;
            value = fminf(fmaxf(value, 0.0f), 1.0f);
            out->pixels[c * plane + i] = floorf(value * 255.0f + 0.5f) / 255.0f;
        }
    }
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    const struct synthetic *state = source->state;
    struct rng rng = rng_at(state->seed, RNG_SYNTHETIC, 0, index + (state->test ? TEST_FROM : 0));
    struct drawing drawing;
    int rc = image_resize(out, 3, source->height, source->width);
    if (rc != MOCO_OK)
        return rc;
    draw_drawing(&drawing, (float)source->width, &rng);
    paint(out, &drawing, (int)(index % state->classes), &rng);
    return MOCO_OK;
}

/* ---- settings ---- */

static int set_number(struct synthetic *state, const char *name, const char *text)
{
    const struct {
        const char *name;
        unsigned long long *value, lo, hi;
    } rows[] = {
        { "n", &state->n, 1, 1ULL << 31 },
        { "classes", &state->classes, 2, SHAPES },
        { "side", &state->side, 8, 1024 },
        { "seed", &state->seed, 0, UINT64_MAX },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *end;
        if (strcmp(name, rows[i].name) != 0)
            continue;
        errno = 0;
        *rows[i].value = strtoull(text, &end, 10);
        if (errno || *text < '0' || *text > '9' || *end || *rows[i].value < rows[i].lo ||
            *rows[i].value > rows[i].hi)
            return error_set(MOCO_EARG, "synthetic: %s=%s; give a number from %llu to %llu", name,
                             text, rows[i].lo, rows[i].hi);
        return MOCO_OK;
    }
    return error_set(MOCO_EARG, "synthetic: no setting %s; there are n, classes, side, seed and "
                     "split", name);
}

static int set_one(struct synthetic *state, char *item)
{
    char *equals = strchr(item, '=');
    if (!equals)
        return error_set(MOCO_EARG, "synthetic: %s is no setting; write name=value", item);
    *equals = '\0';
    if (strcmp(item, "split") != 0)
        return set_number(state, item, equals + 1);
    state->test = strcmp(equals + 1, "test") == 0;
    if (!state->test && strcmp(equals + 1, "train") != 0)
        return error_set(MOCO_EARG, "synthetic: split=%s; there are train and test", equals + 1);
    return MOCO_OK;
}

static int set_all(struct synthetic *state, const char *path)
{
    char text[RAW_PATH], *rest = NULL;
    int rc = MOCO_OK;
    *state = (struct synthetic){ .n = 4000, .classes = 8, .side = 32, .seed = 1 };
    snprintf(text, sizeof text, "%s", path);
    for (char *item = strtok_r(text, ",", &rest); item && rc == MOCO_OK;
         item = strtok_r(NULL, ",", &rest))
        rc = set_one(state, item);
    return rc;
}

static int take_classes(struct source *source, size_t classes)
{
    char *names[SHAPES];
    int32_t *labels = malloc(source->count * sizeof *labels);
    if (!labels)
        return error_memory("labels", source->count * sizeof *labels);
    for (size_t i = 0; i < source->count; i++)
        labels[i] = (int32_t)(i % classes);
    raw_take_labels(source, labels);
    for (size_t i = 0; i < SHAPES; i++)
        names[i] = (char *)(uintptr_t)shapes[i].name;
    return raw_take_names(source, names, (size_t)source->classes);
}

static void close_synthetic(struct source *source)
{
    free(source->state);
}

int source_open_synthetic(struct source *source, const char *path)
{
    struct synthetic *state = source->state = malloc(sizeof *state);
    if (!state)
        return error_memory("synthetic images", sizeof *state);
    source->close = close_synthetic;
    source->read = read_image;
    int rc = set_all(state, path);
    if (rc != MOCO_OK)
        return rc;
    source->count = state->n;
    source->channels = 3;
    source->height = source->width = (int)state->side;
    source->dtype = DTYPE_U8;
    return take_classes(source, state->classes);
}
