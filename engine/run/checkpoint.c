/* checkpoint.c: the state of a run, and the query network alone, as safetensors.
 *
 * One list of (name, type, shape, memory) serves both directions: saving writes it, loading checks
 * the whole file against it before the first byte is copied, so a refused file changes nothing.
 * Metadata are texts: counters in decimal, floats with the digits that give them back, and what
 * describes the encoder, which both kinds of file share. */
#include "engine/run/checkpoint.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { NAME_SIZE = 72, META_SIZE = 4100, NUMBERS = 16, STATES_MAX = 16 };

/* ---- the list of tensors ---- */

struct item {
    char name[NAME_SIZE];
    enum st_type type;
    int rank;
    size_t shape[4];
    void *data; /* borrowed */
};

struct list {
    struct item *items; /* owned */
    size_t count, capacity;
};

static int list_open(struct list *list, size_t capacity)
{
    *list = (struct list){ .capacity = capacity };
    list->items = calloc(capacity, sizeof *list->items);
    return list->items ? MOCO_OK
                       : error_memory("a list of tensors", capacity * sizeof *list->items);
}

static void list_add(struct list *list, const char *prefix, const struct tensor *t,
                     enum st_type type, void *data)
{
    struct item *item = &list->items[list->count++];
    snprintf(item->name, sizeof item->name, "%s%s", prefix, t->name);
    item->type = type;
    item->rank = t->rank;
    memcpy(item->shape, t->shape, sizeof item->shape);
    item->data = data;
}

/* Which tensors of an encoder: parameters from `first` to before `last` (floats), and whether
 * statistics. */
struct parts {
    size_t first, last;
    int stats;
};

static struct parts everything(const struct net *net)
{
    return (struct parts){ 0, net_param_count(net), 1 };
}

/* What torchvision's network has: no predictor, no layer of the method. Those stand last. */
static struct parts network(const struct net *net)
{
    return (struct parts){ 0, net_key_count(net), 1 };
}

static void add_encoder(struct list *list, const char *prefix, const struct net *net,
                        struct encoder *encoder, struct parts parts)
{
    size_t count;
    const struct tensor *tensors = net_tensors(net, &count);
    for (size_t i = 0; i < count; i++) {
        const struct tensor *t = &tensors[i];
        if (t->kind == TENSOR_PARAM && t->offset >= parts.last)
            break;
        if (t->kind == TENSOR_PARAM && t->offset >= parts.first)
            list_add(list, prefix, t, ST_F32, encoder->params + t->offset);
        else if (t->kind == TENSOR_STAT && parts.stats)
            list_add(list, prefix, t, ST_F32, encoder->stats + t->offset);
        else if (t->kind == TENSOR_COUNT && parts.stats)
            list_add(list, prefix, t, ST_I64, &encoder->batches);
    }
}

/* The optimiser's arrays of one encoder: "u.NAME", and "v.NAME" where there are two. */
static void add_moments(struct list *list, const char *suffix, const struct net *net,
                        float *const moments[2])
{
    for (int i = 0; i < 2; i++) {
        char prefix[8];
        struct encoder view = { .params = moments[i] };
        struct parts parts = everything(net);
        parts.stats = 0;
        snprintf(prefix, sizeof prefix, "%c%s.", "uv"[i], suffix);
        if (moments[i])
            add_encoder(list, prefix, net, &view, parts);
    }
}

static void add_state(struct list *list, const struct step *step)
{
    struct state_tensor s;
    const struct method *kind = step->config.kind;
    for (size_t i = 0; i < STATES_MAX && kind->state && kind->state(step->state, i, &s); i++) {
        struct item *item = &list->items[list->count++];
        snprintf(item->name, sizeof item->name, "%s", s.name);
        item->type = s.type == STATE_F32 ? ST_F32 : ST_I64;
        item->rank = s.rank;
        item->shape[0] = s.shape[0];
        item->shape[1] = s.shape[1];
        item->data = s.data;
    }
}

/* The parameters of the key branch that are its own; of a trained one all. */
static struct parts own_keys(const struct step *step)
{
    size_t n = net_key_count(step->net_k);
    if (step->config.key.kind == KEY_SHARED)
        return (struct parts){ n, n, 1 }; /* none */
    return (struct parts){ step_shared_count(step), n, 1 };
}

/* Everything that a step holds; the key branch only with the arrays that are its own. */
static int list_step(struct list *list, struct step *step)
{
    size_t count, count_k;
    enum key_encoder key = step->config.key.kind;
    (void)net_tensors(step->net, &count);
    (void)net_tensors(step->net_k, &count_k);
    int rc = list_open(list, 3 * (count + count_k) + STATES_MAX);
    if (rc)
        return rc;
    add_encoder(list, "q.", step->net, &step->q, everything(step->net));
    if (key_has_branch(key) && key != KEY_SAME)
        add_encoder(list, "k.", step->net_k, &step->k, own_keys(step));
    add_moments(list, "", step->net, step->moments_q);
    add_moments(list, "k", step->net_k, step->moments_k);
    add_state(list, step);
    return MOCO_OK;
}

static int list_write(const struct list *list, const char *path, const struct st_meta *meta,
                      size_t meta_count)
{
    struct st_tensor *tensors = calloc(list->count, sizeof *tensors);
    if (!tensors)
        return error_memory("a list of tensors", list->count * sizeof *tensors);
    for (size_t i = 0; i < list->count; i++) {
        const struct item *item = &list->items[i];
        tensors[i] = (struct st_tensor){ .name = item->name, .type = item->type,
                                         .rank = item->rank, .data = item->data };
        memcpy(tensors[i].shape, item->shape, sizeof item->shape);
    }
    int rc = safetensors_write(path, tensors, list->count, meta, meta_count);
    free(tensors);
    return rc;
}

/* ---- reading the list ---- */

static void shape_text(char *out, size_t size, int rank, const size_t *shape)
{
    size_t used = (size_t)snprintf(out, size, "(");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%zu", i ? ", " : "", shape[i]);
    if (used < size)
        snprintf(out + used, size - used, ")");
}

static int check_item(const struct item *item, const struct st_tensor *t, const char *path)
{
    char here[96], there[96];
    if (!t)
        return error_set(MOCO_EFORMAT, "%s has no tensor %s: it holds another network", path,
                         item->name);
    shape_text(here, sizeof here, item->rank, item->shape);
    shape_text(there, sizeof there, t->rank, t->shape);
    if (strcmp(here, there))
        return error_set(MOCO_EFORMAT, "%s: tensor %s is %s, the network needs %s", path,
                         item->name, there, here);
    if (t->type != item->type)
        return error_set(MOCO_EFORMAT, "%s: tensor %s is not of type %s", path, item->name,
                         item->type == ST_F32 ? "F32" : "I64");
    return MOCO_OK;
}

static const struct item *list_find(const struct list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->items[i].name, name))
            return &list->items[i];
    return NULL;
}

/* Files of before 2018 lack num_batches_tracked, which training does not read. */
static int may_miss(const struct item *item)
{
    return item->type == ST_I64 && strstr(item->name, ".num_batches_tracked");
}

/* What a checkpoint's query network may have beside the network: see network(). */
static int is_beside(const char *name)
{
    static const char *const words[] = { "predictor.", "instance.", "classifier." };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(name, words[i], strlen(words[i])))
            return 1;
    return 0;
}

/* Every item has its tensor and every tensor that begins with `prefix` its item. */
static int list_check(const struct list *list, const struct st_file *file, const char *prefix,
                      int lenient)
{
    const char *path = safetensors_path(file);
    for (size_t i = 0; i < list->count; i++) {
        const struct st_tensor *t = safetensors_find(file, list->items[i].name);
        if (!t && lenient && may_miss(&list->items[i]))
            continue;
        int rc = check_item(&list->items[i], t, path);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        if (strncmp(name, prefix, strlen(prefix)) || list_find(list, name) ||
            (lenient && is_beside(name + strlen(prefix))))
            continue;
        return error_set(MOCO_EFORMAT, "%s has a tensor %.128s, which the network has not", path,
                         name);
    }
    return MOCO_OK;
}

/* Copies with memcpy(): a foreign file's data may be unaligned. */
static void list_copy(const struct list *list, const struct st_file *file)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct item *item = &list->items[i];
        const struct st_tensor *t = safetensors_find(file, item->name);
        size_t bytes = st_type_size(item->type);
        for (int d = 0; d < item->rank; d++)
            bytes *= item->shape[d];
        if (t && bytes)
            memcpy(item->data, t->data, bytes);
    }
}

static int list_read(const struct list *list, const struct st_file *file, const char *prefix,
                     int lenient)
{
    int rc = list_check(list, file, prefix, lenient);
    if (!rc)
        list_copy(list, file);
    return rc;
}

/* ---- metadata ---- */

struct meta {
    struct st_meta rows[32];
    size_t count;
    char numbers[NUMBERS][32]; /* texts of numbers in the rows */
    size_t used;
    char mean[META_SIZE], std[META_SIZE];
};

static void meta_text(struct meta *meta, const char *key, const char *value)
{
    meta->rows[meta->count++] = (struct st_meta){ key, value };
}

static char *meta_room(struct meta *meta, const char *key)
{
    char *room = meta->numbers[meta->used++];
    meta_text(meta, key, room);
    return room;
}

static void meta_whole(struct meta *meta, const char *key, uint64_t value)
{
    snprintf(meta_room(meta, key), sizeof meta->numbers[0], "%llu", (unsigned long long)value);
}

static void meta_real(struct meta *meta, const char *key, double value)
{
    snprintf(meta_room(meta, key), sizeof meta->numbers[0], "%.17g", value);
}

/* What weights_info() reads, in both kinds of file; mean and std have been filled in. */
static void meta_encoder(struct meta *meta, const struct net *net, const char *recipe)
{
    const struct net_config *c = net_get_config(net);
    meta_text(meta, "format", "pt");
    meta_text(meta, "moco.version", moco_version());
    meta_text(meta, "arch", c->arch);
    meta_text(meta, "stem", c->stem == STEM_CIFAR ? "cifar" : "imagenet");
    meta_text(meta, "head", net_head_name(c->head));
    meta_whole(meta, "width", (uint64_t)c->width);
    meta_whole(meta, "channels", (uint64_t)c->channels);
    meta_whole(meta, "side", (uint64_t)c->side);
    meta_whole(meta, "dim", (uint64_t)c->dim);
    meta_text(meta, "mean", meta->mean);
    meta_text(meta, "std", meta->std);
    meta_text(meta, "recipe", recipe);
}

static void channels_text(char *out, size_t size, const float *values, int channels)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < channels && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%.9g", i ? "," : "",
                                 (double)values[i]);
}

/* A text of the recipe, "" when it has none. */
static void recipe_text(char *out, size_t size, const char *recipe, const char *name)
{
    cJSON *object = cJSON_Parse(recipe);
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    snprintf(out, size, "%s", text ? text : "");
    cJSON_Delete(object);
}

static int get_whole(uint64_t *out, const struct st_file *file, const char *key)
{
    char *end;
    const char *text = safetensors_meta(file, key);
    errno = 0;
    *out = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text || *end || errno || strchr(text, '-'))
        return error_set(MOCO_EFORMAT, "%s: %s is '%.32s', no whole number: this is no checkpoint "
                         "of moco", safetensors_path(file), key, text ? text : "");
    return MOCO_OK;
}

static int get_real(double *out, const struct st_file *file, const char *key)
{
    char *end;
    const char *text = safetensors_meta(file, key);
    *out = text ? strtod(text, &end) : 0.0;
    if (!text || end == text || *end)
        return error_set(MOCO_EFORMAT, "%s: %s is '%.32s', no number: this is no checkpoint of "
                         "moco", safetensors_path(file), key, text ? text : "");
    return MOCO_OK;
}

static int get_info(struct checkpoint_info *out, const struct st_file *file)
{
    uint64_t channels = 0;
    *out = (struct checkpoint_info){ 0 };
    int rc = get_whole(&out->step, file, "step");
    if (!rc)
        rc = get_whole(&out->images, file, "images");
    if (!rc)
        rc = get_real(&out->loss_sum, file, "loss_sum");
    if (!rc)
        rc = get_real(&out->top1_sum, file, "top1_sum");
    if (!rc)
        rc = get_whole(&out->epoch_steps, file, "epoch_steps");
    if (!rc)
        rc = get_whole(&out->log_bytes, file, "log_bytes");
    if (!rc)
        rc = get_whole(&channels, file, "channels");
    if (!rc && safetensors_meta(file, "bad"))
        rc = get_whole(&out->bad, file, "bad");
    if (!rc && safetensors_meta(file, "unjudged"))
        rc = get_whole(&out->unjudged, file, "unjudged");
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
        return error_set(MOCO_EARG, "%s was made with %s %s, this run has %s: give the same "
                         "settings or another --out", path, field->string, there, here);
    }
    cJSON_ArrayForEach(field, saved) {
        if (cJSON_GetObjectItemCaseSensitive(now, field->string))
            continue;
        if (!config_setting(field->string))
            return error_set(MOCO_EVERSION, "%s was made with a setting %s, which this version of "
                             "moco has not", path, field->string);
        value_text(there, sizeof there, field);
        return error_set(MOCO_EARG, "%s was made with %s %s, this run has the default: give the "
                         "same settings or another --out", path, field->string, there);
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
    struct list list;
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
        rc = list_write(&list, path, meta->rows, meta->count);
    free(list.items);
    free(meta);
    return rc;
}

int checkpoint_load(const char *path, struct step *step, struct checkpoint_info *info,
                    const char *recipe)
{
    struct st_file *file;
    struct list list = { 0 };
    int rc = safetensors_open(&file, path);
    if (!rc)
        rc = compare_recipes(file, recipe);
    if (!rc)
        rc = get_info(info, file);
    if (!rc)
        rc = list_step(&list, step);
    if (!rc)
        rc = list_read(&list, file, "", 0);
    if (!rc)
        step->count = info->step;
    free(list.items);
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

/* ---- weights ---- */

int weights_save(const char *path, const struct net *net, const struct encoder *q,
                 const float *mean, const float *std, const char *recipe)
{
    size_t count;
    struct list list;
    struct encoder view = *q;
    int channels = net_get_config(net)->channels;
    struct meta *meta = calloc(1, sizeof *meta);
    if (!meta)
        return error_memory("metadata", sizeof *meta);
    channels_text(meta->mean, sizeof meta->mean, mean, channels);
    channels_text(meta->std, sizeof meta->std, std, channels);
    meta_encoder(meta, net, recipe);
    (void)net_tensors(net, &count);
    int rc = list_open(&list, count);
    if (!rc) {
        add_encoder(&list, "", net, &view, network(net));
        rc = list_write(&list, path, meta->rows, meta->count);
    }
    free(list.items);
    free(meta);
    return rc;
}

int weights_load(struct encoder *encoder, const struct net *net, const struct st_file *file,
                 const char *prefix)
{
    size_t count;
    struct list list;
    (void)net_tensors(net, &count);
    int rc = list_open(&list, count);
    if (!rc) {
        add_encoder(&list, prefix, net, encoder, network(net));
        rc = list_read(&list, file, prefix, 1);
    }
    free(list.items);
    return rc;
}

/* ---- which network is it? ---- */

static const struct st_tensor *find(const struct st_file *file, const char *prefix,
                                    const char *name)
{
    char full[NAME_SIZE];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return safetensors_find(file, full);
}

static int unknown(const struct st_file *file, const char *what)
{
    return error_set(MOCO_EFORMAT, "%s holds no ResNet that moco knows: %s", safetensors_path(file),
                     what);
}

static int find_arch(struct net_config *out, const struct st_file *file, const char *prefix)
{
    static const struct {
        const char *name;
        int bottleneck, blocks[4];
    } known[] = {
        { "resnet18", 0, { 2, 2, 2, 2 } },
        { "resnet34", 0, { 3, 4, 6, 3 } },
        { "resnet50", 1, { 3, 4, 6, 3 } },
        { "resnet101", 1, { 3, 4, 23, 3 } },
    };
    char name[40];
    int blocks[4], bottleneck = find(file, prefix, "layer1.0.conv3.weight") != NULL;
    for (int s = 0; s < 4; s++)
        for (blocks[s] = 0;; blocks[s]++) {
            snprintf(name, sizeof name, "layer%d.%d.conv1.weight", s + 1, blocks[s]);
            if (!find(file, prefix, name))
                break;
        }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].bottleneck == bottleneck && !memcmp(known[i].blocks, blocks, sizeof blocks)) {
            snprintf(out->arch, sizeof out->arch, "%s", known[i].name);
            return MOCO_OK;
        }
    return unknown(file, "its blocks are not those of resnet18, resnet34, resnet50 or resnet101");
}

static int find_stem(struct net_config *out, const struct st_file *file, const char *prefix)
{
    const struct st_tensor *t = find(file, prefix, "conv1.weight");
    if (!t || t->rank != 4 || (t->shape[2] != 3 && t->shape[2] != 7))
        return unknown(file, "conv1.weight is missing or neither 3x3 nor 7x7");
    if (t->shape[0] < 1 || t->shape[0] > 4096 || t->shape[1] < 1 ||
        t->shape[1] > AUGMENT_CHANNELS_MAX)
        return unknown(file, "conv1.weight has an impossible number of channels");
    out->stem = t->shape[2] == 3 ? STEM_CIFAR : STEM_IMAGENET;
    out->width = (int)t->shape[0];
    out->channels = (int)t->shape[1];
    out->side = out->stem == STEM_CIFAR ? 32 : 224; /* when the file does not say */
    return MOCO_OK;
}

static int find_head(struct net_config *out, const struct st_file *file, const char *prefix)
{
    const struct st_tensor *t = find(file, prefix, "fc.2.weight");
    const struct st_tensor *v3 = find(file, prefix, "fc.3.weight");
    out->head = t ? HEAD_MLP : v3 ? HEAD_V3 : HEAD_FC;
    if (v3 && v3->rank == 2 && v3->shape[1] >= 1 && v3->shape[1] <= 65536)
        out->hidden = (int)v3->shape[1];
    if (!t)
        t = v3 ? v3 : find(file, prefix, "fc.weight");
    if (!t || t->rank != 2 || t->shape[0] < 1 || t->shape[0] > 65536)
        return unknown(file, "fc.weight is missing or no matrix");
    out->dim = (int)t->shape[0];
    return MOCO_OK;
}

/* out: (channels) from comma-separated text; one number stands for all, none leaves `out`. */
static int get_channels(float *out, const struct st_file *file, const char *key, int channels)
{
    const char *text = safetensors_meta(file, key), *at = text;
    int n = 0;
    while (at && *at && n < channels) {
        char *end;
        out[n] = strtof(at, &end);
        if (end == at || (*end && *end != ',') || !isfinite(out[n]))
            break;
        at = *end ? end + 1 : end;
        n++;
    }
    if (n == 1 && !*at)
        for (; n < channels; n++)
            out[n] = out[0];
    if (at && (*at || (n && n != channels)))
        return error_set(MOCO_EFORMAT, "%s: %s '%.64s' has not one number for each of %d channels",
                         safetensors_path(file), key, text, channels);
    return MOCO_OK;
}

int weights_info(struct weights_info *out, const struct st_file *file)
{
    uint64_t side;
    const char *prefix = safetensors_find(file, "q.conv1.weight") ? "q." : "";
    *out = (struct weights_info){ .net = { .bn_splits = 1 } };
    for (int i = 0; i < AUGMENT_CHANNELS_MAX; i++)
        out->std[i] = 1.0f;
    int rc = find_stem(&out->net, file, prefix);
    if (!rc)
        rc = find_arch(&out->net, file, prefix);
    if (!rc)
        rc = find_head(&out->net, file, prefix);
    if (!rc && safetensors_meta(file, "side")) {
        rc = get_whole(&side, file, "side");
        if (!rc && (side < 4 || side > 4096))
            rc = unknown(file, "side is not between 4 and 4096");
        out->net.side = (int)side;
    }
    if (!rc)
        rc = get_channels(out->mean, file, "mean", out->net.channels);
    return rc ? rc : get_channels(out->std, file, "std", out->net.channels);
}
