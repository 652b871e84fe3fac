/* conv.c: single convolutions by oneDNN and by our own kernels: 3x3 of stride 1 with C to C
 * channels, and of stride 2, where the label says whether C become 2 C (ResNet-18) or stay C
 * (ResNet-50); 1x1 of both strides, their outputs in the name too; stems on plain images; on float
 * activations, and as conv3x3_bf16 and so on on bfloat16 ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/net/conv.h"
#include "engine/net/encoder.h"

struct data {
    struct conv *conv;
    void *src, *dst;
    float *weights, *scratch;
};

static const char *const directions[] = { "fwd", "bwd_data", "bwd_weights" };

/* Batch, channels in and out, side, stride, kernel. */
struct layer {
    int B, I, O, side, stride, kernel;
};

/* The stages of a ResNet-18 at widths 64 and 16 on 32x32 images, then the transitions between the
 * stages, and those of a ResNet-50 on 224x224. */
static const struct layer layers[] = {
    { 128, 64, 64, 32, 1, 3 }, { 128, 128, 128, 16, 1, 3 }, { 128, 256, 256, 8, 1, 3 },
    { 16, 64, 64, 56, 1, 3 }, { 16, 128, 128, 28, 1, 3 }, { 16, 256, 256, 14, 1, 3 },
    { 16, 512, 512, 7, 1, 3 }, { 128, 512, 512, 4, 1, 3 }, { 128, 16, 16, 32, 1, 3 },
    { 128, 32, 32, 16, 1, 3 }, { 128, 64, 64, 8, 1, 3 }, { 128, 128, 128, 4, 1, 3 },
    { 128, 64, 128, 32, 2, 3 }, { 128, 128, 256, 16, 2, 3 }, { 128, 256, 512, 8, 2, 3 },
    { 128, 16, 32, 32, 2, 3 }, { 128, 32, 64, 16, 2, 3 }, { 128, 64, 128, 8, 2, 3 },
    { 16, 128, 128, 56, 2, 3 }, { 16, 256, 256, 28, 2, 3 }, { 16, 512, 512, 14, 2, 3 },
    /* 1x1 of a ResNet-50 on 224x224 images, of a ResNet-18 on 32x32, and the stems of both. */
    { 16, 64, 64, 56, 1, 1 }, { 16, 64, 256, 56, 1, 1 }, { 16, 256, 64, 56, 1, 1 },
    { 16, 512, 128, 28, 1, 1 }, { 16, 256, 1024, 14, 1, 1 }, { 16, 1024, 256, 14, 1, 1 },
    { 16, 2048, 512, 7, 1, 1 }, { 16, 256, 512, 56, 2, 1 }, { 16, 1024, 2048, 14, 2, 1 },
    { 128, 16, 32, 32, 2, 1 }, { 128, 64, 128, 32, 2, 1 },
    { 128, 3, 64, 32, 1, 3 }, { 128, 3, 16, 32, 1, 3 }, { 16, 3, 64, 224, 2, 7 },
};

static int is_stem(const struct layer *l)
{
    return l->I == 3;
}

/* Activations of kind `number`. */
static void *activations(const struct bench *b, enum moco_number number, size_t n)
{
    float *numbers = bench_numbers(n);
    void *out = numbers;
    if (numbers && number == MOCO_BF16) {
        out = bench_numbers((n + 1) / 2);
        b->simd.narrow(out, numbers, n);
        free(numbers);
    }
    return out;
}

static int conv_data_open(struct bench *b)
{
    const struct layer *l = &layers[b->size[0]];
    int out = l->side / l->stride;
    struct conv_shape shape = {
        .B = l->B, .IC = l->I, .OC = l->O, .H = l->side, .W = l->side, .OH = out, .OW = out,
        .kernel = l->kernel, .stride = l->stride, .pad = l->kernel / 2,
        .lanes = b->simd.lanes, .src_plain = is_stem(l),
        .policy = b->size[1] ? CONV_OWN : CONV_ONEDNN,
        .number = (enum moco_number)b->size[2],
    };
    struct data *x = calloc(1, sizeof *x);
    size_t images = (size_t)l->B * (size_t)(l->side * l->side);
    if (!x || conv_open(&x->conv, &shape, &b->simd, b->name)) {
        free(x);
        return bench_fail("the convolution can not be opened");
    }
    x->src = activations(b, is_stem(l) ? MOCO_FP32 : shape.number, images * (size_t)l->I);
    x->dst = activations(b, shape.number,
                         images * (size_t)l->O / (size_t)(l->stride * l->stride));
    x->weights = bench_numbers((size_t)(l->I * l->O * shape.kernel * shape.kernel));
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

static void add(const struct moco_simd *simd, enum moco_number number, int own, int direction,
                size_t index)
{
    const struct layer *l = &layers[index];
    int out = l->side / l->stride, kernel = l->kernel;
    char outputs[16] = "";
    struct bench b = { .simd = *simd, .size = { index, (size_t)own, number }, .variant = direction,
                       .flops = 2.0 * l->B * l->I * l->O * kernel * kernel * out * out,
                       .open = conv_data_open, .run = conv_run, .close = conv_data_close };
    if (is_stem(l) && direction == CONV_BACKWARD_DATA)
        return;
    if (kernel == 1 || is_stem(l))
        snprintf(outputs, sizeof outputs, "-%d", l->O);
    else if (l->stride > 1)
        b.label = l->O > l->I ? "C to 2 C" : "C to C";
    snprintf(b.name, sizeof b.name, "conv%dx%d%s%s/%s/%d/%d%s/%d", kernel, kernel,
             l->stride > 1 ? "s2" : "", number == MOCO_BF16 ? "_bf16" : "", directions[direction],
             l->B, l->I, outputs, l->side);
    if (!own || !bench_too_slow(&b))
        bench_add(&b, own ? simd->name : "onednn");
}

/* GFLOP/s are those of the direct method; of 3x3, Winograd makes do with 0.25 of the multiplications
 * at stride 1, with 0.56 at stride 2. */
void bench_convolutions(const struct moco_simd *levels, size_t count)
{
    const struct net_config wide = { .width = 64 };
    struct moco_simd best;
    moco_simd_init(&best, NULL);
    for (enum moco_number number = MOCO_FP32; number < MOCO_NUMBERS; number++)
        for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
            for (int direction = 0; direction < 3; direction++) {
                if (number == MOCO_BF16 && !net_bf16_pays(&wide, &best))
                    continue;
                if (net_library_version())
                    add(&best, number, 0, direction, i);
                for (size_t l = 0; l < count; l++)
                    if (!strstr(levels[l].name, "auto"))
                        add(&levels[l], number, 1, direction, i);
            }
}
