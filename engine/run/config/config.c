/* config.c: the table of settings, and setting one of them from text; see config.h.
 *
 * Everything that names a setting goes through the table: flags, files, presets, the printed list,
 * config.json and the recipe. Some settings pull others along, unless those were set by something
 * stronger: cos and schedule exclude each other, so do the losses of the memory bank, and ShuffleBN
 * is off where it can do nothing. */
#include "engine/run/config/config.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/words.h"
#include "engine/data/order.h"

#define FIELD(field) \
    offsetof(struct run_config, field), sizeof(((struct run_config *)0)->field)
#define INT(name, field, saved, help) { name, SETTING_INT, FIELD(field), saved, NULL, help }
#define SWITCH(name, field, saved, help) { name, SETTING_SWITCH, FIELD(field), saved, NULL, help }
#define DOUBLE(name, field, saved, help) { name, SETTING_DOUBLE, FIELD(field), saved, NULL, help }
#define TEXT(name, field, saved, help) { name, SETTING_TEXT, FIELD(field), saved, NULL, help }
#define PATH(name, field, what, help) { name, SETTING_TEXT, FIELD(field), 0, what, help }

static const struct setting rows[] = {
    PATH("out", out, "DIR", "folder of the run"),
    PATH("init", init, "FILE",
         "weights that training starts from, or the folder of a run: its backbone, and its head "
         "where that fits; arch, width and stem follow from it"),
    PATH("positive", positive, "DATA",
         "data whose images are the other views of those that have their names"),
    TEXT("positive-by", positive_by, 0,
         "images of a pair have the same `name` but for its ending, or the same `index`"),
    TEXT("preset", preset, 1, "`cifar-demo`, `moco-v1`, `moco-v2` or `instdisc-cifar`"),
    TEXT("method", method, 1,
         "`moco`, `moco-v3`, `memory-bank`, `end-to-end`, `parametric`, `margin` or "
         "`semi-supervised`"),
    TEXT("key-encoder", key_encoder, 1,
         "`momentum`, `shared`, `partial:`STAGE; `same`, `separate`[:ARCH] where keys are trained"),
    TEXT("arch", arch, 1, "`resnet18`, `resnet34`, `resnet50` or `resnet101`"),
    INT("width", width, 1, "planes of the first stage; 64 is the published width"),
    TEXT("stem", stem, 1, "`cifar` (3x3, stride 1) or `imagenet` (7x7, stride 2, max-pool)"),
    INT("side", side, 1, "height and width of the views, in pixels"),
    INT("moco-dim", dim, 1, "size of the embedding"),
    INT("moco-k", queue, 1, "keys in the queue"),
    DOUBLE("moco-m", m, 1, "momentum of the key encoder"),
    DOUBLE("moco-t", T, 1, "softmax temperature"),
    SWITCH("mlp", mlp, 1, "two-layer head (MoCo v2)"),
    SWITCH("symmetric", symmetric, 1, "loss in both directions"),
    SWITCH("mask", mask, 1, "leave out unfilled slots and keys of the query's own image"),
    SWITCH("fill-first", fill_first, SAVED_IF_OTHER,
           "fill the queue with keys before the first step"),
    SWITCH("moco-m-cos", m_cosine, SAVED_IF_OTHER, "the momentum rises to 1 by half a cosine"),
    INT("moco-mlp-dim", hidden, SAVED_IF_OTHER,
        "columns inside projector and predictor of moco-v3"),
    SWITCH("nce", nce, SAVED_IF_OTHER, "memory bank: noise-contrastive estimation"),
    SWITCH("sampled", sampled, SAVED_IF_OTHER, "memory bank: softmax over sampled rows"),
    SWITCH("full-softmax", full_softmax, SAVED_IF_OTHER, "memory bank: softmax over all rows"),
    INT("negatives", negatives, SAVED_IF_OTHER, "rows drawn from the memory bank for each sample"),
    TEXT("nce-z", nce_z, SAVED_IF_OTHER,
         "NCE's Z: that of the first batch, held (`first`), or a running average (`running`)"),
    DOUBLE("bank-momentum", bank_momentum, SAVED_IF_OTHER,
           "share of the old row in the bank's new one"),
    DOUBLE("proximal", proximal, SAVED_IF_OTHER, "weight of the distance to the bank's own row"),
    DOUBLE("margin", margin, SAVED_IF_OTHER, "distance that different pairs should have"),
    SWITCH("pairs-by-label", pairs_by_label, SAVED_IF_OTHER,
           "margin: a pair is the same by its class, not by its image"),
    SWITCH("normalise", normalise, SAVED_IF_OTHER, "margin: distances between unit features"),
    DOUBLE("consistency", consistency, SAVED_IF_OTHER,
           "weight of the distance between the features of two views"),
    DOUBLE("labels-fraction", labels_fraction, SAVED_IF_OTHER,
           "share of each class whose labels training may see"),
    INT("labels-per-batch", labels_per_batch, SAVED_IF_OTHER,
        "images of a batch drawn from the labelled ones alone; 0: labels come as they come"),
    INT("bn-splits", bn_splits, 1, "groups of the batch with BN statistics of their own"),
    SWITCH("shuffle-bn", shuffle_bn, 1, "keys are shuffled between the groups"),
    INT("epochs", epochs, 1, "passes over the data"),
    INT("batch-size", batch, 1, "images in a step"),
    INT("accumulate", accumulate, SAVED_IF_OTHER,
        "micro-batches of a step; memory holds the activations of one"),
    DOUBLE("lr", lr, 1, "base learning rate"),
    DOUBLE("wd", wd, 1, "weight decay, of all parameters"),
    DOUBLE("momentum", momentum, 1, "of SGD and LARS"),
    TEXT("optimizer", optimiser, SAVED_IF_OTHER, "`sgd`, `lars` or `adamw`"),
    DOUBLE("trust", trust, SAVED_IF_OTHER, "LARS: step of a matrix as a share of its norm"),
    DOUBLE("beta1", beta1, SAVED_IF_OTHER, "of AdamW"),
    DOUBLE("beta2", beta2, SAVED_IF_OTHER, "of AdamW"),
    DOUBLE("eps", epsilon, SAVED_IF_OTHER, "of AdamW"),
    SWITCH("cos", cosine, 1, "cosine learning rate"),
    TEXT("schedule", schedule, 1, "epochs before which the rate falls to a tenth: 120,160"),
    DOUBLE("warmup", warmup, 1, "epochs of linear rise of the learning rate"),
    DOUBLE("crop-min", crop_lo, 1, "smallest share of the image in a random crop"),
    DOUBLE("crop-max", crop_hi, 1, "largest share"),
    DOUBLE("flip", flip_p, 1, "probability of a horizontal flip"),
    DOUBLE("jitter", jitter_p, 1, "probability of colour jitter"),
    DOUBLE("brightness", brightness, 1, "strength of the jitter"),
    DOUBLE("contrast", contrast, 1, "the same"),
    DOUBLE("saturation", saturation, 1, "the same"),
    DOUBLE("hue", hue, 1, "the same, at most 0.5"),
    DOUBLE("grey", grey_p, 1, "probability of a grey view"),
    DOUBLE("blur", blur_p, 1, "probability of a Gaussian blur"),
    DOUBLE("blur-min", blur_lo, 1, "smallest sigma in pixels"),
    DOUBLE("blur-max", blur_hi, 1, "largest sigma"),
    SWITCH("antialias", antialias, SAVED_IF_OTHER, "a crop that shrinks is smoothed first"),
    DOUBLE("flip-vertical", flip_vertical_p, SAVED_IF_OTHER, "probability of a vertical flip"),
    SWITCH("rotate90", rotate90, SAVED_IF_OTHER, "turned by 0, 90, 180 or 270 degrees"),
    DOUBLE("rotate", rotate, SAVED_IF_OTHER, "turned by up to so many degrees either way"),
    TEXT("rotate-fill", rotate_fill, SAVED_IF_OTHER,
         "what then lies outside: `zero`, or `reflect` (the mirror image)"),
    DOUBLE("solarize", solarise_p, SAVED_IF_OTHER, "probability of a solarised view"),
    DOUBLE("solarize-threshold", solarise_threshold, SAVED_IF_OTHER,
           "values from this one on are inverted, x -> 1 - x"),
    DOUBLE("poisson", poisson, SAVED_IF_OTHER,
           "shot noise: counts that a value of 1 stands for; 0: none"),
    DOUBLE("noise", noise, SAVED_IF_OTHER, "sigma of Gaussian noise, added without clamping"),
    DOUBLE("channel-drop", drop_p, SAVED_IF_OTHER,
           "probability of each channel to be set to its mean; one always stays"),
    SWITCH("per-channel", per_channel, SAVED_IF_OTHER,
           "channels are no colours: brightness, contrast of each, grey is their mean"),
    TEXT("mean", mean, 1, "of the channels: 0.49,0.48,0.45; measured when not given"),
    TEXT("std", std, 1, "of the channels; measured when not given"),
    PATH("knn-train", knn_train, "DATA", "labelled data that vote"),
    PATH("knn-test", knn_test, "DATA", "labelled data that are classified"),
    INT("knn-every", knn_every, 0, "epochs between kNN evaluations; 0: none"),
    INT("knn-k", knn_k, 0, "neighbours that vote"),
    DOUBLE("knn-t", knn_t, 0, "temperature of their weights"),
    TEXT("feature", feature, 0, "what kNN compares: `head` or `backbone`"),
    { "seed", SETTING_U64, FIELD(seed), 1, NULL, "of all random numbers" },
    INT("threads", threads, 0, "computing threads; 0: all that the process may use"),
    INT("workers", workers, 0,
        "threads that prepare images ahead; 0: the computing threads, between steps"),
    INT("shuffle-window", shuffle_window, SAVED_IF_OTHER,
        "images shuffled at a time; larger sets are shuffled in chunks, then in such windows"),
    DOUBLE("max-bad", max_bad, 0, "share of images that may be unreadable; more stop the run"),
    DOUBLE("max-missing", max_missing, SAVED_IF_OTHER,
           "share of an image that may be NaN or infinite and counts as the mean; more make it "
           "unreadable"),
    INT("checkpoint-every", checkpoint_every, 0, "steps between checkpoints; 0: once per epoch"),
    SWITCH("resume", resume, 0, "go on from the checkpoint in the run folder"),
    SWITCH("force", force, 0, "start also where memory seems too small or bf16 is slow"),
    SWITCH("json", json, 0, "progress as JSON lines on standard output"),
    SWITCH("profile", profile, 0, "print the time of each layer after some steps"),
    SWITCH("deterministic", deterministic, 1, "direct convolutions only; with --conv own the same "
           "bytes on any CPU and number of threads"),
    TEXT("conv", conv, 1, "who computes convolutions: `auto`, `onednn` or `own`"),
    TEXT("precision", precision, SAVED_IF_OTHER,
         "`fp32`, or `bf16`: activations of half the size; sums and weights stay fp32"),
    TEXT("simd", simd, 0, "kernels: `ref`, `avx2`, `avx512` or `neon`; the best when not given"),
    PATH("config", config, "FILE",
         "JSON file of settings, whose paths start at its folder; a run's config.json will do"),
};

enum { ROWS = sizeof rows / sizeof *rows };
_Static_assert(ROWS <= 128, "struct config has 128 origins");

const struct setting *config_settings(size_t *count)
{
    *count = ROWS;
    return rows;
}

const char *origin_name(enum origin origin)
{
    static const char *const names[] = { "default", "data", "weights", "preset", "file",
                                         "flag" };
    return names[origin];
}

void config_default(struct config *config)
{
    memset(config, 0, sizeof *config);
    config->value = (struct run_config){
        .method = "moco", .key_encoder = "momentum",
        .arch = "resnet18", .stem = "cifar", .width = 64, .dim = 128, .bn_splits = 8, .side = 32,
        .queue = 4096, .m = 0.99, .T = 0.1, .shuffle_bn = 1, .hidden = 4096,
        .nce = 1, .negatives = 4096, .nce_z = "first", .positive_by = "name",
        .bank_momentum = 0.5, .margin = 1.0,
        .labels_fraction = 1.0, .optimiser = "sgd", .trust = 0.001, .beta1 = 0.9, .beta2 = 0.999,
        .epsilon = 1e-8,
        .epochs = 200, .batch = 512, .accumulate = 1, .lr = 0.06, .wd = 5e-4, .momentum = 0.9,
        .cosine = 1,
        .crop_lo = 0.08, .crop_hi = 1.0, .flip_p = 0.5, .jitter_p = 0.8, .brightness = 0.4,
        .contrast = 0.4, .saturation = 0.4, .hue = 0.1, .grey_p = 0.2,
        .blur_lo = 0.1, .blur_hi = 2.0,
        .antialias = 1, .rotate_fill = "zero", .solarise_threshold = 0.5,
        .feature = "head", .knn_k = 200, .knn_t = 0.1, .seed = 1, .conv = "auto",
        .precision = "fp32", .shuffle_window = ORDER_WINDOW, .max_bad = 0.01,
    };
}

/* ---- finding a row ---- */

static const char *nearest(const char *name)
{
    const char *found = rows[0].name;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < ROWS; i++) {
        size_t d = word_distance(name, rows[i].name);
        if (d < best) {
            best = d;
            found = rows[i].name;
        }
    }
    return found;
}

const struct setting *config_setting(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static int find_row(const char *name, size_t *out)
{
    const struct setting *row = config_setting(name);
    *out = row ? (size_t)(row - rows) : 0;
    if (row)
        return MOCO_OK;
    return error_set(MOCO_EARG, "setting %.64s is not known; the nearest is %s", name,
                     nearest(name));
}

/* ---- reading a value ---- */

static int parse_int(const char *name, const char *text, int *out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < INT_MIN || value > INT_MAX)
        return error_set(MOCO_EARG, "%s takes a whole number up to %d, not '%.64s'", name, INT_MAX,
                         text);
    *out = (int)value;
    return MOCO_OK;
}

static int parse_u64(const char *name, const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end || errno || strchr(text, '-'))
        return error_set(MOCO_EARG, "%s takes a whole number from 0 to 18446744073709551615, not "
                         "'%.64s'", name, text);
    *out = value;
    return MOCO_OK;
}

static int parse_double(const char *name, const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return error_set(MOCO_EARG, "%s takes a number, not '%.64s'", name, text);
    *out = value;
    return MOCO_OK;
}

static int parse_switch(const char *name, const char *text, int *out)
{
    static const char *const words[] = { "0", "1", "false", "true", "off", "on", "no", "yes" };
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (!strcmp(text, words[i])) {
            *out = i % 2;
            return MOCO_OK;
        }
    return error_set(MOCO_EARG, "%s is on or off, not '%.64s'", name, text);
}

static int parse(const struct setting *row, void *field, const char *text)
{
    switch (row->type) {
    case SETTING_INT:
        return parse_int(row->name, text, field);
    case SETTING_U64:
        return parse_u64(row->name, text, field);
    case SETTING_DOUBLE:
        return parse_double(row->name, text, field);
    case SETTING_SWITCH:
        return parse_switch(row->name, text, field);
    default:
        break;
    }
    size_t length = strlen(text);
    if (length >= row->size)
        return error_set(MOCO_EARG, "%s has %zu characters: %zu are possible", row->name, length,
                         row->size - 1);
    memcpy(field, text, length + 1);
    return MOCO_OK;
}

/* ---- settings that pull others along ---- */

static enum origin *origin_of(struct config *config, const char *name)
{
    size_t i = 0;
    (void)find_row(name, &i);
    return &config->origin[i];
}

static void exclude(struct config *config, const char *name, enum origin origin)
{
    struct run_config *c = &config->value;
    if (!strcmp(name, "cos") && c->cosine && *origin_of(config, "schedule") <= origin) {
        c->schedule[0] = '\0';
        *origin_of(config, "schedule") = origin;
    }
    if (!strcmp(name, "schedule") && c->schedule[0] && *origin_of(config, "cos") <= origin) {
        c->cosine = 0;
        *origin_of(config, "cos") = origin;
    }
}

/* The memory bank has one loss: choosing one drops the others; without any it is NCE. */
static void choose_bank_loss(struct config *config, const char *name, enum origin origin)
{
    static const char *const names[] = { "nce", "sampled", "full-softmax" };
    struct run_config *c = &config->value;
    int *const chosen[] = { &c->nce, &c->sampled, &c->full_softmax };
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) || !*chosen[i])
            continue;
        for (int j = 0; j < 3; j++)
            if (j != i && *origin_of(config, names[j]) <= origin) {
                *chosen[j] = 0;
                *origin_of(config, names[j]) = origin;
            }
    }
}

/* One BN group, or no key branch without gradient, leaves nothing to shuffle; and the groups are
 * there for the shuffling. Asking for it by name all the same is refused by config_check(). */
static void stop_shuffling(struct config *config, const char *name, enum origin origin)
{
    struct run_config *c = &config->value;
    const struct method *kind = !strcmp(name, "method") ? method_named(c->method) : NULL;
    int plain = kind && (kind->keys != KEYS_FIXED || kind->both);
    int alone = !strcmp(name, "bn-splits") && c->bn_splits == 1;
    if ((alone || plain) && *origin_of(config, "shuffle-bn") < origin) {
        c->shuffle_bn = 0;
        *origin_of(config, "shuffle-bn") = origin;
    }
    if (plain && *origin_of(config, "bn-splits") < origin) {
        c->bn_splits = 1;
        *origin_of(config, "bn-splits") = origin;
    }
}

int config_set(struct config *config, const char *name, const char *text, enum origin origin)
{
    size_t i = 0;
    int rc = find_row(name, &i);
    if (rc)
        return rc;
    struct run_config scratch = config->value; /* checks the text also where it loses */
    int wins = config->origin[i] <= origin;
    void *field = (char *)(wins ? &config->value : &scratch) + rows[i].offset;
    rc = parse(&rows[i], field, text);
    if (rc || !wins)
        return rc;
    config->origin[i] = origin;
    exclude(config, name, origin);
    choose_bank_loss(config, name, origin);
    stop_shuffling(config, name, origin);
    return MOCO_OK;
}

/* The shortest text that reads back as the same number. */
static void double_text(char *out, size_t size, double value)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    snprintf(out, size, "%s", text);
}

void config_text(char *out, size_t size, const struct config *config, const struct setting *row)
{
    const char *field = (const char *)&config->value + row->offset;
    switch (row->type) {
    case SETTING_INT:
        snprintf(out, size, "%d", *(const int *)(const void *)field);
        break;
    case SETTING_U64:
        snprintf(out, size, "%llu",
                 (unsigned long long)*(const uint64_t *)(const void *)field);
        break;
    case SETTING_DOUBLE:
        double_text(out, size, *(const double *)(const void *)field);
        break;
    case SETTING_SWITCH:
        snprintf(out, size, "%s", *(const int *)(const void *)field ? "on" : "off");
        break;
    case SETTING_TEXT:
        snprintf(out, size, "%s", field);
        break;
    }
}

int config_is_usual(const struct config *config, const struct setting *row)
{
    char value[sizeof config->value.mean], usual[sizeof value];
    struct config defaults;
    config_default(&defaults);
    config_text(value, sizeof value, config, row);
    config_text(usual, sizeof usual, &defaults, row);
    return strcmp(value, usual) == 0;
}
