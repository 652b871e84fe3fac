/* weights_info.c: which network a file holds, told by its tensors, and what it says beside them. */
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/metadata.h"
#include "engine/run/saved/weights.h"

enum { LEFT_OUT_NAMED = 3, DIM_MAX = 65536 };

static const struct st_tensor *find(const struct st_file *file, const struct weights_info *info,
                                    const char *name)
{
    return foreign_tensor(file, &info->names.is, name);
}

static int unknown(const struct st_file *file, const char *what)
{
    return error_set(MOCO_EFORMAT, "%s holds no ResNet that moco knows: %s", safetensors_path(file),
                     what);
}

/* The last block of a stage of which the file has anything: one tensor that is missing is told by
 * its name, when the encoder is loaded. */
static int count_blocks(const struct st_file *file, const struct weights_info *info, int stage)
{
    static const char *const leaves[] = { "conv1.weight", "bn1.weight", "conv2.weight",
                                          "bn2.weight", "bn1.running_mean" };
    enum { BLOCKS_MAX = 64 };
    char name[48];
    int count = 0;
    for (int block = 0; block < BLOCKS_MAX; block++)
        for (size_t i = 0; i < sizeof leaves / sizeof *leaves && count <= block; i++) {
            snprintf(name, sizeof name, "layer%d.%d.%s", stage, block, leaves[i]);
            if (find(file, info, name))
                count = block + 1;
        }
    return count;
}

static int find_arch(struct weights_info *out, const struct st_file *file)
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
    char what[200];
    int blocks[4], bottleneck = find(file, out, "layer1.0.conv3.weight") != NULL;
    for (int s = 0; s < 4; s++)
        blocks[s] = count_blocks(file, out, s + 1);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].bottleneck == bottleneck && !memcmp(known[i].blocks, blocks, sizeof blocks)) {
            snprintf(out->net.arch, sizeof out->net.arch, "%s", known[i].name);
            return MOCO_OK;
        }
    snprintf(what, sizeof what, "its stages have %d, %d, %d and %d %s blocks, which are not those "
             "of resnet18, resnet34, resnet50 or resnet101", blocks[0], blocks[1], blocks[2],
             blocks[3], bottleneck ? "bottleneck" : "basic");
    return unknown(file, what);
}

static int find_stem(struct weights_info *out, const struct st_file *file)
{
    struct net_config *net = &out->net;
    const struct st_tensor *t = find(file, out, "conv1.weight");
    if (!t || t->rank != 4 || t->shape[2] != t->shape[3] || (t->shape[2] != 3 && t->shape[2] != 7))
        return unknown(file, "conv1.weight is missing or neither 3x3 nor 7x7");
    if (t->shape[0] < 1 || t->shape[0] > 4096 || t->shape[1] < 1 ||
        t->shape[1] > AUGMENT_CHANNELS_MAX)
        return unknown(file, "conv1.weight has an impossible number of channels");
    net->stem = t->shape[2] == 3 ? STEM_CIFAR : STEM_IMAGENET;
    net->width = (int)t->shape[0];
    net->channels = (int)t->shape[1];
    net->side = net->stem == STEM_CIFAR ? 32 : 224; /* when the file does not say */
    return MOCO_OK;
}

/* ---- the head ---- */

/* fc's tensors but for counters; foreign files call other things fc too. */
static size_t count_head(const struct st_file *file, const struct foreign_encoder *encoder)
{
    char start[FOREIGN_NAME];
    size_t n = 0;
    foreign_name(start, encoder, "fc.");
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        n += !strncmp(name, start, strlen(start)) && !strstr(name, "num_batches_tracked");
    }
    return n;
}

/* A matrix (rows, columns), 0 rows for any; NULL where there is none. */
static const struct st_tensor *matrix(const struct st_file *file, const struct weights_info *info,
                                      const char *name, size_t rows, size_t columns)
{
    const struct st_tensor *t = find(file, info, name);
    return t && t->rank == 2 && t->shape[1] == columns && (!rows || t->shape[0] == rows) &&
                   t->shape[0] >= 1 && t->shape[0] <= DIM_MAX ? t : NULL;
}

static void find_head(struct weights_info *out, const struct st_file *file)
{
    struct net_config *net = &out->net;
    const struct st_tensor *inner, *last;
    size_t wide = (size_t)net->width * 8 * (find(file, out, "layer1.0.conv3.weight") ? 4 : 1);
    size_t n = out->names.is.naming == NAMED_TORCHVISION ? count_head(file, &out->names.is) : 0;
    net->head = HEAD_NONE;
    net->dim = (int)wide;
    if (n == 2 && (last = matrix(file, out, "fc.weight", 0, wide)) && find(file, out, "fc.bias")) {
        net->head = HEAD_FC;
        net->dim = (int)last->shape[0];
    } else if (n == 4 && matrix(file, out, "fc.0.weight", wide, wide) &&
               find(file, out, "fc.0.bias") && find(file, out, "fc.2.bias") &&
               (last = matrix(file, out, "fc.2.weight", 0, wide))) {
        net->head = HEAD_MLP;
        net->dim = (int)last->shape[0];
    } else if (n == 8 && (inner = matrix(file, out, "fc.0.weight", 0, wide)) &&
               find(file, out, "fc.1.running_mean") && find(file, out, "fc.4.running_mean") &&
               (last = matrix(file, out, "fc.3.weight", 0, inner->shape[0]))) {
        net->head = HEAD_V3;
        net->hidden = (int)inner->shape[0];
        net->dim = (int)last->shape[0];
    }
}

/* ---- what is beside ---- */

static int is_head(const struct weights_info *info, const char *name)
{
    char start[FOREIGN_NAME];
    foreign_name(start, &info->names.is, "fc.");
    return info->net.head != HEAD_NONE && !strncmp(name, start, strlen(start));
}

static void note_left_out(struct weights_info *out, const struct st_file *file)
{
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        size_t used = strlen(out->left_out);
        if (foreign_is_backbone(&out->names.is, name) || is_head(out, name) ||
            foreign_is_other(&out->names, name))
            continue;
        if (out->left_out_count++ < LEFT_OUT_NAMED)
            snprintf(out->left_out + used, sizeof out->left_out - used, "%s%.80s",
                     used ? ", " : "", name);
    }
}

static void note_others(struct weights_info *out)
{
    for (int i = 0; i < out->names.other_count; i++) {
        size_t used = strlen(out->prefixes);
        const char *prefix = out->names.others[i].prefix;
        snprintf(out->prefixes + used, sizeof out->prefixes - used, "%s%.120s", used ? ", " : "",
                 *prefix ? prefix : "(none)");
    }
}

static int read_side(struct weights_info *out, const struct st_file *file)
{
    uint64_t side;
    if (!out->own || !safetensors_meta(file, "side"))
        return MOCO_OK;
    int rc = meta_get_whole(&side, file, "side");
    if (!rc && (side < 4 || side > 4096))
        rc = unknown(file, "side is not between 4 and 4096");
    if (!rc)
        out->net.side = (int)side;
    return rc;
}

int weights_info(struct weights_info *out, const struct st_file *file)
{
    *out = (struct weights_info){ .net = { .bn_splits = 1 } };
    out->own = safetensors_meta(file, "moco.version") != NULL;
    for (int i = 0; i < AUGMENT_CHANNELS_MAX; i++)
        out->std[i] = 1.0f;
    int rc = foreign_find(&out->names, file);
    if (!rc)
        rc = find_stem(out, file);
    if (!rc)
        rc = find_arch(out, file);
    if (rc)
        return rc;
    find_head(out, file);
    note_others(out);
    note_left_out(out, file);
    rc = read_side(out, file);
    if (!rc)
        rc = meta_get_channels(out->mean, file, "mean", out->net.channels);
    return rc ? rc : meta_get_channels(out->std, file, "std", out->net.channels);
}

void weights_notes(char prefix[WEIGHTS_NOTE], char left_out[WEIGHTS_NOTE], const char *path,
                   const struct weights_info *info)
{
    const char *taken = info->names.is.prefix;
    prefix[0] = left_out[0] = '\0';
    if (!info->own && (*taken || info->prefixes[0]))
        snprintf(prefix, WEIGHTS_NOTE, "%.300s: the encoder behind the prefix %s is taken%s%s",
                 path, *taken ? taken : "(none)", info->prefixes[0] ? "; also there: " : "",
                 info->prefixes);
    if (!info->own && info->left_out_count)
        snprintf(left_out, WEIGHTS_NOTE, "%.300s: %zu other tensor%s not read: %s%s", path,
                 info->left_out_count, info->left_out_count == 1 ? " is" : "s are",
                 info->left_out, info->left_out_count > LEFT_OUT_NAMED ? " and so on" : "");
}
