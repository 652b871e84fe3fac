/* safetensors_read.c: the tensors that a header describes, each within the data. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/foreign_kind.h"
#include "engine/run/saved/safetensors_impl.h"

enum { HEADER_MAX = 100 << 20, RANK_MAX = 4 };

static int check_metadata(const struct st_file *f)
{
    const cJSON *item;
    if (f->metadata && !cJSON_IsObject(f->metadata))
        return error_set(MOCO_EFORMAT, "%s: __metadata__ is no JSON object", f->path);
    cJSON_ArrayForEach(item, f->metadata)
        if (!cJSON_IsString(item))
            return error_set(MOCO_EFORMAT, "%s: metadata %s is no text", f->path, item->string);
    return MOCO_OK;
}

int safetensors_read_header(struct st_file *f)
{
    uint64_t length = 0;
    const char *text = (const char *)f->map + PREFIX, *end = NULL;
    int rc = foreign_check_format(f->path, f->map, f->size);
    if (rc)
        return rc;
    for (int i = 0; i < PREFIX; i++)
        length |= (uint64_t)f->map[i] << (8 * i);
    if (length > f->size - PREFIX)
        return error_set(MOCO_EFORMAT, "%s is cut short or no safetensors file: its header claims "
                         "%llu bytes, the file has %zu", f->path, (unsigned long long)length,
                         f->size);
    if (length > HEADER_MAX)
        return error_set(MOCO_EFORMAT, "%s: a header of %llu bytes is above the limit of 100 MiB",
                         f->path, (unsigned long long)length);
    f->header = (size_t)length;
    f->data_size = f->size - PREFIX - f->header;
    f->root = cJSON_ParseWithLengthOpts(text, f->header, &end, 0);
    while (f->root && end < text + f->header && (*end == ' ' || *end == '\0'))
        end++;
    if (!f->root || !cJSON_IsObject(f->root) || end != text + f->header)
        return error_set(MOCO_EFORMAT, "%s: the header is no JSON object (byte %zu)", f->path,
                         end ? (size_t)(end - text) + PREFIX : (size_t)PREFIX);
    f->metadata = cJSON_GetObjectItemCaseSensitive(f->root, "__metadata__");
    return check_metadata(f);
}

/* A whole number from 0 that a double holds exactly. */
static int whole(const cJSON *item, size_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 0x1p53 ||
        item->valuedouble != (double)(uint64_t)item->valuedouble)
        return 0;
    *out = (size_t)item->valuedouble;
    return 1;
}

static int read_type(const struct st_file *f, struct st_tensor *t, const cJSON *item)
{
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    if (!cJSON_IsString(dtype))
        return error_set(MOCO_EFORMAT, "%s: tensor %s has no dtype", f->path, t->name);
    for (int i = 0; i < ST_TYPES; i++)
        if (!strcmp(dtype->valuestring, st_types[i].name)) {
            t->type = (enum st_type)i;
            return MOCO_OK;
        }
    return error_set(MOCO_EFORMAT, "%s: tensor %s has dtype %.32s, which is not known: floats of "
                     "8 to 64 bits, whole numbers and BOOL are", f->path, t->name,
                     dtype->valuestring);
}

static int read_shape(const struct st_file *f, struct st_tensor *t, const cJSON *item,
                      size_t *bytes)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape"), *dim;
    if (!cJSON_IsArray(shape))
        return error_set(MOCO_EFORMAT, "%s: tensor %s has no shape", f->path, t->name);
    *bytes = st_types[t->type].size;
    cJSON_ArrayForEach(dim, shape) {
        if (t->rank == RANK_MAX)
            return error_set(MOCO_EFORMAT, "%s: tensor %s has more than %d dimensions", f->path,
                             t->name, (int)RANK_MAX);
        if (!whole(dim, &t->shape[t->rank]) ||
            __builtin_mul_overflow(*bytes, t->shape[t->rank], bytes))
            return error_set(MOCO_EFORMAT, "%s: tensor %s has an impossible size in dimension %d",
                             f->path, t->name, t->rank);
        t->rank++;
    }
    return MOCO_OK;
}

static int read_offsets(const struct st_file *f, struct st_tensor *t, const cJSON *item,
                        size_t bytes)
{
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    size_t begin, end;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !whole(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !whole(cJSON_GetArrayItem(offsets, 1), &end))
        return error_set(MOCO_EFORMAT, "%s: tensor %s has no two data_offsets", f->path, t->name);
    if (begin > end || end > f->data_size)
        return error_set(MOCO_EFORMAT, "%s: tensor %s lies at bytes %zu to %zu of %zu: the file is "
                         "cut short or damaged", f->path, t->name, begin, end, f->data_size);
    if (end - begin != bytes)
        return error_set(MOCO_EFORMAT, "%s: tensor %s has %zu bytes, its shape asks for %zu",
                         f->path, t->name, end - begin, bytes);
    t->data = f->map + PREFIX + f->header + begin;
    return MOCO_OK;
}

int safetensors_read_tensors(struct st_file *f)
{
    const cJSON *item;
    f->tensors = calloc((size_t)cJSON_GetArraySize(f->root) + 1, sizeof *f->tensors);
    if (!f->tensors)
        return error_memory("a list of tensors", sizeof *f->tensors);
    cJSON_ArrayForEach(item, f->root) {
        struct st_tensor *t = &f->tensors[f->count];
        size_t bytes = 0;
        if (item == f->metadata)
            continue;
        t->name = item->string;
        int rc = read_type(f, t, item);
        if (!rc)
            rc = read_shape(f, t, item, &bytes);
        if (!rc)
            rc = read_offsets(f, t, item, bytes);
        if (rc)
            return rc;
        f->count++;
    }
    return MOCO_OK;
}
