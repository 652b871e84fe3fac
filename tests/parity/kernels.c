/* kernels.c: cases of one kernel: InfoNCE, and the neighbours. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/eval/knn.h"
#include "tests/parity/parity.h"

struct kernel_arrays {
    struct npy q, k, keys;
    float *loss, *top1, *d_q, *scratch;
};

static void kernel_variant(struct replay *r, struct kernel_arrays *a, size_t row, float T)
{
    size_t B = a->q.shape[0], D = a->q.shape[1], K = a->keys.shape[0];
    double mean = 0;

    r->options->simd.infonce(a->loss, a->top1, a->d_q, a->q.data, a->k.data, a->keys.data, NULL,
                             NULL, B, K, D, T, a->scratch);
    for (size_t i = 0; i < B; i++)
        mean += (double)a->loss[i] / (double)B;
    for (size_t i = 0; i < B * D; i++)
        a->d_q[i] /= (float)B;
    put_figure(r, "loss", row, 4, mean);
    put_floats(r, "", "loss_each", row, 4, a->loss, B);
    put_floats(r, "", "d_q", row, 4, a->d_q, B * D);
}

/* T and 0.01, first on the keys as stored, then with a key that equals a query. */
static void kernel_variants(struct replay *r, struct kernel_arrays *a)
{
    size_t B = a->q.shape[0], D = a->q.shape[1];
    size_t scratch = (moco_infonce_scratch(D) * sizeof(float) + 63) / 64 * 64;

    a->loss = room(B * sizeof(float));
    a->top1 = room(B * sizeof(float));
    a->d_q = room(B * D * sizeof(float));
    a->scratch = aligned_alloc(64, scratch + 64);
    for (size_t i = 0; i < 4 && a->scratch; i++) {
        if (i == 2)
            memcpy((float *)a->keys.data + 7 * D, (float *)a->q.data + 3 * D, D * sizeof(float));
        kernel_variant(r, a, i, i % 2 ? 0.01f : (float)number(r, "T"));
    }
    free(a->loss);
    free(a->top1);
    free(a->d_q);
    free(a->scratch);
}

int replay_infonce(struct replay *r)
{
    size_t B = (size_t)number(r, "rows"), D = (size_t)number(r, "dim"), K = (size_t)number(r, "K");
    struct kernel_arrays a = { 0 };
    int err = read_array(&a.q, r, "q.npy", 'f', 4, B * D);

    if (!err)
        err = read_array(&a.k, r, "k.npy", 'f', 4, B * D);
    if (!err)
        err = read_array(&a.keys, r, "keys.npy", 'f', 4, K * D);
    if (!err && (B < 4 || K < 8))
        err = error_set(MOCO_EFORMAT, "%zu rows and %zu keys: at least 4 and 8 belong here", B, K);
    if (!err)
        kernel_variants(r, &a);
    npy_close(&a.q);
    npy_close(&a.k);
    npy_close(&a.keys);
    return err;
}

static int read_labels(int32_t **out, const struct replay *r, const char *file, size_t count)
{
    struct npy npy;
    int err = read_array(&npy, r, file, 'i', 8, count);

    *out = room(count * sizeof **out);
    for (size_t i = 0; i < count && !err; i++)
        (*out)[i] = (int32_t)((const int64_t *)npy.data)[i];
    npy_close(&npy);
    return err;
}

static int classify(struct replay *r, const struct npy *train, const struct npy *test)
{
    struct knn_config c = { .k = (int)number(r, "k"), .T = (float)number(r, "T"),
                            .classes = (int)number(r, "classes") };
    size_t n_train = train->shape[0], n = test->shape[0], D = train->shape[1];
    float *scores = room(n * (size_t)c.classes * sizeof *scores);
    int32_t *predicted = room(n * sizeof *predicted), *labels = NULL, *answers = NULL;
    size_t right = 0;
    int err = read_labels(&labels, r, "train_labels.npy", n_train);

    if (!err)
        err = read_labels(&answers, r, "test_labels.npy", n);
    if (!err)
        err = knn_classify(scores, predicted, train->data, labels, n_train, test->data, n, D, &c,
                           &r->options->simd);
    if (!err) {
        double *to = got_row(r, "", "predicted", 0, 1, n);
        for (size_t i = 0; i < n; i++) {
            to[i] = predicted[i];
            right += predicted[i] == answers[i];
        }
        put_floats(r, "", "score", 0, 1, scores, n * (size_t)c.classes);
        put_figure(r, "accuracy", 0, 1, (double)right / (double)n);
    }
    free(scores);
    free(predicted);
    free(labels);
    free(answers);
    return err;
}

int replay_knn(struct replay *r)
{
    struct npy train = { 0 }, test = { 0 };
    int err = read_array(&train, r, "train.npy", 'f', 4, 0);

    if (!err)
        err = read_array(&test, r, "test.npy", 'f', 4, 0);
    if (!err && (train.rank != 2 || test.rank != 2 || train.shape[1] != test.shape[1]))
        err = error_set(MOCO_EFORMAT, "%s: train and test have no common row length", r->dir);
    if (!err)
        err = classify(r, &train, &test);
    npy_close(&train);
    npy_close(&test);
    return err;
}
