/* test_optimiser.c: SGD, LARS and AdamW against the formulas in double, over several steps, the
 * same bytes for any number of threads; and which labels training may see. */
#include "engine/optim/optimiser.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/run/labels.h"
#include "tests/check.h"

enum { STEPS = 4 };

static struct moco_simd simd;
static struct net *net;
static size_t P;

static const struct optimiser sgd = { OPTIMISER_SGD, .weight_decay = 0.01f, .momentum = 0.9f };
static const struct optimiser lars = { OPTIMISER_LARS, .weight_decay = 0.01f, .momentum = 0.9f,
                                       .trust = 0.001f };
static const struct optimiser adamw = { OPTIMISER_ADAMW, .weight_decay = 0.05f, .beta1 = 0.9f,
                                        .beta2 = 0.999f, .epsilon = 1e-6f };

static void gradients(float *g, int step)
{
    size_t count;
    const struct tensor *t = net_tensors(net, &count);
    struct rng rng = rng_at(7, RNG_TEST, 0, (uint64_t)step);
    memset(g, 0, P * sizeof *g);
    for (; count--; t++)
        for (size_t i = 0; t->kind == TENSOR_PARAM && i < t->count; i++)
            g[t->offset + i] = (float)(0.1 * rng_normal(&rng));
}

static double norm(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* One step of one tensor in double. */
static void reference(const struct optimiser *o, const struct tensor *t, double *p, double *u,
                      double *v, const float *gradient, double lr, int step)
{
    double *g = malloc(t->count * sizeof *g), wd = (double)o->weight_decay, scale = 1;
    double b1 = (double)o->beta1, b2 = (double)o->beta2;
    int adapts = o->kind == OPTIMISER_LARS && t->rank > 1;
    for (size_t i = 0; i < t->count; i++)
        g[i] = (double)gradient[i] +
               (o->kind == OPTIMISER_SGD || adapts ? wd * p[i] : 0);
    if (adapts && norm(p, t->count) > 0 && norm(g, t->count) > 0)
        scale = (double)o->trust * norm(p, t->count) / norm(g, t->count);
    for (size_t i = 0; i < t->count; i++) {
        if (o->kind != OPTIMISER_ADAMW) {
            u[i] = (double)o->momentum * u[i] + scale * g[i];
            p[i] -= lr * u[i];
            continue;
        }
        u[i] = b1 * u[i] + (1 - b1) * g[i];
        v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
        p[i] *= 1 - lr * wd;
        p[i] -= lr * u[i] / (1 - pow(b1, step)) /
                (sqrt(v[i] / (1 - pow(b2, step))) + (double)o->epsilon);
    }
    free(g);
}

static void test_steps(const struct optimiser *o, const char *name, double lr)
{
    struct encoder e;
    size_t count;
    const struct tensor *tensors = net_tensors(net, &count);
    CHECK(encoder_open(&e, net, 1, NULL) == MOCO_OK);
    encoder_init(&e, net, 5);
    float *u = calloc(2 * P, sizeof *u);
    double *all = calloc(3 * P, sizeof *all), worst = 0;
    for (size_t i = 0; i < P; i++)
        all[i] = (double)e.params[i];
    for (int step = 1; step <= STEPS; step++) {
        gradients(e.grads, step);
        optimiser_update(o, &simd, net, e.params, u, o->kind == OPTIMISER_ADAMW ? u + P : NULL,
                         e.grads, (float)lr, (uint64_t)step);
        for (size_t i = 0; i < count; i++)
            if (tensors[i].kind == TENSOR_PARAM)
                reference(o, &tensors[i], all + tensors[i].offset, all + P + tensors[i].offset,
                          all + 2 * P + tensors[i].offset, e.grads + tensors[i].offset,
                          (double)(float)lr, step);
    }
    for (size_t i = 0; i < P; i++)
        worst = fmax(worst, fabs((double)e.params[i] - all[i]));
    CHECK_MSG(worst < 2e-6, "%s is off by %g", name, worst);
    free(all);
    free(u);
    encoder_close(&e);
}

/* First values of a head without biases: its BatchNorms are 1 and 0, its weights spread. */
static void test_first_values(void)
{
    struct encoder e;
    size_t count, norms = 0;
    const struct tensor *t = net_tensors(net, &count);
    CHECK(encoder_open(&e, net, 0, NULL) == MOCO_OK);
    encoder_init(&e, net, 5);
    for (; count--; t++) {
        int head = !strncmp(t->name, "fc.", 3) || !strncmp(t->name, "predictor.", 10);
        if (!head || t->kind != TENSOR_PARAM)
            continue;
        norms += t->rank == 1;
        for (size_t i = 0; i < t->count && t->rank == 1; i++)
            CHECK(e.params[t->offset + i] == (strstr(t->name, ".weight") ? 1.0f : 0.0f));
        CHECK(t->rank == 1 || e.params[t->offset] != e.params[t->offset + 1]);
    }
    CHECK(norms == 4);
    encoder_close(&e);
}

static void run(float *params, const struct optimiser *o, int threads)
{
    float *g = calloc(3 * P, sizeof *g), *u = g + P;
    omp_set_num_threads(threads);
    for (int step = 1; step <= STEPS; step++) {
        gradients(g, step);
        optimiser_update(o, &simd, net, params, u, o->kind == OPTIMISER_ADAMW ? u + P : NULL, g,
                         0.1f, (uint64_t)step);
    }
    free(g);
}

static void test_threads(const struct optimiser *o)
{
    struct encoder a, b;
    int before = omp_get_max_threads();
    CHECK(encoder_open(&a, net, 0, NULL) == MOCO_OK && encoder_open(&b, net, 0, NULL) == MOCO_OK);
    encoder_init(&a, net, 5);
    encoder_init(&b, net, 5);
    run(a.params, o, 1);
    run(b.params, o, 5);
    CHECK(!memcmp(a.params, b.params, P * sizeof(float)));
    omp_set_num_threads(before);
    encoder_close(&a);
    encoder_close(&b);
}

/* Each class keeps its share, rounded up, and a larger share keeps what a smaller one had. */
static void test_labels(void)
{
    struct source *source;
    int32_t *few, *more, *all;
    CHECK(source_open(&source, "synthetic:n=200,classes=4,side=8") == MOCO_OK);
    CHECK(labels_choose(&few, source, 0.05, 1) == MOCO_OK);
    CHECK(labels_choose(&more, source, 0.5, 1) == MOCO_OK);
    CHECK(labels_choose(&all, source, 1.0, 1) == MOCO_OK);
    for (int32_t c = 0; c < source->classes; c++) {
        int n = 0, n_few = 0, n_more = 0;
        for (size_t i = 0; i < source->count; i++) {
            n += source->labels[i] == c;
            n_few += few[i] == c;
            n_more += more[i] == c;
            CHECK(few[i] < 0 || (few[i] == more[i] && more[i] == source->labels[i]));
            CHECK(all[i] == source->labels[i]);
        }
        CHECK(n_few == (int)ceil(0.05 * n) && n_more == (int)ceil(0.5 * n));
    }
    int32_t *other;
    CHECK(labels_choose(&other, source, 0.05, 2) == MOCO_OK);
    CHECK(memcmp(other, few, source->count * sizeof *few));
    free(few), free(more), free(all), free(other);
    source_close(&source);
}

int main(void)
{
    struct net_config config = { .arch = "resnet18", .width = 8, .channels = 3, .side = 8,
                                 .batch = 4, .dim = 16, .bn_splits = 1, .head = HEAD_V3,
                                 .hidden = 24, .predictor = 1 };
    enum optimiser_kind kind;
    if (moco_simd_init(&simd, NULL) || net_open(&net, &config, &simd))
        return 1;
    P = net_param_count(net);
    test_steps(&sgd, "SGD", 0.1);
    test_steps(&lars, "LARS", 0.3);
    test_steps(&adamw, "AdamW", 0.001);
    test_first_values();
    test_threads(&sgd);
    test_threads(&lars);
    test_threads(&adamw);
    CHECK(optimiser_named(&kind, "lars") == MOCO_OK && kind == OPTIMISER_LARS);
    CHECK(optimiser_named(&kind, "adam") == MOCO_EARG && strstr(error_text(), "adamw"));
    test_labels();
    net_close(&net);
    return check_summary("optimiser");
}
