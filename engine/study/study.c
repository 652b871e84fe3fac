/* study.c: trains the rows of a study; see study.h.
 *
 * Seed by seed, each time all rows, so that a study that ends early has compared them all. */
#include "engine/study/study.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/study/part.h"

/* The hooks of one run: those of the study, and a note of each step's loss. */
struct watching {
    struct study_state *state;
    const struct study_hooks *hooks;
    FILE *steps; /* NULL: not wanted, or not yet open */
    int wanted, failed;
    char path[STUDY_PATH];
};

/* Line by line, so that the file is never behind a checkpoint; after a resumption steps come twice,
 * with the same losses. */
static void note_step(struct watching *w, const struct train_progress *p)
{
    uint64_t step = (uint64_t)(p->epoch - 1) * p->steps + p->step;
    if (!w->steps && !w->failed) {
        w->steps = fopen(w->path, "a");
        if (w->steps)
            setvbuf(w->steps, NULL, _IOLBF, 0);
    }
    char loss[32] = ""; /* a step that judged nothing has none */
    if (isfinite(p->step_loss))
        snprintf(loss, sizeof loss, "%.9g", p->step_loss);
    if (!w->steps || fprintf(w->steps, "%llu,%s\n", (unsigned long long)step, loss) < 0)
        w->failed = errno ? errno : EIO;
}

static void on_progress(void *user, const struct train_progress *p)
{
    struct watching *w = user;
    const struct train_hooks *train = &w->hooks->train;
    if (w->wanted && !p->epoch_done)
        note_step(w, p);
    if (train->progress)
        train->progress(train->user, p);
}

/* Whether a run before has said so. FNV-1a. */
static int was_told(struct study_state *state, const char *sentence)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *c = sentence; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    for (size_t i = 0; i < state->told_count; i++)
        if (state->told[i] == hash)
            return 1;
    if (state->told_count < STUDY_TOLD)
        state->told[state->told_count++] = hash;
    return 0;
}

static void on_notice(void *user, const char *sentence)
{
    struct watching *w = user;
    const struct train_hooks *train = &w->hooks->train;
    if (train->notice && !was_told(w->state, sentence))
        train->notice(train->user, sentence);
}

static int on_stop(void *user)
{
    const struct train_hooks *train = &((struct watching *)user)->hooks->train;
    return train->stop ? train->stop(train->user) : 0;
}

static void on_waiting(void *user, const char *what, const char *unit, size_t done, size_t count)
{
    const struct train_hooks *train = &((struct watching *)user)->hooks->train;
    if (train->waiting)
        train->waiting(train->user, what, unit, done, count);
}

/* One run to its end; one that diverges is a result too. */
static int train_one(struct study_state *state, int r, uint64_t seed)
{
    struct config config;
    struct study_result *result = &state->results[r];
    struct watching watch = { .state = state, .hooks = state->hooks,
                              .wanted = state->study->oscillation };
    struct train_hooks hooks = { .user = &watch, .progress = on_progress, .notice = on_notice,
                                 .stop = on_stop, .waiting = on_waiting };
    int rc = study_configure(&config, state, &state->study->rows[r], result->epochs, seed);
    if (rc)
        return rc;
    snprintf(watch.path, sizeof watch.path, "%.1000s/steps.csv", config.value.out);
    rc = train_run(&config, state->simd, &hooks);
    if (watch.steps && fclose(watch.steps))
        watch.failed = errno;
    if (!rc && watch.failed)
        rc = error_set(MOCO_EIO, "writing %s: %s", watch.path, strerror(watch.failed));
    if (rc != MOCO_EDIVERGED)
        return rc;
    snprintf(result->failed, sizeof result->failed, "seed %llu: %s", (unsigned long long)seed,
             error_text());
    return MOCO_OK;
}

static int write_results(struct study_state *state)
{
    int rc = study_read(state);
    if (!rc)
        rc = study_write_tables(state);
    return rc ? rc : study_write_plot(state);
}

static int planned_rows(const struct study_state *state)
{
    int n = 0;
    for (int r = 0; r < state->study->count; r++)
        n += state->results[r].planned;
    return n;
}

static int train_all(struct study_state *state)
{
    int rows = state->study->count, done = 0, rc = MOCO_OK;
    int runs = planned_rows(state) * state->budget.seeds;
    for (int i = 0; i < rows * state->budget.seeds && !rc; i++) {
        int r = i % rows;
        uint64_t seed = study_seed(state, i / rows);
        if (!state->results[r].planned)
            continue;
        if (state->hooks->run)
            state->hooks->run(state->hooks->train.user, &state->study->rows[r], seed, done, runs);
        done++;
        rc = train_one(state, r, seed);
        if (!rc)
            rc = write_results(state);
    }
    return rc;
}

static void clear(struct study_result *result)
{
    const struct study_moments none = { 0, NAN, NAN };
    result->knn = result->loss = result->top1 = none;
    result->img_s = result->minutes = result->oscillation = result->accuracy = none;
    result->guess = NAN;
}

int study_train(const struct study *study, const struct config *base,
                const struct study_budget *budget, const struct moco_simd *simd,
                const struct study_hooks *hooks)
{
    if (budget->seeds < 1 || budget->seeds > STUDY_SEEDS_MAX || !(budget->minutes >= 0))
        return error_set(MOCO_EARG, "a study has 1 to %d seeds and minutes above 0, not %d and %g",
                         (int)STUDY_SEEDS_MAX, budget->seeds, budget->minutes);
    struct study_state *state = calloc(1, sizeof *state);
    if (!state)
        return error_memory("the study", sizeof *state);
    *state = (struct study_state){ .study = study, .base = base, .budget = *budget, .simd = simd,
                                   .hooks = hooks, .out = base->value.out };
    for (int r = 0; r < study->count; r++)
        clear(&state->results[r]);
    int rc = train_folder(state->out);
    if (!rc)
        rc = study_plan(state);
    if (!rc)
        rc = write_results(state); /* skipped rows show at once, and so do runs of earlier calls */
    if (!rc)
        rc = train_all(state);
    study_forget(state);
    source_close(&state->source);
    free(state);
    return rc;
}
