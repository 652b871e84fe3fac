/* memory.h: what a run will take and what it can get, so that one that does not fit ends with a
 * sentence at its start and not by the system's hand in the night. */
#ifndef MOCO_ENGINE_RUN_MEMORY_H
#define MOCO_ENGINE_RUN_MEMORY_H

#include "engine/eval/score.h"
#include "engine/run/config/config.h"
#include "engine/step.h"

/* Bytes, computed from the program before anything is allocated. */
struct memory_plan {
    size_t encoders;    /* parameters, gradients, statistics, velocities */
    size_t activations; /* of one micro-batch */
    size_t dictionary;
    size_t batches;     /* views that the loader holds */
    size_t features;    /* of the images that kNN compares */
    size_t evaluation;  /* a batch in evaluation, beside all of the above */
};

/* sets: NULL without kNN. */
int memory_plan(struct memory_plan *out, const struct step_config *step,
                const struct run_config *config, const struct source *source,
                const struct policy *policy, const struct score_sets *sets,
                const struct moco_simd *simd);

size_t memory_total(const struct memory_plan *plan);

/* What the process may still take: the least of what is known. */
struct memory_limit {
    uint64_t bytes;   /* UINT64_MAX: no limit is known */
    const char *what; /* "free memory", "the control group's limit", … */
};

/* Free memory of the system, limits of control groups (v1, v2) and of the process. root: "", or a
 * folder that stands for / in tests. */
void memory_limit(struct memory_limit *out, const char *root);

/* Refuses a plan that is larger than the limit: both numbers, and what to do. */
int memory_check(const struct memory_plan *plan, const struct memory_limit *limit,
                 const struct run_config *config);

/* Memory in use by this process, now and at most so far; 0 where it is not known. */
size_t memory_resident(void);
size_t memory_peak(void);

#endif
