/* table.c: study.csv, one line a row for programs, and study.md, the same for people. */
#include <math.h>
#include <string.h>

#include "engine/base/csv.h"
#include "engine/base/replace.h"
#include "engine/study/part.h"

/* What was done and why a row has no result, or fewer seeds. */
static const char *note_of(const struct study_state *state, int r)
{
    const struct study_result *result = &state->results[r];
    if (result->skipped[0])
        return result->skipped;
    if (result->failed[0])
        return result->failed;
    return result->loss.n < state->budget.seeds ? "not complete" : "";
}

/* ---- study.csv ---- */

static void csv_text(FILE *out, const char *text, char end)
{
    csv_cell(out, text);
    fputc(end, out);
}

static void csv_number(FILE *out, const char *format, double value)
{
    fputc(',', out);
    if (!isnan(value))
        fprintf(out, format, value);
}

static void csv_moments(FILE *out, const char *format, const struct study_moments *m)
{
    csv_number(out, format, m->mean);
    csv_number(out, format, m->std);
}

static void csv_row(FILE *out, const struct study_state *state, int r)
{
    char budget[80];
    const struct study_row *row = &state->study->rows[r];
    const struct study_result *result = &state->results[r];
    study_budget_text(budget, sizeof budget, state);
    csv_text(out, state->study->name, ',');
    csv_text(out, state->base->value.data, ',');
    csv_text(out, budget, ',');
    csv_text(out, row->name, ',');
    csv_text(out, row->group, ',');
    csv_text(out, row->label, ',');
    csv_text(out, result->settings, ',');
    fprintf(out, "%d,%d", result->epochs, result->loss.n);
    csv_moments(out, "%.4f", &result->knn);
    csv_moments(out, "%.6f", &result->loss);
    csv_number(out, "%.6f", result->guess);
    csv_moments(out, "%.4f", &result->top1);
    csv_moments(out, "%.6f", &result->oscillation);
    csv_moments(out, "%.4f", &result->accuracy);
    csv_moments(out, "%.1f", &result->img_s);
    csv_moments(out, "%.3f", &result->minutes);
    fputc(',', out);
    csv_text(out, note_of(state, r), '\n');
}

static int write_csv(const struct study_state *state)
{
    char path[STUDY_PATH];
    struct replace file;
    snprintf(path, sizeof path, "%s/study.csv", state->out);
    int rc = replace_open(&file, path);
    if (rc)
        return rc;
    fprintf(file.file, "study,data,budget,row,group,label,settings,epochs,seeds,knn,knn_std,loss,"
                       "loss_std,guess_loss,top1,top1_std,oscillation,oscillation_std,accuracy,"
                       "accuracy_std,img_s,img_s_std,minutes,minutes_std,note\n");
    for (int r = 0; r < state->study->count; r++)
        csv_row(file.file, state, r);
    return replace_commit(&file);
}

/* ---- study.md ---- */

static void md_moments(FILE *out, const struct study_moments *m, int digits)
{
    if (!m->n)
        fprintf(out, " |");
    else if (m->n == 1)
        fprintf(out, " %.*f |", digits, m->mean);
    else
        fprintf(out, " %.*f ± %.*f |", digits, m->mean, digits, m->std);
}

static void md_number(FILE *out, double value, int digits)
{
    if (isnan(value))
        fprintf(out, " |");
    else
        fprintf(out, " %.*f |", digits, value);
}

/* Text in a cell: a bar would end it. */
static void md_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void md_row(FILE *out, const struct study_state *state, int r)
{
    const struct study_row *row = &state->study->rows[r];
    const struct study_result *result = &state->results[r];
    fprintf(out, "| %s%s%s | `%s` | ", row->group, row->group[0] ? ": " : "", row->label,
            result->settings);
    if (result->epochs)
        fprintf(out, "%d", result->epochs);
    fprintf(out, " | %d |", result->loss.n);
    md_moments(out, &result->knn, 2);
    md_moments(out, &result->loss, 3);
    md_number(out, result->guess, 3);
    md_moments(out, &result->top1, 1);
    if (state->study->oscillation)
        md_moments(out, &result->oscillation, 4);
    if (state->study->accuracy)
        md_moments(out, &result->accuracy, 2);
    md_moments(out, &result->img_s, 0);
    md_moments(out, &result->minutes, 2);
    fputc(' ', out);
    md_text(out, note_of(state, r));
    fprintf(out, " |\n");
}

/* Settings that say nothing about the result, or that the text above the table has. */
static int is_left_out(const char *name)
{
    static const char *const names[] = { "out", "seed", "epochs", "threads", "workers", "simd",
                                         "json", "force", "config", "resume", "profile", "mean",
                                         "std", "checkpoint-every", "knn-every" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return 1;
    return 0;
}

static void md_common(FILE *out, const struct study_state *state)
{
    size_t count;
    char text[STUDY_PATH];
    const struct setting *rows = config_settings(&count);
    fprintf(out, "Common settings: `arch=%s", state->common.value.arch);
    for (size_t i = 0; i < count; i++) {
        if (state->common.origin[i] == FROM_DEFAULT || is_left_out(rows[i].name) ||
            !strcmp(rows[i].name, "arch"))
            continue;
        config_text(text, sizeof text, &state->shown, &rows[i]);
        fprintf(out, " %s=%s", rows[i].name, text);
    }
    fprintf(out, "`; all others are the defaults of `moco train`.");
}

static void md_head(FILE *out, const struct study_state *state)
{
    char budget[80];
    unsigned long long first = study_seed(state, 0);
    int seeds = state->budget.seeds;
    study_budget_text(budget, sizeof budget, state);
    fprintf(out, "# %s\n\nStudy `%s` on `%s` (%zu images), %s a run, ", state->study->title,
            state->study->name, state->base->value.data, state->source->count, budget);
    if (seeds > 1)
        fprintf(out, "seeds %llu to %llu: mean ± standard deviation (n - 1).", first,
                first + (unsigned long long)seeds - 1);
    else
        fprintf(out, "seed %llu.", first);
    fprintf(out, " kNN in percent of the test images and loss in nats are those of the last epoch; "
                 "images/s and minutes are of training alone, without kNN.");
    if (state->budget.minutes > 0)
        fprintf(out, " Minutes became epochs by timing some steps of each row before it started.");
    fprintf(out, "\n\n");
    md_common(out, state);
    fprintf(out, "\n\n");
    if (state->study->remark[0])
        fprintf(out, "%s\n\n", state->study->remark);
}

static int write_md(const struct study_state *state)
{
    char path[STUDY_PATH];
    struct replace file;
    snprintf(path, sizeof path, "%s/study.md", state->out);
    const struct study *study = state->study;
    int rc = replace_open(&file, path);
    if (rc)
        return rc;
    md_head(file.file, state);
    fprintf(file.file,
            "| row | settings | epochs | seeds | kNN | loss | guess | top-1 |%s%s img/s | minutes "
            "| note |\n|---|---|---|---|---|---|---|---|%s%s---|---|---|\n",
            study->oscillation ? " oscillation |" : "", study->accuracy ? " classifier |" : "",
            study->oscillation ? "---|" : "", study->accuracy ? "---|" : "");
    for (int r = 0; r < study->count; r++)
        md_row(file.file, state, r);
    return replace_commit(&file);
}

int study_write_tables(const struct study_state *state)
{
    int rc = write_csv(state);
    return rc ? rc : write_md(state);
}
