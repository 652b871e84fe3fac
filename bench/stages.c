/* stages.c: whole training steps, without a loader: both branches, the loss, the optimiser, the
 * momentum update, the queue. The stages of a step are counters of its line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/base/error.h"
#include "engine/step.h"

/* size: (width, side, batch, kind of number); variant 50 is the ResNet-50 of MoCo v2. */

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
                 .batch = (int)b->size[2], .dim = 128, .bn_splits = 1,
                 .number = (enum moco_number)b->size[3] },
        .method = { .B = b->size[2], .D = 128, .K = big ? 65536 : 4096, .T = big ? 0.2f : 0.07f,
                    .seed = 1 },
        .kind = method_named("moco"), .seed = 1,
        .optimiser = { .momentum = 0.9f, .weight_decay = big ? 1e-4f : 5e-4f },
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
    const double parts[] = { w->step.seconds_q, w->step.seconds_k, w->step.seconds_loss,
                             w->step.seconds_backward, w->step.seconds_update };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        b->part_seconds[i] += parts[i];
}

static void whole_close(struct bench *b)
{
    struct whole *w = b->state;
    step_close(&w->step);
    free(w->x_q);
    free(w->x_k);
    free(w);
}

/* Rows of bfloat16 only where a run would take it. */
void bench_stages(const struct moco_simd *best)
{
    static const struct {
        int arch;
        size_t size[3];
    } all[] = { { 18, { 64, 32, 128 } }, { 18, { 16, 32, 128 } }, { 50, { 64, 224, 16 } } };
    const struct net_config wide = { .width = 64 };
    for (size_t number = MOCO_FP32; number <= MOCO_BF16; number++)
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            const size_t *size = all[i].size;
            struct bench b = { .simd = *best, .size = { size[0], size[1], size[2], number },
                               .variant = all[i].arch, .items = (double)size[2],
                               .label = "images",
                               .parts = { "query", "ema_key", "loss", "backward", "sgd" },
                               .open = whole_open, .run = whole_run,
                               .close = whole_close };
            snprintf(b.name, sizeof b.name, "step%s/resnet%d/%zu/%zu/%zu",
                     number == MOCO_BF16 ? "_bf16" : "", b.variant, size[0], size[1], size[2]);
            if (number == MOCO_FP32 || net_bf16_pays(&wide, best))
                bench_add(&b, NULL);
        }
}
