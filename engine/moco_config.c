/* moco_config.c: the plain settings of moco.h as those of a step; see moco_config.h. */
#include "engine/moco_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/view/augment.h"
#include "engine/run/config/config.h"

/* As for training runs; also the largest width. */
enum { SIDE_MAX = 4096, DIM_MAX = 65536, BATCH_MAX = 1 << 20, THREADS_MAX = 4096 };

void moco_config_default(moco_config *config)
{
    if (!config)
        return;
    *config = (moco_config){
        .method = "moco", .arch = "resnet18", .stem = "cifar", .key_encoder = "momentum",
        .width = 64, .channels = 3, .side = 32, .batch = 512, .dim = 128, .queue = 4096,
        .bn_splits = 8, .shuffle_bn = 1, .temperature = 0.1f, .momentum_key = 0.99f,
        .momentum_sgd = 0.9f, .weight_decay = 5e-4f,
    };
}

/* The settings as text, through the table that training runs use. */
int moco_recipe(char **out, const moco_config *config)
{
    struct config full;
    config_default(&full);
    struct run_config *c = &full.value;
    snprintf(c->method, sizeof c->method, "%s", config->method);
    snprintf(c->arch, sizeof c->arch, "%s", config->arch);
    snprintf(c->stem, sizeof c->stem, "%s", config->stem);
    snprintf(c->key_encoder, sizeof c->key_encoder, "%s", config->key_encoder);
    c->width = config->width, c->side = config->side, c->batch = config->batch;
    c->accumulate = config->accumulate > 1 ? config->accumulate : 1;
    c->dim = config->dim, c->queue = config->queue, c->mlp = config->mlp;
    c->bn_splits = config->bn_splits, c->shuffle_bn = config->shuffle_bn;
    c->symmetric = config->symmetric, c->mask = config->mask;
    c->T = (double)config->temperature, c->m = (double)config->momentum_key;
    c->momentum = (double)config->momentum_sgd, c->wd = (double)config->weight_decay;
    c->seed = config->seed;
    snprintf(c->precision, sizeof c->precision, "%s", config->bf16 ? "bf16" : "fp32");
    *out = config_recipe(&full);
    return *out ? MOCO_OK : error_memory("the settings' text", 0);
}

/* Sizes whose products are no int any more. */
static int check_sizes(const moco_config *c)
{
    if (c->channels < 1 || c->channels > AUGMENT_CHANNELS_MAX)
        return error_set(MOCO_EARG, "channels is %d: 1 to %d are possible", c->channels,
                         AUGMENT_CHANNELS_MAX);
    if (c->batch < 1 || c->dim < 1 || c->queue < 0 || c->side < 1)
        return error_set(MOCO_EARG, "batch %d, dim %d, queue %d and side %d must be positive",
                         c->batch, c->dim, c->queue, c->side);
    if (c->width > SIDE_MAX || c->side > SIDE_MAX || c->dim > DIM_MAX || c->batch > BATCH_MAX)
        return error_set(MOCO_EARG, "width %d and side %d may be up to %d, dim %d up to %d, batch "
                         "%d up to %d", c->width, c->side, (int)SIDE_MAX, c->dim, (int)DIM_MAX,
                         c->batch, (int)BATCH_MAX);
    return MOCO_OK;
}

/* What would turn parameters or keys into NaN, or a thread count into none. */
static int check_numbers(const moco_config *c)
{
    double T = (double)c->temperature, m = (double)c->momentum_key;
    double momentum = (double)c->momentum_sgd, wd = (double)c->weight_decay;
    if (!(T > 0.0) || isinf(T))
        return error_set(MOCO_EARG, "temperature is %g: it must be above 0 and finite", T);
    if (!(m >= 0.0 && m <= 1.0) || !(momentum >= 0.0 && momentum <= 1.0))
        return error_set(MOCO_EARG, "momentum_key is %g and momentum_sgd %g: both must be from 0 "
                         "to 1", m, momentum);
    if (!(wd >= 0.0) || isinf(wd))
        return error_set(MOCO_EARG, "weight_decay is %g: it must be at least 0 and finite", wd);
    if (c->threads < 0 || c->threads > THREADS_MAX)
        return error_set(MOCO_EARG, "threads is %d: 0 to %d are possible", c->threads,
                         (int)THREADS_MAX);
    return MOCO_OK;
}

int moco_translate(struct step_config *out, const moco_config *config)
{
    if (!config->method || !config->arch || !config->stem || !config->key_encoder)
        return error_set(MOCO_EARG, "method, arch, stem and key_encoder must be given: "
                         "moco_config_default() sets them all");
    *out = (struct step_config){
        .net = {.head = config->mlp ? HEAD_MLP : HEAD_FC, .width = config->width,
                .channels = config->channels, .side = config->side, .batch = config->batch,
                .dim = config->dim, .bn_splits = config->bn_splits,
                .number = config->bf16 ? MOCO_BF16 : MOCO_FP32},
        .method = {.B = (size_t)config->batch, .D = (size_t)config->dim,
                   .K = (size_t)config->queue, .T = config->temperature, .mask = config->mask,
                   .symmetric = config->symmetric, .seed = config->seed},
        .kind = method_named(config->method), .accumulate = config->accumulate,
        .shuffle = config->shuffle_bn,
        .optimiser = {.momentum = config->momentum_sgd, .weight_decay = config->weight_decay},
        .seed = config->seed,
    };
    snprintf(out->net.arch, sizeof out->net.arch, "%s", config->arch);
    if (!out->kind)
        return MOCO_EARG;
    if (out->kind != &method_moco && out->kind != &method_end_to_end)
        return error_set(MOCO_EUNSUPPORTED, "method %s has settings that this interface does not "
                         "carry: moco and end-to-end are possible", config->method);
    if (!strcmp(config->stem, "imagenet"))
        out->net.stem = STEM_IMAGENET;
    else if (strcmp(config->stem, "cifar"))
        return error_set(MOCO_EARG, "stem '%s' is not known: cifar or imagenet", config->stem);
    int rc = check_sizes(config);
    if (!rc)
        rc = check_numbers(config);
    return rc ? rc : key_choice_named(&out->key, config->key_encoder);
}
