/* study.h: rows of settings trained side by side under one budget, and what came of them.
 *
 * In: a study (a list of rows, each a few settings over a common base), data, a budget for each run
 * (epochs, or minutes that a short measurement turns into epochs), seeds. Out, in one folder:
 * ROW/seed-N (run folders like those of moco train), plan.json (the epochs of each row), and, after
 * each run anew, study.csv, study.md and study.svg. Runs go on from their checkpoints, so a study
 * that was interrupted gives the results of one that was not. */
#ifndef MOCO_ENGINE_STUDY_STUDY_H
#define MOCO_ENGINE_STUDY_STUDY_H

#include "engine/run/train.h"

enum { STUDY_ROWS_MAX = 32, STUDY_SEEDS_MAX = 16, STUDY_NOTE = 400 };

struct study_row {
    const char *name;     /* of its folder */
    const char *group;    /* rows of a group stand together and share a line style; "" alone */
    const char *label;    /* within the group */
    const char *settings; /* "moco-m=0.9 shuffle-bn=on": beats everything else */
};

struct study {
    const char *name, *title;
    const char *base;    /* settings of all rows; flags, files and presets beat them */
    const char *remark;  /* what a reader of the table should know */
    const struct study_row *rows;
    int count;
    int oscillation;     /* the loss's oscillation is a result of the study */
    int accuracy;        /* rows train a classifier: its accuracy is a result of the study */
    int losses_differ;   /* groups have losses of different kinds: no common scale */
};

/* The study of that name; NULL, with a sentence that lists the known ones. */
const struct study *study_named(const char *name);

/* What each run may take: epochs, or minutes of training (kNN not counted) where above 0. */
struct study_budget {
    double minutes;
    int seeds; /* the base's seed and those that follow it */
};

/* Mean and standard deviation (n - 1) over the seeds; NAN where there are too few. */
struct study_moments {
    int n;
    double mean, std;
};

struct study_point { /* of a curve */
    int epoch;
    struct study_moments knn, loss;
};

/* What is known of a row so far, from its complete runs. */
struct study_result {
    int planned, epochs;       /* how many, once planned */
    char skipped[STUDY_NOTE];  /* why the row can not be trained; "" */
    char failed[STUDY_NOTE];   /* why a run ended early; "" */
    char settings[STUDY_NOTE]; /* as trained: the row's, and what follows from them */
    struct study_moments knn, loss, top1; /* of the last epoch; percent, nats, percent */
    struct study_moments img_s, minutes;  /* training alone */
    struct study_moments oscillation;     /* see result.c */
    struct study_moments accuracy;        /* of a classifier that was trained, percent */
    double guess;                         /* loss of a guess; NAN */
    double each[STUDY_SEEDS_MAX][2];      /* (seeds complete, 2): kNN, loss */
    struct study_point *points;           /* (count), owned */
    int count;
};

struct study_hooks {
    struct train_hooks train; /* of each run; `started` is not called */
    /* Before run `index` of `count`. */
    void (*run)(void *user, const struct study_row *row, uint64_t seed, int index, int count);
    /* Before a row is measured, to turn minutes into epochs. */
    void (*measure)(void *user, const struct study_row *row);
};

/* Trains what is not complete yet. base: DATA and settings from flags, files and presets; its `out`
 * is the folder. MOCO_OK, TRAIN_INTERRUPTED, or an error. */
int study_train(const struct study *study, const struct config *base,
                const struct study_budget *budget, const struct moco_simd *simd,
                const struct study_hooks *hooks);

#endif
