/* weights.c: the query network alone, as safetensors with torchvision's names; and which network a
 * file holds, told by its tensors. */
#include "engine/run/saved/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    meta_channels_text(meta->mean, sizeof meta->mean, mean, channels);
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

int weights_load(struct encoder *encoder, const struct net *net, const struct st_file *file,
                 const char *prefix)
{
    size_t count;
    struct tensor_list list;
    (void)net_tensors(net, &count);
    int rc = tensors_open(&list, count);
    if (!rc) {
        tensors_add(&list, prefix, net, encoder, tensors_of_network(net));
        rc = tensors_read(&list, file, prefix, 1);
    }
    tensors_close(&list);
    return rc;
}

/* ---- which network is it? ---- */

static const struct st_tensor *find(const struct st_file *file, const char *prefix,
                                    const char *name)
{
    char full[TENSOR_NAME_SIZE];
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
        rc = meta_get_whole(&side, file, "side");
        if (!rc && (side < 4 || side > 4096))
            rc = unknown(file, "side is not between 4 and 4096");
        out->net.side = (int)side;
    }
    if (!rc)
        rc = meta_get_channels(out->mean, file, "mean", out->net.channels);
    return rc ? rc : meta_get_channels(out->std, file, "std", out->net.channels);
}
