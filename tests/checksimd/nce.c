/* nce.c: checks of products with gathered rows, of NCE and of the sampled softmax. */
#include "tests/checksimd/harness.h"

enum { M_MAX = 4096 };

struct batch {
    float *v, *bank;
    int64_t *own, *index;
    size_t B, M, D, n;
    float T, shift;
};

struct answer {
    float *loss, *top1, *d_v;
};

typedef moco_nce_fn loss_fn;

/* Exact scores and the error of one exponent, in units. */
struct score {
    double s, slip;
};

static struct score score(const struct batch *x, size_t b, int64_t row)
{
    double size, s = exact_dot(x->v + b * x->D, x->bank + (size_t)row * x->D, x->D, &size) / x->T;

    return (struct score){s, (double)(x->D + 1) * size / x->T + 3 * fabs(s) +
                                 2 * fabs(x->shift)};
}

static double softplus(double a)
{
    return fmax(a, 0) + log1p(exp(-fabs(a)));
}

/* weight[j], slip[j] of the samples and of the own row (j = M); the loss and its bound. */
static double nce_pieces(const struct batch *x, size_t b, double *weight, double *slip,
                         double *bound)
{
    double loss = 0;

    *bound = 0;
    for (size_t j = 0; j <= x->M; j++) {
        int own = j == x->M;
        struct score y = score(x, b, own ? x->own[b] : x->index[b * x->M + j]);
        double a = own ? x->shift - y.s : y.s - x->shift, h = 1 / (1 + exp(-a));

        loss += softplus(a);
        *bound += h * y.slip * UNIT;
        weight[j] = own ? -h : h;
        slip[j] = y.slip;
    }
    *bound += ((double)x->M / 16 + 24) * UNIT * loss + 2 * FLT_MIN * (double)(x->M + 1);
    return loss;
}

static double sampled_pieces(const struct batch *x, size_t b, double *weight, double *slip,
                             double *bound)
{
    double top = -INFINITY, sum = 0, most = 0, peak = 0, loss;
    struct score own = score(x, b, x->own[b]);

    for (size_t j = 0; j < x->M; j++) {
        struct score y = score(x, b, x->index[b * x->M + j]);

        weight[j] = y.s;
        slip[j] = y.slip;
        top = fmax(top, y.s);
        most = fmax(most, y.slip);
        peak = fmax(peak, fabs(y.s));
    }
    for (size_t j = 0; j < x->M; j++)
        sum += exp(weight[j] - top);
    for (size_t j = 0; j < x->M; j++) {
        weight[j] = exp(weight[j] - top) / sum;
        slip[j] += most;
    }
    weight[x->M] = -1;
    slip[x->M] = 0;
    loss = log(sum) + top - own.s + x->shift;
    *bound = UNIT * (2 * fmax(most, own.slip) + (double)x->M / 16 + 24 +
                     4 * (fabs(loss) + fabs(own.s) + peak));
    return loss;
}

static void oracle(const struct batch *x, const struct answer *y, size_t b, int sampled)
{
    static double weight[M_MAX + 1], slip[M_MAX + 1];
    double bound, loss = (sampled ? sampled_pieces : nce_pieces)(x, b, weight, slip, &bound);

    near(sampled ? "sampled loss" : "nce loss", y->loss[b], loss, bound);
    for (size_t d = 0; d < x->D; d++) {
        double slope = 0;

        bound = 4 * (double)(x->M + 4) * FLT_MIN / x->T;
        for (size_t j = 0; j <= x->M; j++) {
            int64_t row = j == x->M ? x->own[b] : x->index[b * x->M + j];
            double term = weight[j] * x->bank[(size_t)row * x->D + d] / x->T;

            slope += term;
            bound += fabs(term) * (slip[j] + (double)x->M + 24) * UNIT;
        }
        near(sampled ? "sampled d_v" : "nce d_v", y->d_v[b * x->D + d], slope, bound);
    }
}

static struct answer take_answer(int slot, const struct batch *x)
{
    return (struct answer){take(slot, x->B), take(slot + 1, x->B), take(slot + 2, x->B * x->D)};
}

static void call(loss_fn *loss, const struct batch *x, const struct answer *y, struct share s)
{
    size_t at = s.first * x->D;

    loss(y->loss + s.first, y->top1 + s.first, y->d_v + at, x->v + at, x->bank, x->own + s.first,
         x->index + s.first * x->M, s.n, x->M, x->D, x->T, x->shift);
}

static void losses(const struct moco_simd *t, const struct batch *x, int sampled, int measured)
{
    const char *name = sampled ? "sampled" : "nce";
    struct answer want = take_answer(6, x), got;

    call(sampled ? ref.sampled : ref.nce, x, &want, (struct share){0, x->B});
    for (size_t parts = 1; parts < 5; parts++) {
        got = take_answer(9, x);
        for (size_t i = 0; i < parts; i++)
            call(sampled ? t->sampled : t->nce, x, &got, share_of(x->B, parts, i));
        same(name, t, got.loss, want.loss, x->B, "loss", x->B, x->M, x->D);
        same(name, t, got.top1, want.top1, x->B, "top1", x->B, x->M, x->D);
        same(name, t, got.d_v, want.d_v, x->B * x->D, "d_v", x->B, x->M, x->D);
    }
    for (size_t b = 0; t->nce == ref.nce && measured && b < x->B; b++)
        oracle(x, &want, b, sampled);
}

/* Gathered products have the bytes of logits with the rows side by side. */
static void products(const struct moco_simd *t, const struct batch *x)
{
    float *want = take(6, x->B * x->M), *got = take(7, x->B * x->M), *rows = take(8, x->M * x->D);

    for (size_t b = 0; b < x->B; b++) {
        for (size_t j = 0; j < x->M; j++)
            memcpy(rows + j * x->D, x->bank + (size_t)x->index[b * x->M + j] * x->D,
                   x->D * sizeof *rows);
        ref.logits(want + b * x->M, x->v + b * x->D, rows, 1, x->M, x->D);
    }
    for (size_t i = 0; i < 3; i++) {
        struct share s = share_of(x->B, 3, i);

        t->gather_logits(got + s.first * x->M, x->v + s.first * x->D, x->bank,
                         x->index + s.first * x->M, s.n, x->M, x->D);
    }
    same("gather_logits", t, got, want, x->B * x->M, "out", x->B, x->M, x->D);
}

static void nce(const struct moco_simd *t, size_t B, size_t M, size_t D, enum fill fill, float T)
{
    size_t n = 1 + next_random() % 300;
    struct batch x = {.v = take_filled(0, B * D, fill), .bank = take_filled(1, n * D, fill),
                      .own = take_bytes(2, B * sizeof(int64_t)),
                      .index = take_bytes(3, B * M * sizeof(int64_t)),
                      .B = B, .M = M, .D = D, .n = n, .T = T, .shift = 4 * uniform()};
    int unit = fill == UNIFORM || fill == EQUAL || fill == ALTERNATING;

    for (size_t b = 0; b < B; b++)
        x.own[b] = (int64_t)(next_random() % n);
    for (size_t i = 0; i < B * M; i++)
        x.index[i] = i + 1 == B * M ? (int64_t)n - 1 : (int64_t)(next_random() % n);
    if (unit) {
        unit_rows(x.v, B, D);
        unit_rows(x.bank, n, D);
    }
    products(t, &x);
    losses(t, &x, 0, unit);
    if (M)
        losses(t, &x, 1, unit);
    strips_intact("nce", t->name);
}

void check_nce(const struct moco_simd *t)
{
    static const float temperatures[] = {0.1f, 0.07f, 1.0f, 0.01f, 0.005f};
    static const size_t columns[] = {1, 7, 8, 9, 16, 17, 63, 64, 65, 80, 127, 128, 129, 200};

    for (size_t i = 0; i < COUNT(edges); i++)
        for (size_t j = 0; j < COUNT(columns); j++) {
            size_t B = next_random() % 6;
            enum fill fill = j % 2 ? UNIFORM : (enum fill)(next_random() % FILLS);
            float T = temperatures[next_random() % COUNT(temperatures)];

            nce(t, B, edges[i], columns[j], fill, T);
        }
    nce(t, 3, M_MAX, 128, UNIFORM, 0.1f);
    nce(t, 3, M_MAX - 1, 128, UNIFORM, 0.01f);
}

static void mutant_nce(float *loss, float *top1, float *d_v, const float *v, const float *bank,
                       const int64_t *own, const int64_t *index, size_t B, size_t M, size_t D,
                       float T, float log_noise)
{
    for (size_t b = 0; b < B; b++)
        ref.nce(loss + b, top1 + b, d_v + b * D, v + b * D, bank, own + b, index + b * M, 1,
                M / 16 * 16, D, T, log_noise);
}

static void mutant_sampled(float *loss, float *top1, float *d_v, const float *v, const float *bank,
                           const int64_t *own, const int64_t *index, size_t B, size_t M, size_t D,
                           float T, float log_scale)
{
    for (size_t b = 0; b < B; b++)
        ref.sampled(loss + b, top1 + b, d_v + b * D, v + b * D, bank, own + b, index + b * M, 1,
                    M / 16 * 16, D, T, log_scale);
}

static void mutant_gather(float *out, const float *v, const float *bank, const int64_t *index,
                          size_t B, size_t M, size_t D)
{
    ref.gather_logits(out, v, bank, index, M % 16 ? B / 2 : B, M, D);
}

static void some(const struct moco_simd *t)
{
    nce(t, 3, 37, 9, UNIFORM, 0.5f);
}

void mutants_nce(void)
{
    struct moco_simd t = ref;

    t.nce = mutant_nce;
    must_catch("nce", some, &t);
    t = ref;
    t.sampled = mutant_sampled;
    must_catch("sampled", some, &t);
    t = ref;
    t.gather_logits = mutant_gather;
    must_catch("gather_logits", some, &t);
}
