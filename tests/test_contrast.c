/* test_contrast.c: the ring, and loss and gradient of every method.
 *
 * Reference: softmax cross-entropy written out in double over the full matrix of logits, its
 * gradient by central differences of that loss (step 1e-5, so good to about 1e-9), which the test
 * takes for both branches. Then masks, bytes at several thread counts, refusals. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/contrast/method.h"
#include "engine/contrast/queue.h"
#include "tests/check.h"

enum { B = 13, D = 20, K = 150 };

static struct moco_simd simd;

static void unit_rows(float *x, size_t rows, uint64_t stream)
{
    struct rng rng = rng_at(11, RNG_TEST, 0, stream);
    float inv_norm;

    for (size_t i = 0; i < rows; i++) {
        for (size_t d = 0; d < D; d++)
            x[i * D + d] = (float)rng_normal(&rng);
        simd.row_normalise(x + i * D, &inv_norm, x + i * D, 1, D);
    }
}

/* After any number of pushes slot s holds the newest key whose running number is s mod slots. */
static void ring(size_t slots, size_t N)
{
    struct queue queue;
    float keys[64 * 2];
    int64_t ids[64], count = 0;

    CHECK(queue_open(&queue, slots, 2, 5) == MOCO_OK);
    for (size_t i = 0; i < slots; i++) {
        CHECK(queue.ids[i] == -1);
        CHECK(fabs(hypot(queue.keys[2 * i], queue.keys[2 * i + 1]) - 1.0) < 1e-6);
    }
    for (size_t push = 0; push < 3 * slots / N + 3; push++) {
        for (size_t i = 0; i < N; i++, count++) {
            ids[i] = 1000 + count;
            keys[2 * i] = (float)count;
            keys[2 * i + 1] = -(float)count;
        }
        CHECK(queue_push(&queue, keys, ids, N) == MOCO_OK);
        CHECK(queue.ptr == count % (int64_t)slots);
        CHECK(queue.fill == (count < (int64_t)slots ? count : (int64_t)slots));
        for (int64_t n = count - queue.fill; n < count; n++) {
            size_t slot = (size_t)n % slots;

            CHECK(queue.ids[slot] == 1000 + n);
            CHECK(queue.keys[2 * slot] == (float)n && queue.keys[2 * slot + 1] == -(float)n);
        }
        for (size_t slot = (size_t)queue.fill; slot < slots; slot++)
            CHECK(queue.ids[slot] == -1);
    }
    queue_close(&queue);
}

static void rings(void)
{
    for (size_t slots = 1; slots <= 64; slots += slots < 12 ? 1 : 13)
        for (size_t N = 1; N <= slots; N++)
            ring(slots, N);
}

static void ring_refusals(void)
{
    struct queue queue, same, other;
    float keys[9 * 2] = { 0 };

    CHECK(queue_open(&queue, 8, 2, 5) == MOCO_OK);
    CHECK(queue_open(&same, 8, 2, 5) == MOCO_OK);
    CHECK(queue_open(&other, 8, 2, 6) == MOCO_OK);
    CHECK(memcmp(queue.keys, same.keys, 8 * 2 * sizeof(float)) == 0);
    CHECK(memcmp(queue.keys, other.keys, 8 * 2 * sizeof(float)) != 0);
    CHECK(queue_push(&queue, keys, NULL, 9) == MOCO_EARG);
    CHECK(strstr(error_text(), "9 ") && strstr(error_text(), "8"));
    CHECK(queue.ptr == 0 && queue.fill == 0 && queue.ids[0] == -1);
    CHECK(queue_push(&queue, keys, NULL, 3) == MOCO_OK);
    CHECK(queue.ids[2] == -2 && queue.ids[3] == -1 && queue.fill == 3);
    CHECK(queue_push(&queue, keys, NULL, 0) == MOCO_OK && queue.ptr == 3);
    queue.ptr = 8; /* as a damaged checkpoint would have it */
    CHECK(queue_push(&queue, keys, NULL, 1) == MOCO_EFORMAT);
    queue_close(&queue);
    queue_close(&same);
    queue_close(&other);
    CHECK(queue_open(&queue, 0, 2, 5) == MOCO_EARG);
}

/* The problem as the reference sees it: row i's logits are its own dot products with `keys`. */
struct reference {
    double q[B * D], k[B * D];
    const float *queue;                  /* (K, D), NULL: the batch is the dictionary */
    const int64_t *ids, *queue_ids;      /* NULL: no mask */
    double T;
};

static double dot(const double *a, const double *b)
{
    double sum = 0.0;

    for (size_t d = 0; d < D; d++)
        sum += a[d] * b[d];
    return sum;
}

/* logits: (1 + K) with the positive in column 0, or (B) with it in column i. */
static size_t reference_logits(double *logits, const struct reference *r, size_t i)
{
    if (!r->queue) {
        for (size_t j = 0; j < B; j++)
            logits[j] = dot(r->q + i * D, r->k + j * D) / r->T;
        return B;
    }
    logits[0] = dot(r->q + i * D, r->k + i * D) / r->T;
    for (size_t j = 0; j < K; j++) {
        double key[D];

        for (size_t d = 0; d < D; d++)
            key[d] = r->queue[j * D + d];
        logits[1 + j] = dot(r->q + i * D, key) / r->T;
        if (r->ids && (r->queue_ids[j] < 0 || r->queue_ids[j] == r->ids[i]))
            logits[1 + j] = -INFINITY;
    }
    return 1 + K;
}

static double reference_loss(const struct reference *r, double *top1)
{
    double logits[1 + K], loss = 0.0;

    *top1 = 0.0;
    for (size_t i = 0; i < B; i++) {
        size_t n = reference_logits(logits, r, i), own = r->queue ? 0 : i, best = 0;
        double sum = 0.0;

        for (size_t j = 1; j < n; j++)
            best = logits[j] > logits[best] ? j : best;
        for (size_t j = 0; j < n; j++)
            sum += exp(logits[j] - logits[best]);
        loss += log(sum) + logits[best] - logits[own];
        *top1 += best == own;
    }
    *top1 /= B;
    return loss / B;
}

/* x points into r. */
static double slope(struct reference *r, double *x)
{
    double at = *x, h = 1e-5, top1, up, down;

    *x = at + h;
    up = reference_loss(r, &top1);
    *x = at - h;
    down = reference_loss(r, &top1);
    *x = at;
    return (up - down) / (2 * h);
}

static void check_gradient(struct reference *r, double *x, const float *d_x, const char *what)
{
    double error = 0.0, size = 0.0;

    for (size_t i = 0; i < B * D; i++) {
        double wanted = slope(r, x + i);

        error += (d_x[i] - wanted) * (d_x[i] - wanted);
        size += wanted * wanted;
    }
    CHECK_MSG(error <= 1e-10 * size, "%s at T %g: relative error %g", what, r->T,
              sqrt(error / size));
}

struct batch {
    float q[B * D], k[B * D], d_q[B * D], d_k[B * D];
    int64_t ids[B];
};

static struct contrast batch_open(struct batch *b, int trained, uint64_t stream)
{
    unit_rows(b->q, B, 2 * stream);
    unit_rows(b->k, B, 2 * stream + 1);
    for (size_t i = 0; i < B; i++) {
        b->ids[i] = (int64_t)i + 40;
        for (size_t d = 0; i % 2 && d < D; d++) /* every other positive is near */
            b->k[i * D + d] = 0.8f * b->q[i * D + d] + 0.2f * b->k[i * D + d];
    }
    memset(b->d_q, 0xff, sizeof b->d_q);
    memset(b->d_k, 0xff, sizeof b->d_k);
    return (struct contrast){ .rows = B, .q = b->q, .k = b->k, .d_q = b->d_q,
                              .d_k = trained ? b->d_k : NULL, .ids = b->ids };
}

static struct state_tensor tensor(const struct method *method, void *state, size_t i)
{
    struct state_tensor t = { 0 };

    CHECK(method->state(state, i, &t));
    return t;
}

/* Fills part of the queue, among others with the batch's own images. */
static void fill_queue(const struct method *method, void *state)
{
    float keys[B * D];
    int64_t ids[B];

    for (size_t push = 0; push < 5; push++) {
        unit_rows(keys, B, 100 + push);
        for (size_t i = 0; i < B; i++)
            ids[i] = (int64_t)((push * 7 + i) % 60);
        CHECK(method->remember(state, keys, ids, B) == MOCO_OK);
    }
}

static void check_method(const struct method *method, float T, int mask)
{
    struct method_config config = { .B = B, .D = D, .K = K, .T = T, .mask = mask, .seed = 1 };
    struct reference r = { .T = T };
    struct batch b;
    struct contrast c = batch_open(&b, method->keys == KEYS_TRAINED, 1);
    void *state;
    double loss, top1;

    CHECK(method->open(&state, &config, &simd) == MOCO_OK);
    if (method->remember) {
        fill_queue(method, state);
        r.queue = tensor(method, state, 0).data;
        r.queue_ids = tensor(method, state, 1).data;
        r.ids = mask ? b.ids : NULL;
    }
    for (size_t i = 0; i < B * D; i++) {
        r.q[i] = b.q[i];
        r.k[i] = b.k[i];
    }
    CHECK(method->loss(state, &c) == MOCO_OK);
    loss = reference_loss(&r, &top1);
    CHECK_MSG(fabs(c.loss - loss) <= 2e-6 * (1 + 1 / T), "%s at T %g: loss %.9g, not %.9g",
              method->name, (double)T, c.loss, loss);
    CHECK_MSG(c.top1 == top1, "%s: top1 %g, not %g", method->name, c.top1, top1);
    check_gradient(&r, r.q, b.d_q, method->name);
    if (method->keys == KEYS_TRAINED)
        check_gradient(&r, r.k, b.d_k, method->name);
    method->close(state);
}

/* Changing what the mask hides changes nothing; without the mask it does. */
static void mask_hides(int mask)
{
    struct method_config config = { .B = B, .D = D, .K = K, .T = 0.1f, .mask = mask, .seed = 1 };
    struct batch before, after;
    struct contrast c = batch_open(&before, 0, 1), d = batch_open(&after, 0, 1);
    void *state;
    float *keys;
    int64_t *ids;

    for (size_t i = 0; i < B; i++)
        before.ids[i] = after.ids[i] = 40; /* one image, so that its slots are hidden from all */
    CHECK(method_moco.open(&state, &config, &simd) == MOCO_OK);
    fill_queue(&method_moco, state);
    CHECK(method_moco.loss(state, &c) == MOCO_OK);
    keys = tensor(&method_moco, state, 0).data;
    ids = tensor(&method_moco, state, 1).data;
    for (size_t j = 0; j < K; j++)
        if (ids[j] == 40 || ids[j] == -1)
            memcpy(keys + j * D, before.q, D * sizeof *keys);
    CHECK(method_moco.loss(state, &d) == MOCO_OK);
    CHECK((c.loss == d.loss) == mask);
    CHECK((memcmp(before.d_q, after.d_q, sizeof before.d_q) == 0) == mask);
    d.ids = NULL;
    CHECK(method_moco.loss(state, &d) == (mask ? MOCO_EARG : MOCO_OK));
    method_moco.close(state);
}

static void threads_agree(const struct method *method)
{
    struct method_config config = { .B = B, .D = D, .K = K, .T = 0.07f, .seed = 1 };
    int before = omp_get_max_threads();
    struct batch one;
    struct contrast c = batch_open(&one, method->keys == KEYS_TRAINED, 3);

    for (int threads = 1; threads <= 16; threads = 2 * threads + threads % 2) {
        struct batch many;
        struct contrast d = batch_open(&many, method->keys == KEYS_TRAINED, 3);
        void *state;

        omp_set_num_threads(threads);
        CHECK(method->open(&state, &config, &simd) == MOCO_OK);
        CHECK(method->loss(state, threads == 1 ? &c : &d) == MOCO_OK);
        if (threads > 1) {
            CHECK(c.loss == d.loss && c.top1 == d.top1);
            CHECK(memcmp(&one, &many, sizeof one) == 0);
        }
        omp_set_num_threads(2 * threads); /* more than there is scratch for */
        CHECK(method->loss(state, &d) == MOCO_OK && c.loss == d.loss);
        method->close(state);
    }
    omp_set_num_threads(before);
}

/* All features equal: every logit is 1 / T, the loss ln(number of logits). */
static void uniform(const struct method *method, double logits, double top1)
{
    struct method_config config = { .B = B, .D = D, .K = K, .T = 0.07f, .seed = 1 };
    struct batch b;
    struct contrast c = batch_open(&b, method->keys == KEYS_TRAINED, 1);
    void *state;

    memset(b.q, 0, sizeof b.q);
    memset(b.k, 0, sizeof b.k);
    for (size_t i = 0; i < B; i++)
        b.q[i * D] = b.k[i * D] = 1.0f;
    CHECK(method->open(&state, &config, &simd) == MOCO_OK);
    if (method->remember) {
        float *keys = tensor(method, state, 0).data;

        memset(keys, 0, K * D * sizeof *keys);
        for (size_t j = 0; j < K; j++)
            keys[j * D] = 1.0f;
    }
    CHECK(method->loss(state, &c) == MOCO_OK);
    CHECK_MSG(fabs(c.loss - log(logits)) < 2e-6, "%s: %.9g, not %.9g", method->name, c.loss,
              log(logits));
    CHECK(fabs(c.top1 - top1) < 1e-12); /* of equal logits the lowest column is the largest */
    for (size_t i = 0; i < B * D; i++)
        CHECK(fabs((double)b.d_q[i]) < 1e-5);
    method->close(state);
}

static void states(void)
{
    static const char *const names[] = { "queue", "queue_ids", "queue_ptr", "queue_fill" };
    struct method_config config = { .B = 50, .D = D, .K = 99, .T = 0.1f, .seed = 1 };
    size_t filled, slots;
    float keys[8 * D] = { 0 };
    struct state_tensor t;
    void *state;

    CHECK(method_moco.open(&state, &config, &simd) == MOCO_OK);
    for (size_t i = 0; i < 4; i++) {
        t = tensor(&method_moco, state, i);
        CHECK(strcmp(t.name, names[i]) == 0);
        CHECK(t.rank == (i ? 1 : 2) && (t.type == STATE_F32) == (i == 0));
        CHECK(t.shape[0] == (i < 2 ? 99u : 1u) && (i || t.shape[1] == D));
    }
    CHECK(!method_moco.state(state, 4, &t));
    CHECK(method_moco.remember(state, keys, NULL, 8) == MOCO_OK);
    CHECK(*(int64_t *)tensor(&method_moco, state, 2).data == 8);
    CHECK(*(int64_t *)tensor(&method_moco, state, 3).data == 8);
    CHECK(((int64_t *)tensor(&method_moco, state, 1).data)[7] == -2);
    method_moco.fill(state, &filled, &slots);
    CHECK(filled == 8 && slots == 99);
    method_moco.close(state);

    config.symmetric = 1; /* 2B keys a step */
    CHECK(method_moco.open(&state, &config, &simd) == MOCO_EARG && !state);
    CHECK(strstr(error_text(), "100") && strstr(error_text(), "99"));
    method_moco.close(state);
    CHECK(method_end_to_end.open(&state, &config, &simd) == MOCO_OK);
    CHECK(!method_end_to_end.state && !method_end_to_end.fill);
    method_end_to_end.close(state);
}

static void table(void)
{
    CHECK(method_named("moco") == &method_moco);
    CHECK(method_named("end-to-end") == &method_end_to_end);
    CHECK(method_moco.positive_index == 0);
    CHECK(!method_named("mocha"));
    CHECK(strstr(error_text(), "mocha") && strstr(error_text(), "moco, moco-v3"));
}

int main(void)
{
    static const float temperatures[] = { 1.0f, 0.2f, 0.07f };

    CHECK(moco_simd_init(&simd, NULL) == 0);
    rings();
    ring_refusals();
    for (size_t i = 0; i < 3; i++) {
        check_method(&method_moco, temperatures[i], 0);
        check_method(&method_moco, temperatures[i], 1);
        check_method(&method_end_to_end, temperatures[i], 0);
    }
    mask_hides(0);
    mask_hides(1);
    threads_agree(&method_moco);
    threads_agree(&method_end_to_end);
    uniform(&method_moco, K + 1, 1.0);
    uniform(&method_end_to_end, B, 1.0 / B);
    states();
    table();
    return check_summary("contrast");
}
