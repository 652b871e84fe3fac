/* run.h: what the files of a training run share; nobody else includes it.
 *
 * resolve.c fills in the settings that follow from the data, open.c opens all parts and reads the
 * checkpoint, memory.c says what they take, train.c is the loop. */
#ifndef MOCO_ENGINE_RUN_RUN_H
#define MOCO_ENGINE_RUN_RUN_H

#include "engine/base/watch.h"
#include "engine/data/loader.h"
#include "engine/eval/score.h"
#include "engine/run/bad.h"
#include "engine/run/events.h"
#include "engine/run/init.h"
#include "engine/run/log.h"
#include "engine/run/memory.h"
#include "engine/run/saved/checkpoint.h"
#include "engine/run/saved/weights.h"
#include "engine/run/train.h"
#include "engine/run/watchdog.h"

enum { PATH_SIZE = 1100 };

struct run {
    struct config *config;
    const struct run_config *c; /* &config->value */
    const struct moco_simd *simd;
    const struct train_hooks *hooks;
    struct init init;
    struct source *source;
    struct policy policy;
    struct schedule schedule;
    struct step_config step_config;
    struct memory_plan plan;
    struct memory_limit limit; /* when it was planned */
    struct loader *loader;
    struct step step;
    int opened; /* step is */
    struct score_sets sets;
    int scored; /* sets are open: kNN is on */
    int scores; /* evaluations that left images out; the first says so */
    int save_asked;        /* while something ran that can not be saved */
    uint64_t saved;        /* steps of the checkpoint of a full epoch that is not closed; 0: none */
    struct checkpoint_info info;
    struct bad_list bad;
    struct log log;
    struct events events;
    int32_t *labels;       /* (source->count) that training may see, or NULL; owned */
    int32_t *batch_labels; /* (rows of a micro-batch) */
    int64_t *labelled;     /* samples that are drawn more often, or NULL; owned */
    char *recipe;
    char checkpoint[PATH_SIZE], weights[PATH_SIZE];
    uint64_t steps, total;                /* of an epoch, of the run */
    double data_s, compute_s;             /* this epoch, this process */
    uint64_t timed;                       /* steps that the two cover */
    double all_s;                         /* this process, and its steps */
    uint64_t all_steps;
    double lr, knn, accuracy;
    struct watchdog dog;
};

/* In this order: data, settings and what memory they need; loader and step. run_open() does both
 * and opens the run folder and the state in it. On an error too, run_close() follows. */
int run_plan(struct run *run);
int run_build(struct run *run);
int run_open(struct run *run);
void run_close(struct run *run);

/* One step on the loader's next batch; data_s: seconds spent waiting for it. */
int run_step(struct run *run, double lr, double *data_s);

int run_exists(const char *path);

/* Notices of settings that a flag or a file gave and this run does not read; part of opening. */
void notice_unread(const struct config *config, const struct train_hooks *hooks);

/* A notice of numbers that are missing in the images read so far; where nothing was measured yet,
 * some are read for it. */
void notice_missing(const struct source *source, const struct train_hooks *hooks, int measured);

/* state.c. The folder, before the data are looked at; mean and deviation of a resumed run; and the
 * checkpoint, or a fresh start. */
int state_check(const struct run *run);
int state_keep_normalisation(struct run *run);
const char *state_saved(const struct run *run); /* checkpoint, or the weights of its end; or NULL */
int state_open(struct run *run);

/* judge.c. Looks at some images of the evaluation's sets before the first step; part of opening. */
int judge_check(const struct run *run);

/* run->knn and run->accuracy, NAN where they could not be had, which is a notice. MOCO_OK or
 * TRAIN_INTERRUPTED. */
int judge_run(struct run *run, uint64_t epoch);

/* What runs from now on hears hooks->stop() and tells hooks->waiting(); until watch_begin(NULL). */
void run_watch(struct run *run, struct watch *watch);

/* fill.c. MOCO_OK, TRAIN_INTERRUPTED or an error. */
int fill_queue(struct run *run);

/* Whether the method trains a classifier of the labels, whose accuracy is told beside kNN's. */
int run_classifies(const struct run *run);

/* A sentence for the person who waits; it stops nothing. */
void run_notice(const struct train_hooks *hooks, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
