/* semi_supervised.c: cross-entropy of the labelled rows, and what a batch without labels gives. */
#include "tests/methods/method.h"

static double classifier_loss(const struct reference *r)
{
    double loss = 0, s[CLASSES];
    int labelled = 0;
    for (int i = 0; i < B; i++)
        labelled += r->call->labels[i] >= 0;
    for (int i = 0; i < B; i++) {
        if (r->call->labels[i] < 0)
            continue;
        for (int k = 0; k < CLASSES; k++)
            s[k] = dot(r->raw + i * D, r->weight + k * D) + r->bias[k];
        loss += softmax_loss(s, (size_t)r->call->labels[i], CLASSES) / labelled;
    }
    return loss;
}

void test_semi_supervised(void)
{
    struct call *s = call_open(1);
    struct method_config config = config_of();
    void *state;
    s->c.raw = s->raw, s->c.d_raw = s->d_raw, s->c.d_k = s->d_k;
    s->c.weight = s->weight, s->c.bias = s->bias;
    s->c.d_weight = s->d_weight, s->c.d_bias = s->d_bias;
    s->c.labels = s->labels;
    CHECK(method_semi_supervised.open(&state, &config, &simd) == MOCO_OK);
    CHECK(method_semi_supervised.loss(state, &s->c) == MOCO_OK);
    CHECK(s->c.judged == B - (B + 2) / 3); /* every third row has no label */
    struct reference *r = reference_of(s, &config, classifier_loss);
    CHECK(fabs(s->c.loss - classifier_loss(r)) <= 3e-6 * (1 + s->c.loss));
    check_gradient(r, r->raw, s->d_raw, B * D, "classifier, features");
    check_gradient(r, r->weight, s->d_weight, CLASSES * D, "classifier.weight");
    check_gradient(r, r->bias, s->d_bias, CLASSES, "classifier.bias");
    for (int i = 0; i < B; i++)
        s->labels[i] = -1; /* a batch without labels costs nothing */
    CHECK(method_semi_supervised.loss(state, &s->c) == MOCO_OK && s->c.loss == 0);
    CHECK(s->c.judged == 0);
    s->labels[2] = CLASSES;
    CHECK(method_semi_supervised.loss(state, &s->c) == MOCO_EARG);
    s->c.labels = NULL;
    CHECK(method_semi_supervised.loss(state, &s->c) == MOCO_EARG);
    method_semi_supervised.close(state);
    free(r);
    free(s);
}
