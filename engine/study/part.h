/* part.h: what the files of a study share; nobody else includes it.
 *
 * plan.c turns rows into configurations and the budget into epochs, study.c trains, result.c reads
 * what the runs left, table.c and plot.c write it down. */
#ifndef MOCO_ENGINE_STUDY_PART_H
#define MOCO_ENGINE_STUDY_PART_H

#include <stdio.h>

#include "engine/data/source.h"
#include "engine/study/study.h"

enum { STUDY_PATH = 1100 };

enum { STUDY_TOLD = 128 };

struct study_state {
    const struct study *study;
    const struct config *base; /* flags, files, presets */
    struct study_budget budget;
    const struct moco_simd *simd;
    const struct study_hooks *hooks;
    const char *out;
    struct source *source;     /* what rows are checked against */
    struct config common;      /* base over the study's own, as all rows have it */
    struct config shown;       /* what the data make of it */
    struct study_result results[STUDY_ROWS_MAX];
    uint64_t told[STUDY_TOLD]; /* sentences by hash: what every run has to say is said once */
    size_t told_count;
};

/* The configuration of a run; `epochs` 0: as the base has it. */
int study_configure(struct config *out, const struct study_state *state,
                    const struct study_row *row, int epochs, uint64_t seed);

/* Which rows can be trained, and for how many epochs: from plan.json, or checked, measured and
 * written there. MOCO_OK, TRAIN_INTERRUPTED, or an error. */
int study_plan(struct study_state *state);

uint64_t study_seed(const struct study_state *state, int i);
void study_folder(char *out, size_t size, const struct study_state *state,
                  const struct study_row *row, uint64_t seed);

/* "20 epochs", "5 minutes of training" */
void study_budget_text(char *out, size_t size, const struct study_state *state);

/* Reads the complete runs of all rows into their results. */
int study_read(struct study_state *state);
void study_forget(struct study_state *state);

/* study.csv and study.md; study.svg. */
int study_write_tables(const struct study_state *state);
int study_write_plot(const struct study_state *state);

#endif
