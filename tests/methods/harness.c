/* harness.c: see method.h. */
#include "tests/methods/method.h"

#include <omp.h>

#include "engine/base/rng.h"

struct moco_simd simd;
int check_count, check_failures;

void numbers(float *x, size_t n, uint64_t stream)
{
    struct rng rng = rng_at(23, RNG_TEST, 0, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rng_normal(&rng);
}

void unit_rows(float *x, size_t rows, uint64_t stream)
{
    float inv_norm;
    numbers(x, rows * D, stream);
    for (size_t i = 0; i < rows; i++)
        simd.row_normalise(x + i * D, &inv_norm, x + i * D, 1, D);
}

struct call *call_open(int unit)
{
    struct call *s = calloc(1, sizeof *s);
    struct rng rng = rng_at(29, RNG_TEST, 1, 0);
    if (unit) {
        unit_rows(s->q, B, 1);
        unit_rows(s->k, B, 2);
    } else {
        numbers(s->q, B * D, 1);
        numbers(s->k, B * D, 2);
    }
    numbers(s->raw, B * D, 3);
    numbers(s->weight, N * D, 4);
    numbers(s->bias, N, 5);
    for (int i = 0; i < B; i++) {
        s->ids[i] = 7 * i % N;
        s->labels[i] = i % 3 ? i % CLASSES : -1;
        s->different[i] = i % 2;
        for (int j = 0; j < M; j++)
            s->index[i * M + j] = (s->ids[i] + 1 + (int64_t)rng_below(&rng, N - 1)) % N;
    }
    s->c = (struct contrast){ .rows = B, .q = s->q, .k = s->k, .d_q = s->d_q, .ids = s->ids };
    return s;
}

struct method_config config_of(void)
{
    return (struct method_config){ .B = B, .D = D, .T = 0.2f, .seed = 3, .n = N, .negatives = M,
                                   .blend = 0.5f, .margin = 3.0f, .classes = CLASSES };
}

double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int d = 0; d < D; d++)
        sum += a[d] * b[d];
    return sum;
}

void widen(double *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (double)from[i];
}

struct reference *reference_of(const struct call *s, const struct method_config *config,
                               double (*loss)(const struct reference *r))
{
    struct reference *r = calloc(1, sizeof *r);
    r->loss = loss;
    r->call = s;
    r->config = *config;
    widen(r->q, s->q, B * D);
    widen(r->k, s->k, B * D);
    widen(r->raw, s->raw, B * D);
    widen(r->weight, s->weight, N * D);
    widen(r->bias, s->bias, N);
    return r;
}

void check_gradient(struct reference *r, double *x, const float *d_x, size_t n, const char *what)
{
    double worst = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        double kept = x[i], up, down;
        x[i] = kept + 1e-5;
        up = r->loss(r);
        x[i] = kept - 1e-5;
        down = r->loss(r);
        x[i] = kept;
        worst = fmax(worst, fabs((up - down) / 2e-5 - (double)d_x[i]));
        size = fmax(size, fabs((double)d_x[i]));
    }
    CHECK_MSG(worst <= 3e-6 * size + 1e-8 && size > 0, "%s: gradient off by %g of %g", what, worst,
              size);
}

struct state_tensor tensor(const struct method *method, void *state, size_t i)
{
    struct state_tensor t = { .name = "" };
    CHECK(method->state(state, i, &t));
    return t;
}

double softmax_loss(const double *s, size_t own, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += exp(s[j]);
    return log(sum) - s[own];
}

void test_threads(const struct method *method, enum bank_loss bank)
{
    struct method_config config = config_of();
    struct call *one = NULL;
    int before = omp_get_max_threads();
    config.bank = bank;
    for (int threads = 1; threads <= 8; threads += 3) {
        struct call *s = call_open(method->unit);
        void *state;
        s->c.weight = s->weight, s->c.d_weight = s->d_weight;
        s->c.step = 4;
        omp_set_num_threads(threads);
        CHECK(method->open(&state, &config, &simd) == MOCO_OK);
        CHECK(method->loss(state, &s->c) == MOCO_OK);
        method->close(state);
        if (one)
            CHECK(one->c.loss == s->c.loss && !memcmp(one->d_q, s->d_q, sizeof s->d_q) &&
                  !memcmp(one->d_weight, s->d_weight, sizeof s->d_weight));
        if (!one)
            one = s;
        else
            free(s);
    }
    omp_set_num_threads(before);
    free(one);
}
