/* infonce.c: checks of InfoNCE: masks, temperatures down to 0.005, queues of 4096 and 65536. */
#include "tests/checksimd/harness.h"

enum { K_MAX = 65536 };

static const size_t rows_of[] = {1, 6, 5, 0, 7, 13, 97, 12, 29, 48, 150};
static const float temperatures[] = {0.07f, 0.01f, 0.2f, 1.0f, 0.005f};

struct batch {
    float *q, *k, *keys, *scratch;
    int64_t *q_id, *key_id;
    size_t B, K, D;
    float T;
};

struct answer {
    float *loss, *top1, *d_q;
};

static int counts(const struct batch *x, size_t b, size_t j)
{
    return !x->q_id || !x->key_id || (x->key_id[j] >= 0 && x->key_id[j] != x->q_id[b]);
}

/* Logits of row b in double, those that do not count -inf; the largest, and the largest size. */
static double exact_logits(double *l, const struct batch *x, size_t b, double *size)
{
    double top = -INFINITY, sum;

    for (size_t j = 0; j < x->K; j++) {
        l[j] = exact_dot(x->q + b * x->D, x->keys + j * x->D, x->D, &sum) / x->T;
        *size = fmax(*size, sum);
        if (!counts(x, b, j))
            l[j] = -INFINITY;
        top = fmax(top, l[j]);
    }
    return top;
}

/* Each weight p is off by its logit's error and the sum's; the chain over keys adds K u. */
static void oracle(const struct batch *x, const struct answer *y, size_t b)
{
    static double l[K_MAX];
    const float *k = x->k + b * x->D;
    double size, l0 = exact_dot(x->q + b * x->D, k, x->D, &size) / x->T;
    double top = exact_logits(l, x, b, &size), m = fmax(l0, top), sum = exp(l0 - m), loss;

    for (size_t j = 0; j < x->K; j++)
        sum += l[j] = exp(l[j] - m);
    loss = log(sum) + m - l0;
    near("infonce loss", y->loss[b], loss,
         16 * UNIT / x->T * size + (64 + (double)x->K / 16) * UNIT * (1 + fabs(loss)));
    if (fabs(l0 - top) > 1e-4 / x->T)
        expect(y->top1[b] == (l0 >= top), "infonce ref: top1");
    for (size_t d = 0; d < x->D; d++) {
        double slope = exp(l0 - m) * k[d], terms = fabs(slope);

        for (size_t j = 0; j < x->K; j++) {
            slope += l[j] * x->keys[j * x->D + d];
            terms += l[j] * fabs(x->keys[j * x->D + d]);
        }
        near("infonce d_q", y->d_q[b * x->D + d], (slope / sum - k[d]) / x->T,
             UNIT / x->T * (64 * fabs(k[d]) + ((double)x->K + 64 + 64 / x->T) * terms / sum) +
                 64 * LEAST / x->T);
    }
}

static void call(const struct moco_simd *t, const struct batch *x, const struct answer *y,
                 struct share s)
{
    size_t at = s.first * x->D;

    t->infonce(y->loss + s.first, y->top1 + s.first, y->d_q + at, x->q + at, x->k + at, x->keys,
               x->q_id ? x->q_id + s.first : NULL, x->key_id, s.n, x->K, x->D, x->T, x->scratch);
}

static struct answer take_answer(int slot, const struct batch *x)
{
    return (struct answer){take(slot, x->B), take(slot + 1, x->B), take(slot + 2, x->B * x->D)};
}

static void take_ids(struct batch *x, int how)
{
    x->q_id = how ? take_bytes(4, x->B * sizeof *x->q_id) : NULL;
    x->key_id = how > 1 ? take_bytes(5, x->K * sizeof *x->key_id) : NULL;
    for (size_t b = 0; x->q_id && b < x->B; b++)
        x->q_id[b] = (int64_t)(next_random() % 8) + ((int64_t)1 << 33);
    for (size_t j = 0; x->key_id && j < x->K; j++)
        x->key_id[j] = how == 3 ? -1 : (int64_t)(next_random() % 9) - 1 +
                                           ((int64_t)(next_random() & 1) << 33);
}

/* ids: 0 none, 1 of the queries alone, 2 both, 3 no key counts. */
static void infonce(const struct moco_simd *t, size_t B, size_t K, size_t D, enum fill fill,
                    float T, int ids)
{
    struct batch x = {.q = take_filled(0, B * D, fill), .k = take_filled(1, B * D, fill),
                      .keys = take_filled(2, K * D, fill), .B = B, .K = K, .D = D, .T = T};
    struct answer want, got;
    int unit = fill == UNIFORM || fill == EQUAL || fill == ALTERNATING;

    if (unit) {
        unit_rows(x.q, B, D);
        unit_rows(x.k, B, D);
        unit_rows(x.keys, K, D);
    }
    x.scratch = take(3, (moco_infonce_scratch(D) + 15) / 16 * 16);
    take_ids(&x, ids);
    want = take_answer(6, &x);
    call(&ref, &x, &want, (struct share){0, B});
    for (size_t parts = 1; parts < 4; parts += 2) {
        got = take_answer(9, &x);
        for (size_t i = 0; i < parts; i++)
            call(t, &x, &got, share_of(B, parts, i));
        same("infonce", t, got.loss, want.loss, B, "loss", B, K, D);
        same("infonce", t, got.top1, want.top1, B, "top1", B, K, D);
        same("infonce", t, got.d_q, want.d_q, B * D, "d_q", B, K, D);
    }
    for (size_t b = 0; t->infonce == ref.infonce && unit && b < B; b++)
        oracle(&x, &want, b);
    strips_intact("infonce", t->name);
}

void check_infonce(const struct moco_simd *t)
{
    static const size_t columns[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 64, 65, 128, 200};

    for (size_t i = 0; i < COUNT(edges); i++)
        for (size_t j = 0; j < COUNT(columns); j++) {
            enum fill fill = j % 2 ? UNIFORM : (enum fill)(next_random() % FINITE_FILLS);
            size_t B = one_of(rows_of, COUNT(rows_of));
            float T = temperatures[next_random() % COUNT(temperatures)];

            infonce(t, B, edges[i], columns[j], fill, T, (int)(next_random() % 4));
        }
    for (size_t i = 0; i < COUNT(temperatures); i++) {
        infonce(t, 3, 4096, 128, UNIFORM, temperatures[i], 0);
        infonce(t, 2, 4095, 33, EQUAL, temperatures[i], 2);
    }
    infonce(t, 2, 65536, 128, UNIFORM, 0.01f, 0);
    infonce(t, 2, 65536, 128, UNIFORM, 0.005f, 0);
    infonce(t, 1, 65535, 16, EQUAL, 0.07f, 0);
}

static void mutant(float *loss, float *top1, float *d_q, const float *q, const float *k,
                   const float *keys, const int64_t *q_id, const int64_t *key_id, size_t B,
                   size_t K, size_t D, float T, float *scratch)
{
    ref.infonce(loss, top1, d_q, q, k, keys, q_id, key_id, B, K / 16 * 16, D, T, scratch);
}

static void some(const struct moco_simd *t)
{
    infonce(t, 2, 33, 8, UNIFORM, 0.2f, 0);
}

void mutants_infonce(void)
{
    struct moco_simd t = ref;

    t.infonce = mutant;
    must_catch("infonce", some, &t);
}
