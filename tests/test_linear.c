/* test_linear.c: the linear probe. Choice of l2; classes without training or test images; an
 * encoder that must not move, and one moved on purpose; SGD at a rate of 30; equal bytes for any
 * number of threads. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/eval/linear.h"
#include "engine/eval/linear_fit.h"
#include "tests/check.h"
#include "tests/pictures.h"

static struct moco_simd simd;

/* ---- pictures ---- */

static const struct linear_config solver = {.protocol = LINEAR_SOLVER, .l2 = -1.0};

/* Far apart: all right, also of seven classes, and with a class that has no training image (2) or
 * no test image (4). */
static void separable(void)
{
    struct picture *train = picture(240, 7, 30.0f, 1), *test = picture(70, 7, 30.0f, 2);
    struct score_sets sets = sets_of(train, test, 7);
    struct policy policy = plain();
    struct linear_result r;
    struct class_score classes[7] = {{0}};

    CHECK(!linear_run(&r, classes, &sets, NULL, &policy, &solver, &simd));
    CHECK_MSG(r.top1 == 100.0 && r.top5 == 100.0 && r.converged, "top-1 %g top-5 %g", r.top1,
              r.top5);
    CHECK(r.columns == PIXELS && r.l2 > 0.0 && classes[3].n == 10 && classes[3].right == 10);
    for (size_t i = 0; i < 240; i++)
        train->labels[i] = train->labels[i] == 2 ? -1 : train->labels[i];
    for (size_t i = 0; i < 70; i++)
        test->labels[i] = test->labels[i] == 4 ? -1 : test->labels[i];
    sets = sets_of(train, test, 7);
    memset(classes, 0, sizeof classes);
    CHECK(!linear_run(&r, classes, &sets, NULL, &policy, &solver, &simd));
    CHECK_MSG(fabs(r.top1 - 100.0 * 50 / 60) < 1e-9 && fabs(r.top5 - 100.0 * 50 / 60) < 1e-9,
              "top-1 %g", r.top1);
    CHECK(classes[2].n == 10 && classes[2].right == 0 && classes[4].n == 0 && classes[5].n == 10);
    free(train);
    free(test);
}

/* A weak signal: chosen l2 is neither end of the path, and about as good as any. */
static void choice(void)
{
    struct picture *train = picture(240, 3, 1.5f, 3), *test = picture(240, 3, 1.5f, 4);
    struct score_sets sets = sets_of(train, test, 3);
    struct policy policy = plain();
    struct linear_result r, fixed;
    struct linear_config config = solver;
    double best = 0.0;

    CHECK(!linear_run(&r, NULL, &sets, NULL, &policy, &solver, &simd));
    for (config.l2 = 1e-5; config.l2 < 20.0; config.l2 *= 10.0) {
        CHECK(!linear_run(&fixed, NULL, &sets, NULL, &policy, &config, &simd));
        CHECK(fixed.l2 == config.l2);
        best = fixed.top1 > best ? fixed.top1 : best;
    }
    CHECK_MSG(r.l2 > 1e-4 && r.l2 < 99.0 && r.top1 > best - 4.0 && isnan(r.top5),
              "l2 %g top-1 %g, best %g", r.l2, r.top1, best);
    CHECK(r.top1 > 60.0 && r.top1 < 100.0);
    free(train);
    free(test);
}

/* Many more columns than images, all of them alike: near the minimum values differ by less than
 * they are rounded, and the search must go on by slopes. */
static void rounded(void)
{
    struct score_sets sets;
    struct policy policy = {.side = 32, .channels = 3};
    struct linear_config config = {.protocol = LINEAR_SOLVER, .l2 = 10.0};
    struct linear_result r;

    for (int c = 0; c < 3; c++)
        policy.std[c] = 1.0f;
    CHECK(!score_open(&sets, "synthetic:n=64", "synthetic:n=64", NULL));
    for (config.l2 = 1000.0; config.l2 > 1e-4; config.l2 *= 0.1) {
        CHECK(!linear_run(&r, NULL, &sets, NULL, &policy, &config, &simd));
        CHECK_MSG(r.converged && r.gradient < 1e-4, "l2 %g: %g after %d", config.l2, r.gradient,
                  r.iterations);
    }
    score_close(&sets);
}

static void refusals(void)
{
    struct picture *train = picture(12, 3, 3.0f, 5), *test = picture(12, 3, 3.0f, 6);
    struct score_sets sets = sets_of(train, test, 3);
    struct policy policy = plain();
    struct linear_config moco = {.protocol = LINEAR_MOCO, .epochs = 1, .lr = 30.0};
    struct linear_result r;
    enum linear_protocol protocol;

    CHECK(linear_run(&r, NULL, &sets, NULL, &policy, &solver, &simd) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "give --l2"), "%s", error_text());
    CHECK(linear_run(&r, NULL, &sets, NULL, &policy, &moco, &simd) == MOCO_EARG);
    train->pixels[5 * PIXELS + 3] = NAN;
    struct linear_config given = {.protocol = LINEAR_SOLVER, .l2 = 0.1};
    CHECK(linear_run(&r, NULL, &sets, NULL, &policy, &given, &simd) == MOCO_EDIVERGED);
    CHECK_MSG(strstr(error_text(), "memory are not finite"), "%s", error_text());
    memset(train->labels, 0, sizeof train->labels);
    sets = sets_of(train, test, 3);
    CHECK(linear_run(&r, NULL, &sets, NULL, &policy, &given, &simd) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "one class"), "%s", error_text());
    CHECK(linear_protocol_named(&protocol, "sgd") == MOCO_EARG);
    CHECK(!linear_protocol_named(&protocol, "moco") && protocol == LINEAR_MOCO);
    free(train);
    free(test);
}

static void threads(void)
{
    struct picture *train = picture(240, 3, 1.0f, 7), *test = picture(60, 3, 1.0f, 8);
    struct score_sets sets = sets_of(train, test, 3);
    struct policy policy = plain();
    struct linear_result one, many;
    int before = omp_get_max_threads();

    omp_set_num_threads(1);
    CHECK(!linear_run(&one, NULL, &sets, NULL, &policy, &solver, &simd));
    omp_set_num_threads(3);
    CHECK(!linear_run(&many, NULL, &sets, NULL, &policy, &solver, &simd));
    omp_set_num_threads(before);
    CHECK(one.loss == many.loss && one.gradient == many.gradient && one.top1 == many.top1 &&
          one.l2 == many.l2 && one.iterations == many.iterations);
    free(train);
    free(test);
}

/* ---- the encoder ---- */

struct model {
    struct net *net;
    struct encoder encoder;
    struct embed embed;
    float *params, *stats; /* copies */
};

static void model_open(struct model *m, enum embed_feature feature)
{
    struct net_config config = {.arch = "resnet18", .stem = STEM_CIFAR, .head = HEAD_FC, .width = 8,
                                .channels = 1, .side = SIDE, .batch = 16, .dim = 16,
                                .bn_splits = 1};
    CHECK(net_open(&m->net, &config, &simd) == MOCO_OK);
    CHECK(encoder_open(&m->encoder, m->net, 0, NULL) == MOCO_OK);
    encoder_init(&m->encoder, m->net, 9);
    m->embed = (struct embed){.net = m->net, .encoder = &m->encoder, .feature = feature,
                              .simd = &simd};
    size_t P = net_param_count(m->net), S = net_stat_count(m->net);
    m->params = malloc(P * sizeof(float));
    m->stats = malloc(S * sizeof(float));
    memcpy(m->params, m->encoder.params, P * sizeof(float));
    memcpy(m->stats, m->encoder.stats, S * sizeof(float));
}

static int moved(const struct model *m)
{
    return m->encoder.batches != 0 ||
           memcmp(m->params, m->encoder.params, net_param_count(m->net) * sizeof(float)) ||
           memcmp(m->stats, m->encoder.stats, net_stat_count(m->net) * sizeof(float));
}

static void model_close(struct model *m)
{
    free(m->params);
    free(m->stats);
    encoder_close(&m->encoder);
    net_close(&m->net);
}

static void count_epochs(void *user, int epoch, double loss)
{
    int *seen = user;
    *seen = epoch == *seen + 1 && isfinite(loss) ? epoch : -100;
}

/* Both protocols leave every bit where it was, learn something from random features, and repeat to
 * the byte. A learning rate of 30 gives numbers, one that no float holds a sentence. */
static void frozen(void)
{
    struct picture *train = shifted(200, 3, 0, 3, 10), *test = shifted(100, 3, 0, 3, 11);
    struct score_sets sets = sets_of(train, test, 3);
    struct policy policy = plain();
    int seen = 0;
    struct linear_config configs[] = {
        solver, {.protocol = LINEAR_MOCO, .epochs = 30, .lr = 30.0, .seed = 4,
                 .progress = count_epochs, .user = &seen}};
    struct linear_result r, again;
    struct model m;

    for (int feature = EMBED_BACKBONE; feature <= EMBED_HEAD; feature++) {
        model_open(&m, (enum embed_feature)feature);
        for (int i = 0; i < 2; i++) {
            seen = 0;
            CHECK_MSG(!linear_run(&r, NULL, &sets, &m.embed, &policy, &configs[i], &simd), "%s",
                      error_text());
            CHECK(!moved(&m) && (i == 0 || seen == 30));
            CHECK_MSG(r.top1 > (i ? 50.0 : 60.0) && isfinite(r.loss), "protocol %d: %g %%", i,
                      r.top1);
            CHECK(r.columns == embed_dim(m.net, m.embed.feature));
            seen = 0;
            CHECK(!linear_run(&again, NULL, &sets, &m.embed, &policy, &configs[i], &simd));
            CHECK(again.top1 == r.top1 && again.loss == r.loss);
        }
        configs[1].lr = 1e39;
        CHECK(linear_run(&r, NULL, &sets, &m.embed, &policy, &configs[1], &simd) ==
              MOCO_EDIVERGED);
        CHECK_MSG(strstr(error_text(), "smaller --lr"), "%s", error_text());
        configs[1].lr = 30.0;
        model_close(&m);
    }
    free(train);
    free(test);
}

/* One bit of a parameter, of a running statistic, of the count of batches: the probe notices. */
static void guarded(void)
{
    struct picture *train = picture(100, 2, 3.0f, 12), *test = picture(100, 2, 3.0f, 13);
    struct score_sets sets = sets_of(train, test, 2);
    struct policy policy = plain();
    struct linear_config config = {.protocol = LINEAR_SOLVER, .l2 = 0.1};
    struct linear_result r;
    struct model m;

    model_open(&m, EMBED_BACKBONE);
    void *words[] = {m.encoder.params + net_param_count(m.net) - 1,
                     m.encoder.stats + net_stat_count(m.net) / 2, &m.encoder.batches};
    for (size_t i = 0; i < 3; i++) {
        train->poke = words[i];
        error_set(MOCO_OK, "%s", "");
        CHECK(linear_run(&r, NULL, &sets, &m.embed, &policy, &config, &simd) == MOCO_EDIVERGED);
        CHECK_MSG(strstr(error_text(), "moved during the probe"), "word %zu: %s", i, error_text());
        *train->poke ^= 1;
    }
    train->poke = NULL;
    CHECK(!moved(&m) && !linear_run(&r, NULL, &sets, &m.embed, &policy, &config, &simd));
    model_close(&m);
    free(train);
    free(test);
}

int main(void)
{
    CHECK(moco_simd_init(&simd, NULL) == 0);
    separable();
    choice();
    rounded();
    refusals();
    threads();
    frozen();
    guarded();
    return check_summary("linear");
}
