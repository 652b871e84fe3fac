/* test_methods.c: memory bank, parametric softmax, margin, semi-supervised classifier, MoCo v3 and
 * the consistency term: losses written out in double, gradients by central differences of those,
 * and what each method remembers and draws. test_contrast.c has queue and in-batch InfoNCE, the
 * parity cases whole steps. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/contrast/bank.h"
#include "engine/contrast/consistency.h"
#include "engine/contrast/method.h"
#include "tests/check.h"

enum { B = 9, D = 12, N = 70, M = 25, CLASSES = 4 };

static struct moco_simd simd;

static void numbers(float *x, size_t n, uint64_t stream)
{
    struct rng rng = rng_at(23, RNG_TEST, 0, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rng_normal(&rng);
}

static void unit_rows(float *x, size_t rows, uint64_t stream)
{
    float inv_norm;
    numbers(x, rows * D, stream);
    for (size_t i = 0; i < rows; i++)
        simd.row_normalise(x + i * D, &inv_norm, x + i * D, 1, D);
}

/* Everything that a call reads and writes. */
struct call {
    struct contrast c;
    float q[B * D], k[B * D], d_q[B * D], d_k[B * D], raw[B * D], d_raw[B * D];
    float weight[N * D], bias[N], d_weight[N * D], d_bias[N];
    int64_t ids[B], index[B * M];
    int32_t labels[B], different[B];
};

static struct call *call_open(int unit)
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

static struct method_config config_of(void)
{
    return (struct method_config){ .B = B, .D = D, .T = 0.2f, .seed = 3, .n = N, .negatives = M,
                                   .blend = 0.5f, .margin = 3.0f, .classes = CLASSES };
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int d = 0; d < D; d++)
        sum += a[d] * b[d];
    return sum;
}

/* A loss in double, of numbers that a central difference moves. */
struct reference {
    double (*loss)(const struct reference *r);
    const struct call *call;
    struct method_config config;
    double bank[N * D], q[B * D], k[B * D], raw[B * D], weight[N * D], bias[N];
    double z, lambda;
};

static void widen(double *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (double)from[i];
}

static struct reference *reference_of(const struct call *s, const struct method_config *config,
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

/* x: numbers inside r. */
static void check_gradient(struct reference *r, double *x, const float *d_x, size_t n,
                           const char *what)
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

static struct state_tensor tensor(const struct method *method, void *state, size_t i)
{
    struct state_tensor t = { .name = "" };
    CHECK(method->state(state, i, &t));
    return t;
}

/* ---- memory bank ---- */

static double softmax_loss(const double *s, size_t own, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += exp(s[j]);
    return log(sum) - s[own];
}

static double bank_row_loss(const struct reference *r, int i)
{
    double T = (double)r->config.T, s[N], sum = 0, loss, m = M;
    const double *q = r->q + i * D;
    const int64_t *index = r->call->index + i * M;
    size_t own = (size_t)r->call->ids[i];
    for (size_t j = 0; j < N; j++)
        s[j] = dot(q, r->bank + j * D) / T;
    if (r->config.bank == BANK_FULL)
        return softmax_loss(s, own, N);
    for (int j = 0; j < M; j++)
        sum += exp(s[index[j]]);
    if (r->config.bank == BANK_SAMPLED)
        return log(N / m * sum) - s[own];
    loss = -log(exp(s[own]) / r->z / (exp(s[own]) / r->z + m / N));
    for (int j = 0; j < M; j++)
        loss -= log(1 - exp(s[index[j]]) / r->z / (exp(s[index[j]]) / r->z + m / N));
    return loss;
}

static double bank_loss(const struct reference *r)
{
    double loss = 0;
    for (int i = 0; i < B; i++) {
        const double *row = r->bank + r->call->ids[i] * D;
        loss += bank_row_loss(r, i) / B;
        for (int d = 0; d < D; d++)
            loss += (double)r->config.proximal / B * (r->q[i * D + d] - row[d]) *
                    (r->q[i * D + d] - row[d]);
    }
    return loss;
}

/* n times the mean of all exp(s) of the batch. */
static double first_z(const struct reference *r)
{
    double sum = 0, T = (double)r->config.T;
    for (int i = 0; i < B; i++) {
        sum += exp(dot(r->q + i * D, r->bank + r->call->ids[i] * D) / T);
        for (int j = 0; j < M; j++)
            sum += exp(dot(r->q + i * D, r->bank + r->call->index[i * M + j] * D) / T);
    }
    return N * sum / (B * (M + 1));
}

static void test_bank(enum bank_loss kind, float proximal)
{
    struct call *s = call_open(1);
    struct method_config config = config_of();
    void *state;
    config.bank = kind;
    config.proximal = proximal;
    CHECK_MSG(method_memory_bank.open(&state, &config, &simd) == MOCO_OK, "%s", error_text());
    struct reference *r = reference_of(s, &config, bank_loss);
    widen(r->bank, tensor(&method_memory_bank, state, 0).data, N * D);
    r->z = first_z(r);
    s->c.index = kind == BANK_FULL ? NULL : s->index;
    CHECK_MSG(method_memory_bank.loss(state, &s->c) == MOCO_OK, "%s", error_text());
    CHECK_MSG(fabs(s->c.loss - bank_loss(r)) <= 3e-6 * (1 + s->c.loss), "bank %d: loss %g not %g",
              kind, s->c.loss, bank_loss(r));
    check_gradient(r, r->q, s->d_q, B * D, "bank");
    if (kind == BANK_NCE) {
        const float *log_z = tensor(&method_memory_bank, state, 1).data;
        float held = *log_z;
        CHECK(fabs((double)held - log(r->z)) < 1e-5);
        unit_rows(s->q, B, 9); /* Z stays what the first batch made it */
        CHECK(method_memory_bank.loss(state, &s->c) == MOCO_OK && *log_z == held);
    }
    method_memory_bank.close(state);
    free(r);
    free(s);
}

static void test_running_z(void)
{
    struct call *s = call_open(1);
    struct method_config config = config_of();
    void *state;
    config.running_z = 1;
    CHECK(method_memory_bank.open(&state, &config, &simd) == MOCO_OK);
    struct reference *r = reference_of(s, &config, bank_loss);
    const float *log_z = tensor(&method_memory_bank, state, 1).data;
    widen(r->bank, tensor(&method_memory_bank, state, 0).data, N * D);
    s->c.index = s->index;
    CHECK(isnan(*log_z) && method_memory_bank.loss(state, &s->c) == MOCO_OK);
    double before = exp((double)*log_z);
    unit_rows(s->q, B, 9);
    widen(r->q, s->q, B * D);
    CHECK(method_memory_bank.loss(state, &s->c) == MOCO_OK);
    double want = 0.9 * before + 0.1 * first_z(r);
    CHECK_MSG(fabs(exp((double)*log_z) / want - 1) < 1e-5, "Z %g, not %g", exp((double)*log_z),
              want);
    method_memory_bank.close(state);
    free(r);
    free(s);
}

static void test_bank_memory(void)
{
    struct call *s = call_open(1);
    struct method_config config = config_of();
    void *state;
    CHECK(method_memory_bank.open(&state, &config, &simd) == MOCO_OK);
    const float *rows = tensor(&method_memory_bank, state, 0).data;
    float before[N * D], row[D], inv_norm;
    memcpy(before, rows, sizeof before);
    CHECK(method_memory_bank.remember(state, s->q, s->ids, B) == MOCO_OK);
    for (int64_t j = 0, seen = 0; j < N; j++) {
        int i = 0;
        while (i < B && s->ids[i] != j)
            i++;
        seen += i < B;
        for (int d = 0; d < D && i < B; d++)
            row[d] = 0.5f * before[j * D + d] + 0.5f * s->q[i * D + d];
        if (i < B)
            simd.row_normalise(row, &inv_norm, row, 1, D);
        for (int d = 0; d < D; d++)
            CHECK(i < B ? fabsf(rows[j * D + d] - row[d]) < 1e-6f
                        : rows[j * D + d] == before[j * D + d]);
        CHECK(j < N - 1 || seen == B);
    }
    s->ids[3] = N;
    CHECK(method_memory_bank.loss(state, &s->c) == MOCO_EARG && strstr(error_text(), "70"));
    CHECK(method_memory_bank.remember(state, s->q, s->ids, B) == MOCO_EARG);
    method_memory_bank.close(state);
    free(s);
}

/* Every other row about equally often, the own one never; the same draw for the same place. */
static void test_draws(void)
{
    enum { DRAWS = 20000 };
    static int64_t index[DRAWS], again[DRAWS];
    int count[N] = { 0 };
    bank_draw(index, DRAWS, N, 11, 5, 2, 3);
    bank_draw(again, DRAWS, N, 11, 5, 2, 3);
    CHECK(!memcmp(index, again, sizeof index));
    bank_draw(again, DRAWS, N, 11, 5, 3, 3);
    CHECK(memcmp(index, again, sizeof index));
    for (int i = 0; i < DRAWS; i++)
        count[index[i]]++;
    for (int j = 0; j < N; j++) /* 290 expected, deviation 17 */
        CHECK_MSG(j == 11 ? !count[j] : abs(count[j] - DRAWS / (N - 1)) < 85, "row %d: %d", j,
                  count[j]);
}

/* ---- parametric ---- */

static double parametric_loss(const struct reference *r)
{
    double loss = 0, s[N];
    for (int i = 0; i < B; i++) {
        for (int j = 0; j < N; j++)
            s[j] = dot(r->q + i * D, r->weight + j * D);
        loss += softmax_loss(s, (size_t)r->call->ids[i], N) / B;
    }
    return loss;
}

static void test_parametric(void)
{
    struct call *s = call_open(0);
    struct method_config config = config_of();
    void *state;
    s->c.weight = s->weight;
    s->c.d_weight = s->d_weight;
    CHECK(method_parametric.layer_rows(&config) == N);
    CHECK(method_parametric.open(&state, &config, &simd) == MOCO_OK);
    CHECK(method_parametric.loss(state, &s->c) == MOCO_OK);
    struct reference *r = reference_of(s, &config, parametric_loss);
    CHECK(fabs(s->c.loss - parametric_loss(r)) <= 3e-6 * (1 + s->c.loss));
    check_gradient(r, r->q, s->d_q, B * D, "parametric");
    check_gradient(r, r->weight, s->d_weight, N * D, "instance.weight");
    method_parametric.close(state);
    free(r);
    free(s);
}

/* ---- margin ---- */

static double margin_loss(const struct reference *r)
{
    double loss = 0;
    for (int i = 0; i < B; i++) {
        double a[D], b[D], square = 0, gap;
        double na = r->config.normalise ? sqrt(dot(r->q + i * D, r->q + i * D)) : 1;
        double nb = r->config.normalise ? sqrt(dot(r->k + i * D, r->k + i * D)) : 1;
        for (int d = 0; d < D; d++) {
            a[d] = r->q[i * D + d] / na;
            b[d] = r->k[i * D + d] / nb;
            square += (a[d] - b[d]) * (a[d] - b[d]);
        }
        gap = fmax(0, (double)r->config.margin - sqrt(square));
        loss += (r->call->different[i] ? gap * gap : square) / (2 * B);
    }
    return loss;
}

static void test_margin(int normalise)
{
    struct call *s = call_open(0);
    struct method_config config = config_of();
    void *state;
    config.normalise = normalise;
    config.margin = normalise ? 1.2f : 5.0f;
    s->c.d_k = s->d_k;
    s->c.different = s->different;
    CHECK(method_margin.open(&state, &config, &simd) == MOCO_OK);
    CHECK(method_margin.loss(state, &s->c) == MOCO_OK);
    struct reference *r = reference_of(s, &config, margin_loss);
    CHECK(fabs(s->c.loss - margin_loss(r)) <= 3e-6 * (1 + s->c.loss));
    check_gradient(r, r->q, s->d_q, B * D, "margin, q");
    check_gradient(r, r->k, s->d_k, B * D, "margin, k");
    memcpy(s->k, s->q, sizeof s->q); /* distance 0 */
    CHECK(method_margin.loss(state, &s->c) == MOCO_OK && isfinite(s->c.loss));
    for (int i = 0; i < B * D; i++)
        CHECK(isfinite(s->d_q[i]) && isfinite(s->d_k[i]));
    method_margin.close(state);
    free(r);
    free(s);
}

/* Drawn pairs, told from the features: row i of both views is e_i, so a pair's distance is 0 with
 * its own second view and sqrt 2 with another's, and d_k shows with whose. */
static void test_pairs(int by_label)
{
    struct call *s = call_open(0);
    struct method_config config = config_of();
    void *state;
    int partners[B] = { 0 };
    config.by_label = by_label;
    config.margin = 10.0f;
    s->c.d_k = s->d_k;
    s->c.labels = s->labels;
    CHECK(method_margin.open(&state, &config, &simd) == MOCO_OK);
    for (uint64_t step = 0; step < 50; step++) {
        int different = 0;
        memset(s->q, 0, sizeof s->q);
        for (int i = 0; i < B; i++)
            s->q[i * D + i] = 1.0f;
        memcpy(s->k, s->q, sizeof s->q);
        s->c.step = step;
        CHECK(method_margin.loss(state, &s->c) == MOCO_OK);
        for (int i = 0; i < B; i++) { /* d_q = ± (e_i - e_j) scale shows the partner's place */
            int j = i;
            for (int d = 0; d < B; d++)
                if (d != i && s->d_q[i * D + d] != 0.0f)
                    j = d;
            int apart = s->d_q[i * D + i] < 0.0f; /* pushed away */
            different += apart;
            partners[i] += j != i;
            CHECK(!apart || j != i);
            if (by_label && j != i)
                CHECK((s->labels[i] != s->labels[j]) == apart && s->labels[i] >= 0 &&
                      s->labels[j] >= 0);
            if (by_label && s->labels[i] < 0)
                CHECK(j == i);
            if (!by_label)
                CHECK(apart == (j != i));
        }
        CHECK_MSG(different == B / 2, "%d of %d pairs are different", different, B);
    }
    for (int i = 0; i < B && !by_label; i++)
        CHECK_MSG(partners[i] > 8 && partners[i] < 36, "row %d: %d of 50", i, partners[i]);
    s->c.labels = NULL;
    CHECK(method_margin.loss(state, &s->c) == (by_label ? MOCO_EARG : MOCO_OK));
    method_margin.close(state);
    free(s);
}

/* ---- semi-supervised ---- */

static double classifier_loss(const struct reference *r)
{
    double loss = 0, s[CLASSES];
    int labelled = 0;
    for (int i = 0; i < B; i++)
        labelled += r->call->labels[i] >= 0;
    for (int i = 0; i < B; i++) {
        if (r->call->labels[i] < 0)
            continue;
        for (int k = 0; k < CLASSES; k++)
            s[k] = dot(r->raw + i * D, r->weight + k * D) + r->bias[k];
        loss += softmax_loss(s, (size_t)r->call->labels[i], CLASSES) / labelled;
    }
    return loss;
}

static void test_classifier(void)
{
    struct call *s = call_open(1);
    struct method_config config = config_of();
    void *state;
    s->c.raw = s->raw, s->c.d_raw = s->d_raw, s->c.d_k = s->d_k;
    s->c.weight = s->weight, s->c.bias = s->bias;
    s->c.d_weight = s->d_weight, s->c.d_bias = s->d_bias;
    s->c.labels = s->labels;
    CHECK(method_semi_supervised.open(&state, &config, &simd) == MOCO_OK);
    CHECK(method_semi_supervised.loss(state, &s->c) == MOCO_OK);
    struct reference *r = reference_of(s, &config, classifier_loss);
    CHECK(fabs(s->c.loss - classifier_loss(r)) <= 3e-6 * (1 + s->c.loss));
    check_gradient(r, r->raw, s->d_raw, B * D, "classifier, features");
    check_gradient(r, r->weight, s->d_weight, CLASSES * D, "classifier.weight");
    check_gradient(r, r->bias, s->d_bias, CLASSES, "classifier.bias");
    for (int i = 0; i < B; i++)
        s->labels[i] = -1; /* a batch without labels costs nothing */
    CHECK(method_semi_supervised.loss(state, &s->c) == MOCO_OK && s->c.loss == 0);
    s->labels[2] = CLASSES;
    CHECK(method_semi_supervised.loss(state, &s->c) == MOCO_EARG);
    s->c.labels = NULL;
    CHECK(method_semi_supervised.loss(state, &s->c) == MOCO_EARG);
    method_semi_supervised.close(state);
    free(r);
    free(s);
}

/* ---- consistency, MoCo v3 ---- */

static double consistency_loss(const struct reference *r)
{
    double loss = 0;
    for (int i = 0; i < B; i++) {
        double nq = sqrt(dot(r->q + i * D, r->q + i * D));
        double nk = sqrt(dot(r->k + i * D, r->k + i * D));
        for (int d = 0; d < D; d++) {
            double apart = r->q[i * D + d] / nq - r->k[i * D + d] / nk;
            loss += 0.7 / B * apart * apart;
        }
    }
    return loss;
}

static void test_consistency(void)
{
    struct call *s = call_open(0);
    struct method_config config = config_of();
    float *scratch = malloc(consistency_scratch(B, D, 0) * sizeof *scratch);
    struct reference *r = reference_of(s, &config, consistency_loss);
    s->c.d_k = s->d_k;
    consistency_add(&s->c, 0.7f, B, D, 0, &simd, scratch);
    CHECK(fabs(s->c.loss - consistency_loss(r)) <= 1e-6);
    check_gradient(r, r->q, s->d_q, B * D, "consistency, q");
    check_gradient(r, r->k, s->d_k, B * D, "consistency, k");
    free(scratch);
    free(r);
    free(s);
    s = call_open(1); /* unit rows already: the gradient stops at them */
    s->c.d_k = s->d_k;
    consistency_add(&s->c, 0.7f, B, D, 1, &simd, NULL);
    for (int i = 0; i < B * D; i++) {
        float want = 2 * 0.7f / B * (s->q[i] - s->k[i]);
        CHECK(fabsf(s->d_q[i] - want) < 1e-7f && s->d_k[i] == -s->d_q[i]);
    }
    free(s);
}

static double v3_loss(const struct reference *r)
{
    double loss = 0, s[B], T = (double)r->config.T;
    for (int i = 0; i < B; i++) {
        for (int j = 0; j < B; j++)
            s[j] = dot(r->q + i * D, r->k + j * D) / T;
        loss += 2 * T * softmax_loss(s, (size_t)i, B) / B;
    }
    return loss;
}

static void test_v3(void)
{
    struct call *s = call_open(1);
    struct method_config config = config_of();
    void *state;
    CHECK(method_moco_v3.open(&state, &config, &simd) == MOCO_OK);
    CHECK(method_moco_v3.loss(state, &s->c) == MOCO_OK);
    struct reference *r = reference_of(s, &config, v3_loss);
    CHECK(fabs(s->c.loss - v3_loss(r)) <= 3e-6);
    check_gradient(r, r->q, s->d_q, B * D, "moco-v3");
    method_moco_v3.close(state);
    free(r);
    free(s);
}

/* ---- all of them ---- */

static void test_threads(const struct method *method, enum bank_loss bank)
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

int main(void)
{
    if (moco_simd_init(&simd, NULL))
        return 1;
    for (int kind = BANK_NCE; kind <= BANK_FULL; kind++) {
        test_bank((enum bank_loss)kind, 0.0f);
        test_bank((enum bank_loss)kind, 0.5f);
        test_threads(&method_memory_bank, (enum bank_loss)kind);
    }
    test_running_z();
    test_bank_memory();
    test_draws();
    test_parametric();
    test_threads(&method_parametric, BANK_NCE);
    test_margin(0);
    test_margin(1);
    test_pairs(0);
    test_pairs(1);
    test_classifier();
    test_consistency();
    test_v3();
    return check_summary("methods");
}
