/* plan.c: rows as configurations, and how long each is trained.
 *
 * A learning-rate schedule wants to know its end, so minutes become epochs before a row starts: a
 * few real steps are timed, and what was found stands in plan.json, where a resumed study finds it
 * again. Rows that these data or the common settings rule out are skipped with the reason. */
#include "engine/study/part.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/data/missing.h"
#include "engine/base/replace.h"
#include "engine/run/forecast.h"
#include "engine/run/init.h"

enum { PLAN_MAX = 1 << 16, EPOCHS_MAX = 1000000 };

/* ---- a row's configuration ---- */

/* Applies "name=value name=value". */
static int apply(struct config *config, const char *settings, enum origin origin)
{
    char name[64], value[64];
    int used = 0, rc = MOCO_OK;
    for (const char *at = settings; !rc && *at; at += used) {
        used = 0;
        if (sscanf(at, " %63[^= ]=%63[^ ]%n", name, value, &used) != 2)
            return error_set(MOCO_EARG, "'%s' is no list of settings", settings);
        rc = config_set(config, name, value, origin);
    }
    return rc;
}

static int set_number(struct config *config, const char *name, double value, enum origin origin)
{
    char text[40];
    snprintf(text, sizeof text, "%.9g", value);
    return config_set(config, name, text, origin);
}

static enum origin origin_of(const struct config *config, const char *name)
{
    size_t count;
    return config->origin[config_setting(name) - config_settings(&count)];
}

uint64_t study_seed(const struct study_state *state, int i)
{
    return state->base->value.seed + (uint64_t)i;
}

void study_folder(char *out, size_t size, const struct study_state *state,
                  const struct study_row *row, uint64_t seed)
{
    snprintf(out, size, "%s/%s/seed-%llu", state->out, row->name, (unsigned long long)seed);
}

/* kNN about ten times a run, unless somebody chose. */
static int set_length(struct config *config, int epochs)
{
    int rc = set_number(config, "epochs", epochs, FROM_FLAG);
    if (!rc && origin_of(config, "knn-every") == FROM_DEFAULT)
        rc = set_number(config, "knn-every", (epochs + 9) / 10, FROM_DATA);
    return rc;
}

/* The rate of a row with another batch. What nobody chose for LARS and AdamW is not the study's,
 * which is SGD's: it follows from the row's batch. */
static int scale_rate(struct config *config, const struct run_config *common)
{
    const struct run_config *c = &config->value;
    int chosen = origin_of(config, "lr") > FROM_DATA || !strcmp(c->optimiser, "sgd");
    if (c->batch == common->batch || !chosen)
        return MOCO_OK;
    return set_number(config, "lr", common->lr * c->batch / common->batch, FROM_FLAG);
}

int study_configure(struct config *out, const struct study_state *state,
                    const struct study_row *row, int epochs, uint64_t seed)
{
    char text[STUDY_PATH];
    const struct run_config *c = &out->value;
    *out = state->common;
    int rc = apply(out, row->settings, FROM_FLAG);
    if (!rc)
        rc = scale_rate(out, &state->common.value);
    if (!rc)
        rc = set_length(out, epochs ? epochs : c->epochs);
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    if (!rc)
        rc = config_set(out, "seed", text, FROM_FLAG);
    study_folder(text, sizeof text, state, row, seed);
    if (!rc)
        rc = config_set(out, "out", text, FROM_FLAG);
    int begun = access(c->out, F_OK) == 0;
    return rc ? rc : config_set(out, "resume", begun ? "on" : "off", FROM_FLAG);
}

/* ---- the common part ---- */

static int row_sets(const struct study_row *row, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = row->settings; (at = strstr(at, name)); at += length)
        if ((at == row->settings || at[-1] == ' ') && at[length] == '=')
            return 1;
    return 0;
}

/* A flag that every row overrules would do nothing. */
static int check_flags(const struct study *study, const struct config *base)
{
    size_t count;
    const struct setting *settings = config_settings(&count);
    for (size_t i = 0; i < count; i++) {
        int rows = 0;
        for (int r = 0; r < study->count; r++)
            rows += row_sets(&study->rows[r], settings[i].name);
        if (base->origin[i] == FROM_FLAG && rows == study->count)
            return error_set(MOCO_EARG, "--%s does not go with study %s: each of its rows has a "
                             "value of its own", settings[i].name, study->name);
    }
    return MOCO_OK;
}

static int open_common(struct study_state *state)
{
    state->common = *state->base;
    int rc = check_flags(state->study, state->base);
    if (!rc)
        rc = apply(&state->common, state->study->base, FROM_DATA);
    if (!rc)
        rc = source_open(&state->source, state->base->value.data);
    if (!rc)
        missing_allow(state->source, state->base->value.max_missing);
    if (!rc)
        rc = views_resolve(&state->common, state->source, &state->hooks->train);
    state->shown = state->common;
    if (!rc) /* what is refused here, a row may have otherwise */
        (void)train_resolve(&state->shown, state->source, NULL);
    return rc;
}

void study_budget_text(char *out, size_t size, const struct study_state *state)
{
    double minutes = state->budget.minutes;
    if (minutes > 0)
        snprintf(out, size, "%g minute%s of training", minutes, minutes == 1 ? "" : "s");
    else
        snprintf(out, size, "%d epoch%s", state->common.value.epochs,
                 state->common.value.epochs == 1 ? "" : "s");
}

/* ---- plan.json ---- */

static cJSON *plan_new(const struct study_state *state)
{
    char budget[80];
    cJSON *plan = cJSON_CreateObject();
    study_budget_text(budget, sizeof budget, state);
    if (plan && cJSON_AddStringToObject(plan, "study", state->study->name) &&
        cJSON_AddStringToObject(plan, "data", state->base->value.data) &&
        cJSON_AddStringToObject(plan, "budget", budget) &&
        cJSON_AddObjectToObject(plan, "epochs"))
        return plan;
    cJSON_Delete(plan);
    return NULL;
}

static int plan_write(const cJSON *plan, const char *path)
{
    struct replace file;
    char *text = json_print(plan, 1);
    int rc = text ? replace_open(&file, path) : error_memory("plan.json", PLAN_MAX);
    if (rc) {
        free(text);
        return rc;
    }
    rc = replace_write(&file, text, strlen(text));
    if (!rc)
        rc = replace_write(&file, "\n", 1);
    free(text);
    if (!rc)
        return replace_commit(&file);
    replace_abort(&file);
    return rc;
}

static int same_text(const cJSON *plan, const cJSON *fresh, const char *name, const char *path)
{
    const char *was = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(plan, name));
    const char *is = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(fresh, name));
    if (was && is && !strcmp(was, is))
        return MOCO_OK;
    return error_set(MOCO_EARG, "%s was made for %s '%.200s', not '%.200s': choose another --out",
                     path, name, was ? was : "", is ? is : "");
}

/* What an earlier call planned, or an empty plan. */
static int plan_open(cJSON **out, const struct study_state *state, const char *path)
{
    static const char *const names[] = { "study", "data", "budget" };
    char text[PLAN_MAX];
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    cJSON *fresh = plan_new(state);
    int rc = fresh ? MOCO_OK : error_memory("plan.json", PLAN_MAX);
    *out = fresh;
    if (file)
        fclose(file);
    if (rc || !file)
        return rc;
    text[size] = '\0';
    cJSON *plan = json_parse(NULL, text);
    if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(plan, "epochs")))
        rc = error_set(MOCO_EFORMAT, "%s is no plan of a study: choose another --out", path);
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++)
        rc = same_text(plan, fresh, names[i], path);
    cJSON_Delete(rc ? plan : fresh);
    *out = rc ? fresh : plan;
    return rc;
}

/* ---- epochs ---- */

static int measure(int *epochs, const struct study_state *state, const struct study_row *row)
{
    struct config config;
    struct forecast f;
    if (state->hooks->measure)
        state->hooks->measure(state->hooks->train.user, row);
    int rc = study_configure(&config, state, row, 0, study_seed(state, 0));
    if (!rc)
        rc = set_number(&config, "knn-every", 0, FROM_FLAG);
    if (!rc)
        rc = forecast_run(&f, &config, state->simd, NULL);
    if (rc)
        return rc;
    double epoch_s = f.step_s * (double)f.steps;
    double wanted = round(60.0 * state->budget.minutes / epoch_s);
    *epochs = wanted < 1 ? 1 : wanted > EPOCHS_MAX ? EPOCHS_MAX : (int)wanted;
    return MOCO_OK;
}

/* What the base's --init says of the network. */
static int follow_weights(struct config *config)
{
    struct init init = { .file = NULL };
    int rc = config->value.init[0] ? init_follow(&init, config) : MOCO_OK;
    safetensors_close(&init.file);
    return rc;
}

/* The row as it is trained is allowed with these data, or the reason why not. */
static int check_row(struct study_state *state, int r)
{
    struct config config;
    const struct study_row *row = &state->study->rows[r];
    struct study_result *result = &state->results[r];
    int rc = study_configure(&config, state, row, 0, study_seed(state, 0));
    if (rc)
        return rc;
    int other = config.value.batch != state->common.value.batch;
    rc = follow_weights(&config);
    if (!rc)
        rc = train_resolve(&config, state->source, NULL);
    snprintf(result->settings, sizeof result->settings, "%s", row->settings);
    if (other)
        snprintf(result->settings, sizeof result->settings, "%s lr=%g", row->settings,
                 config.value.lr);
    if (rc != MOCO_EARG && rc != MOCO_EUNSUPPORTED)
        return rc;
    snprintf(result->skipped, sizeof result->skipped, "%s", error_text());
    return MOCO_OK;
}

static int plan_row(struct study_state *state, int r, cJSON *plan, const char *path)
{
    const struct study_row *row = &state->study->rows[r];
    struct study_result *result = &state->results[r];
    cJSON *all = cJSON_GetObjectItemCaseSensitive(plan, "epochs");
    const cJSON *known = cJSON_GetObjectItemCaseSensitive(all, row->name);
    int rc = check_row(state, r);
    if (rc || result->skipped[0])
        return rc;
    result->planned = 1;
    result->epochs = cJSON_IsNumber(known) ? known->valueint : state->common.value.epochs;
    if (result->epochs < 1 || result->epochs > EPOCHS_MAX)
        return error_set(MOCO_EFORMAT, "%s: row %s has %d epochs, 1 to %d are possible", path,
                         row->name, result->epochs, (int)EPOCHS_MAX);
    if (cJSON_IsNumber(known))
        return MOCO_OK;
    if (state->budget.minutes > 0)
        rc = measure(&result->epochs, state, row);
    if (!rc && !cJSON_AddNumberToObject(all, row->name, result->epochs))
        rc = error_memory("plan.json", PLAN_MAX);
    return rc ? rc : plan_write(plan, path);
}

static int stopped(const struct study_state *state)
{
    const struct train_hooks *train = &state->hooks->train;
    return train->stop && train->stop(train->user);
}

static int some_row(const struct study_state *state)
{
    for (int r = 0; r < state->study->count; r++)
        if (state->results[r].planned)
            return MOCO_OK;
    return error_set(MOCO_EARG, "no row of study %s can be trained: %s", state->study->name,
                     state->results[0].skipped);
}

int study_plan(struct study_state *state)
{
    char path[STUDY_PATH];
    cJSON *plan = NULL;
    int rc = open_common(state);
    snprintf(path, sizeof path, "%s/plan.json", state->out);
    if (!rc)
        rc = plan_open(&plan, state, path);
    for (int r = 0; r < state->study->count && !rc; r++)
        rc = stopped(state) ? TRAIN_INTERRUPTED : plan_row(state, r, plan, path);
    cJSON_Delete(plan);
    return rc ? rc : some_row(state);
}
