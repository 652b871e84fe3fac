/* conv.c: single 3x3 convolutions, stride 1, C to C channels, by oneDNN and by our own kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/net/conv.h"

struct data {
    struct conv *conv;
    float *src, *dst, *weights, *scratch;
};

static const char *const directions[] = { "fwd", "bwd_data", "bwd_weights" };

static int conv_data_open(struct bench *b)
{
    int B = (int)b->size[0], C = (int)b->size[1], side = (int)b->size[2];
    struct conv_shape shape = {
        .B = B, .IC = C, .OC = C, .H = side, .W = side, .OH = side, .OW = side, .kernel = 3,
        .stride = 1, .pad = 1, .lanes = b->simd.lanes,
        .policy = b->size[3] ? CONV_OWN : CONV_ONEDNN,
    };
    struct data *x = calloc(1, sizeof *x);
    size_t n = (size_t)B * (size_t)C * (size_t)side * (size_t)side;
    if (!x || conv_open(&x->conv, &shape, &b->simd, b->name)) {
        free(x);
        return bench_fail("the convolution can not be opened");
    }
    x->src = bench_numbers(n);
    x->dst = bench_numbers(n);
    x->weights = bench_numbers((size_t)C * (size_t)C * 9);
    x->scratch = bench_numbers(conv_scratch_bytes(x->conv) / sizeof(float) + 16);
    b->state = x;
    return 0;
}

static void conv_data_close(struct bench *b)
{
    struct data *x = b->state;
    conv_close(&x->conv);
    free(x->src);
    free(x->dst);
    free(x->weights);
    free(x->scratch);
    free(x);
}

static void conv_run(struct bench *b)
{
    struct data *x = b->state;
    if (b->variant == CONV_FORWARD)
        conv_forward(x->conv, x->dst, x->src, x->weights, x->scratch);
    else if (b->variant == CONV_BACKWARD_DATA)
        conv_backward_data(x->conv, x->src, x->dst, x->weights, x->scratch);
    else
        conv_backward_weights(x->conv, x->weights, x->src, x->dst, x->scratch);
}

static void add(const struct moco_simd *simd, int own, int direction, size_t C, size_t side)
{
    struct bench b = { .simd = *simd, .size = { 128, C, side, (size_t)own }, .variant = direction,
                       .flops = 2.0 * 128 * (double)(C * C * 9 * side * side),
                       .open = conv_data_open, .run = conv_run, .close = conv_data_close };
    snprintf(b.name, sizeof b.name, "conv3x3/%s/128/%zu/%zu", directions[direction], C, side);
    if (!own || !bench_too_slow(&b))
        bench_add(&b, own ? simd->name : "onednn");
}

/* The stages of a ResNet-18 at widths 64 and 16 on 32x32 images. GFLOP/s are those of the direct
 * method; Winograd makes do with a quarter of the multiplications. */
void bench_convolutions(const struct moco_simd *levels, size_t count)
{
    static const size_t shapes[][2] = { { 64, 32 }, { 128, 16 }, { 256, 8 }, { 512, 4 },
                                        { 16, 32 }, { 32, 16 }, { 64, 8 }, { 128, 4 } };
    struct moco_simd best;
    moco_simd_init(&best, NULL);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int direction = 0; direction < 3; direction++) {
            add(&best, 0, direction, shapes[i][0], shapes[i][1]);
            for (size_t l = 0; l < count; l++)
                if (!strstr(levels[l].name, "auto"))
                    add(&levels[l], 1, direction, shapes[i][0], shapes[i][1]);
        }
}
