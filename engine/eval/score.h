/* score.h: kNN accuracy of an encoder on two labelled sets.
 *
 * In: two sources (or one, split 80/20 or into fifths) and an encoder, or none for the raw-pixel
 * baseline. Out: the accuracy in percent of weighted kNN (knn.h) on their embeddings (embed.h). */
#ifndef MOCO_ENGINE_EVAL_SCORE_H
#define MOCO_ENGINE_EVAL_SCORE_H

#include "engine/data/classes.h"
#include "engine/eval/embed.h"

/* The images of one side. */
struct score_side {
    struct source *source;
    int owned;       /* source is closed with the sets */
    size_t *index;   /* (n) its labelled images; owned */
    int32_t *labels; /* (n) in the numbering of the sets; owned */
    size_t n;
    size_t left_out; /* of them could not be read, the last time */
    size_t unlabelled; /* images of the source that have no label, and no place here */
};

struct score_sets {
    struct score_side train, test; /* test.n 0: each fifth of train is classified by the others */
    int classes;                /* of both, and of the reference */
    struct classes numbering;   /* by name: the reference's classes first */
    size_t unknown; /* test images of classes that no training image has, which count as wrong: of
                     * those that were judged the last time */
    char only[900]; /* a sentence about classes that one side has and the other has not, "" */
    char why[1400]; /* a sentence about images that were left out, "" without any */
};

/* Opens two data arguments; images without a label are left out. test NULL: there is one set, and
 * score_run() classifies all of it, every fifth image by the others, five times. reference: whose
 * classes have the numbers of its labels; NULL: those of train. */
int score_open(struct score_sets *sets, const char *train, const char *test,
               const struct source *reference);

/* Splits the labelled images of one source, every fifth for testing; it is borrowed. */
int score_split(struct score_sets *sets, struct source *source);

void score_close(struct score_sets *sets);

/* missing_allow() of both sources. */
void score_allow_missing(struct score_sets *sets, double share);

/* Columns of what `embed` gives; NULL: raw pixels. */
size_t score_columns(const struct embed *embed, const struct policy *policy);

/* *out: (side->n, score_columns()) for free(), set on an error too. raw: rows are not brought to
 * unit length. Images that can not be read leave the side, a part of the sets, and sets->why says
 * so; none left is an error. */
int score_features(float **out, struct score_sets *sets, struct score_side *side,
                   const struct embed *embed, const struct policy *policy, int raw,
                   const struct moco_simd *simd);

/* Reads all images of a side once, for whom views of them are drawn again and again: the same about
 * those that can not be read. */
int score_read(struct score_sets *sets, struct score_side *side);

/* Adds to sets->why that `bad` images of a side are missing from `what`, "kNN is". */
void score_note_left(struct score_sets *sets, const struct score_side *side,
                     const struct embed_bad *bad, const char *what);

/* Both add to sets->only; parts of opening. */
void score_note_unlabelled(struct score_sets *sets);
int score_compare_classes(struct score_sets *sets);

/* Sets sets->unknown; the labels of both sides are those that take part. */
int score_count_unknown(struct score_sets *sets, const int32_t *train, size_t n,
                        const int32_t *test, size_t m);

/* Memory of the features of D columns that score_run() compares. */
size_t score_bytes(const struct score_sets *sets, size_t D);

/* top1: percent. embed NULL: raw pixels. simd is used for the raw pixels and the neighbours. Images
 * that can not be read are left out, and sets->why says so. */
int score_run(double *top1, struct score_sets *sets, const struct embed *embed,
              const struct policy *policy, int k, double T, const struct moco_simd *simd);

/* A trained linear layer on the features of the head as the encoder gives them. */
struct score_layer {
    const float *weight, *bias; /* (classes, D), (classes) */
    size_t classes;
    const int32_t *seen; /* (test.source->count) labels that its training saw, -1 for none: only
                          * images of those count. NULL: all count */
};

/* top1: percent of the test images whose class has the largest score, of equals the first; NAN
 * where none may count. Images that can not be read are left out. */
int score_classes(double *top1, struct score_sets *sets, const struct embed *embed,
                  const struct score_layer *layer, const struct policy *policy,
                  const struct moco_simd *simd);

enum { SCORE_TOP = 5 }; /* of top-5 */

/* Place of class y among the scores of one image, 0 the first; of equals the lower class comes
 * first. */
size_t score_place(const float *scores, size_t classes, size_t y);

#endif
