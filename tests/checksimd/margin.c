/* margin.c: checks of the margin contrastive loss; pairs at distance 0 and at the margin too. */
#include "tests/checksimd/harness.h"

struct answer {
    float *loss, *dist, *d_a, *d_b;
};

static struct answer take_answer(int slot, size_t B, size_t D)
{
    return (struct answer){take(slot, B), take(slot + 1, B), take(slot + 2, B * D),
                           take(slot + 3, B * D)};
}

static void oracle(const struct answer *y, size_t i, const float *a, const float *b, int different,
                   size_t D, double margin)
{
    double square = 0, relative = (double)(D / 32 + 8) * UNIT, dist, slip, loss, scale = 1, gap;

    for (size_t d = 0; d < D; d++)
        square += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
    dist = sqrt(square);
    if (fabs(dist / MOCO_MARGIN_NEAR - 1) < 1e-4)
        return;
    dist = dist < MOCO_MARGIN_NEAR ? 0 : dist;
    gap = fmax(margin - dist, 0);
    slip = relative * dist + 2 * UNIT * gap;
    loss = different ? gap * gap / 2 : square / 2;
    near("dist", y->dist[i], dist, relative * dist);
    near("margin loss", y->loss[i], loss,
         different ? (gap + slip) * slip + 4 * UNIT * loss : 4 * relative * loss + LEAST * D);
    if (different)
        scale = dist > 0 ? -gap / dist : 0;
    for (size_t d = 0; d < D; d++) {
        double x = (double)a[d] - b[d], bound = 4 * relative * fabs(scale * x) + 4 * LEAST;

        bound += different && dist > 0 ? slip / dist * fabs(x) : 0;
        near("d_a", y->d_a[i * D + d], scale * x, bound);
        near("d_b", y->d_b[i * D + d], -scale * x, bound);
    }
}

/* Some pairs are identical, some a hair apart. */
static void margin(const struct moco_simd *t, size_t B, size_t D, enum fill fill, float limit)
{
    float *a = take_filled(0, B * D, fill), *b = take_filled(1, B * D, fill);
    int32_t *different = take_bytes(2, B * sizeof *different);
    struct answer want = take_answer(3, B, D), got = take_answer(7, B, D);

    for (size_t i = 0; i < B; i++) {
        different[i] = (int32_t)(next_random() % 2);
        if (i % 3 == 0)
            memcpy(b + i * D, a + i * D, D * sizeof *b);
        if (i % 6 == 3 && D)
            b[i * D] += 1.5e-5f;
    }
    ref.margin(want.loss, want.dist, want.d_a, want.d_b, a, b, different, B, D, limit);
    for (size_t i = 0; i < 3; i++) {
        struct share s = share_of(B, 3, i);
        size_t at = s.first * D;

        t->margin(got.loss + s.first, got.dist + s.first, got.d_a + at, got.d_b + at, a + at,
                  b + at, different + s.first, s.n, D, limit);
    }
    same("margin", t, got.loss, want.loss, B, "loss", B, D, 0);
    same("margin", t, got.dist, want.dist, B, "dist", B, D, 0);
    same("margin", t, got.d_a, want.d_a, B * D, "d_a", B, D, 0);
    same("margin", t, got.d_b, want.d_b, B * D, "d_b", B, D, 0);
    for (size_t i = 0; t->margin == ref.margin && fill != SPECIAL && i < B; i++) {
        oracle(&want, i, a + i * D, b + i * D, different[i], D, limit);
        for (size_t d = 0; d < D; d++)
            expect(isfinite(want.d_a[i * D + d]), "margin ref: gradient of pair %zu", i);
    }
    strips_intact("margin", t->name);
}

void check_margin(const struct moco_simd *t)
{
    for (size_t i = 0; i < COUNT(edges); i++)
        for (enum fill fill = 0; fill < FILLS; fill++) {
            margin(t, next_random() % 20, edges[i], fill, 1.0f);
            margin(t, next_random() % 20, edges[i], fill, 20.0f);
        }
}

static void mutant(float *loss, float *dist, float *d_a, float *d_b, const float *a, const float *b,
                   const int32_t *different, size_t B, size_t D, float limit)
{
    ref.margin(loss, dist, d_a, d_b, a, b, different, D % 16 ? B / 2 : B, D, limit);
}

static void some(const struct moco_simd *t)
{
    margin(t, 9, 17, UNIFORM, 1.0f);
}

void mutants_margin(void)
{
    struct moco_simd t = ref;

    t.margin = mutant;
    must_catch("margin", some, &t);
}
