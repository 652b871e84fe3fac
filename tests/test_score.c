/* test_score.c: kNN accuracy of one set by fifths, on raw pixels, against each image on its own.
 *
 * Image i is classified by all images j with j mod 5 != i mod 5, with the features of one call of
 * embed_pixels(). Then sets that are too small, and what the split of training leaves. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/eval/knn.h"
#include "engine/eval/score.h"
#include "tests/check.h"

enum { N = 53, SIDE = 16, SIZE = 3 * SIDE * SIDE, CLASSES = 4 };

static const char set[] = "synthetic:n=53,classes=4,side=16,seed=5";
static struct moco_simd simd;

static struct policy pixels(void)
{
    struct policy policy = { .side = SIDE, .channels = 3 };
    for (int c = 0; c < 3; c++)
        policy.mean[c] = 0.5f, policy.std[c] = 0.25f;
    return policy;
}

/* Percent right, image by image. */
static double one_by_one(const struct score_side *side, const float *x, int k)
{
    static float others[N * SIZE];
    int32_t labels[N], predicted;
    int right = 0;
    const struct knn_config config = { .k = k, .T = 0.1f, .classes = CLASSES };
    for (size_t i = 0; i < N; i++) {
        size_t n = 0;
        for (size_t j = 0; j < N; j++)
            if (j % 5 != i % 5) {
                memcpy(others + n * SIZE, x + j * SIZE, SIZE * sizeof *x);
                labels[n++] = side->labels[j];
            }
        CHECK(knn_classify(NULL, &predicted, others, labels, n, x + i * SIZE, 1, SIZE, &config,
                           &simd) == MOCO_OK);
        right += predicted == side->labels[i];
    }
    return 100.0 * right / N;
}

static void test_fifths(void)
{
    static float x[N * SIZE];
    struct score_sets sets = { 0 };
    struct policy policy = pixels();
    double top1 = -1.0, all[2];
    CHECK_MSG(score_open(&sets, set, NULL, NULL) == MOCO_OK, "%s", error_text());
    CHECK(sets.train.n == N && sets.test.n == 0 && sets.classes == CLASSES);
    CHECK(score_bytes(&sets, 10) >= 2 * N * 10 * sizeof(float));
    CHECK(embed_pixels(x, sets.train.source, NULL, N, &policy, 0, &simd, NULL) == MOCO_OK);
    for (int i = 0; i < 2; i++) {
        int k = i ? 7 : 1;
        CHECK(score_run(&top1, &sets, NULL, &policy, k, 0.1, &simd) == MOCO_OK);
        all[i] = one_by_one(&sets.train, x, k);
        CHECK_MSG(fabs(top1 - all[i]) < 1e-9, "k %d: %g, one by one %g", k, top1, all[i]);
    }
    CHECK(all[0] != all[1] && all[0] > 0.0 && all[0] < 100.0); /* the numbers say something */
    score_close(&sets);
}

static void test_sizes(void)
{
    struct score_sets sets = { 0 };
    CHECK(score_open(&sets, "synthetic:n=4,classes=2,side=16", NULL, NULL) == MOCO_EARG);
    CHECK(strstr(error_text(), "4 labelled images") && strstr(error_text(), "needs 5"));
    CHECK_MSG(score_open(&sets, "synthetic:n=5,classes=2,side=16", NULL, NULL) == MOCO_OK, "%s",
              error_text());
    score_close(&sets);
    CHECK(score_open(&sets, set, set, NULL) == MOCO_OK && sets.test.n == N);
    score_close(&sets);
}

static void test_split(void)
{
    struct score_sets sets = { 0 };
    struct source *source = NULL;
    CHECK(source_open(&source, set) == MOCO_OK);
    CHECK(score_split(&sets, source) == MOCO_OK && sets.train.n == 43 && sets.test.n == 10);
    CHECK(sets.test.index[0] == 4 && sets.test.index[9] == 49 && sets.train.index[4] == 5);
    score_close(&sets);
    source_close(&source);
}

int main(void)
{
    if (moco_simd_init(&simd, NULL))
        return 1;
    test_fifths();
    test_sizes();
    test_split();
    return check_summary("score");
}
