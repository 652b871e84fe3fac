/* model.c: a trained encoder, ours or one of others, for the commands that judge or use one, and
 * what there is to say about its file. */
#include "engine/cli/cli.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/data/grey.h"
#include "engine/data/shape.h"

enum { EVAL_BATCH = 128 };

static int model_load(struct model *model, const struct moco_simd *simd)
{
    int rc = weights_info(&model->info, model->file);
    if (rc)
        return rc;
    struct net_config *net = &model->info.net;
    net->batch = EVAL_BATCH;
    net->bn_splits = 1;
    model->policy = (struct policy){.side = net->side, .channels = net->channels, .simd = simd};
    memcpy(model->policy.mean, model->info.mean, sizeof model->policy.mean);
    memcpy(model->policy.std, model->info.std, sizeof model->policy.std);
    rc = net_open(&model->net, net, simd);
    if (!rc)
        rc = encoder_open(&model->encoder, model->net, 0, NULL);
    if (!rc)
        rc = weights_load(&model->encoder, model->net, model->file, &model->info, WEIGHTS_ALL);
    return rc;
}

void cli_note_weights(const char *path, const struct weights_info *info)
{
    char prefix[WEIGHTS_NOTE], left_out[WEIGHTS_NOTE];
    weights_notes(prefix, left_out, path, info);
    if (prefix[0])
        fprintf(stderr, "moco: %s\n", prefix);
    if (left_out[0])
        fprintf(stderr, "moco: %s\n", left_out);
}

int model_open(struct model *model, const char *path, const struct moco_simd *simd)
{
    char file[1200];
    memset(model, 0, sizeof *model);
    int rc = weights_path(file, sizeof file, path, "weights.safetensors",
                          "checkpoint.safetensors");
    if (!rc)
        rc = safetensors_open(&model->file, file);
    if (!rc)
        rc = model_load(model, simd);
    if (!rc)
        cli_note_weights(file, &model->info);
    if (!rc && !safetensors_meta(model->file, "mean"))
        fprintf(stderr, "moco: %s tells no mean and std: images are taken as they are\n", file);
    if (rc)
        model_close(model);
    return rc;
}

void model_close(struct model *model)
{
    if (model->net)
        encoder_close(&model->encoder);
    net_close(&model->net);
    if (model->file)
        safetensors_close(&model->file);
    memset(model, 0, sizeof *model);
}

int model_check_feature(const struct model *model, const char *feature)
{
    if (strcmp(feature, "head") || model->info.net.head != HEAD_NONE)
        return MOCO_OK;
    return error_set(MOCO_EARG, "%s has no head that moco knows, and --feature head asks for one: "
                     "give --feature backbone", safetensors_path(model->file));
}

/* ---- what it sees ---- */

static int see_channels(const struct policy *policy, const struct source *source)
{
    if (source->channels == policy->channels)
        return MOCO_OK;
    if (!grey_expands(source->channels, policy->channels))
        return error_set(MOCO_EARG, "images of %.300s have %d channels, the encoder takes %d",
                         source->where, source->channels, policy->channels);
    fprintf(stderr, "moco: %s is grey: it is taken as three equal channels\n", source->where);
    return MOCO_OK;
}

int model_see(struct policy *policy, const struct source *source)
{
    char text[500];
    struct shape shape;
    int rc = see_channels(policy, source);
    if (!rc)
        rc = shape_of(&shape, source);
    if (rc)
        return rc;
    shape_square(policy, &shape);
    shape_text(text, sizeof text, &shape, source);
    if (text[0])
        fprintf(stderr, "moco: %s; the encoder sees the whole image, scaled to %d x %d\n", text,
                policy->side, policy->side);
    return MOCO_OK;
}
