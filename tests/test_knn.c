/* test_knn.c: weighted nearest neighbours against brute force in double.
 *
 * Features are small multiples of 1/8, so that every similarity is exact in float: ties are real
 * ties and the ranking must agree to the last place. Then k above n_train, rows without label,
 * training rows that a sample misjudges, threads, refusals. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/eval/knn.h"
#include "tests/check.h"

enum { N_TRAIN = 1300, N_MANY = 9000, N_TEST = 37, D = 24, CLASSES = 7 };

struct data {
    float train[N_MANY * D], test[N_TEST * D];
    int32_t labels[N_MANY];
};

static struct moco_simd simd;

static void draw(struct data *data, int levels, int unlabelled)
{
    struct rng rng = rng_at(3, RNG_TEST, (uint64_t)levels, (uint64_t)unlabelled);

    for (size_t i = 0; i < N_MANY * D; i++)
        data->train[i] = ((float)rng_below(&rng, (uint64_t)levels) - (float)(levels / 2)) / 8.0f;
    for (size_t i = 0; i < N_TEST * D; i++)
        data->test[i] = ((float)rng_below(&rng, (uint64_t)levels) - (float)(levels / 2)) / 8.0f;
    for (size_t i = 0; i < N_MANY; i++)
        data->labels[i] = unlabelled && rng_below(&rng, 3) == 0
                              ? -1 : (int32_t)rng_below(&rng, CLASSES);
}

/* scores: (CLASSES) of one test row: k times the best row not yet taken, lowest index first. */
static void brute_force(double *scores, const struct data *data, size_t row, size_t n_train,
                        size_t k, double T)
{
    static double s[N_MANY];

    for (size_t j = 0; j < n_train; j++) {
        s[j] = data->labels[j] < 0 ? -INFINITY : 0.0;
        for (size_t d = 0; d < D; d++)
            s[j] += (double)data->test[row * D + d] * data->train[j * D + d];
        s[j] = isnan(s[j]) ? -INFINITY : s[j];
    }
    for (size_t c = 0; c < CLASSES; c++)
        scores[c] = 0.0;
    for (size_t i = 0; i < k; i++) {
        size_t best = 0;

        for (size_t j = 1; j < n_train; j++)
            best = s[j] > s[best] ? j : best;
        if (s[best] == -INFINITY)
            return;
        scores[data->labels[best]] += exp(s[best] / T);
        s[best] = -INFINITY;
    }
}

static void compare(const struct data *data, size_t n_train, int k, double T)
{
    struct knn_config config = { .k = k, .T = (float)T, .classes = CLASSES };
    float scores[N_TEST * CLASSES];
    double wanted[CLASSES];
    int32_t predicted[N_TEST], alone[N_TEST];

    CHECK(knn_classify(scores, predicted, data->train, data->labels, n_train, data->test, N_TEST, D,
                       &config, &simd) == MOCO_OK);
    CHECK(knn_classify(NULL, alone, data->train, data->labels, n_train, data->test, N_TEST, D,
                       &config, &simd) == MOCO_OK);
    CHECK(memcmp(alone, predicted, sizeof alone) == 0);
    for (size_t i = 0; i < N_TEST; i++) {
        int32_t best = 0;

        brute_force(wanted, data, i, n_train, (size_t)k, config.T);
        for (int32_t c = 0; c < CLASSES; c++) {
            CHECK_MSG(fabs(scores[i * CLASSES + (size_t)c] - wanted[c]) <= 1e-6 * wanted[c],
                      "n %zu k %d row %zu class %d: %g, not %g", n_train, k, i, (int)c,
                      (double)scores[i * CLASSES + (size_t)c], wanted[c]);
            /* Equal sums may differ in the last digit here; the lowest class has them. */
            best = wanted[c] > wanted[best] * (1 + 1e-12) ? c : best;
        }
        CHECK_MSG(predicted[i] == best, "n %zu k %d row %zu: class %d, not %d", n_train, k, i,
                  (int)predicted[i], (int)best);
    }
}

static void against_brute_force(void)
{
    static const size_t sizes[] = { 1, 5, 511, 512, 513, N_TRAIN };
    static const int ks[] = { 1, 2, 20, 200, 5000 };
    struct data *data = malloc(sizeof *data);

    for (int levels = 3; levels <= 17; levels += 14) /* 3: many ties */
        for (int unlabelled = 0; unlabelled < 2; unlabelled++)
            for (size_t n = 0; n < 6; n++)
                for (size_t k = 0; k < 5; k++) {
                    draw(data, levels, unlabelled);
                    data->labels[0] = 2; /* at least one votes */
                    compare(data, sizes[n], ks[k] < (int)sizes[n] ? ks[k] : (int)sizes[n] + 3, 0.5);
                }
    free(data);
}

/* What training row j is in each of the cases below; a sample takes every 13th panel of 64 rows. */
enum order { RANDOM, SAMPLED_NEAR, SAMPLED_FAR, RISING, FALLING, EQUAL, TWO_LEVELS, NANS,
             UNLABELLED, ORDERS };

static void arrange(struct data *data, enum order order)
{
    draw(data, order == TWO_LEVELS ? 2 : 17, 0);
    for (size_t i = 0; order != RANDOM && i < N_TEST * D; i++)
        data->test[i] = fabsf(data->test[i]) + 0.125f;
    for (size_t j = 0; j < N_MANY; j++) {
        int sampled = j / 64 % 13 == 0;
        float *row = data->train + j * D;

        for (size_t d = 0; d < D; d++) {
            row[d] += order == SAMPLED_NEAR && sampled ? 4.0f : 0.0f;
            row[d] -= order == SAMPLED_FAR && sampled ? 4.0f : 0.0f;
            row[d] = order == EQUAL ? 0.5f : row[d];
        }
        if (order == RISING || order == FALLING)
            for (size_t d = 0; d < D; d++)
                row[d] = (float)((order == RISING ? j : N_MANY - j) / 3) / 1024.0f;
        if (order == NANS && j % 5 == 0)
            row[0] = NAN;
        if (order == UNLABELLED && (sampled || j % 2))
            data->labels[j] = -1;
    }
}

/* A provisional floor from a sample may be too high, as where the sample has the nearest rows, or
 * all rows are equal: the neighbours are the same. Parts of the training rows sample for
 * themselves. */
static void samples(void)
{
    struct data *data = malloc(sizeof *data);
    int before = omp_get_max_threads();

    for (int order = 0; order < ORDERS; order++) {
        arrange(data, (enum order)order);
        for (int threads = 1; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            compare(data, N_MANY, 40, 2.0);
            compare(data, N_MANY - 37, 150, 2.0);
        }
    }
    omp_set_num_threads(before);
    free(data);
}

/* Equal rows of different classes: the lowest indices are the neighbours. Equal sums: the lowest
 * class wins. */
static void ties(void)
{
    static const float train[6] = { 1, 1, 1, 1, 1, 1 }, test[1] = { 1 };
    static const int32_t labels[6] = { -1, 4, 4, 2, 2, 2 };
    struct knn_config config = { .k = 3, .T = 0.1f, .classes = 5 };
    int32_t predicted = -1;

    CHECK(!knn_classify(NULL, &predicted, train, labels, 6, test, 1, 1, &config, &simd));
    CHECK(predicted == 4);
    config.k = 4;
    CHECK(!knn_classify(NULL, &predicted, train, labels, 6, test, 1, 1, &config, &simd));
    CHECK(predicted == 2);
    config.T = 0.0005f; /* exp(s / T) is beyond double */
    config.k = 1;
    CHECK(!knn_classify(NULL, &predicted, train, labels, 6, test, 1, 1, &config, &simd));
    CHECK(predicted == 4);
}

static void threads_agree(void)
{
    struct knn_config config = { .k = 50, .T = 0.1f, .classes = CLASSES };
    struct data *data = malloc(sizeof *data);
    float one[N_TEST * CLASSES], many[N_TEST * CLASSES];
    int32_t predicted[N_TEST];
    int before = omp_get_max_threads();

    draw(data, 17, 1);
    omp_set_num_threads(1);
    knn_classify(one, predicted, data->train, data->labels, N_TRAIN, data->test, N_TEST, D, &config,
                 &simd);
    omp_set_num_threads(3);
    knn_classify(many, predicted, data->train, data->labels, N_TRAIN, data->test, N_TEST, D,
                 &config, &simd);
    omp_set_num_threads(before);
    CHECK(memcmp(one, many, sizeof one) == 0);
    free(data);
}

/* Few test rows: threads share the training rows. Many: several rounds of groups. Ties abound. */
static void splits_agree(void)
{
    enum { ROWS = 9000, WIDTH = 3, TESTS = 2500 };
    static float x[ROWS * WIDTH], one[TESTS * CLASSES], many[TESTS * CLASSES];
    static int32_t labels[ROWS], predicted[TESTS];
    static const size_t tests[] = { 1, 50, 191, TESTS };
    struct knn_config config = { .k = 100, .T = 0.2f, .classes = CLASSES };
    struct rng rng = rng_at(4, RNG_TEST, 0, 0);
    int before = omp_get_max_threads();

    for (size_t i = 0; i < ROWS * WIDTH; i++)
        x[i] = i % 1001 ? ((float)rng_below(&rng, 5) - 2.0f) / 2.0f : NAN;
    for (size_t i = 0; i < ROWS; i++)
        labels[i] = (int32_t)rng_below(&rng, CLASSES + 1) - 1;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        for (int threads = 1; threads <= 8; threads += 1 + (threads > 2)) {
            omp_set_num_threads(threads);
            CHECK(!knn_classify(threads > 1 ? many : one, predicted, x, labels, ROWS, x, tests[i],
                                WIDTH, &config, &simd));
            CHECK_MSG(threads == 1 || !memcmp(one, many, tests[i] * CLASSES * sizeof *one),
                      "%d threads, %zu test rows", threads, tests[i]);
        }
    omp_set_num_threads(before);
    /* Row 0 begins with NaN: nothing is near. */
    CHECK(one[0] == 0.0f && predicted[0] == 0);
}

static void refusals(void)
{
    static const float x[2] = { 1, 1 };
    static const int32_t none[2] = { -1, -1 }, high[2] = { 0, 5 }, good[2] = { 0, 1 };
    struct knn_config config = { .k = 1, .T = 0.1f, .classes = 5 };
    int32_t predicted[2];

    CHECK(knn_classify(NULL, predicted, x, none, 2, x, 2, 1, &config, &simd) == MOCO_EARG);
    CHECK(knn_classify(NULL, predicted, x, high, 2, x, 2, 1, &config, &simd) == MOCO_EARG);
    CHECK(strstr(error_text(), "label 5"));
    CHECK(knn_classify(NULL, predicted, x, good, 2, x, 0, 1, &config, &simd) == MOCO_OK);
    config.k = 0;
    CHECK(knn_classify(NULL, predicted, x, good, 2, x, 2, 1, &config, &simd) == MOCO_EARG);
}

static void accuracy(void)
{
    static const int32_t predicted[5] = { 1, 2, 3, 0, 0 }, labels[5] = { 1, 2, 0, -1, 0 };

    CHECK(knn_accuracy(predicted, labels, 5) == 75.0);
    CHECK(knn_accuracy(predicted, labels, 0) == 0.0);
}

int main(void)
{
    CHECK(moco_simd_init(&simd, NULL) == 0);
    against_brute_force();
    samples();
    ties();
    threads_agree();
    splits_agree();
    refusals();
    accuracy();
    return check_summary("knn");
}
