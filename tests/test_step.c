/* test_step.c: a step in micro-batches against the steps that define it.
 *
 * It is one step of the whole batch whose BatchNorm groups are the micro-batches, so the same
 * images, ordered so that the strided groups of a whole step are the micro-batches, must give the
 * same up to the order of sums. And each micro-batch alone, from the same start, gives its features
 * and their gradients to the bit, and parameters' gradients and running statistics whose means are
 * the step's. Keys are shuffled in each micro-batch by a permutation of its own. */
#include "engine/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "tests/check.h"

enum { B = 16, PARTS = 4, ROWS = B / PARTS, D = 16, K = 48, SIDE = 8, IMAGE = 3 * SIDE * SIDE };

static struct moco_simd simd;
static float x_q[B * IMAGE], x_k[B * IMAGE];
static int64_t ids[B];

static void draw_images(void)
{
    struct rng rng = rng_at(3, RNG_TEST, 0, 0);
    for (size_t i = 0; i < B * IMAGE; i++) {
        x_q[i] = (float)rng_normal(&rng);
        x_k[i] = (float)rng_normal(&rng);
    }
    for (int i = 0; i < B; i++)
        ids[i] = 100 + i;
}

static struct step_config config_of(int batch, int parts, int bn_splits)
{
    return (struct step_config){
        .net = { .arch = "resnet18", .stem = STEM_CIFAR, .width = 8, .channels = 3, .side = SIDE,
                 .batch = batch, .dim = D, .bn_splits = bn_splits },
        .method = { .B = (size_t)batch, .D = D, .K = K, .T = 0.2f, .mask = 1, .seed = 5 },
        .kind = &method_moco, .accumulate = parts,
        .optimiser = { .momentum = 0.9f, .weight_decay = 1e-4f },
        .seed = 5,
    };
}

static void must_open(struct step *s, const struct step_config *config)
{
    CHECK_MSG(step_open(s, config, &simd) == MOCO_OK, "%s", error_text());
    step_init(s);
}

static void must_run(struct step *s, const float *q, const float *k, const int64_t *id,
                     const uint32_t *perm)
{
    struct step_input in = { .x_q = q, .x_k = k, .ids = id, .perm = perm, .lr = 0.05f, .m = 0.9f };
    CHECK_MSG(step_run(s, &in) == MOCO_OK, "%s", error_text());
}

static void near(const char *what, const float *a, const float *b, size_t n, double tolerance)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    CHECK_MSG(error <= tolerance * tolerance * size, "%s: relative error %g", what,
              sqrt(error / size));
}

/* Sample j of micro-batch p stands at j PARTS + p, where group n mod PARTS is p. */
static size_t strided(size_t i)
{
    return i % ROWS * PARTS + i / ROWS;
}

static void stride_images(float *out, const float *x)
{
    for (size_t i = 0; i < B; i++)
        memcpy(out + strided(i) * IMAGE, x + i * IMAGE, IMAGE * sizeof *x);
}

static const float *queue_of(const struct step *s)
{
    struct state_tensor t = { 0 };
    CHECK(s->config.kind->state(s->state, 0, &t));
    return t.data;
}

static void compare(const struct step *parts, const struct step *whole, int directions)
{
    size_t P = net_param_count(whole->net), S = net_stat_count(whole->net);
    float turned[K * D];
    CHECK_MSG(fabs(parts->loss - whole->loss) < 1e-5, "loss %.9g, not %.9g", parts->loss,
              whole->loss);
    CHECK(parts->top1 == whole->top1);
    near("gradients", parts->q.grads, whole->q.grads, P, 2e-5);
    near("weights of q", parts->q.params, whole->q.params, P, 1e-6);
    near("weights of k", parts->k.params, whole->k.params, P, 1e-6);
    near("statistics of q", parts->q.stats, whole->q.stats, S, 1e-6);
    near("statistics of k", parts->k.stats, whole->k.stats, S, 1e-6);
    CHECK(parts->q.batches == whole->q.batches && parts->k.batches == whole->k.batches);
    memcpy(turned, queue_of(whole), sizeof turned);
    for (size_t i = 0; i < (size_t)directions * B; i++)
        memcpy(turned + i * D, queue_of(whole) + (i / B * B + strided(i % B)) * D,
               D * sizeof *turned);
    near("queue", queue_of(parts), turned, (size_t)directions * B * D, 1e-5);
}

static void test_whole(int symmetric)
{
    struct step_config config = config_of(B, PARTS, 1);
    struct step parts, whole;
    float *q = malloc(sizeof x_q), *k = malloc(sizeof x_k);
    int64_t strided_ids[B];
    stride_images(q, x_q);
    stride_images(k, x_k);
    for (size_t i = 0; i < B; i++)
        strided_ids[strided(i)] = ids[i];
    config.method.symmetric = symmetric;
    must_open(&parts, &config);
    config.accumulate = 1;
    config.net.bn_splits = PARTS;
    must_open(&whole, &config);
    for (int i = 0; i < 3; i++) {
        must_run(&parts, x_q, x_k, ids, NULL);
        must_run(&whole, q, k, strided_ids, NULL);
        if (!i)
            compare(&parts, &whole, symmetric ? 2 : 1);
    }
    CHECK_MSG(fabs(parts.loss - whole.loss) < 1e-3 && parts.loss != 0, "third loss %.9g, not %.9g",
              parts.loss, whole.loss);
    step_close(&parts);
    step_close(&whole);
    free(q);
    free(k);
}

/* mean += row / PARTS */
static void add_share(float *mean, const float *row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mean[i] += row[i] / PARTS;
}

static void compare_part(const struct step *parts, const struct step *one, size_t part)
{
    size_t at = part * ROWS * D, bytes = ROWS * D * sizeof(float);
    CHECK(!memcmp(parts->emb_q[0] + at, one->emb_q[0], bytes));
    CHECK(!memcmp(parts->emb_k[0] + at, one->emb_k[0], bytes));
    for (size_t i = 0; i < ROWS * D; i++)
        CHECK(parts->d_emb_q[0][at + i] * PARTS == one->d_emb_q[0][i]);
    CHECK(parts->config.accumulate == PARTS && one->config.accumulate == 1);
}

static void test_parts(int shuffle)
{
    struct step_config config = config_of(B, PARTS, shuffle ? 2 : 1), small;
    struct step parts, one;
    static const uint32_t perm[B] = { 2, 3, 0, 1, 3, 1, 0, 2, 0, 2, 1, 3, 1, 0, 3, 2 };
    double loss = 0, top1 = 0;
    config.shuffle = shuffle;
    must_open(&parts, &config);
    small = config_of(ROWS, 0, config.net.bn_splits);
    small.shuffle = shuffle;
    size_t P = net_param_count(parts.net), S = net_stat_count(parts.net);
    float *grads = calloc(P, sizeof *grads), *stats = calloc(S, sizeof *stats);
    must_run(&parts, x_q, x_k, ids, perm);
    for (size_t part = 0; part < PARTS; part++) {
        must_open(&one, &small);
        must_run(&one, x_q + part * ROWS * IMAGE, x_k + part * ROWS * IMAGE, ids + part * ROWS,
                 perm + part * ROWS);
        compare_part(&parts, &one, part);
        add_share(grads, one.q.grads, P);
        add_share(stats, one.q.stats, S);
        loss += one.loss / PARTS;
        top1 += one.top1 / PARTS;
        step_close(&one);
    }
    CHECK(fabs(parts.loss - loss) < 1e-12 && parts.top1 == top1);
    near("mean gradient", parts.q.grads, grads, P, 1e-6);
    near("mean statistics", parts.q.stats, stats, S, 1e-7);
    step_close(&parts);
    free(grads);
    free(stats);
}

/* Permutations drawn by the step itself repeat with its seed. */
static void test_shuffle(void)
{
    struct step_config config = config_of(B, PARTS, 2);
    struct step a, b;
    config.shuffle = 1;
    must_open(&a, &config);
    must_open(&b, &config);
    must_run(&a, x_q, x_k, ids, NULL);
    must_run(&b, x_q, x_k, ids, NULL);
    CHECK(!memcmp(a.q.params, b.q.params, net_param_count(a.net) * sizeof(float)));
    CHECK(!memcmp(queue_of(&a), queue_of(&b), K * D * sizeof(float)));
    step_close(&a);
    step_close(&b);
}

/* Micro-batches of the same images have the same keys, unless each is shuffled in its own way: then
 * other images meet in its BatchNorm groups. */
static void test_own_shuffles(int shuffle)
{
    enum { EACH = 16, ALL = EACH * PARTS };
    struct step_config config = config_of(ALL, PARTS, 2);
    struct step s;
    float *q = malloc(ALL * IMAGE * sizeof *q), *k = malloc(ALL * IMAGE * sizeof *k);
    int64_t names[ALL];
    for (size_t i = 0; i < ALL; i++) {
        memcpy(q + i * IMAGE, x_q + i % EACH * IMAGE, IMAGE * sizeof *q);
        memcpy(k + i * IMAGE, x_k + i % EACH * IMAGE, IMAGE * sizeof *k);
        names[i] = (int64_t)i;
    }
    config.shuffle = shuffle;
    config.method.K = ALL;
    must_open(&s, &config);
    must_run(&s, q, k, names, NULL);
    for (size_t a = 0; a < PARTS; a++)
        for (size_t b = a + 1; b < PARTS; b++) {
            const float *keys = queue_of(&s);
            int differ = memcmp(keys + a * EACH * D, keys + b * EACH * D, EACH * D * sizeof *keys);
            CHECK_MSG(!differ == !shuffle, "keys of micro-batches %zu and %zu, shuffle %d", a, b,
                      shuffle);
        }
    step_close(&s);
    free(q);
    free(k);
}

static void refused(struct step_config config, const char *word)
{
    struct step s;
    CHECK(step_open(&s, &config, &simd) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), word), "%s: %s", word, error_text());
}

static void test_refusals(void)
{
    struct step_config config = config_of(B, 3, 1);
    refused(config, "accumulate 3");
    config.accumulate = -1;
    refused(config, "-1");
    config = config_of(B, PARTS, 3);
    refused(config, "bn-splits 3");
    config = config_of(B, PARTS, 1);
    config.kind = &method_end_to_end;
    config.key.kind = KEY_SAME;
    refused(config, "end-to-end");
    config = config_of(B, PARTS, 1);
    config.method.K = B - 1; /* a step's keys count, not a micro-batch's */
    refused(config, "16 keys");
}

int main(void)
{
    if (moco_simd_init(&simd, NULL))
        return 1;
    draw_images();
    test_whole(0);
    test_whole(1);
    test_parts(0);
    test_parts(1);
    test_shuffle();
    test_own_shuffles(0);
    test_own_shuffles(1);
    test_refusals();
    return check_summary("step");
}
