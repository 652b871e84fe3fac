/* checkpoint.c: the state of a run as safetensors: the list of its tensors, the counters beside
 * them, and whether a file was made with the settings of this run. */
#include "engine/run/saved/checkpoint.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/metadata.h"
#include "engine/run/saved/tensors.h"

enum { STATES_MAX = 16 };

/* The optimiser's arrays of one encoder: "u.NAME", and "v.NAME" where there are two. */
static void add_moments(struct tensor_list *list, const char *suffix, const struct net *net,
                        float *const moments[2])
{
    for (int i = 0; i < 2; i++) {
        char prefix[8];
        struct encoder view = { .params = moments[i] };
        struct tensor_parts parts = tensors_of_encoder(net);
        parts.stats = 0;
        snprintf(prefix, sizeof prefix, "%c%s.", "uv"[i], suffix);
        if (moments[i])
            tensors_add(list, prefix, net, &view, parts);
    }
}

static void add_state(struct tensor_list *list, const struct step *step)
{
    struct state_tensor s;
    const struct method *kind = step->config.kind;
    for (size_t i = 0; i < STATES_MAX && kind->state && kind->state(step->state, i, &s); i++) {
        struct tensor_item *item = &list->items[list->count++];
        snprintf(item->name, sizeof item->name, "%s", s.name);
        item->type = s.type == STATE_F32 ? ST_F32 : ST_I64;
        item->rank = s.rank;
        item->shape[0] = s.shape[0];
        item->shape[1] = s.shape[1];
        item->data = s.data;
    }
}

/* The parameters of the key branch that are its own; of a trained one all. */
static struct tensor_parts own_keys(const struct step *step)
{
    size_t n = net_key_count(step->net_k);
    if (step->config.key.kind == KEY_SHARED)
        return (struct tensor_parts){ n, n, 1 }; /* none */
    return (struct tensor_parts){ step_shared_count(step), n, 1 };
}

/* Everything that a step holds; the key branch only with the arrays that are its own. */
static int list_step(struct tensor_list *list, struct step *step)
{
    size_t count, count_k;
    enum key_encoder key = step->config.key.kind;
    (void)net_tensors(step->net, &count);
    (void)net_tensors(step->net_k, &count_k);
    int rc = tensors_open(list, 3 * (count + count_k) + STATES_MAX);
    if (rc)
        return rc;
    tensors_add(list, "q.", step->net, &step->q, tensors_of_encoder(step->net));
    if (key_has_branch(key) && key != KEY_SAME)
        tensors_add(list, "k.", step->net_k, &step->k, own_keys(step));
    add_moments(list, "", step->net, step->moments_q);
    add_moments(list, "k", step->net_k, step->moments_k);
    add_state(list, step);
    return MOCO_OK;
}

/* ---- counters ---- */

static int get_info(struct checkpoint_info *out, const struct st_file *file)
{
    uint64_t channels = 0;
    *out = (struct checkpoint_info){ 0 };
    int rc = meta_get_whole(&out->step, file, "step");
    if (!rc)
        rc = meta_get_whole(&out->images, file, "images");
    if (!rc)
        rc = meta_get_real(&out->loss_sum, file, "loss_sum");
    if (!rc)
        rc = meta_get_real(&out->top1_sum, file, "top1_sum");
    if (!rc)
        rc = meta_get_whole(&out->epoch_steps, file, "epoch_steps");
    if (!rc)
        rc = meta_get_whole(&out->log_bytes, file, "log_bytes");
    if (!rc)
        rc = meta_get_whole(&channels, file, "channels");
    if (!rc && safetensors_meta(file, "bad"))
        rc = meta_get_whole(&out->bad, file, "bad");
    if (!rc && safetensors_meta(file, "unjudged"))
        rc = meta_get_whole(&out->unjudged, file, "unjudged");
    out->channels = (int)channels;
    return rc;
}

/* ---- same settings? ---- */

/* A value as JSON text, cut to what a sentence bears. */
static void value_text(char *out, size_t size, const cJSON *item)
{
    char *text = item ? cJSON_PrintUnformatted(item) : NULL;
    snprintf(out, size, "%s", text ? text : "not set");
    cJSON_free(text);
}

#define OTHER_RUN \
    "give the same settings (--config with the config.json beside it) or another --out"

static int compare_fields(const cJSON *saved, const cJSON *now, const char *path)
{
    const cJSON *field;
    char there[80], here[80];
    cJSON_ArrayForEach(field, now) {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(saved, field->string);
        if (cJSON_Compare(field, other, 1))
            continue;
        value_text(there, sizeof there, other);
        value_text(here, sizeof here, field);
        return error_set(MOCO_EARG, "%s was made with %s %s, this run has %s: " OTHER_RUN, path,
                         field->string, there, here);
    }
    cJSON_ArrayForEach(field, saved) {
        if (cJSON_GetObjectItemCaseSensitive(now, field->string))
            continue;
        if (!config_setting(field->string))
            return error_set(MOCO_EVERSION, "%s was made with a setting %s, which this version of "
                             "moco has not", path, field->string);
        value_text(there, sizeof there, field);
        return error_set(MOCO_EARG, "%s was made with %s %s, this run has the default: " OTHER_RUN,
                         path, field->string, there);
    }
    return MOCO_OK;
}

static int compare_recipes(const struct st_file *file, const char *recipe)
{
    const char *path = safetensors_path(file), *text = safetensors_meta(file, "recipe");
    if (!text)
        return error_set(MOCO_EFORMAT, "%s has no recipe in its metadata: this is no checkpoint of "
                         "moco", path);
    cJSON *saved = cJSON_Parse(text), *now = cJSON_Parse(recipe);
    int rc = cJSON_IsObject(saved) && cJSON_IsObject(now)
                 ? compare_fields(saved, now, path)
                 : error_set(MOCO_EFORMAT, "%s: the recipe is no JSON object", path);
    cJSON_Delete(saved);
    cJSON_Delete(now);
    return rc;
}

/* ---- checkpoint ---- */

int checkpoint_save(const char *path, const struct step *step, const struct checkpoint_info *info,
                    const char *recipe)
{
    struct tensor_list list;
    struct step view = *step; /* the list could be read into too; here it is only written */
    struct meta *meta = calloc(1, sizeof *meta);
    if (!meta)
        return error_memory("metadata", sizeof *meta);
    recipe_text(meta->mean, sizeof meta->mean, recipe, "mean");
    recipe_text(meta->std, sizeof meta->std, recipe, "std");
    meta_encoder(meta, step->net, recipe);
    meta_whole(meta, "step", info->step);
    meta_whole(meta, "images", info->images);
    meta_real(meta, "loss_sum", info->loss_sum);
    meta_real(meta, "top1_sum", info->top1_sum);
    meta_whole(meta, "epoch_steps", info->epoch_steps);
    meta_whole(meta, "log_bytes", info->log_bytes);
    if (info->bad)
        meta_whole(meta, "bad", info->bad);
    if (info->unjudged)
        meta_whole(meta, "unjudged", info->unjudged);
    int rc = list_step(&list, &view);
    if (!rc)
        rc = tensors_write(&list, path, meta->rows, meta->count);
    tensors_close(&list);
    free(meta);
    return rc;
}

int checkpoint_load(const char *path, struct step *step, struct checkpoint_info *info,
                    const char *recipe)
{
    struct st_file *file;
    struct tensor_list list = { 0 };
    int rc = safetensors_open(&file, path);
    if (!rc)
        rc = compare_recipes(file, recipe);
    if (!rc)
        rc = get_info(info, file);
    if (!rc)
        rc = list_step(&list, step);
    if (!rc)
        rc = tensors_read(&list, file);
    if (!rc)
        step->count = info->step;
    tensors_close(&list);
    safetensors_close(&file);
    return rc;
}

int checkpoint_compare(const char *path, const char *recipe)
{
    struct st_file *file;
    int rc = safetensors_open(&file, path);
    if (!rc)
        rc = compare_recipes(file, recipe);
    safetensors_close(&file);
    return rc;
}

int checkpoint_setting(char *out, size_t size, const char *path, const char *name)
{
    struct st_file *file;
    int rc = safetensors_open(&file, path);
    if (rc)
        return rc;
    const char *recipe = safetensors_meta(file, "recipe");
    recipe_text(out, size, recipe ? recipe : "", name);
    safetensors_close(&file);
    return MOCO_OK;
}
