/* test_finetune.c: training a whole encoder further: which images count as labelled, that weights
 * begin where they should, that the loop learns and repeats, and that the given encoder is only
 * read. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/eval/finetune.h"
#include "tests/check.h"
#include "tests/pictures.h"

static struct moco_simd simd;

/* ---- the choice ---- */

/* Labels in turn, class 2 only among the first 30. */
static struct score_side uneven(struct picture *p)
{
    for (size_t i = 30; i < p->source.count; i++)
        p->labels[i] = p->labels[i] == 2 ? 1 : p->labels[i];
    return side_of(p);
}

static void counts(size_t *count, const struct score_side *side, const size_t *index, size_t n)
{
    unsigned char seen[COUNT] = { 0 };
    memset(count, 0, 3 * sizeof *count);
    for (size_t i = 0; i < n; i++) {
        CHECK(index[i] < side->n && !seen[index[i]]);
        seen[index[i]] = 1;
        count[side->labels[index[i]]]++;
    }
}

static void choices(void)
{
    struct picture *p = picture(240, 3, 1.0f, 1);
    struct score_side side = uneven(p);
    size_t a[COUNT], b[COUNT], n, m, count[3];

    CHECK(!finetune_choose(a, &n, &side, 3, 0.1, 5));
    counts(count, &side, a, n);
    CHECK(n == 24 && count[0] == 8 && count[1] == 8 && count[2] == 8);
    CHECK(!finetune_choose(b, &m, &side, 3, 0.1, 5) && m == n && !memcmp(a, b, n * sizeof *a));
    CHECK(!finetune_choose(b, &m, &side, 3, 0.1, 6) && m == n && memcmp(a, b, n * sizeof *a));
    CHECK(!finetune_choose(a, &n, &side, 3, 0.001, 5));
    counts(count, &side, a, n);
    CHECK(n == 3 && count[0] == 1 && count[1] == 1 && count[2] == 1);
    CHECK(!finetune_choose(a, &n, &side, 3, 0.5, 5)); /* class 2 has 10, its share is 40 */
    counts(count, &side, a, n);
    CHECK(n == 90 && count[0] == 40 && count[1] == 40 && count[2] == 10);
    CHECK(!finetune_choose(b, &m, &side, 3, 0.25, 5)); /* a part of the larger choice */
    for (size_t i = 0; i < 20; i++)
        CHECK(a[i] == b[i]);
    free(p);
}

/* ---- training ---- */

struct model {
    struct net *net;
    struct encoder encoder;
};

static void model_open(struct model *m, enum net_head head, uint64_t seed)
{
    struct net_config config = { .arch = "resnet18", .stem = STEM_CIFAR, .head = head, .width = 8,
                                 .channels = 1, .side = SIDE, .batch = 16, .dim = 16,
                                 .bn_splits = 1 };
    CHECK(net_open(&m->net, &config, &simd) == MOCO_OK);
    CHECK(encoder_open(&m->encoder, m->net, 0, NULL) == MOCO_OK);
    encoder_init(&m->encoder, m->net, seed);
}

static void model_close(struct model *m)
{
    encoder_close(&m->encoder);
    net_close(&m->net);
}

static struct finetune_result run(struct score_sets *sets, const struct model *m,
                                  const struct finetune_config *config)
{
    struct finetune_result r;
    struct policy policy = plain();
    uint64_t before = embed_checksum(&m->encoder, m->net);
    CHECK_MSG(!finetune_run(&r, sets, m->net, &m->encoder, &policy, config, &simd), "%s",
              error_text());
    CHECK(embed_checksum(&m->encoder, m->net) == before);
    return r;
}

/* The first step's loss tells where the weights began: an encoder initialised by the same seed as
 * the new network is the new network, any other is not; with either kind of head. */
static void beginnings(void)
{
    struct picture *train = shifted(60, 3, 0, 1, 3), *test = shifted(30, 3, 0, 1, 4);
    struct score_sets sets = sets_of(train, test, 3);
    struct finetune_config config = { .fraction = 1.0, .batch = 60, .epochs = 1, .lr = 1e-12,
                                      .seed = 9 };
    struct model same, other, mlp;
    model_open(&same, HEAD_FC, 9);
    model_open(&other, HEAD_FC, 10);
    model_open(&mlp, HEAD_MLP, 9);
    double loss = run(&sets, &same, &config).loss;
    CHECK(run(&sets, &other, &config).loss != loss);
    CHECK(run(&sets, &mlp, &config).loss == loss);
    config.from_scratch = 1;
    CHECK(run(&sets, &other, &config).loss == loss);
    model_close(&same);
    model_close(&other);
    model_close(&mlp);
    free(train);
    free(test);
}

static void seen_epoch(void *user, int epoch, int epochs, double loss)
{
    int *seen = user;
    *seen = epoch == *seen + 1 && epoch <= epochs && isfinite(loss) ? epoch : -100;
}

static void learns(void)
{
    struct picture *train = shifted(240, 3, 0, 1, 5), *test = shifted(90, 3, 0, 1, 6);
    struct score_sets sets = sets_of(train, test, 3);
    int seen = 0;
    struct finetune_config config = { .fraction = 0.5, .batch = 24, .epochs = 12, .lr = 0.02,
                                      .wd = 1e-4, .seed = 2, .progress = seen_epoch,
                                      .user = &seen };
    struct model m;
    model_open(&m, HEAD_FC, 7);
    struct finetune_result a = run(&sets, &m, &config);
    CHECK_MSG(seen == 12 && a.epochs == 12 && a.n == 120 && a.batch == 24 && isnan(a.top5),
              "%d epochs", seen);
    CHECK_MSG(a.top1 > 60.0 && a.loss < 1.0, "%g %%, loss %g", a.top1, a.loss);
    seen = 0;
    struct finetune_result b = run(&sets, &m, &config);
    CHECK(a.top1 == b.top1 && a.loss == b.loss);
    config.progress = NULL;
    config.seed = 3;
    config.epochs = 1;
    CHECK(run(&sets, &m, &config).loss != b.loss);
    config.fraction = 0.05; /* 12 images: one batch of them an epoch */
    config.epochs = 0;
    a = run(&sets, &m, &config);
    CHECK(a.batch == 12 && a.n == 12 && a.epochs == FINETUNE_STEPS);
    model_close(&m);
    free(train);
    free(test);
}

static void refusals(void)
{
    struct picture *train = picture(40, 1, 1.0f, 7), *test = picture(40, 1, 1.0f, 8);
    struct score_sets sets = sets_of(train, test, 1);
    struct finetune_config config = { .fraction = 0.01, .batch = 8, .epochs = 8, .lr = 0.02 };
    struct finetune_result r;
    struct policy policy = plain();
    struct model m;
    model_open(&m, HEAD_FC, 7);
    CHECK(finetune_run(&r, &sets, m.net, &m.encoder, &policy, &config, &simd) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "too few"), "%s", error_text());
    for (size_t i = 0; i < 20; i++)
        train->labels[i] = test->labels[i] = 1;
    sets = sets_of(train, test, 2);
    config.fraction = 1.0;
    config.lr = 1e39;
    CHECK(finetune_run(&r, &sets, m.net, &m.encoder, &policy, &config, &simd) == MOCO_EDIVERGED);
    CHECK_MSG(strstr(error_text(), "smaller --lr"), "%s", error_text());
    model_close(&m);
    free(train);
    free(test);
}

int main(void)
{
    CHECK(moco_simd_init(&simd, NULL) == 0);
    choices();
    beginnings();
    learns();
    refusals();
    return check_summary("finetune");
}
