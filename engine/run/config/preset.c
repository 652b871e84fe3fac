/* preset.c: published recipes as lists of settings.
 *
 * cifar-demo is the public CIFAR-10 recipe; moco-v1 (He et al. 2019) and moco-v2 (Chen et al. 2020)
 * are the ImageNet recipes, which ran on 8 devices of 32 images: bn-splits 8 stands for that;
 * instdisc-cifar is instance discrimination with NCE. The
 * key encoder follows from the method and is left alone. */
#include "engine/run/config/config.h"

#include <string.h>

#include "engine/base/error.h"

struct pair {
    const char *name, *text;
};

static const struct pair cifar_demo[] = {
    { "method", "moco" }, { "arch", "resnet18" }, { "width", "64" }, { "stem", "cifar" },
    { "side", "32" }, { "mlp", "off" }, { "moco-dim", "128" }, { "moco-k", "4096" },
    { "moco-m", "0.99" }, { "moco-t", "0.1" }, { "bn-splits", "8" }, { "shuffle-bn", "on" },
    { "symmetric", "off" }, { "mask", "off" },
    { "batch-size", "512" }, { "epochs", "200" }, { "lr", "0.06" }, { "momentum", "0.9" },
    { "wd", "5e-4" }, { "cos", "on" }, { "warmup", "0" },
    { "crop-min", "0.08" }, { "crop-max", "1" }, { "flip", "0.5" }, { "jitter", "0.8" },
    { "brightness", "0.4" }, { "contrast", "0.4" }, { "saturation", "0.4" }, { "hue", "0.1" },
    { "grey", "0.2" }, { "blur", "0" },
    { "mean", "0.4914,0.4822,0.4465" }, { "std", "0.2023,0.1994,0.2010" },
    { NULL, NULL },
};

static const struct pair moco_v1[] = {
    { "method", "moco" }, { "arch", "resnet50" }, { "width", "64" }, { "stem", "imagenet" },
    { "side", "224" }, { "mlp", "off" }, { "moco-dim", "128" }, { "moco-k", "65536" },
    { "moco-m", "0.999" }, { "moco-t", "0.07" }, { "bn-splits", "8" }, { "shuffle-bn", "on" },
    { "symmetric", "off" }, { "mask", "off" },
    { "batch-size", "256" }, { "epochs", "200" }, { "lr", "0.03" }, { "momentum", "0.9" },
    { "wd", "1e-4" }, { "cos", "off" }, { "schedule", "120,160" }, { "warmup", "0" },
    { "crop-min", "0.2" }, { "crop-max", "1" }, { "flip", "0.5" }, { "jitter", "1" },
    { "brightness", "0.4" }, { "contrast", "0.4" }, { "saturation", "0.4" }, { "hue", "0.4" },
    { "grey", "0.2" }, { "blur", "0" },
    { NULL, NULL },
};

/* What v2 changes in v1. */
static const struct pair moco_v2[] = {
    { "mlp", "on" }, { "moco-t", "0.2" }, { "cos", "on" }, { "jitter", "0.8" }, { "hue", "0.1" },
    { "blur", "0.5" }, { "blur-min", "0.1" }, { "blur-max", "2" },
    { NULL, NULL },
};

/* Wu, Xiong, Yu, Lin 2018, as their code runs on CIFAR-10. */
static const struct pair instdisc_cifar[] = {
    { "method", "memory-bank" }, { "arch", "resnet18" }, { "width", "64" }, { "stem", "cifar" },
    { "side", "32" }, { "mlp", "off" }, { "moco-dim", "128" }, { "moco-t", "0.1" },
    { "nce", "on" }, { "negatives", "4096" }, { "bank-momentum", "0.5" }, { "proximal", "0" },
    { "bn-splits", "1" }, { "shuffle-bn", "off" }, { "symmetric", "off" }, { "mask", "off" },
    { "batch-size", "128" }, { "epochs", "200" }, { "lr", "0.03" }, { "momentum", "0.9" },
    { "wd", "5e-4" }, { "cos", "off" }, { "schedule", "80,120,160" }, { "warmup", "0" },
    { "crop-min", "0.2" }, { "crop-max", "1" }, { "flip", "0.5" }, { "jitter", "1" },
    { "brightness", "0.4" }, { "contrast", "0.4" }, { "saturation", "0.4" }, { "hue", "0.4" },
    { "grey", "0.2" }, { "blur", "0" },
    { "mean", "0.4914,0.4822,0.4465" }, { "std", "0.2023,0.1994,0.2010" },
    { NULL, NULL },
};

static const struct preset {
    const char *name;
    const struct pair *lists[2];
} presets[] = {
    { "cifar-demo", { cifar_demo, NULL } },
    { "moco-v1", { moco_v1, NULL } },
    { "moco-v2", { moco_v1, moco_v2 } },
    { "instdisc-cifar", { instdisc_cifar, NULL } },
};

static int apply(struct config *config, const struct pair *list)
{
    int rc = MOCO_OK;
    for (; list && list->name && !rc; list++)
        rc = config_set(config, list->name, list->text, FROM_PRESET);
    return rc;
}

int config_preset(struct config *config, const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i].name, name))
            continue;
        int rc = config_set(config, "preset", name, FROM_PRESET);
        for (int j = 0; j < 2 && !rc; j++)
            rc = apply(config, presets[i].lists[j]);
        return rc;
    }
    return error_set(MOCO_EARG, "preset '%.64s' is not known: cifar-demo, moco-v1, moco-v2 and "
                     "instdisc-cifar are", name);
}
