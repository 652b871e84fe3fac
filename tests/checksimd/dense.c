/* dense.c: checks of logits, of the normalisation of rows and of its gradient. */
#include "tests/checksimd/harness.h"

static const size_t rows_of[] = {1, 6, 5, 0, 7, 13, 97};

static void logits_oracle(const float *out, const float *q, const float *keys, size_t B, size_t K,
                          size_t D)
{
    for (size_t i = 0; i < B * K; i++) {
        double size, exact = exact_dot(q + i / K * D, keys + i % K * D, D, &size);

        near("logits", out[i], exact, (double)(D + 1) * (UNIT * size + LEAST));
    }
}

static void logits(const struct moco_simd *t, size_t B, size_t K, size_t D, enum fill fill)
{
    float *q = take_filled(0, B * D, fill), *keys = take_filled(1, K * D, fill);
    float *want = take(2, B * K), *got;

    ref.logits(want, q, keys, B, K, D);
    for (size_t parts = 1; parts < 4; parts++) {
        got = take(3, B * K);
        for (size_t i = 0; i < parts; i++) {
            struct share s = share_of(B, parts, i);

            t->logits(got + s.first * K, q + s.first * D, keys, s.n, K, D);
        }
        same("logits", t, got, want, B * K, "out", B, K, D);
    }
    if (t->logits == ref.logits && fill != SPECIAL)
        logits_oracle(want, q, keys, B, K, D);
    strips_intact("logits", t->name);
}

/* One row: the norm is measured where its square is a normal number. */
static void normalise_oracle(const float *dst, float inv, const float *src, size_t D)
{
    double size, square = exact_dot(src, src, D, &size), norm = fmax(sqrt(square), 1e-12);
    double relative = (double)(D / 32 + 8) * UNIT;

    near("inv_norm", inv * norm, 1, relative);
    for (size_t d = 0; d < D; d++)
        near("row_normalise", dst[d], src[d] / norm, relative * fabs(src[d] / norm) + LEAST);
}

static void grad_oracle(const float *d_src, const float *g, const float *y, float inv, size_t D)
{
    double size, dot = exact_dot(g, y, D, &size);

    for (size_t d = 0; d < D; d++) {
        double scale = fabs(g[d]) + fabs(y[d]) * size;
        double lost = (double)(D + 4) * (1 + fabs(y[d])) * LEAST;

        near("row_normalise_grad", d_src[d], (g[d] - y[d] * dot) * inv,
             ((double)(D / 16 + 12) * UNIT * scale + lost) * fmax(inv, 1));
    }
}

static void rows(const struct moco_simd *t, size_t B, size_t D, enum fill fill)
{
    size_t n = B * D;
    float *src = take_filled(0, n, fill), *g = take_filled(1, n, fill);
    float *want = take(2, n), *want_inv = take(3, B), *got = take(4, n), *inv = take(5, B);
    float *d_want = take(6, n), *d_got = take(7, n);

    ref.row_normalise(want, want_inv, src, B, D);
    ref.row_normalise_grad(d_want, g, want, want_inv, B, D);
    for (size_t i = 0; i < 3; i++) {
        struct share s = share_of(B, 3, i);
        size_t at = s.first * D;

        t->row_normalise(got + at, inv + s.first, src + at, s.n, D);
        t->row_normalise_grad(d_got + at, g + at, want + at, want_inv + s.first, s.n, D);
    }
    same("row_normalise", t, got, want, n, "dst", B, D, 0);
    same("row_normalise", t, inv, want_inv, B, "inv_norm", B, D, 0);
    same("row_normalise_grad", t, d_got, d_want, n, "d_src", B, D, 0);
    for (size_t b = 0; t->logits == ref.logits && fill != SPECIAL && b < B; b++) {
        normalise_oracle(got + b * D, inv[b], src + b * D, D);
        grad_oracle(d_got + b * D, g + b * D, want + b * D, inv[b], D);
    }
    t->row_normalise_grad(g, g, want, inv, B, D);
    same("row_normalise_grad", t, g, d_want, n, "in place", B, D, 0);
    t->row_normalise(src, inv, src, B, D);
    same("row_normalise", t, src, want, n, "in place", B, D, 0);
    strips_intact("rows", t->name);
}

void check_dense(const struct moco_simd *t)
{
    unsigned turn = 0;

    for (size_t i = 0; i < COUNT(edges); i++) {
        for (size_t j = 0; j < COUNT(edges); j++)
            logits(t, one_of(rows_of, COUNT(rows_of)), edges[i], edges[j], turn++ % FILLS);
        for (enum fill fill = 0; fill < FILLS; fill++)
            rows(t, one_of(rows_of, COUNT(rows_of)), edges[i], fill);
    }
}

static void mutant_logits(float *out, const float *q, const float *keys, size_t B, size_t K,
                          size_t D)
{
    ref.logits(out, q, keys, K % 16 ? B / 2 : B, K, D);
}

static void mutant_rows(float *dst, float *inv_norm, const float *src, size_t B, size_t D)
{
    ref.row_normalise(dst, inv_norm, src, D % 16 ? B / 2 : B, D);
}

static void some_logits(const struct moco_simd *t)
{
    logits(t, 3, 17, 8, UNIFORM);
}

static void some_rows(const struct moco_simd *t)
{
    rows(t, 3, 17, UNIFORM);
}

void mutants_dense(void)
{
    struct moco_simd t = ref;

    t.logits = mutant_logits;
    must_catch("logits", some_logits, &t);
    t = ref;
    t.row_normalise = mutant_rows;
    must_catch("row_normalise", some_rows, &t);
}
