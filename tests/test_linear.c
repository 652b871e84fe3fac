/* test_linear.c: the linear probe. The search on functions with known minima; objective, gradient
 * and the solver's optimum against double arithmetic; choice of l2; classes without training or
 * test images; an encoder that must not move, and one that is moved on purpose; SGD at a learning
 * rate of 30; equal bytes for any number of threads. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/eval/lbfgs.h"
#include "engine/eval/linear.h"
#include "engine/eval/linear_fit.h"
#include "tests/check.h"
#include "tests/pictures.h"

static struct moco_simd simd;

/* ---- the search ---- */

/* Rosenbrock's valley: minimum 0 at (1, 1). */
static int valley(void *user, double *value, float *grad, const float *x)
{
    double a = 1.0 - x[0], b = x[1] - (double)x[0] * x[0];
    ++*(int *)user;
    *value = a * a + 100.0 * b * b;
    grad[0] = (float)(-2.0 * a - 400.0 * x[0] * b);
    grad[1] = (float)(200.0 * b);
    return MOCO_OK;
}

/* Σ i (x_i - i)² / 2 for i = 1..500: condition 500. */
static int bowl(void *user, double *value, float *grad, const float *x)
{
    (void)user;
    *value = 0.0;
    for (int i = 0; i < 500; i++) {
        double off = x[i] - (i + 1.0);
        *value += 0.5 * (i + 1) * off * off;
        grad[i] = (float)((i + 1) * off);
    }
    return MOCO_OK;
}

static int breaks(void *user, double *value, float *grad, const float *x)
{
    (void)value, (void)grad, (void)x;
    return ++*(int *)user < 3 ? bowl(NULL, value, grad, x) : error_set(MOCO_EIO, "broken");
}

static void searches(void)
{
    float x[500] = {-1.2f, 1.0f};
    struct lbfgs_result r;
    int calls = 0;

    CHECK(lbfgs_minimise(&r, x, 2, 1e-4, 200, valley, &calls) == MOCO_OK);
    CHECK_MSG(r.converged && fabsf(x[0] - 1) < 1e-3f && fabsf(x[1] - 1) < 1e-3f, "%g %g after %d",
              (double)x[0], (double)x[1], r.iterations);
    CHECK(calls == r.evaluations && r.iterations > 5 && r.iterations < 100);
    memset(x, 0, sizeof x);
    CHECK(lbfgs_minimise(&r, x, 500, 1e-1, 300, bowl, NULL) == MOCO_OK);
    CHECK_MSG(r.converged && fabsf(x[499] - 500) < 1e-3f && fabsf(x[0] - 1) < 0.2f, "%g %g, %d",
              (double)x[499], (double)x[0], r.iterations);
    memset(x, 0, sizeof x);
    CHECK(lbfgs_minimise(&r, x, 500, 1e-1, 3, bowl, NULL) == MOCO_OK);
    CHECK(!r.converged && r.iterations == 3 && r.gradient > 1e-1);
    calls = 0;
    CHECK(lbfgs_minimise(&r, x, 500, 1e-9, 300, breaks, &calls) == MOCO_EIO);
    CHECK(lbfgs_minimise(&r, x, 500, 0.0, 5000, bowl, NULL) == MOCO_OK);
    CHECK(r.iterations < 5000 && r.gradient < 1.0); /* it ends where digits end */
}

/* ---- logistic regression against double ---- */

struct problem {
    size_t n, D, C, wide;
    float *x, *w, *grad;
    int32_t *y;
};

/* Correlated columns; labels that depend on them, classes c > 0 rarer the larger `skew` is. */
static struct problem draw(size_t n, size_t D, size_t C, double skew)
{
    struct problem p = {.n = n, .D = D, .C = C, .wide = logistic_columns(D)};
    struct rng rng = rng_at(5, RNG_TEST, n, D);
    p.x = calloc(n * p.wide, sizeof *p.x);
    p.y = calloc(n, sizeof *p.y);
    p.w = calloc(C * p.wide, sizeof *p.w);
    p.grad = calloc(C * p.wide, sizeof *p.grad);
    for (size_t i = 0; i < n; i++) {
        float *row = p.x + i * p.wide;
        double best = -INFINITY, last = 0.0;
        for (size_t d = 0; d < D; d++)
            row[d] = (float)(last = 0.9 * last + 0.4 * rng_normal(&rng));
        row[D] = 1.0f;
        for (size_t c = 0; c < C; c++) {
            double s = 1.5 * row[c % D] - skew * (double)c + rng_normal(&rng);
            p.y[i] = s > best ? (int32_t)c : p.y[i];
            best = s > best ? s : best;
        }
    }
    for (size_t c = 0; c < C; c++)
        p.y[c] = (int32_t)c; /* each has an image */
    return p;
}

static void done(struct problem *p)
{
    free(p->x);
    free(p->y);
    free(p->w);
    free(p->grad);
}

/* The definition in logistic.h, sum by sum; grad: (C, wide). */
static double objective(double *grad, const struct problem *p, const float *w, double l2)
{
    double f = 0.0, *s = malloc(p->C * sizeof *s);
    memset(grad, 0, p->C * p->wide * sizeof *grad);
    for (size_t i = 0; i < p->n; i++) {
        const float *row = p->x + i * p->wide;
        double total = 0.0;
        for (size_t c = 0; c < p->C; c++) {
            s[c] = 0.0;
            for (size_t d = 0; d <= p->D; d++)
                s[c] += (double)row[d] * w[c * p->wide + d];
            total += exp(s[c]);
        }
        f += (log(total) - s[p->y[i]]) / (double)p->n;
        for (size_t c = 0; c < p->C; c++)
            for (size_t d = 0; d <= p->D; d++)
                grad[c * p->wide + d] +=
                    (exp(s[c]) / total - (p->y[i] == (int32_t)c)) * row[d] / (double)p->n;
    }
    for (size_t c = 0; c < p->C; c++)
        for (size_t d = 0; d < p->D; d++) {
            double weight = w[c * p->wide + d];
            f += 0.5 * l2 * weight * weight;
            grad[c * p->wide + d] += l2 * weight;
        }
    free(s);
    return f;
}

static double norm(const double *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void gradients(void)
{
    static const size_t sizes[][3] = {
        {1, 1, 2}, {63, 15, 3}, {64, 16, 16}, {65, 17, 17}, {1000, 37, 7}, {700, 5, 150},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct problem p = draw(sizes[i][0] + sizes[i][2], sizes[i][1], sizes[i][2], 0.1);
        size_t n = p.C * p.wide;
        double *wanted = malloc(n * sizeof *wanted), *off = malloc(n * sizeof *off), value;
        struct logistic q;
        struct rng rng = rng_at(6, RNG_TEST, i, 0);
        for (size_t c = 0; c < p.C; c++)
            for (size_t d = 0; d <= p.D; d++)
                p.w[c * p.wide + d] = (float)rng_normal(&rng);
        CHECK(logistic_open(&q, p.n, p.D, p.C, &simd) == MOCO_OK);
        q.x = p.x, q.y = p.y, q.n = p.n, q.l2 = 0.3;
        CHECK(logistic_value(&q, &value, p.grad, p.w) == MOCO_OK);
        double f = objective(wanted, &p, p.w, 0.3);
        CHECK_MSG(fabs(value - f) < 1e-6 * f, "case %zu: %.9g, not %.9g", i, value, f);
        for (size_t j = 0; j < n; j++)
            off[j] = p.grad[j] - wanted[j];
        CHECK_MSG(norm(off, n) < 1e-6 * norm(wanted, n), "case %zu: gradient off by %g of %g", i,
                  norm(off, n), norm(wanted, n));
        logistic_close(&q);
        free(wanted);
        free(off);
        done(&p);
    }
}

static void solve(struct problem *p, struct linear_result *r, double l2)
{
    struct rows rows = {.n = p->n, .D = p->D, .wide = p->wide, .classes = p->C, .y = p->y,
                        .x = p->x};
    memset(p->w, 0, p->C * p->wide * sizeof *p->w);
    CHECK_MSG(linear_solve(p->w, r, &rows, l2, &simd) == MOCO_OK, "%s", error_text());
}

/* At the optimum the gradient vanishes, and as intercepts bear no penalty, the mean probability of
 * each class is its share of the rows, however rare it is. */
static void optima(void)
{
    static const struct {
        size_t n, D, C;
        double skew, l2;
    } cases[] = {
        {1500, 40, 10, 0.1, 1e-1}, {1500, 40, 10, 0.1, 1e-3}, {1500, 40, 10, 0.1, 1e-5},
        {2000, 30, 3, 2.5, 1e-3},  {3000, 20, 2, 3.5, 1e-4},  {60, 200, 2, 0.0, 1e-2},
        {64, 3000, 8, 0.0, 10.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct problem p = draw(cases[i].n, cases[i].D, cases[i].C, cases[i].skew);
        struct linear_result r;
        size_t n = p.C * p.wide, rare = 0;
        double *grad = malloc(n * sizeof *grad), *first = malloc(n * sizeof *first);
        (void)objective(first, &p, p.w, cases[i].l2);
        solve(&p, &r, cases[i].l2);
        double f = objective(grad, &p, p.w, cases[i].l2);
        CHECK_MSG(norm(grad, n) < 1e-4 * norm(first, n), "case %zu: gradient %.2e of %.2e", i,
                  norm(grad, n), norm(first, n));
        CHECK_MSG(r.converged && fabs(r.loss - f) < 1e-6 * f, "case %zu: %g, not %g", i, r.loss, f);
        for (size_t c = 0; c < p.C; c++)
            CHECK_MSG(fabs(grad[c * p.wide + p.D]) < 1e-4, "case %zu class %zu: %g", i, c,
                      grad[c * p.wide + p.D]);
        for (size_t j = 0; j < p.n; j++)
            rare += p.y[j] == (int32_t)p.C - 1;
        CHECK(cases[i].skew < 2 || rare < p.n / 20);
        free(grad);
        free(first);
        done(&p);
    }
}

/* ---- pictures ---- */

static const struct linear_config solver = {.protocol = LINEAR_SOLVER, .l2 = -1.0};

/* Far apart: all right, also of seven classes, and with a class that has no training image (2) or
 * no test image (4). */
static void separable(void)
{
    struct picture *train = picture(240, 7, 30.0f, 1), *test = picture(70, 7, 30.0f, 2);
    struct score_sets sets = sets_of(train, test, 7);
    struct policy policy = plain();
    struct linear_result r;
    struct class_score classes[7] = {{0}};

    CHECK(!linear_run(&r, classes, &sets, NULL, &policy, &solver, &simd));
    CHECK_MSG(r.top1 == 100.0 && r.top5 == 100.0 && r.converged, "top-1 %g top-5 %g", r.top1,
              r.top5);
    CHECK(r.columns == PIXELS && r.l2 > 0.0 && classes[3].n == 10 && classes[3].right == 10);
    for (size_t i = 0; i < 240; i++)
        train->labels[i] = train->labels[i] == 2 ? -1 : train->labels[i];
    for (size_t i = 0; i < 70; i++)
        test->labels[i] = test->labels[i] == 4 ? -1 : test->labels[i];
    sets = sets_of(train, test, 7);
    memset(classes, 0, sizeof classes);
    CHECK(!linear_run(&r, classes, &sets, NULL, &policy, &solver, &simd));
    CHECK_MSG(fabs(r.top1 - 100.0 * 50 / 60) < 1e-9 && fabs(r.top5 - 100.0 * 50 / 60) < 1e-9,
              "top-1 %g", r.top1);
    CHECK(classes[2].n == 10 && classes[2].right == 0 && classes[4].n == 0 && classes[5].n == 10);
    free(train);
    free(test);
}

/* A weak signal: chosen l2 is neither end of the path, and about as good as any. */
static void choice(void)
{
    struct picture *train = picture(240, 3, 1.5f, 3), *test = picture(240, 3, 1.5f, 4);
    struct score_sets sets = sets_of(train, test, 3);
    struct policy policy = plain();
    struct linear_result r, fixed;
    struct linear_config config = solver;
    double best = 0.0;

    CHECK(!linear_run(&r, NULL, &sets, NULL, &policy, &solver, &simd));
    for (config.l2 = 1e-5; config.l2 < 20.0; config.l2 *= 10.0) {
        CHECK(!linear_run(&fixed, NULL, &sets, NULL, &policy, &config, &simd));
        CHECK(fixed.l2 == config.l2);
        best = fixed.top1 > best ? fixed.top1 : best;
    }
    CHECK_MSG(r.l2 > 1e-4 && r.l2 < 99.0 && r.top1 > best - 4.0 && isnan(r.top5),
              "l2 %g top-1 %g, best %g", r.l2, r.top1, best);
    CHECK(r.top1 > 60.0 && r.top1 < 100.0);
    free(train);
    free(test);
}

/* Many more columns than images, all of them alike: near the minimum values differ by less than
 * they are rounded, and the search must go on by slopes. */
static void rounded(void)
{
    struct score_sets sets;
    struct policy policy = {.side = 32, .channels = 3};
    struct linear_config config = {.protocol = LINEAR_SOLVER, .l2 = 10.0};
    struct linear_result r;

    for (int c = 0; c < 3; c++)
        policy.std[c] = 1.0f;
    CHECK(!score_open(&sets, "synthetic:n=64", "synthetic:n=64"));
    for (config.l2 = 1000.0; config.l2 > 1e-4; config.l2 *= 0.1) {
        CHECK(!linear_run(&r, NULL, &sets, NULL, &policy, &config, &simd));
        CHECK_MSG(r.converged && r.gradient < 1e-4, "l2 %g: %g after %d", config.l2, r.gradient,
                  r.iterations);
    }
    score_close(&sets);
}

static void refusals(void)
{
    struct picture *train = picture(12, 3, 3.0f, 5), *test = picture(12, 3, 3.0f, 6);
    struct score_sets sets = sets_of(train, test, 3);
    struct policy policy = plain();
    struct linear_config moco = {.protocol = LINEAR_MOCO, .epochs = 1, .lr = 30.0};
    struct linear_result r;
    enum linear_protocol protocol;

    CHECK(linear_run(&r, NULL, &sets, NULL, &policy, &solver, &simd) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "give --l2"), "%s", error_text());
    CHECK(linear_run(&r, NULL, &sets, NULL, &policy, &moco, &simd) == MOCO_EARG);
    train->pixels[5 * PIXELS + 3] = NAN;
    struct linear_config given = {.protocol = LINEAR_SOLVER, .l2 = 0.1};
    CHECK(linear_run(&r, NULL, &sets, NULL, &policy, &given, &simd) == MOCO_EDIVERGED);
    CHECK_MSG(strstr(error_text(), "memory are not finite"), "%s", error_text());
    memset(train->labels, 0, sizeof train->labels);
    sets = sets_of(train, test, 3);
    CHECK(linear_run(&r, NULL, &sets, NULL, &policy, &given, &simd) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "one class"), "%s", error_text());
    CHECK(linear_protocol_named(&protocol, "sgd") == MOCO_EARG);
    CHECK(!linear_protocol_named(&protocol, "moco") && protocol == LINEAR_MOCO);
    free(train);
    free(test);
}

static void threads(void)
{
    struct picture *train = picture(240, 3, 1.0f, 7), *test = picture(60, 3, 1.0f, 8);
    struct score_sets sets = sets_of(train, test, 3);
    struct policy policy = plain();
    struct linear_result one, many;
    int before = omp_get_max_threads();

    omp_set_num_threads(1);
    CHECK(!linear_run(&one, NULL, &sets, NULL, &policy, &solver, &simd));
    omp_set_num_threads(3);
    CHECK(!linear_run(&many, NULL, &sets, NULL, &policy, &solver, &simd));
    omp_set_num_threads(before);
    CHECK(one.loss == many.loss && one.gradient == many.gradient && one.top1 == many.top1 &&
          one.l2 == many.l2 && one.iterations == many.iterations);
    free(train);
    free(test);
}

/* ---- the encoder ---- */

struct model {
    struct net *net;
    struct encoder encoder;
    struct embed embed;
    float *params, *stats; /* copies */
};

static void model_open(struct model *m, enum embed_feature feature)
{
    struct net_config config = {.arch = "resnet18", .stem = STEM_CIFAR, .head = HEAD_FC, .width = 8,
                                .channels = 1, .side = SIDE, .batch = 16, .dim = 16,
                                .bn_splits = 1};
    CHECK(net_open(&m->net, &config, &simd) == MOCO_OK);
    CHECK(encoder_open(&m->encoder, m->net, 0, NULL) == MOCO_OK);
    encoder_init(&m->encoder, m->net, 9);
    m->embed = (struct embed){.net = m->net, .encoder = &m->encoder, .feature = feature,
                              .simd = &simd};
    size_t P = net_param_count(m->net), S = net_stat_count(m->net);
    m->params = malloc(P * sizeof(float));
    m->stats = malloc(S * sizeof(float));
    memcpy(m->params, m->encoder.params, P * sizeof(float));
    memcpy(m->stats, m->encoder.stats, S * sizeof(float));
}

static int moved(const struct model *m)
{
    return m->encoder.batches != 0 ||
           memcmp(m->params, m->encoder.params, net_param_count(m->net) * sizeof(float)) ||
           memcmp(m->stats, m->encoder.stats, net_stat_count(m->net) * sizeof(float));
}

static void model_close(struct model *m)
{
    free(m->params);
    free(m->stats);
    encoder_close(&m->encoder);
    net_close(&m->net);
}

static void count_epochs(void *user, int epoch, double loss)
{
    int *seen = user;
    *seen = epoch == *seen + 1 && isfinite(loss) ? epoch : -100;
}

/* Both protocols leave every bit where it was, learn something from random features, and repeat to
 * the byte. A learning rate of 30 gives numbers, one that no float holds a sentence. */
static void frozen(void)
{
    struct picture *train = shifted(200, 3, 0, 3, 10), *test = shifted(100, 3, 0, 3, 11);
    struct score_sets sets = sets_of(train, test, 3);
    struct policy policy = plain();
    int seen = 0;
    struct linear_config configs[] = {
        solver, {.protocol = LINEAR_MOCO, .epochs = 30, .lr = 30.0, .seed = 4,
                 .progress = count_epochs, .user = &seen}};
    struct linear_result r, again;
    struct model m;

    for (int feature = EMBED_BACKBONE; feature <= EMBED_HEAD; feature++) {
        model_open(&m, (enum embed_feature)feature);
        for (int i = 0; i < 2; i++) {
            seen = 0;
            CHECK_MSG(!linear_run(&r, NULL, &sets, &m.embed, &policy, &configs[i], &simd), "%s",
                      error_text());
            CHECK(!moved(&m) && (i == 0 || seen == 30));
            CHECK_MSG(r.top1 > (i ? 50.0 : 60.0) && isfinite(r.loss), "protocol %d: %g %%", i,
                      r.top1);
            CHECK(r.columns == embed_dim(m.net, m.embed.feature));
            seen = 0;
            CHECK(!linear_run(&again, NULL, &sets, &m.embed, &policy, &configs[i], &simd));
            CHECK(again.top1 == r.top1 && again.loss == r.loss);
        }
        configs[1].lr = 1e39;
        CHECK(linear_run(&r, NULL, &sets, &m.embed, &policy, &configs[1], &simd) ==
              MOCO_EDIVERGED);
        CHECK_MSG(strstr(error_text(), "smaller --lr"), "%s", error_text());
        configs[1].lr = 30.0;
        model_close(&m);
    }
    free(train);
    free(test);
}

/* One bit of a parameter, of a running statistic, of the count of batches: the probe notices. */
static void guarded(void)
{
    struct picture *train = picture(100, 2, 3.0f, 12), *test = picture(100, 2, 3.0f, 13);
    struct score_sets sets = sets_of(train, test, 2);
    struct policy policy = plain();
    struct linear_config config = {.protocol = LINEAR_SOLVER, .l2 = 0.1};
    struct linear_result r;
    struct model m;

    model_open(&m, EMBED_BACKBONE);
    void *words[] = {m.encoder.params + net_param_count(m.net) - 1,
                     m.encoder.stats + net_stat_count(m.net) / 2, &m.encoder.batches};
    for (size_t i = 0; i < 3; i++) {
        train->poke = words[i];
        error_set(MOCO_OK, "%s", "");
        CHECK(linear_run(&r, NULL, &sets, &m.embed, &policy, &config, &simd) == MOCO_EDIVERGED);
        CHECK_MSG(strstr(error_text(), "moved during the probe"), "word %zu: %s", i, error_text());
        *train->poke ^= 1;
    }
    train->poke = NULL;
    CHECK(!moved(&m) && !linear_run(&r, NULL, &sets, &m.embed, &policy, &config, &simd));
    model_close(&m);
    free(train);
    free(test);
}

int main(void)
{
    CHECK(moco_simd_init(&simd, NULL) == 0);
    searches();
    gradients();
    optima();
    separable();
    choice();
    rounded();
    refusals();
    threads();
    frozen();
    guarded();
    return check_summary("linear");
}
