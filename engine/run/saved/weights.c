/* weights.c: the query network alone, as safetensors with torchvision's names, and the encoder of
 * such a file. */
#include "engine/run/saved/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/run/saved/metadata.h"
#include "engine/run/saved/tensors.h"

int weights_save(const char *path, const struct net *net, const struct encoder *q,
                 const float *mean, const float *std, const char *recipe)
{
    size_t count;
    struct tensor_list list;
    struct encoder view = *q;
    int channels = net_get_config(net)->channels;
    struct meta *meta = calloc(1, sizeof *meta);
    if (!meta)
        return error_memory("metadata", sizeof *meta);
    if (mean)
        meta_channels_text(meta->mean, sizeof meta->mean, mean, channels);
    if (std)
        meta_channels_text(meta->std, sizeof meta->std, std, channels);
    meta_encoder(meta, net, recipe);
    (void)net_tensors(net, &count);
    int rc = tensors_open(&list, count);
    if (!rc) {
        tensors_add(&list, "", net, &view, tensors_of_network(net));
        rc = tensors_write(&list, path, meta->rows, meta->count);
    }
    tensors_close(&list);
    free(meta);
    return rc;
}

/* The items' names are torchvision's; the file has others. */
static void rename_items(struct tensor_list *list, const struct foreign_encoder *encoder)
{
    for (size_t i = 0; i < list->count; i++) {
        char name[FOREIGN_NAME];
        foreign_name(name, encoder, list->items[i].name);
        memcpy(list->items[i].name, name, sizeof name);
    }
}

int weights_load(struct encoder *encoder, const struct net *net, const struct st_file *file,
                 const struct weights_info *info, enum weights_part part)
{
    size_t count;
    char what[80];
    struct tensor_list list;
    const struct net_config *c = net_get_config(net);
    struct tensor_parts parts = tensors_of_network(net);
    if (part == WEIGHTS_BACKBONE)
        parts.last = net_stage_count(net, "layer4"); /* the head stands behind it */
    (void)net_tensors(net, &count);
    snprintf(what, sizeof what, "%s of width %d for %d channels, %s head", c->arch, c->width,
             c->channels, part == WEIGHTS_BACKBONE ? "any" : net_head_name(c->head));
    int rc = tensors_open(&list, count);
    if (!rc) {
        tensors_add(&list, "", net, encoder, parts);
        rename_items(&list, &info->names.is);
        rc = tensors_read_weights(&list, file, &info->names.is, what);
    }
    tensors_close(&list);
    return rc;
}

int weights_path(char *out, size_t size, const char *path, const char *first, const char *second)
{
    struct stat st;
    snprintf(out, size, "%s", path);
    if (stat(path, &st) || !S_ISDIR(st.st_mode))
        return MOCO_OK;
    snprintf(out, size, "%s/%s", path, first);
    if (stat(out, &st) == 0)
        return MOCO_OK;
    snprintf(out, size, "%s/%s", path, second);
    return stat(out, &st) == 0
               ? MOCO_OK : error_set(MOCO_EIO, "the folder %s holds neither %s nor %s: no run "
                                     "trained there, or none came to its first checkpoint", path,
                                     first, second);
}
