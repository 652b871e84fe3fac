/* margin.c: the margin loss of given pairs, also at distance 0, and which pairs are drawn. */
#include "tests/methods/method.h"

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

static void test_loss(int normalise)
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

void test_margin(void)
{
    test_loss(0);
    test_loss(1);
    test_pairs(0);
    test_pairs(1);
}
