/* config_check.c: which settings can not be, and the settings as the stages want them.
 *
 * A range per number, then the combinations; each refusal is one sentence with the values and what
 * to do. Lists (mean, std, schedule) are read here, strictly. */
#include "engine/run/config/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/order.h"
#include "engine/step.h"

static const struct range {
    const char *name;
    double lo, hi;
    int above; /* lo itself is out, and what a float would make of it */
} ranges[] = {
    { "width", 1, 4096, 0 },      { "side", 4, 4096, 0 },      { "moco-dim", 1, 65536, 0 },
    { "moco-k", 1, 1 << 30, 0 },  { "moco-m", 0, 1, 0 },       { "moco-t", 0, 1e6, 1 },
    { "bn-splits", 1, 65536, 0 }, { "epochs", 1, 1e6, 0 },     { "batch-size", 1, 1 << 20, 0 },
    { "lr", 0, 1e6, 0 },          { "wd", 0, 1e6, 0 },         { "momentum", 0, 1, 0 },
    { "warmup", 0, 1e6, 0 },      { "crop-min", 0, 1, 1 },     { "crop-max", 0, 1, 1 },
    { "flip", 0, 1, 0 },          { "jitter", 0, 1, 0 },       { "brightness", 0, 100, 0 },
    { "contrast", 0, 100, 0 },    { "saturation", 0, 100, 0 }, { "hue", 0, 0.5, 0 },
    { "grey", 0, 1, 0 },          { "blur", 0, 1, 0 },         { "blur-min", 0, 1000, 1 },
    { "blur-max", 0, 1000, 1 },   { "knn-every", 0, 1e6, 0 },  { "knn-k", 1, 1 << 30, 0 },
    { "knn-t", 0, 1e6, 1 },       { "threads", 0, 4096, 0 },   { "workers", 0, 4096, 0 },
    { "checkpoint-every", 0, 1 << 30, 0 },                     { "accumulate", 1, 1 << 20, 0 },
    { "flip-vertical", 0, 1, 0 }, { "rotate", 0, 180, 0 },     { "solarize", 0, 1, 0 },
    { "solarize-threshold", -1e6, 1e6, 0 },                    { "noise", 0, 1e6, 0 },
    { "poisson", 0, 1e12, 0 },    { "channel-drop", 0, 1, 0 },
    { "moco-mlp-dim", 1, 65536, 0 },                           { "negatives", 1, 1 << 24, 0 },
    { "bank-momentum", 0, 1, 0 }, { "proximal", 0, 1e6, 0 },   { "margin", 0, 1e6, 1 },
    { "consistency", 0, 1e6, 0 }, { "trust", 0, 1e6, 1 },      { "labels-fraction", 0, 1, 1 },
    { "beta1", 0, 0.999999, 0 },  { "beta2", 0, 0.999999, 0 }, { "eps", 0, 1, 1 },
    { "max-bad", 0, 1, 0 },       { "max-missing", 0, 1, 0 },
    { "labels-per-batch", 0, 1 << 20, 0 },
    { "shuffle-window", ORDER_WINDOW_MIN, ORDER_WINDOW_MAX, 0 },
};

static int check_ranges(const struct config *config)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const struct range *r = &ranges[i];
        const struct setting *row = config_setting(r->name);
        const void *field = (const char *)&config->value + row->offset;
        double value = row->type == SETTING_INT ? *(const int *)field : *(const double *)field;
        if (!(value >= r->lo && value <= r->hi) || (r->above && (float)value == (float)r->lo))
            return error_set(MOCO_EARG, "%s is %.10g: it must be %s %g and at most %.10g", r->name,
                             value, r->above ? "above" : "at least", r->lo, r->hi);
    }
    return MOCO_OK;
}

/* One of the words in `known`, which are separated by spaces. */
static int check_word(const char *name, const char *value, const char *known)
{
    size_t length = strchr(value, ' ') ? 0 : strlen(value);
    for (const char *p = known; length && (p = strstr(p, value)); p += length)
        if ((p == known || p[-1] == ' ') && (p[length] == ' ' || !p[length]))
            return MOCO_OK;
    return error_set(MOCO_EARG, "%s '%s' is not known: one of %s", name, value, known);
}

static const char archs[] = "resnet18 resnet34 resnet50 resnet101";

static int check_words(const struct run_config *c)
{
    struct key_choice key;
    enum optimiser_kind optimiser;
    int rc = method_named(c->method) ? MOCO_OK : MOCO_EARG;
    if (!rc)
        rc = key_choice_named(&key, c->key_encoder);
    if (!rc && key.arch[0])
        rc = check_word("key-encoder separate:", key.arch, archs);
    if (!rc)
        rc = optimiser_named(&optimiser, c->optimiser);
    if (!rc)
        rc = check_word("positive-by", c->positive_by, "name index");
    if (!rc)
        rc = check_word("nce-z", c->nce_z, "first running");
    if (!rc)
        rc = check_word("arch", c->arch, archs);
    if (!rc)
        rc = check_word("stem", c->stem, "cifar imagenet");
    if (!rc)
        rc = check_word("feature", c->feature, "head backbone");
    if (!rc)
        rc = check_word("conv", c->conv, "auto onednn own");
    if (!rc)
        rc = check_word("precision", c->precision, "fp32 bf16");
    if (!rc)
        rc = check_word("rotate-fill", c->rotate_fill, "zero reflect");
    return rc;
}

/* The next number of a comma-separated list; 0 when `*at` does not stand on one. */
static int next_number(const char **at, double *out)
{
    char *end;
    *out = strtod(*at, &end);
    if (end == *at || !isfinite(*out) || (*end && *end != ',') || (*end && !end[1]))
        return 0;
    *at = *end ? end + 1 : end;
    return 1;
}

/* out: (channels); a single number stands for all. */
static int read_channels(float *out, const char *name, const char *text, int channels)
{
    const char *at = text;
    int n = 0;
    while (*at) {
        double value;
        if (!next_number(&at, &value) || n == AUGMENT_CHANNELS_MAX)
            return error_set(MOCO_EARG, "%s takes up to %d numbers separated by commas, not "
                             "'%.64s'", name, (int)AUGMENT_CHANNELS_MAX, text);
        if (!strcmp(name, "std") && !((float)value > 0.0f))
            return error_set(MOCO_EARG, "std has a value of %g: views are divided by it", value);
        out[n++] = (float)value;
    }
    if (n == 1)
        for (; n < channels; n++)
            out[n] = out[0];
    if (n != channels && channels > 0)
        return error_set(MOCO_EARG, "%s has %d values, the images have %d channels: give --%s with "
                         "one value a channel", name, n, channels, name);
    return MOCO_OK;
}

static int read_milestones(struct schedule *out, const char *text)
{
    const char *at = text;
    out->milestone_count = 0;
    while (*at) {
        double value;
        int n = out->milestone_count;
        if (!next_number(&at, &value) || value < 1 || value > 1e6 || value != floor(value))
            return error_set(MOCO_EARG, "schedule takes epochs separated by commas (120,160), not "
                             "'%s'", text);
        if (n == SCHEDULE_MILESTONES_MAX || (n && value <= out->milestones[n - 1]))
            return error_set(MOCO_EARG, "schedule '%s' must be ascending and have at most %d "
                             "epochs", text, (int)SCHEDULE_MILESTONES_MAX);
        out->milestones[out->milestone_count++] = (int)value;
    }
    return MOCO_OK;
}

static int check_lists(const struct run_config *c)
{
    struct schedule schedule;
    float values[AUGMENT_CHANNELS_MAX];
    int rc = config_schedule(&schedule, c);
    if (!rc)
        rc = read_channels(values, "mean", c->mean, 0);
    if (!rc)
        rc = read_channels(values, "std", c->std, 0);
    return rc;
}

static int check_augmentation(const struct run_config *c)
{
    if (c->crop_lo > c->crop_hi)
        return error_set(MOCO_EARG, "crop-min %g is above crop-max %g", c->crop_lo, c->crop_hi);
    if (c->blur_lo > c->blur_hi)
        return error_set(MOCO_EARG, "blur-min %g is above blur-max %g", c->blur_lo, c->blur_hi);
    if (c->warmup > c->epochs)
        return error_set(MOCO_EARG, "warmup of %g epochs is longer than the run of %d", c->warmup,
                         c->epochs);
    return MOCO_OK;
}

static int check_accumulate(const struct run_config *c)
{
    if (c->accumulate > 1 && method_named(c->method)->whole_batch)
        return error_set(MOCO_EARG, "accumulate %d does not go with method %s: its negatives are "
                         "the batch, so micro-batches would train another method; give a smaller "
                         "--batch-size", c->accumulate, c->method);
    if (c->batch % c->accumulate)
        return error_set(MOCO_EARG, "batch-size %d is not a multiple of accumulate %d: every "
                         "micro-batch must have the same number of images", c->batch,
                         c->accumulate);
    if (c->batch / c->accumulate % c->bn_splits)
        return error_set(MOCO_EARG, "micro-batches of %d images (batch-size %d, accumulate %d) "
                         "are not a multiple of bn-splits %d: give a smaller --accumulate or "
                         "--bn-splits", c->batch / c->accumulate, c->batch, c->accumulate,
                         c->bn_splits);
    return MOCO_OK;
}

static int check_batch(const struct run_config *c, size_t count)
{
    int moco = !strcmp(c->method, "moco"), keys = c->batch * (c->symmetric ? 2 : 1);
    if (c->batch % c->bn_splits)
        return error_set(MOCO_EARG, "batch-size %d is not a multiple of bn-splits %d: every group "
                         "must have the same number of images", c->batch, c->bn_splits);
    if ((size_t)c->batch > count)
        return error_set(MOCO_EARG, "batch-size %d is larger than the data set of %zu images: give "
                         "a smaller --batch-size", c->batch, count);
    if (config_reads_labels(c) && c->labels_per_batch >= c->batch)
        return error_set(MOCO_EARG, "labels-per-batch %d leaves no room for other images in a "
                         "batch of %d: give a smaller one or a larger --batch-size",
                         c->labels_per_batch, c->batch);
    if (moco && keys > c->queue)
        return error_set(MOCO_EARG, "a step makes %d keys%s, the queue holds %d: give a larger "
                         "--moco-k or a smaller --batch-size", keys,
                         c->symmetric ? " (symmetric)" : "", c->queue);
    return MOCO_OK;
}

static int check_branches(const struct run_config *c)
{
    struct step_config step = { .kind = method_named(c->method), .shuffle = c->shuffle_bn,
                                .consistency = (float)c->consistency,
                                .method = { .symmetric = c->symmetric } };
    int rc = key_choice_named(&step.key, c->key_encoder);
    if (rc)
        return rc;
    if (c->shuffle_bn && c->bn_splits == 1)
        return error_set(MOCO_EARG, "shuffle-bn with bn-splits 1: with one group permuting the "
                         "keys changes nothing; give --bn-splits 2 or more, or --no-shuffle-bn");
    if (c->fill_first && strcmp(c->method, "moco"))
        return error_set(MOCO_EARG, "fill-first fills a queue, and method %s has none", c->method);
    return step_check_keys(&step);
}

int config_check_views(const struct config *config)
{
    const struct run_config *c = &config->value;
    int rc = check_words(c);
    if (!rc)
        rc = check_ranges(config);
    if (!rc)
        rc = check_lists(c);
    return rc ? rc : check_augmentation(c);
}

int config_check(const struct config *config, size_t count)
{
    const struct run_config *c = &config->value;
    int rc = config_check_views(config);
    if (!rc)
        rc = check_branches(c);
    if (!rc)
        rc = check_batch(c, count);
    return rc ? rc : check_accumulate(c);
}

/* ---- the parts ---- */

int config_policy(struct policy *out, const struct run_config *c, int channels)
{
    if (channels < 1 || channels > AUGMENT_CHANNELS_MAX)
        return error_set(MOCO_EARG, "the images have %d channels: 1 to %d are possible", channels,
                         (int)AUGMENT_CHANNELS_MAX);
    *out = (struct policy){
        .side = c->side, .channels = channels,
        .scale_lo = (float)c->crop_lo, .scale_hi = (float)c->crop_hi,
        .ratio_lo = 3.0f / 4.0f, .ratio_hi = 4.0f / 3.0f,
        .flip_p = (float)c->flip_p, .jitter_p = (float)c->jitter_p,
        .brightness = (float)c->brightness, .contrast = (float)c->contrast,
        .saturation = (float)c->saturation, .hue = (float)c->hue, .grey_p = (float)c->grey_p,
        .blur_p = (float)c->blur_p, .blur_lo = (float)c->blur_lo, .blur_hi = (float)c->blur_hi,
        .aliased = !c->antialias, .flip_vertical_p = (float)c->flip_vertical_p,
        .quarter_turns = c->rotate90, .rotate = (float)c->rotate,
        .rotate_reflect = !strcmp(c->rotate_fill, "reflect"), .per_channel = c->per_channel,
        .solarise_p = (float)c->solarise_p, .solarise_threshold = (float)c->solarise_threshold,
        .poisson = (float)c->poisson, .noise = (float)c->noise, .drop_p = (float)c->drop_p,
    };
    int rc = read_channels(out->mean, "mean", c->mean, channels);
    return rc ? rc : read_channels(out->std, "std", c->std, channels);
}

static enum conv_policy conv_named(const struct run_config *c)
{
    int own = strcmp(c->conv, "own") == 0;
    if (c->deterministic)
        return own ? CONV_OWN_DIRECT : CONV_DIRECT;
    return own ? CONV_OWN
           : strcmp(c->conv, "onednn") == 0 ? CONV_ONEDNN : CONV_AUTO;
}

int config_net(struct net_config *out, const struct run_config *c, int channels)
{
    int v3 = !strcmp(c->method, "moco-v3");
    *out = (struct net_config){
        .stem = strcmp(c->stem, "imagenet") ? STEM_CIFAR : STEM_IMAGENET,
        .head = v3 ? HEAD_V3 : c->mlp ? HEAD_MLP : HEAD_FC, .hidden = c->hidden, .predictor = v3,
        .width = c->width, .channels = channels,
        .side = c->side, .batch = c->batch, .dim = c->dim, .bn_splits = c->bn_splits,
        .conv = conv_named(c), .number = strcmp(c->precision, "bf16") ? MOCO_FP32 : MOCO_BF16,
    };
    snprintf(out->arch, sizeof out->arch, "%s", c->arch);
    return check_word("stem", c->stem, "cifar imagenet");
}

/* The CIFAR recipe counts epochs from 1 in its cosine, the official code (moco-v2) from 0. */
int config_schedule(struct schedule *out, const struct run_config *c)
{
    *out = (struct schedule){
        .lr = c->lr, .cosine = c->cosine, .epochs = c->epochs,
        .first = strncmp(c->preset, "moco-v", 6) != 0, .gamma = 0.1, .warmup = c->warmup,
    };
    return read_milestones(out, c->schedule);
}

int config_optimiser(struct optimiser *out, const struct run_config *c)
{
    *out = (struct optimiser){
        .weight_decay = (float)c->wd, .momentum = (float)c->momentum, .trust = (float)c->trust,
        .beta1 = (float)c->beta1, .beta2 = (float)c->beta2, .epsilon = (float)c->epsilon,
    };
    return optimiser_named(&out->kind, c->optimiser);
}

int config_reads_labels(const struct run_config *c)
{
    const struct method *kind = method_named(c->method);
    return kind && kind->labels && (kind != &method_margin || c->pairs_by_label);
}

void config_loader(struct loader_config *out, const struct run_config *c)
{
    *out = (struct loader_config){ .B = (size_t)c->batch, .parts = c->accumulate, .seed = c->seed,
                                   .workers = c->workers, .window = (size_t)c->shuffle_window };
    if (config_reads_labels(c))
        out->extra = (size_t)c->labels_per_batch;
}

void config_method(struct method_config *out, const struct run_config *c, size_t images,
                   size_t classes)
{
    *out = (struct method_config){
        .B = (size_t)c->batch, .D = (size_t)c->dim, .K = (size_t)c->queue, .T = (float)c->T,
        .mask = c->mask, .symmetric = c->symmetric, .seed = c->seed, .n = images,
        .bank = c->full_softmax ? BANK_FULL : c->sampled ? BANK_SAMPLED : BANK_NCE,
        .negatives = (size_t)c->negatives, .blend = (float)c->bank_momentum,
        .proximal = (float)c->proximal, .running_z = !strcmp(c->nce_z, "running"),
        .margin = (float)c->margin, .by_label = c->pairs_by_label, .normalise = c->normalise,
        .classes = classes,
    };
}
