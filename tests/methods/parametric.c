/* parametric.c: the softmax over one weight vector an image, and the gradient of the weights. */
#include "tests/methods/method.h"

static double parametric_loss(const struct reference *r)
{
    double loss = 0, s[N];
    for (int i = 0; i < B; i++) {
        for (int j = 0; j < N; j++)
            s[j] = dot(r->q + i * D, r->weight + j * D);
        loss += softmax_loss(s, (size_t)r->call->ids[i], N) / B;
    }
    return loss;
}

void test_parametric(void)
{
    struct call *s = call_open(0);
    struct method_config config = config_of();
    void *state;
    s->c.weight = s->weight;
    s->c.d_weight = s->d_weight;
    CHECK(method_parametric.layer_rows(&config) == N);
    CHECK(method_parametric.open(&state, &config, &simd) == MOCO_OK);
    CHECK(method_parametric.loss(state, &s->c) == MOCO_OK);
    struct reference *r = reference_of(s, &config, parametric_loss);
    CHECK(fabs(s->c.loss - parametric_loss(r)) <= 3e-6 * (1 + s->c.loss));
    check_gradient(r, r->q, s->d_q, B * D, "parametric");
    check_gradient(r, r->weight, s->d_weight, N * D, "instance.weight");
    method_parametric.close(state);
    free(r);
    free(s);
    test_threads(&method_parametric, BANK_NCE);
}
