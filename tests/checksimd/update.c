/* update.c: checks of EMA, SGD and the two in one pass. */
#include "tests/checksimd/harness.h"

static const float lr = 0.03f, momentum = 0.9f, wd = 5e-4f;

static void ema(const struct moco_simd *t, size_t n, enum fill fill, float m)
{
    float *k = take_filled(0, n, fill), *q = take_filled(1, n, fill);
    float *want = take_copy(2, k, n), take_q = 1.0f - m;

    ref.ema(want, q, n, m);
    for (size_t parts = 1; parts < 5; parts++) {
        float *got = take_copy(3, k, n);

        for (size_t i = 0; i < parts; i++) {
            struct share s = share_of(n, parts, i);

            t->ema(got + s.first, q + s.first, s.n, m);
        }
        same("ema", t, got, want, n, "k", n, parts, 0);
    }
    for (size_t i = 0; t->ema == ref.ema && fill != SPECIAL && i < n; i++) {
        double a = (double)m * k[i], b = (double)take_q * q[i];

        near("ema", want[i], a + b, 3 * UNIT * (fabs(a) + fabs(b)) + 2 * LEAST);
    }
    strips_intact("ema", t->name);
}

/* Both results against double arithmetic on the stored inputs. */
static void sgd_oracle(const float *p1, const float *u1, const float *p, const float *u,
                       const float *g, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double drop = (double)wd * p[i], keep = (double)momentum * u[i];
        double speed = keep + drop + g[i], size = fabs(keep) + fabs(drop) + fabs(g[i]);
        double slip = 2.01 * UNIT * size + 2 * LEAST, exact = p[i] - lr * speed;

        near("sgd u", u1[i], speed, slip);
        near("sgd p", p1[i], exact, 1.01 * UNIT * fabs(exact) + 1.01 * lr * slip + 2 * LEAST);
    }
}

static void sgd(const struct moco_simd *t, size_t n, enum fill fill)
{
    float *p = take_filled(0, n, fill), *u = take_filled(1, n, fill), *g = take_filled(2, n, fill);
    float *p1 = take_copy(3, p, n), *u1 = take_copy(4, u, n);

    ref.sgd(p1, u1, g, n, lr, momentum, wd);
    for (size_t parts = 1; parts < 5; parts++) {
        float *p2 = take_copy(5, p, n), *u2 = take_copy(6, u, n);

        for (size_t i = 0; i < parts; i++) {
            struct share s = share_of(n, parts, i);

            t->sgd(p2 + s.first, u2 + s.first, g + s.first, s.n, lr, momentum, wd);
        }
        same("sgd", t, p2, p1, n, "p", n, parts, 0);
        same("sgd", t, u2, u1, n, "u", n, parts, 0);
    }
    if (t->sgd == ref.sgd && fill != SPECIAL)
        sgd_oracle(p1, u1, p, u, g, n);
    strips_intact("sgd", t->name);
}

/* The specification of sgd_ema is ref's sgd, whole, and then its ema, whole. */
static void sgd_ema(const struct moco_simd *t, size_t n, enum fill fill, float m)
{
    float *w = take_filled(0, n, fill), *v = take_filled(1, n, fill), *k = take_filled(2, n, fill);
    float *g = take_filled(3, n, fill), *w1 = take_copy(4, w, n), *v1 = take_copy(5, v, n);
    float *k1 = take_copy(6, k, n);

    ref.sgd(w1, v1, g, n, lr, momentum, wd);
    ref.ema(k1, w1, n, m);
    for (size_t parts = 1; parts < 5; parts++) {
        float *w2 = take_copy(7, w, n), *v2 = take_copy(8, v, n), *k2 = take_copy(9, k, n);

        for (size_t i = 0; i < parts; i++) {
            struct share s = share_of(n, parts, i);

            t->sgd_ema(w2 + s.first, v2 + s.first, k2 + s.first, g + s.first, s.n, lr, momentum,
                       wd, m);
        }
        same("sgd_ema", t, w2, w1, n, "w", n, parts, 0);
        same("sgd_ema", t, v2, v1, n, "v", n, parts, 0);
        same("sgd_ema", t, k2, k1, n, "w_k", n, parts, 0);
    }
    strips_intact("sgd_ema", t->name);
}

void check_update(const struct moco_simd *t)
{
    static const float momenta[] = {0.999f, 0.0f, 0.99f, 1.0f};

    for (size_t i = 0; i < COUNT(edges); i++)
        for (enum fill fill = 0; fill < FILLS; fill++) {
            ema(t, edges[i], fill, momenta[i % 4]);
            sgd(t, edges[i], fill);
            sgd_ema(t, edges[i], fill, momenta[i % 4]);
        }
}

static void mutant_ema(float *k, const float *q, size_t n, float m)
{
    ref.ema(k, q, n / 16 * 16, m);
}

static void mutant_sgd(float *p, float *u, const float *g, size_t n, float a, float b, float c)
{
    ref.sgd(p, u, g, n / 16 * 16, a, b, c);
}

static void mutant_sgd_ema(float *w, float *v, float *k, const float *g, size_t n, float a, float b,
                           float c, float m)
{
    ref.sgd_ema(w, v, k, g, n / 16 * 16, a, b, c, m);
}

static void some(const struct moco_simd *t)
{
    ema(t, 33, UNIFORM, 0.99f);
    sgd(t, 33, UNIFORM);
    sgd_ema(t, 33, UNIFORM, 0.99f);
}

void mutants_update(void)
{
    struct moco_simd t = ref;

    t.ema = mutant_ema;
    must_catch("ema", some, &t);
    t = ref;
    t.sgd = mutant_sgd;
    must_catch("sgd", some, &t);
    t = ref;
    t.sgd_ema = mutant_sgd_ema;
    must_catch("sgd_ema", some, &t);
}
