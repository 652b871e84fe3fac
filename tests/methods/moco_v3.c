/* moco_v3.c: the symmetric loss of MoCo v3, one direction. */
#include "tests/methods/method.h"

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

void test_moco_v3(void)
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
