/* state.c: where a run stands: its folder, its checkpoint, and whether what lies beside the
 * checkpoint belongs to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/run.h"

/* Told before the data are looked at, which may take long. */
int state_check(const struct run *run)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/log.csv", run->c->out);
    if (run->c->resume ||
        !(run_exists(run->checkpoint) || run_exists(path) || run_exists(run->weights)))
        return MOCO_OK;
    return error_set(MOCO_EARG, "%s holds a run already; go on with --resume or choose another "
                                "--out", run->c->out);
}

/* Whether two data arguments name the same files, however they are typed. */
static int same_data(const char *a, const char *b)
{
    char *here = realpath(".", NULL), x[PATH_SIZE + 1100], y[PATH_SIZE + 1100];
    int same = !strcmp(a, b) ||
               (here && !source_rebase(x, sizeof x, a, here, "") &&
                !source_rebase(y, sizeof y, b, here, "") && !strcmp(x, y));
    free(here);
    return same;
}

/* Data may have moved; that others as many were meant to be given is less likely. A classifier has
 * learnt what its classes are, which may not become others. */
static int check_other_data(const struct run *run)
{
    char path[PATH_SIZE];
    struct config started;
    const char *what;
    config_default(&started);
    snprintf(path, sizeof path, "%s/config.json", run->c->out);
    if (config_read(&started, path))
        return MOCO_OK;
    if (started.value.data[0] && !same_data(started.value.data, run->c->data))
        run_notice(run->hooks, "the run in %s was started on %s and goes on with %s", run->c->out,
                   started.value.data, run->c->data);
    const char *classes = started.files.classes;
    if (run_classifies(run) && classes[0] && strcmp(classes, run->config->files.classes))
        return error_set(MOCO_EARG, "the run in %s learns the classes of the data it was started "
                                    "on, and %s has others: names or number differ",
                         run->c->out, run->source->where);
    what = digest_difference(&started.files, &run->config->files);
    if (what && strcmp(what, "times"))
        run_notice(run->hooks, "the files of %s are not those on which the run in %s was started: "
                               "their %s differ; it goes on with what is there now",
                   run->source->where, run->c->out, what);
    else if (what)
        run_notice(run->hooks, "the files of %s have other times than those on which the run in %s "
                               "was started: unless they are a copy, they are other images",
                   run->source->where, run->c->out);
    return MOCO_OK;
}

/* ---- rows of log.csv ---- */

static uint64_t closed_epochs(const struct run *run)
{
    return (run->info.step - run->info.epoch_steps) / run->steps;
}

/* The epochs of 1..done without a row, as "2, 4-7", as many as a line bears. Returns how many. */
static uint64_t list_missing(char *out, size_t size, const struct log_row *rows, size_t count,
                             uint64_t done)
{
    size_t at = 0, used = 0;
    uint64_t missing = 0;
    out[0] = '\0';
    for (uint64_t epoch = 1; epoch <= done; epoch++) {
        uint64_t first = epoch;
        while (at < count && (uint64_t)rows[at].epoch < epoch)
            at++;
        uint64_t next = at < count ? (uint64_t)rows[at].epoch : done + 1;
        if (next == epoch)
            continue;
        epoch = next <= done ? next - 1 : done;
        missing += epoch - first + 1;
        if (used + 60 > size)
            continue;
        used += (size_t)snprintf(out + used, size - used, "%s%llu", used ? ", " : "",
                                 (unsigned long long)first);
        if (epoch > first)
            used += (size_t)snprintf(out + used, size - used, "-%llu", (unsigned long long)epoch);
        if (used + 60 > size)
            (void)snprintf(out + used, size - used, ", ...");
    }
    return missing;
}

/* A log that was deleted or shortened: what it lacks is told, and training goes on. *events: how
 * many the run has made. */
static int notice_rows(const struct run *run, size_t *events)
{
    char list[400];
    struct log_row *rows;
    size_t count;
    uint64_t done = closed_epochs(run);
    int rc = log_read(&rows, &count, run->log.path);
    uint64_t missing = rc ? 0 : list_missing(list, sizeof list, rows, count, done);
    free(rows);
    if (missing) {
        run_notice(run->hooks, "%s has no row of epoch%s %s, which the run has done: it was "
                               "deleted or shortened; training goes on", run->log.path,
                   missing == 1 ? "" : "s", list);
        *events = (size_t)done + (run->scored && run->c->knn_every > 0);
    }
    return rc;
}

/* ---- the state ---- */

/* Weights without a checkpoint are what somebody kept of a run that came to its end. */
static int open_finished(struct run *run)
{
    run->info.step = run->total;
    return checkpoint_compare(run->weights, run->recipe);
}

/* Reads the checkpoint or starts afresh; then info says where the run stands. */
int state_open(struct run *run)
{
    char path[PATH_SIZE];
    const char *out = run->c->out;
    int resumed = run_exists(run->checkpoint), rc;
    digest_files(&run->config->files, run->source);
    snprintf(path, sizeof path, "%s/log.csv", out);
    if (!resumed && run_exists(run->weights))
        return open_finished(run);
    if (resumed) {
        rc = checkpoint_load(run->checkpoint, &run->step, &run->info, run->recipe);
        if (!rc && run->info.images != run->source->count)
            rc = error_set(MOCO_EARG, "the run in %s was started on %llu images, %s has %zu", out,
                           (unsigned long long)run->info.images, run->source->where,
                           run->source->count);
        if (!rc)
            rc = check_other_data(run);
    } else {
        if (run->c->resume)
            run_notice(run->hooks, "%s has no checkpoint: the run starts afresh", out);
        step_init(&run->step);
        rc = init_take(run);
        if (!rc)
            rc = train_folder(out);
    }
    if (!rc)
        rc = log_open(&run->log, path, resumed ? run->info.log_bytes : 0, run_classifies(run));
    size_t events = run->log.rows;
    if (!rc && resumed)
        rc = notice_rows(run, &events);
    snprintf(path, sizeof path, "%s/" EVENTS_FILE, out);
    if (!rc)
        rc = events_open(&run->events, path, events);
    snprintf(path, sizeof path, "%s/config.json", out);
    if (!rc && !resumed)
        rc = config_write(run->config, path, run->simd->name);
    run->info.images = run->source->count;
    run->info.channels = run->source->channels;
    return rc;
}

const char *state_saved(const struct run *run)
{
    return run_exists(run->checkpoint) ? run->checkpoint
           : run_exists(run->weights)  ? run->weights : NULL;
}

/* A resumed run keeps the mean and deviation that it measured at its start: images that could not
 * be read since then would move them. */
int state_keep_normalisation(struct run *run)
{
    static const char *const names[] = { "mean", "std" };
    char text[sizeof run->c->mean];
    const char *from = state_saved(run);
    int rc = MOCO_OK;
    for (int i = 0; i < 2 && !rc && from; i++) {
        rc = checkpoint_setting(text, sizeof text, from, names[i]);
        if (!rc && text[0] && !(i ? run->c->std : run->c->mean)[0])
            rc = config_set(run->config, names[i], text, FROM_DATA);
    }
    return rc;
}
