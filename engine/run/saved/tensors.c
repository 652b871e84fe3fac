/* tensors.c: lists of tensors and the files that they are written to and read from; see
 * tensors.h. */
#include "engine/run/saved/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/tensors_fit.h"

int tensors_open(struct tensor_list *list, size_t capacity)
{
    *list = (struct tensor_list){ .capacity = capacity };
    list->items = calloc(capacity, sizeof *list->items);
    return list->items ? MOCO_OK
                       : error_memory("a list of tensors", capacity * sizeof *list->items);
}

void tensors_close(struct tensor_list *list)
{
    free(list->items);
    list->items = NULL;
}

static void list_add(struct tensor_list *list, const char *prefix, const struct tensor *t,
                     enum st_type type, void *data)
{
    struct tensor_item *item = &list->items[list->count++];
    snprintf(item->name, sizeof item->name, "%s%s", prefix, t->name);
    item->type = type;
    item->rank = t->rank;
    memcpy(item->shape, t->shape, sizeof item->shape);
    item->data = data;
}

struct tensor_parts tensors_of_encoder(const struct net *net)
{
    return (struct tensor_parts){ 0, net_param_count(net), 1 };
}

struct tensor_parts tensors_of_network(const struct net *net)
{
    return (struct tensor_parts){ 0, net_key_count(net), 1 };
}

void tensors_add(struct tensor_list *list, const char *prefix, const struct net *net,
                        struct encoder *encoder, struct tensor_parts parts)
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

int tensors_write(const struct tensor_list *list, const char *path, const struct st_meta *meta,
                      size_t meta_count)
{
    struct st_tensor *tensors = calloc(list->count, sizeof *tensors);
    if (!tensors)
        return error_memory("a list of tensors", list->count * sizeof *tensors);
    for (size_t i = 0; i < list->count; i++) {
        const struct tensor_item *item = &list->items[i];
        tensors[i] = (struct st_tensor){ .name = item->name, .type = item->type,
                                         .rank = item->rank, .data = item->data };
        memcpy(tensors[i].shape, item->shape, sizeof item->shape);
    }
    int rc = safetensors_write(path, tensors, list->count, meta, meta_count);
    free(tensors);
    return rc;
}

/* ---- reading the list ---- */

void tensors_shape(char *out, size_t size, int rank, const size_t *shape)
{
    size_t used = (size_t)snprintf(out, size, "(");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%zu", i ? ", " : "", shape[i]);
    if (used < size)
        snprintf(out + used, size - used, ")");
}

static int check_item(const struct tensor_item *item, const struct st_tensor *t, const char *path)
{
    char here[96], there[96];
    if (!t)
        return error_set(MOCO_EFORMAT, "%s has no tensor %s: it holds another network", path,
                         item->name);
    tensors_shape(here, sizeof here, item->rank, item->shape);
    tensors_shape(there, sizeof there, t->rank, t->shape);
    if (strcmp(here, there))
        return error_set(MOCO_EFORMAT, "%s: tensor %s is %s, the network needs %s", path,
                         item->name, there, here);
    if (t->type != item->type)
        return error_set(MOCO_EFORMAT, "%s: tensor %s is not of type %s", path, item->name,
                         item->type == ST_F32 ? "F32" : "I64");
    return MOCO_OK;
}

const struct tensor_item *tensors_find(const struct tensor_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->items[i].name, name))
            return &list->items[i];
    return NULL;
}

/* Every item has its tensor and every tensor its item. */
static int list_check(const struct tensor_list *list, const struct st_file *file)
{
    const char *path = safetensors_path(file);
    for (size_t i = 0; i < list->count; i++) {
        const struct st_tensor *t = safetensors_find(file, list->items[i].name);
        int rc = check_item(&list->items[i], t, path);
        if (!rc && (!strncmp(t->name, "q.", 2) || !strncmp(t->name, "k.", 2)))
            rc = tensors_check_numbers(t, path);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        if (!tensors_find(list, name))
            return error_set(MOCO_EFORMAT, "%s has a tensor %.128s, which the network has not",
                             path, name);
    }
    return MOCO_OK;
}

int tensors_read(const struct tensor_list *list, const struct st_file *file)
{
    int rc = list_check(list, file);
    for (size_t i = 0; i < list->count && !rc; i++) {
        const struct st_tensor *t = safetensors_find(file, list->items[i].name);
        size_t bytes = safetensors_bytes(t);
        if (bytes) /* a foreign file's data may be unaligned */
            memcpy(list->items[i].data, t->data, bytes);
    }
    return rc;
}
