/* test_gradient.c: features, running statistics and gradients of every layer against a small
 * network in double precision (ref_net.c).
 *
 * For L = Σ w·f(x) with random w, the engine's gradient of every tensor must agree with central
 * differences of the reference along random directions. Differences in double are exact to about
 * 1e-6, so what is measured is the engine's float arithmetic; the step is so small that hardly any
 * ReLU changes sides. Limits are relative to what a random direction sees, ‖gradient‖. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "tests/check.h"
#include "tests/ref_net.h"

#define STEP 1e-8 /* at 1e-7 a ReLU of the ResNet-50 changes sides */
#define LIMIT_FEATURES 6e-5 /* direct convolutions stay below 2e-5, Winograd below 3e-5 */
#define LIMIT_STATS 3e-5
#define LIMIT_GRADIENT 1e-3
#define NOISE 2e-6

enum { DIRECTIONS = 2, POINTS = 4000, TRIALS = 4 };

struct bench {
    const char *name;
    struct net_config config;
    uint64_t point; /* random numbers to begin with */
    struct net *net;
    struct tape *tape;
    struct encoder encoder;
    struct ref_net ref;
    struct rng rng;
    size_t P, V, F, X;             /* parameters, statistics, features, input */
    float *x, *features, *weights; /* weights: w of the functional */
    double *x64, *features64, *params64, *stats64;
};

static void *room(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (!memory) {
        fprintf(stderr, "gradient: out of memory\n");
        exit(2);
    }
    return memory;
}

static void must(int err)
{
    if (err) {
        fprintf(stderr, "gradient: %s\n", error_text());
        exit(1);
    }
}

static void widen(double *to, const float *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (double)from[i];
}

/* RMS(got - want) / RMS(want) */
static double apart(const float *got, const double *want, size_t count)
{
    double off = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        off += pow((double)got[i] - want[i], 2);
        size += want[i] * want[i];
    }
    return sqrt(off / size);
}

/* BatchNorm starts at 1 and 0, where mistakes in its gradient could hide. */
static void disturb_norms(struct bench *b)
{
    size_t count;
    const struct tensor *t = net_tensors(b->net, &count);

    for (; count--; t++)
        for (size_t i = 0; i < t->count; i++) {
            float *param = b->encoder.params + t->offset + i;
            if (t->kind == TENSOR_PARAM && t->rank == 1)
                *param += (float)(0.2 * rng_normal(&b->rng));
            else if (t->kind == TENSOR_STAT && strstr(t->name, "running_mean"))
                b->encoder.stats[t->offset + i] = (float)(0.3 * rng_normal(&b->rng));
            else if (t->kind == TENSOR_STAT)
                b->encoder.stats[t->offset + i] = (float)rng_between(&b->rng, 0.5, 2);
        }
}

static void bench_arrays(struct bench *b)
{
    const struct net_config *c = &b->config;

    b->P = net_param_count(b->net);
    b->V = net_stat_count(b->net);
    b->F = (size_t)(c->batch * c->dim);
    b->X = (size_t)(c->batch * c->channels * c->side * c->side);
    b->x = room(b->X, sizeof *b->x);
    b->x64 = room(b->X, sizeof *b->x64);
    b->features = room(b->F, sizeof *b->features);
    b->features64 = room(b->F, sizeof *b->features64);
    b->weights = room(b->F, sizeof *b->weights);
    b->params64 = room(b->P, sizeof *b->params64);
    b->stats64 = room(b->V, sizeof *b->stats64);
}

/* One random point: parameters, statistics, images and the functional. */
static void bench_draw(struct bench *b, uint64_t seed)
{
    b->rng = rng_at(seed, RNG_TEST, 0, 0);
    encoder_init(&b->encoder, b->net, seed);
    disturb_norms(b);
    for (size_t i = 0; i < b->X; i++)
        b->x[i] = (float)rng_normal(&b->rng);
    for (size_t i = 0; i < b->F; i++)
        b->weights[i] = (float)rng_normal(&b->rng);
    widen(b->x64, b->x, b->X);
    widen(b->params64, b->encoder.params, b->P);
    widen(b->stats64, b->encoder.stats, b->V);
}

static uint64_t sides_taken(struct bench *b)
{
    b->ref.sides = 1;
    ref_forward(b->features64, &b->ref, b->x64, NET_TRAIN);
    return b->ref.sides;
}

/* Whether every ReLU and maximum keeps its choice when the parameters are off by NOISE. */
static int bench_settled(struct bench *b, uint64_t seed)
{
    uint64_t sides = sides_taken(b);
    int settled = 1;

    for (uint64_t trial = 0; settled && trial < TRIALS; trial++) {
        struct rng noise = rng_at(seed, RNG_TEST, 1, trial);
        for (size_t i = 0; i < b->P; i++)
            b->params64[i] = (double)b->encoder.params[i] * (1 + NOISE * rng_normal(&noise));
        settled = sides_taken(b) == sides;
    }
    widen(b->params64, b->encoder.params, b->P);
    widen(b->stats64, b->encoder.stats, b->V);
    return settled;
}

/* Where a ReLU's input is all but 0, rounding decides its side and with it the gradient: no fault
 * of anyone's, but nothing to compare. Such points are passed over; `point` saves the search. */
static void bench_find_point(struct bench *b)
{
    for (uint64_t seed = b->point; seed < b->point + POINTS; seed++) {
        bench_draw(b, seed);
        if (bench_settled(b, seed))
            return;
    }
    CHECK_MSG(0, "%s: rounding decides the side of a ReLU at each of %d points", b->name, POINTS);
}

static void bench_open(struct bench *b, const struct moco_simd *simd)
{
    must(net_open(&b->net, &b->config, simd));
    must(tape_open(&b->tape, b->net, 1, NULL));
    must(encoder_open(&b->encoder, b->net, 1, NULL));
    bench_arrays(b);
    b->ref = (struct ref_net){ .config = b->config, .params = b->params64, .stats = b->stats64 };
    b->ref.tensors = net_tensors(b->net, &b->ref.count);
    bench_find_point(b);
}

static void bench_close(struct bench *b)
{
    encoder_close(&b->encoder);
    tape_close(&b->tape);
    net_close(&b->net);
    free(b->x);
    free(b->x64);
    free(b->features);
    free(b->features64);
    free(b->weights);
    free(b->params64);
    free(b->stats64);
}

static void check_features(struct bench *b, enum net_mode mode)
{
    must(encoder_forward(&b->encoder, b->net, b->tape, b->features, NULL, b->x, mode));
    ref_forward(b->features64, &b->ref, b->x64, mode);
    double off = apart(b->features, b->features64, b->F);
    CHECK_MSG(off <= LIMIT_FEATURES, "%s: features in mode %d are off by %.3g of their RMS",
              b->name, (int)mode, off);
}

static void check_stats(struct bench *b)
{
    for (size_t i = 0; i < b->ref.count; i++) {
        const struct tensor *t = &b->ref.tensors[i];
        if (t->kind != TENSOR_STAT)
            continue;
        double off = apart(b->encoder.stats + t->offset, b->stats64 + t->offset, t->count);
        CHECK_MSG(off <= LIMIT_STATS, "%s: %s is off by %.3g of its RMS", b->name, t->name, off);
    }
    CHECK_MSG(b->encoder.batches == 1, "%s: %lld batches counted after one training pass",
              b->name, (long long)b->encoder.batches);
}

/* L of the reference; its running statistics play no part in it. */
static double functional(struct bench *b)
{
    double sum = 0;
    ref_forward(b->features64, &b->ref, b->x64, NET_TRAIN);
    for (size_t i = 0; i < b->F; i++)
        sum += (double)b->weights[i] * b->features64[i];
    return sum;
}

/* dL along `d` by central differences of the reference. */
static double difference(struct bench *b, const struct tensor *t, const double *d)
{
    double *p = b->params64 + t->offset, sides[2];

    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < t->count; i++)
            p[i] = (double)b->encoder.params[t->offset + i] + (side ? -STEP : STEP) * d[i];
        sides[side] = functional(b);
    }
    widen(p, b->encoder.params + t->offset, t->count);
    return (sides[0] - sides[1]) / (2 * STEP);
}

static double check_tensor(struct bench *b, const struct tensor *t)
{
    const float *grad = b->encoder.grads + t->offset;
    double *d = room(t->count, sizeof *d), size = 0, worst = 0;

    for (size_t i = 0; i < t->count; i++)
        size += (double)grad[i] * (double)grad[i];
    size = sqrt(size);
    for (int k = 0; k < DIRECTIONS; k++) {
        double along = 0, norm = 0;
        for (size_t i = 0; i < t->count; i++)
            norm += pow(d[i] = rng_normal(&b->rng), 2);
        for (size_t i = 0; i < t->count; i++)
            along += (double)grad[i] * (d[i] /= sqrt(norm / (double)t->count));
        double want = difference(b, t, d), off = fabs(along - want) / size;
        worst = off > worst ? off : worst;
        CHECK_MSG(off <= LIMIT_GRADIENT,
                  "%s: gradient of %s along direction %d is %.9g, the reference says %.9g "
                  "(%.3g of its norm %.3g)", b->name, t->name, k, along, want, off, size);
    }
    free(d);
    return worst;
}

static void check_gradients(struct bench *b)
{
    double worst = 0;

    memset(b->encoder.grads, 0, b->P * sizeof *b->encoder.grads);
    must(encoder_backward(&b->encoder, b->net, b->tape, b->weights));
    for (size_t i = 0; i < b->ref.count; i++)
        if (b->ref.tensors[i].kind == TENSOR_PARAM) {
            double off = check_tensor(b, &b->ref.tensors[i]);
            worst = off > worst ? off : worst;
        }
    printf("%s: gradients off by at most %.2g of their norm\n", b->name, worst);
}

/* A second pass, forwards and backwards, adds the same once more. */
static void check_accumulation(struct bench *b)
{
    float *once = room(b->P, sizeof *once);
    double off = 0, size = 0;

    memcpy(once, b->encoder.grads, b->P * sizeof *once);
    must(encoder_forward(&b->encoder, b->net, b->tape, b->features, NULL, b->x, NET_TRAIN));
    must(encoder_backward(&b->encoder, b->net, b->tape, b->weights));
    for (size_t i = 0; i < b->P; i++) {
        off += pow((double)b->encoder.grads[i] - 2 * (double)once[i], 2);
        size += pow((double)once[i], 2);
    }
    CHECK_MSG(size > 0 && sqrt(off / size) <= 1e-6,
              "%s: two backward passes are not twice one: off by %.3g", b->name,
              sqrt(off / size));
    free(once);
}

static void check_net(struct bench *b, const struct moco_simd *simd)
{
    bench_open(b, simd);
    check_features(b, NET_EVAL);
    check_features(b, NET_TRAIN);
    check_stats(b);
    check_gradients(b);
    check_accumulation(b);
    bench_close(b);
}

int main(void)
{
    struct bench benches[] = {
        { .name = "resnet18, fc",
          .config = { "resnet18", STEM_CIFAR, HEAD_FC, 4, 3, 8, 4, 8, 1, .conv = CONV_AUTO },
          .point = 2 },
        { .name = "resnet18, two BN groups",
          .config = { "resnet18", STEM_CIFAR, HEAD_FC, 4, 3, 16, 6, 8, 2, .conv = CONV_AUTO },
          .point = 1 },
        { .name = "resnet18, odd sizes, mlp",
          .config = { "resnet18", STEM_CIFAR, HEAD_MLP, 3, 1, 11, 6, 5, 3, .conv = CONV_AUTO },
          .point = 1 },
        { .name = "resnet34, imagenet stem",
          .config = { "resnet34", STEM_IMAGENET, HEAD_FC, 4, 2, 40, 4, 8, 1, .conv = CONV_AUTO },
          .point = 1 },
        { .name = "resnet50, imagenet stem, mlp",
          .config = { "resnet50", STEM_IMAGENET, HEAD_MLP, 4, 3, 33, 8, 8, 2, .conv = CONV_AUTO },
          .point = 1620 },
    };
    static const enum conv_policy policies[] = { CONV_DIRECT, CONV_OWN };
    struct moco_simd simd;

    if (moco_simd_init(&simd, NULL)) {
        fprintf(stderr, "gradient: MOCO_SIMD asks for kernels that are not available here\n");
        return 1;
    }
    for (size_t i = 0; i < 2 * (sizeof benches / sizeof *benches); i++) {
        struct bench b = benches[i / 2];
        b.config.conv = policies[i % 2];
        printf("%s convolutions, ", i % 2 ? "own" : "direct");
        check_net(&b, &simd);
    }
    return check_summary("gradient");
}
