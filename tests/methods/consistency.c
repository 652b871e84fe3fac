/* consistency.c: the term between two views, of raw features and of unit rows. */
#include "tests/methods/method.h"

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

void test_consistency(void)
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
