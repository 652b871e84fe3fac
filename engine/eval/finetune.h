/* finetune.h: training a whole encoder further with few labels (He et al. 2019, section 4.2; Chen
 * et al. 2020, section 4.2).
 *
 * A new classifier takes the place of the head, then all weights are trained by SGD with momentum
 * 0.9 and a cosine from `lr`, the classifier at ten times that rate. Views are crops of half the
 * image or more, and flips. The images that count as labelled are as many of each class, drawn by
 * the seed. The encoder that is given is only read. */
#ifndef MOCO_ENGINE_EVAL_FINETUNE_H
#define MOCO_ENGINE_EVAL_FINETUNE_H

#include "engine/eval/score.h"

struct finetune_config {
    double fraction;  /* of the training images, 0..1 */
    int from_scratch; /* random weights instead of the encoder's: what the encoder is worth */
    int batch;        /* less where there are fewer images */
    int epochs;       /* 0: as many as make FINETUNE_STEPS steps */
    double lr;
    double wd;
    uint64_t seed;    /* of the choice of images, first weights, order and views */
    void (*progress)(void *user, int epoch, int epochs, double loss); /* after each; or NULL */
    void *user;
};

enum { FINETUNE_STEPS = 400 };

struct finetune_result {
    double top1, top5; /* percent of the test images; top5 is NAN for five classes or fewer */
    double loss;       /* of the last epoch */
    size_t n;          /* images trained on */
    int epochs, batch; /* as they were */
};

/* Images that can not be read are left out, of those to learn from and of those that judge, and
 * sets->why says so. */
int finetune_run(struct finetune_result *out, struct score_sets *sets,
                 const struct net *net, const struct encoder *encoder,
                 const struct policy *policy, const struct finetune_config *config,
                 const struct moco_simd *simd);

/* index: (side->n), the first *n of which receive places in side->index: of each class as many, a
 * fraction of an even share, at least one; all of a class that has fewer. */
int finetune_choose(size_t *index, size_t *n, const struct score_side *side, int classes,
                    double fraction, uint64_t seed);

#endif
