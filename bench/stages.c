/* stages.c: whole stages: views of images, and whole training steps without a loader. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/base/error.h"
#include "engine/data/augment.h"
#include "engine/run/config.h"
#include "engine/step.h"

/* ---- views: one thread, views a second ---- */

enum { VIEWS = 64 };

struct views {
    struct policy policy;
    struct image image;
    struct augment_scratch scratch;
    float *out;
    uint64_t count;
};

static int views_open(struct bench *b)
{
    struct views *v = calloc(1, sizeof *v);
    struct config config;
    config_default(&config);
    if (!v || config_preset(&config, "cifar-demo") ||
        config_policy(&v->policy, &config.value, 3) || image_resize(&v->image, 3, 32, 32)) {
        free(v);
        return bench_fail(error_text());
    }
    v->out = bench_numbers(3 * 32 * 32);
    for (int i = 0; i < 3 * 32 * 32; i++)
        v->image.pixels[i] = 0.5f + 0.5f * v->out[i];
    b->state = v;
    return 0;
}

static void views_run(struct bench *b)
{
    struct views *v = b->state;
    for (int i = 0; i < VIEWS; i++) {
        struct rng rng = rng_at(1, RNG_TEST, 0, v->count++);
        struct view view;
        augment_draw(&view, &v->policy, 32, 32, &rng);
        augment_apply(v->out, &v->image, &view, &v->policy, &v->scratch);
    }
}

static void views_close(struct bench *b)
{
    struct views *v = b->state;
    augment_scratch_close(&v->scratch);
    image_close(&v->image);
    free(v->out);
    free(v);
}

/* ---- steps: (width, side, batch); variant 50 is the ResNet-50 of MoCo v2 ---- */

struct whole {
    struct step step;
    float *x_q, *x_k;
};

static int whole_open(struct bench *b)
{
    int big = b->variant == 50;
    struct whole *w = calloc(1, sizeof *w);
    struct step_config c = {
        .net = { .stem = big ? STEM_IMAGENET : STEM_CIFAR, .head = big ? HEAD_MLP : HEAD_FC,
                 .width = (int)b->size[0], .channels = 3, .side = (int)b->size[1],
                 .batch = (int)b->size[2], .dim = 128, .bn_splits = 1 },
        .method = { .B = b->size[2], .D = 128, .K = big ? 65536 : 4096, .T = big ? 0.2f : 0.07f,
                    .seed = 1 },
        .kind = method_named("moco"), .key = KEY_MOMENTUM, .momentum = 0.9f,
        .weight_decay = big ? 1e-4f : 5e-4f, .seed = 1,
    };
    size_t x = b->size[2] * 3 * b->size[1] * b->size[1];
    snprintf(c.net.arch, sizeof c.net.arch, "resnet%d", b->variant);
    if (!w || !c.kind || step_open(&w->step, &c, &b->simd)) {
        free(w);
        return bench_fail(error_text());
    }
    step_init(&w->step);
    w->x_q = bench_numbers(x);
    w->x_k = bench_numbers(x);
    b->state = w;
    return 0;
}

static void whole_run(struct bench *b)
{
    struct whole *w = b->state;
    struct step_input input = { .x_q = w->x_q, .x_k = w->x_k, .lr = 1e-3f, .m = 0.999f };
    if (step_run(&w->step, &input))
        fprintf(stderr, "moco-bench: %s: %s\n", b->name, error_text());
}

static void whole_close(struct bench *b)
{
    struct whole *w = b->state;
    step_close(&w->step);
    free(w->x_q);
    free(w->x_k);
    free(w);
}

void bench_stages(const struct moco_simd *best)
{
    const struct bench all[] = {
        { .name = "augment/cifar-demo", .items = VIEWS, .open = views_open, .run = views_run,
          .close = views_close },
        { .name = "step/resnet18/64/32/128", .size = { 64, 32, 128 }, .variant = 18, .items = 128,
          .open = whole_open, .run = whole_run, .close = whole_close },
        { .name = "step/resnet18/16/32/128", .size = { 16, 32, 128 }, .variant = 18, .items = 128,
          .open = whole_open, .run = whole_run, .close = whole_close },
        { .name = "step/resnet50/64/224/16", .size = { 64, 224, 16 }, .variant = 50, .items = 16,
          .open = whole_open, .run = whole_run, .close = whole_close },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct bench b = all[i];
        b.simd = *best;
        bench_add(&b, NULL);
    }
}
