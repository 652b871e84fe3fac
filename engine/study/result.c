/* result.c: what complete runs left in log.csv, as means and deviations over the seeds.
 *
 * A run counts when its weights are written and its log ends with its last epoch. The result is
 * that of the last epoch, never the best one: the test data must not choose.
 *
 * Oscillation: the standard deviation of l(t+1) - l(t), l(t) the loss of step t, over the steps of
 * the last quarter of the epochs (at least one). Differences leave the trend out. */
#include "engine/study/part.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/run/log.h"

enum { LINE_MAX_LENGTH = 512 };

/* A run's log by epoch; where there is no row it is `nothing`. */
struct history {
    struct log_row *lines; /* (epochs + 1), owned */
    double img_s, minutes, oscillation;
};

/* ---- one run ---- */

static const struct log_row nothing = { -1, 0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN };

static int read_log(struct history *h, const char *path, int epochs)
{
    struct log_row *rows;
    size_t count;
    int rc = log_read(&rows, &count, path);
    for (int e = 0; e <= epochs; e++)
        h->lines[e] = nothing;
    for (size_t i = 0; i < count; i++)
        if (rows[i].epoch <= epochs)
            h->lines[rows[i].epoch] = rows[i];
    free(rows);
    return rc;
}

/* The rate of all images; epochs that a resumed process only closed have none. */
static void rate(struct history *h, int epochs, int batch)
{
    double images = 0, seconds = 0, steps = (double)h->lines[epochs].step / epochs;
    for (int e = 1; e <= epochs; e++)
        if (h->lines[e].img_s > 0) {
            images += steps * batch;
            seconds += steps * batch / h->lines[e].img_s;
        }
    h->img_s = seconds > 0 ? images / seconds : NAN;
    h->minutes = (double)h->lines[epochs].step * batch / h->img_s / 60.0;
}

/* losses: (steps), NAN where steps.csv has none. */
static void read_steps(double *losses, const char *path, size_t steps)
{
    char text[LINE_MAX_LENGTH];
    unsigned long long step;
    double loss;
    FILE *file = fopen(path, "r");
    for (size_t i = 0; i < steps; i++)
        losses[i] = NAN;
    while (file && fgets(text, sizeof text, file))
        if (strchr(text, '\n') && sscanf(text, "%llu,%lf", &step, &loss) == 2 && step >= 1 &&
            step <= steps)
            losses[step - 1] = loss;
    if (file)
        fclose(file);
}

static struct study_moments moments(const double *values, int n)
{
    struct study_moments m = { 0, NAN, NAN };
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(values[i]))
            sum += values[i], m.n++;
    if (m.n > 0)
        m.mean = sum / m.n;
    for (int i = 0; i < n; i++)
        if (!isnan(values[i]))
            squares += (values[i] - m.mean) * (values[i] - m.mean);
    if (m.n > 1)
        m.std = sqrt(squares / (m.n - 1));
    return m;
}

static int oscillation(struct history *h, const char *path, int epochs)
{
    size_t steps = (size_t)h->lines[epochs].step, each = steps / (size_t)epochs;
    size_t first = steps - each * (size_t)((epochs + 3) / 4);
    double *losses = malloc((steps + 1) * sizeof *losses);
    if (!losses)
        return error_memory("losses of steps", (steps + 1) * sizeof *losses);
    read_steps(losses, path, steps);
    for (size_t i = first; i + 1 < steps; i++)
        losses[i] = losses[i + 1] - losses[i];
    h->oscillation = steps > first ? moments(losses + first, (int)(steps - first) - 1).std : NAN;
    free(losses);
    return MOCO_OK;
}

/* 1: complete, 0: not, or an error. */
static int read_run(struct history *h, const struct study_state *state, int r, uint64_t seed)
{
    char folder[STUDY_PATH], path[STUDY_PATH + 40];
    struct config config;
    int epochs = state->results[r].epochs;
    study_folder(folder, sizeof folder, state, &state->study->rows[r], seed);
    snprintf(path, sizeof path, "%s/weights.safetensors", folder);
    if (access(path, R_OK))
        return 0;
    snprintf(path, sizeof path, "%s/log.csv", folder);
    int rc = read_log(h, path, epochs);
    if (rc || h->lines[epochs].epoch < 0)
        return rc;
    rc = study_configure(&config, state, &state->study->rows[r], epochs, seed);
    if (!rc)
        rc = train_resolve(&config, state->source, NULL); /* the batch may follow from the data */
    if (rc)
        return rc;
    rate(h, epochs, config.value.batch);
    h->oscillation = NAN;
    snprintf(path, sizeof path, "%s/steps.csv", folder);
    rc = state->study->oscillation ? oscillation(h, path, epochs) : MOCO_OK;
    return rc ? rc : 1;
}

/* ---- over the seeds ---- */

static struct study_moments over(const struct history *all, int n, int epoch, size_t column)
{
    double values[STUDY_SEEDS_MAX] = { 0 };
    for (int i = 0; i < n; i++)
        memcpy(&values[i], (const char *)&all[i].lines[epoch] + column, sizeof values[i]);
    return moments(values, n);
}

#define OVER(all, n, epoch, column) over(all, n, epoch, offsetof(struct log_row, column))

static struct study_moments over_runs(const struct history *all, int n, size_t column)
{
    double values[STUDY_SEEDS_MAX] = { 0 };
    for (int i = 0; i < n; i++)
        memcpy(&values[i], (const char *)&all[i] + column, sizeof values[i]);
    return moments(values, n);
}

static void sum_up(struct study_result *out, const struct history *all, int n)
{
    int last = out->epochs;
    out->knn = OVER(all, n, last, knn);
    out->loss = OVER(all, n, last, loss);
    out->top1 = OVER(all, n, last, top1);
    out->accuracy = OVER(all, n, last, accuracy);
    out->top1.mean *= 100;
    out->top1.std *= 100;
    out->guess = n ? all[0].lines[last].ln_k1 : NAN;
    out->img_s = over_runs(all, n, offsetof(struct history, img_s));
    out->minutes = over_runs(all, n, offsetof(struct history, minutes));
    out->oscillation = over_runs(all, n, offsetof(struct history, oscillation));
    for (int i = 0; i < n; i++) {
        out->each[i][0] = all[i].lines[last].knn;
        out->each[i][1] = all[i].lines[last].loss;
    }
    out->count = n ? last + 1 : 0;
    for (int e = 0; e < out->count; e++)
        out->points[e] = (struct study_point){ e, OVER(all, n, e, knn), OVER(all, n, e, loss) };
}

static int read_row(struct study_state *state, int r)
{
    struct study_result *result = &state->results[r];
    struct history all[STUDY_SEEDS_MAX] = { { 0 } };
    size_t length = (size_t)result->epochs + 1;
    int n = 0, rc = MOCO_OK;
    free(result->points);
    result->points = calloc(length, sizeof *result->points);
    if (!result->points)
        return error_memory("curves", length * sizeof *result->points);
    for (int i = 0; i < state->budget.seeds && rc >= 0; i++) {
        if (!all[n].lines)
            all[n].lines = calloc(length, sizeof *all[n].lines);
        rc = all[n].lines ? read_run(&all[n], state, r, study_seed(state, i))
                          : error_memory("a run's log", length * sizeof *all[n].lines);
        n += rc > 0;
    }
    if (rc >= 0)
        sum_up(result, all, n);
    for (int i = 0; i < STUDY_SEEDS_MAX; i++)
        free(all[i].lines);
    return rc < 0 ? rc : MOCO_OK;
}

int study_read(struct study_state *state)
{
    int rc = MOCO_OK;
    for (int r = 0; r < state->study->count && !rc; r++)
        if (state->results[r].planned)
            rc = read_row(state, r);
    return rc;
}

void study_forget(struct study_state *state)
{
    for (int r = 0; r < state->study->count; r++) {
        free(state->results[r].points);
        state->results[r].points = NULL;
    }
}
