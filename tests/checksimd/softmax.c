/* softmax.c: checks of the softmax with temperature. */
#include "tests/checksimd/harness.h"

static void oracle(const float *out, const float *x, size_t K, float T)
{
    double top = -INFINITY, sum = 0;

    for (size_t j = 0; j < K; j++)
        top = x[j] > top ? x[j] : top; /* with fmax() gcc 12 for AArch64 breaks off */
    for (size_t j = 0; j < K; j++)
        sum += exp((x[j] - top) / T);
    for (size_t j = 0; j < K; j++) {
        double below = (top - x[j]) / T, exact = exp(-below) / sum;

        near("softmax", out[j], exact,
             (4 * below + (double)K / 16 + 16) * UNIT * exact + 2 * (double)FLT_MIN);
    }
}

static void softmax(const struct moco_simd *t, size_t B, size_t K, enum fill fill, float T)
{
    size_t n = B * K;
    float *x = take_filled(0, n, fill), *want = take(1, n), *got;

    ref.softmax(want, x, B, K, T);
    for (size_t parts = 1; parts < 4; parts++) {
        got = take(2, n);
        for (size_t i = 0; i < parts; i++) {
            struct share s = share_of(B, parts, i);

            t->softmax(got + s.first * K, x + s.first * K, s.n, K, T);
        }
        same("softmax", t, got, want, n, "out", B, K, 0);
    }
    for (size_t b = 0; t->softmax == ref.softmax && fill != SPECIAL && b < B; b++)
        oracle(want + b * K, x + b * K, K, T);
    t->softmax(x, x, B, K, T);
    same("softmax", t, x, want, n, "in place", B, K, 0);
    strips_intact("softmax", t->name);
}

void check_softmax(const struct moco_simd *t)
{
    static const float temperatures[] = {0.07f, 0.005f, 0.2f, 1.0f, 1e3f};

    for (size_t i = 0; i < COUNT(edges); i++)
        for (enum fill fill = 0; fill < FILLS; fill++)
            for (size_t j = 0; j < COUNT(temperatures); j++)
                softmax(t, next_random() % 6, edges[i], fill, temperatures[j]);
    softmax(t, 3, 4097, UNIFORM, 0.07f);
    softmax(t, 9, 16384, MIXED, 0.07f);
    softmax(t, 13, 16400, SPECIAL, 0.07f);
    softmax(t, 5, 16385, UNIFORM, 1.0f);
    softmax(t, 2, 65536, UNIFORM, 0.01f);
    softmax(t, 2, 65535, EQUAL, 0.07f);
}

static void mutant(float *out, const float *x, size_t B, size_t K, float T)
{
    memcpy(out, x, B * K * sizeof *out);
    for (size_t b = 0; b < B; b++)
        ref.softmax(out + b * K, x + b * K, 1, K / 16 * 16, T);
}

static void some(const struct moco_simd *t)
{
    softmax(t, 2, 33, UNIFORM, 0.1f);
}

void mutants_softmax(void)
{
    struct moco_simd t = ref;

    t.softmax = mutant;
    must_catch("softmax", some, &t);
}
