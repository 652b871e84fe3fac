/* tensors_fit.c: whether a file's weights are those that a network needs, and taking them; see
 * tensors_read_weights() in tensors.h. */
#include "engine/run/saved/tensors_fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/run/saved/tensors.h"
#include "simd/bf16.h"

enum { NAMED_MAX = 3 }; /* tensors of a kind that a sentence names */

/* ---- numbers ---- */

static int is_float(enum st_type type)
{
    return type == ST_F32 || type == ST_F64 || type == ST_F16 || type == ST_BF16;
}

/* Element i, which may lie unaligned, as a float. */
static float float_at(const struct st_tensor *t, size_t i)
{
    const unsigned char *at = (const unsigned char *)t->data + i * st_type_size(t->type);
    uint16_t half;
    double wide;
    float value;
    switch (t->type) {
    case ST_F64:
        memcpy(&wide, at, sizeof wide);
        return (float)wide;
    case ST_F16:
        memcpy(&half, at, sizeof half);
        return half_widened(half);
    case ST_BF16:
        memcpy(&half, at, sizeof half);
        return bf16_widened(half);
    default:
        memcpy(&value, at, sizeof value);
        return value;
    }
}

int tensors_check_numbers(const struct st_tensor *t, const char *path)
{
    if (!is_float(t->type))
        return MOCO_OK;
    size_t n = safetensors_bytes(t) / st_type_size(t->type);
    int variance = strstr(t->name, "running_var") != NULL;
    for (size_t i = 0; i < n; i++) {
        float value = float_at(t, i);
        if (!isfinite(value))
            return error_set(MOCO_EFORMAT, "%s: tensor %s is not finite: its number %zu of %zu is "
                             "%g; an encoder with it gives features without meaning", path, t->name,
                             i + 1, n, (double)value);
        if (variance && value < 0.0f)
            return error_set(MOCO_EFORMAT, "%s: tensor %s has a variance of %g (number %zu of "
                             "%zu), which must not be below 0", path, t->name, (double)value,
                             i + 1, n);
    }
    return MOCO_OK;
}

static int64_t whole_at(const struct st_tensor *t)
{
    int64_t wide;
    int32_t narrow;
    if (t->type == ST_I32) {
        memcpy(&narrow, t->data, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, t->data, sizeof wide);
    return wide;
}

static void copy(const struct tensor_item *item, const struct st_tensor *t)
{
    size_t n = safetensors_bytes(t) / st_type_size(t->type);
    float *to = item->data;
    if (item->type == ST_I64)
        *(int64_t *)item->data = whole_at(t);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = float_at(t, i);
}

/* ---- names and shapes ---- */

/* A list of tensors for a sentence: the first few, then how many more. */
struct misfits {
    char text[420];
    size_t count;
};

static void misfit(struct misfits *list, const char *name, const char *shape)
{
    size_t used = strlen(list->text);
    if (list->count++ < NAMED_MAX)
        snprintf(list->text + used, sizeof list->text - used, "%s%.80s%s", used ? ", " : "", name,
                 shape);
}

static void put_misfits(char *out, size_t size, const struct misfits *list, const char *what)
{
    size_t used = strlen(out);
    if (!list->count)
        return;
    used += (size_t)snprintf(out + used, size - used, "; %s: %s", what, list->text);
    if (list->count > NAMED_MAX && used < size)
        snprintf(out + used, size - used, " and %zu more", list->count - NAMED_MAX);
}

/* Files of before 2018 lack num_batches_tracked, which training does not read. */
static int may_miss(const struct tensor_item *item)
{
    return item->type == ST_I64 && strstr(item->name, ".num_batches_tracked");
}

static int of_type(const struct tensor_item *item, const struct st_tensor *t)
{
    return item->type == ST_I64 ? t->type == ST_I64 || t->type == ST_I32 : is_float(t->type);
}

static void compare(struct misfits *missing, struct misfits *shapes, const struct tensor_item *item,
                    const struct st_tensor *t)
{
    char here[64], there[64], both[160];
    if (!t && !may_miss(item))
        misfit(missing, item->name, "");
    if (!t)
        return;
    tensors_shape(here, sizeof here, item->rank, item->shape);
    tensors_shape(there, sizeof there, t->rank, t->shape);
    if (of_type(item, t))
        snprintf(both, sizeof both, " is %s, not %s", there, here);
    else
        snprintf(both, sizeof both, " is of type %s", st_type_name(t->type));
    if (!of_type(item, t) || strcmp(here, there))
        misfit(shapes, item->name, both);
}

static int check_fit(const struct tensor_list *list, const struct st_file *file,
                     const struct foreign_encoder *encoder, const char *what)
{
    struct misfits missing = { .count = 0 }, shapes = { .count = 0 }, extra = { .count = 0 };
    char text[900] = "";
    for (size_t i = 0; i < list->count; i++)
        compare(&missing, &shapes, &list->items[i], safetensors_find(file, list->items[i].name));
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        if (foreign_is_backbone(encoder, name) && !tensors_find(list, name))
            misfit(&extra, name, "");
    }
    if (!missing.count && !shapes.count && !extra.count)
        return MOCO_OK;
    put_misfits(text, sizeof text, &missing, "missing");
    put_misfits(text, sizeof text, &shapes, "other than needed");
    put_misfits(text, sizeof text, &extra, "not in that network");
    return error_set(MOCO_EFORMAT, "%.200s does not fit %s%s", safetensors_path(file), what, text);
}

int tensors_read_weights(const struct tensor_list *list, const struct st_file *file,
                         const struct foreign_encoder *encoder, const char *what)
{
    int rc = check_fit(list, file, encoder, what);
    for (size_t i = 0; i < list->count && !rc; i++) {
        const struct st_tensor *t = safetensors_find(file, list->items[i].name);
        rc = t ? tensors_check_numbers(t, safetensors_path(file)) : MOCO_OK;
    }
    for (size_t i = 0; i < list->count && !rc; i++) {
        const struct st_tensor *t = safetensors_find(file, list->items[i].name);
        if (t)
            copy(&list->items[i], t);
    }
    return rc;
}
