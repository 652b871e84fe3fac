/* views.c: augment/cifar-demo and augment/moco-v2-jpeg, on one thread, and the stages of a view.
 *
 * The first makes views of 32x32 images in memory. The second does an image's whole way in MoCo
 * v2: read a JPEG of 500x375, decode it once, make two views of 224x224. Its files are smooth
 * random fields with some noise (about the size of photographs) in a temporary folder, or those of
 * the folder that MOCO_BENCH_JPEGS names, so that a peer can be given the same ones. view/decode is
 * the reading of these files alone, as far as two views need them; the other stages make 224 x 224
 * pixels of 300 x 400, or change them, with the kernels of every level. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "engine/base/error.h"
#include "engine/data/part.h"
#include "engine/data/view/colour.h"
#include "engine/data/view/resample.h"
#include "engine/run/config/config.h"

enum { IMAGES = 12, VIEWS = 64, WIDTH = 500, HEIGHT = 375, PATH = 256 };

struct views {
    struct policy policy;
    struct image image;
    struct augment_scratch scratch;
    struct source *source; /* NULL: `image` stays as it is */
    char folder[PATH];     /* to be deleted; "" when it is not ours */
    float *out;            /* (3, side, side) */
    uint64_t count;
};

static void remove_files(const char *folder)
{
    char path[2 * PATH];
    for (int i = 0; i < IMAGES; i++) {
        snprintf(path, sizeof path, "%s/%02d.jpg", folder, i);
        unlink(path);
    }
    rmdir(folder);
}

static void views_close(struct bench *b)
{
    struct views *v = b->state;
    augment_scratch_close(&v->scratch);
    image_close(&v->image);
    if (v->source)
        source_close(&v->source);
    if (*v->folder)
        remove_files(v->folder);
    free(v->out);
    free(v);
    b->state = NULL;
}

static int refuse(struct bench *b, const char *sentence)
{
    bench_fail(sentence);
    if (b->state)
        views_close(b);
    return -1;
}

/* Opens the preset's policy. */
static int policy_open(struct bench *b, const char *preset, const char *mean, const char *std)
{
    struct config config;
    struct views *v = b->state = calloc(1, sizeof *v);
    config_default(&config);
    if (!v || config_preset(&config, preset) || config_set(&config, "mean", mean, FROM_FLAG) ||
        config_set(&config, "std", std, FROM_FLAG) ||
        config_policy(&v->policy, &config.value, 3))
        return refuse(b, error_text());
    v->policy.simd = &b->simd;
    v->out = bench_numbers((size_t)(3 * v->policy.side * v->policy.side));
    return 0;
}

/* ---- views of an image in memory ---- */

static int small_open(struct bench *b)
{
    if (policy_open(b, "cifar-demo", "0.4914,0.4822,0.4465", "0.2023,0.1994,0.2010"))
        return -1;
    struct views *v = b->state;
    if (image_resize(&v->image, 3, 32, 32))
        return refuse(b, error_text());
    for (int i = 0; i < 3 * 32 * 32; i++)
        v->image.pixels[i] = 0.5f + 0.5f * v->out[i];
    return 0;
}

static void draw(struct view *view, struct views *v, int height, int width)
{
    struct rng rng = rng_at(1, RNG_TEST, 0, v->count++);
    augment_draw(view, &v->policy, height, width, &rng);
}

static void make_view(struct views *v)
{
    struct view view;
    draw(&view, v, v->image.height, v->image.width);
    augment_apply(v->out, &v->image, &view, &v->policy, &v->scratch);
}

static void small_run(struct bench *b)
{
    for (int i = 0; i < VIEWS; i++)
        make_view(b->state);
}

/* ---- files ---- */

/* Bilinear reading of a grid of (cells, cells) random numbers at (x, y) in [0, 1). */
static float smooth(const float *grid, int cells, float x, float y)
{
    x *= (float)(cells - 1);
    y *= (float)(cells - 1);
    int i = (int)x, j = (int)y;
    const float *g = grid + j * cells + i;
    x -= (float)i;
    y -= (float)j;
    return (1 - y) * ((1 - x) * g[0] + x * g[1]) + y * ((1 - x) * g[cells] + x * g[cells + 1]);
}

static void paint(unsigned char *pixels, int number)
{
    static const int cells[3] = { 4, 16, 64 };
    static const float strength[3] = { 90, 40, 20 };
    float *numbers = bench_numbers(1 << 20), *noise = numbers + (1 << 17);
    for (int i = 0; i < 3 * WIDTH * HEIGHT; i++) {
        int c = i % 3, x = i / 3 % WIDTH, y = i / 3 / WIDTH;
        float value = 128 + 14 * noise[(i + 977 * number) % (7 << 17)];
        for (int level = 0; level < 3; level++)
            value += strength[level] *
                     smooth(numbers + 1009 * number + 5003 * c + 20011 * level, cells[level],
                            (float)x / WIDTH, (float)y / HEIGHT);
        pixels[i] = value < 0 ? 0 : value > 255 ? 255 : (unsigned char)value;
    }
    free(numbers);
}

static int make_files(struct views *v)
{
    unsigned char *pixels = malloc(3 * WIDTH * HEIGHT);
    char path[2 * PATH];
    int rc = 0;
    const char *base = getenv("TMPDIR");
    snprintf(v->folder, PATH, "%.200s/moco-bench-XXXXXX", base && *base ? base : "/tmp");
    if (!pixels || !mkdtemp(v->folder)) {
        *v->folder = 0;
        rc = -1;
    }
    for (int i = 0; i < IMAGES && !rc; i++) {
        paint(pixels, i);
        snprintf(path, sizeof path, "%s/%02d.jpg", v->folder, i);
        rc = bench_write_jpeg(path, pixels, WIDTH, HEIGHT);
    }
    free(pixels);
    return rc;
}

static int jpeg_open(struct bench *b)
{
    char spec[1024];
    const char *folder = getenv("MOCO_BENCH_JPEGS");
    if (policy_open(b, "moco-v2", "0.485,0.456,0.406", "0.229,0.224,0.225"))
        return -1;
    struct views *v = b->state;
    if (!folder && make_files(v))
        return refuse(b, "no JPEG files can be written below TMPDIR");
    snprintf(spec, sizeof spec, "folder:%s", folder ? folder : v->folder);
    if (source_open(&v->source, spec))
        return refuse(b, error_text());
    return 0;
}

/* As the loader does it; the pixels alone where nothing but decoding is measured. */
static int two_views(struct views *v, size_t index, int decode_only)
{
    struct view views[2];
    int height, width, rc = part_size(v->source, index, &v->image, &height, &width);
    for (int i = 0; i < 2 && !rc; i++)
        draw(&views[i], v, height, width);
    if (!rc)
        rc = part_read(v->source, index, &v->image, views, 2, v->policy.side);
    for (int i = 0; i < 2 && !rc && !decode_only; i++)
        rc = augment_apply(v->out, &v->image, &views[i], &v->policy, &v->scratch);
    return rc;
}

static void jpeg_run(struct bench *b)
{
    struct views *v = b->state;
    for (size_t i = 0; i < IMAGES; i++)
        if (two_views(v, i % v->source->count, b->variant))
            fprintf(stderr, "moco-bench: %s: %s\n", b->name, error_text());
}

/* ---- stages ---- */

enum stage { RESIZE, JITTER, HUE, BLUR, NORMALISE, STAGES };

static const char *const stage_name[STAGES] = {
    [RESIZE] = "view/resize/224", [JITTER] = "view/jitter/224", [HUE] = "view/hue/224",
    [BLUR] = "view/blur/224", [NORMALISE] = "view/normalise/224",
};

static const struct span rows = { 40, 300, 224, 0, 224, 0 }, columns = { 50, 400, 224, 0, 224, 0 };

/* The image holds bytes, as a JPEG's does. */
static int stage_open(struct bench *b)
{
    if (policy_open(b, "moco-v2", "0,0,0", "1,1,1"))
        return -1;
    struct views *v = b->state;
    int side = v->policy.side;
    v->image.bytes = 1;
    size_t resize = resample_floats(&v->image, &rows, &columns);
    size_t blur = colour_blur_floats(side, side);
    v->scratch.capacity = resize > blur ? resize : blur;
    v->scratch.floats = bench_numbers(v->scratch.capacity);
    if (image_resize(&v->image, 3, HEIGHT, WIDTH))
        return refuse(b, error_text());
    for (int i = 0; i < 4 * WIDTH * HEIGHT; i++)
        ((unsigned char *)v->image.pixels)[i] = (unsigned char)(i * 2654435761u >> 24);
    v->image.bytes = 1;
    return 0;
}

static void stage_run(struct bench *b)
{
    struct views *v = b->state;
    int side = v->policy.side;
    struct colour colour = { .simd = &b->simd, .x = v->out, .channels = 3,
                             .n = (size_t)(side * side) };
    if (b->variant == RESIZE)
        resample(v->out, &v->image, &rows, &columns, 0, &b->simd, v->scratch.floats);
    if (b->variant == JITTER) {
        colour_brightness(&colour, 1.1f);
        colour_contrast(&colour, 0.9f);
        colour_saturation(&colour, 1.2f);
    }
    if (b->variant == HUE)
        colour_hue(&colour, 0.05f);
    if (b->variant == BLUR)
        colour_blur(&colour, side, side / 20 * 2 + 1, 1.0f, v->scratch.floats);
    if (b->variant == NORMALISE)
        colour_normalise(&colour, v->policy.mean, v->policy.std);
    colour_flush(&colour);
}

static void add_stages(const struct moco_simd *simd)
{
    for (int i = 0; i < STAGES; i++) {
        struct bench b = { .simd = *simd, .variant = i, .open = stage_open, .run = stage_run,
                           .close = views_close };
        snprintf(b.name, sizeof b.name, "%s", stage_name[i]);
        bench_add(&b, simd->name);
    }
}

void bench_views(const struct moco_simd *levels, size_t count, const struct moco_simd *best)
{
    struct bench small = { .name = "augment/cifar-demo", .simd = *best, .items = VIEWS,
                           .label = "views", .open = small_open, .run = small_run,
                           .close = views_close };
    struct bench jpeg = { .name = "augment/moco-v2-jpeg", .simd = *best, .items = IMAGES,
                          .label = "images of two views", .open = jpeg_open, .run = jpeg_run,
                          .close = views_close };
    struct bench decode = jpeg;
    snprintf(decode.name, sizeof decode.name, "view/decode/500x375");
    decode.variant = 1;
    decode.label = "images";
    bench_add(&small, NULL);
    bench_add(&jpeg, NULL);
    bench_add(&decode, NULL);
    for (size_t i = 0; i < count; i++)
        add_stages(&levels[i]);
}
