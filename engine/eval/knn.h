/* knn.h: weighted k-nearest-neighbour classification of features (Wu et al. 2018, section 3.4).
 *
 * s = test · trainᵀ; the k largest (ties: lowest index); score_c = Σ exp(s / T) over the
 * neighbours of class c; predicted = argmax (ties: lowest class). Memory does not grow with
 * n_train × n_test. */
#ifndef MOCO_ENGINE_EVAL_KNN_H
#define MOCO_ENGINE_EVAL_KNN_H

#include <stddef.h>
#include <stdint.h>

#include "simd/simd.h"

struct knn_config {
    int k;       /* neighbours; capped by n_train */
    float T;
    int classes;
};

/* scores: (n_test, classes) or NULL; predicted: (n_test). Rows are used as they are. Training
 * rows with a negative label do not vote. */
int knn_classify(float *scores, int32_t *predicted, const float *train, const int32_t *train_labels,
                 size_t n_train, const float *test, size_t n_test, size_t D,
                 const struct knn_config *config, const struct moco_simd *simd);

/* Share of right predictions in percent, over the test rows that have a label. */
double knn_accuracy(const int32_t *predicted, const int32_t *labels, size_t n);

#endif
