/* resolve.c: settings that follow from the data where nobody gave them: side and stem from the
 * image size, mean and deviation from the pixels, batch, BN groups, queue length and momentum from
 * the number of images, the learning rate from optimiser and batch. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/shape.h"
#include "engine/data/missing.h"
#include "engine/run/run.h"

/* Channel values as a setting's text: few digits, so that the text is the value. */
static void list_text(char *out, size_t size, const float *values, int count)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%.6g", i ? "," : "",
                                 (double)values[i]);
}

enum { STATISTICS_SAMPLE = 4096, RANGE_SAMPLE = 64 };

/* Where nothing was measured, some images are looked at for it. */
static void look(const struct source *source)
{
    struct image image = { 0 };
    size_t n = source->count < RANGE_SAMPLE ? source->count : RANGE_SAMPLE;
    for (size_t i = 0; i < n; i++)
        (void)source->read(source, i * source->count / n, &image);
    image_close(&image);
}

void notice_missing(const struct source *source, const struct train_hooks *hooks, int measured)
{
    char text[MISSING_TEXT];
    if (!measured && hooks && (source->missing || source->part[0]))
        look(source);
    missing_text(text, source);
    if (text[0])
        run_notice(hooks, "%s", text);
}

static int resolve_normalisation(struct config *config, const struct source *source,
                                 const struct train_hooks *hooks)
{
    float mean[AUGMENT_CHANNELS_MAX], std[AUGMENT_CHANNELS_MAX];
    char text[4096];
    struct run_config *c = &config->value;
    int measure = !c->mean[0] || !c->std[0];
    int rc = measure ? source_statistics(source, mean, std, STATISTICS_SAMPLE) : MOCO_OK;
    if (!rc)
        notice_missing(source, hooks, measure);
    if (!rc && !c->mean[0]) {
        list_text(text, sizeof text, mean, source->channels);
        rc = config_set(config, "mean", text, FROM_DATA);
    }
    if (!rc && !c->std[0]) {
        list_text(text, sizeof text, std, source->channels);
        rc = config_set(config, "std", text, FROM_DATA);
    }
    return rc;
}

/* Views as large as the images mostly are, up to 224; above 64 pixels the large stem. */
static int resolve_side(struct config *config, const struct source *source,
                        const struct train_hooks *hooks)
{
    char text[500];
    struct shape shape;
    int rc = shape_of(&shape, source), side = shape.shorter;
    if (rc)
        return rc;
    if (side <= 0 || side > 224)
        side = 224;
    if (side < 8)
        side = 8;
    snprintf(text, sizeof text, "%d", side);
    rc = config_set(config, "side", text, FROM_DATA);
    if (!rc && config->value.side > 64)
        rc = config_set(config, "stem", "imagenet", FROM_DATA);
    shape_text(text, sizeof text, &shape, source);
    if (text[0])
        run_notice(hooks, "%s; views show such squares, evaluation the whole image", text);
    return rc;
}

/* ---- what follows from the number of images and the batch ---- */

enum { STEPS_WANTED = 16, BATCH_LEAST = 32, GROUP_LEAST = 64 };
enum { MANY_IMAGES = 200000 }; /* from here on He et al.'s ImageNet settings of queue and m */

static void give_reason(struct config *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void give_reason(struct config *config, const char *format, ...)
{
    va_list args;
    char *text = config->reasons;
    size_t size = sizeof config->reasons, used = strlen(text);
    if (used)
        used += (size_t)snprintf(text + used, size - used, ", ");
    if (used >= size)
        return;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

/* 1 where the setting was the data's to give and is another now. */
static int follow(struct config *config, const char *name, const char *text, int *rc)
{
    char before[64], after[64];
    const struct setting *row = config_setting(name);
    if (*rc)
        return 0;
    config_text(before, sizeof before, config, row);
    *rc = config_set(config, name, text, FROM_DATA);
    config_text(after, sizeof after, config, row);
    return !*rc && strcmp(before, after);
}

static int is_from_data(const struct config *config, const char *name)
{
    size_t count;
    return config->origin[config_setting(name) - config_settings(&count)] == FROM_DATA;
}

static int follow_int(struct config *config, const char *name, int value, int *rc)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    return follow(config, name, text, rc);
}

/* Halved until an epoch has some steps. */
static int resolve_batch(struct config *config, size_t count)
{
    int rc = MOCO_OK, batch = config->value.batch;
    while (batch > BATCH_LEAST && (size_t)batch * STEPS_WANTED > count)
        batch /= 2;
    while (batch > 2 && (size_t)batch > count)
        batch /= 2;
    if (follow_int(config, "batch-size", batch, &rc))
        give_reason(config, "batch-size %d (%d steps an epoch)", batch,
                    (int)(count / (size_t)batch));
    return rc;
}

/* Statistics of a few images are noise. cifar-demo has groups of 64; two of 32 lost to one of 64 in
 * docs/recipes.md. */
static int resolve_groups(struct config *config)
{
    const struct run_config *c = &config->value;
    int rc = MOCO_OK, splits = c->bn_splits;
    if (c->accumulate < 1)
        return MOCO_OK; /* config_check() will refuse it */
    int rows = c->batch / c->accumulate;
    while (splits > 1 && (rows / splits < GROUP_LEAST || rows % splits))
        splits--;
    if (follow_int(config, "bn-splits", splits, &rc))
        give_reason(config, "bn-splits %d (no groups below %d images)", splits, GROUP_LEAST);
    return rc;
}

/* K: at most half the data set, so that few keys of an image meet their own query. */
static int resolve_queue(struct config *config, size_t count)
{
    const struct run_config *c = &config->value;
    int rc = MOCO_OK, K = count < MANY_IMAGES ? c->queue : 65536;
    int64_t keys = (int64_t)c->batch * (c->symmetric ? 2 : 1); /* of a step */
    while ((size_t)K > count / 2 && K / 2 >= keys)
        K /= 2;
    if (follow_int(config, "moco-k", K, &rc))
        give_reason(config, count < MANY_IMAGES ? "moco-k %d (at most half of the images)"
                                                 : "moco-k %d (many images)", K);
    if (count >= MANY_IMAGES && follow(config, "moco-m", "0.999", &rc))
        give_reason(config, "moco-m 0.999 (many images)");
    return rc;
}

/* SGD's 0.06 of cifar-demo is He et al.'s 0.03 for a batch of 256 by the linear rule (Goyal et al.
 * 2017, section 2.1), and grows by it with larger batches. It does not shrink with smaller ones,
 * which a small set asks for: that did not help, or cost points (docs/recipes.md). LARS and AdamW
 * have the rates with which MoCo v3 was published (Chen, Xie, He 2021), linear in the batch. */
static int resolve_rate(struct config *config)
{
    const struct run_config *c = &config->value;
    double share = c->batch / 256.0, lr = share > 2.0 ? 0.03 * share : 0.06;
    const char *why = "0.03 for a batch of 256, that of 512 for smaller ones too";
    char text[32];
    int rc = MOCO_OK;
    if (!strcmp(c->optimiser, "lars"))
        lr = 0.3 * share, why = "0.3 for a batch of 256";
    else if (!strcmp(c->optimiser, "adamw"))
        lr = 1.5e-4 * share, why = "1.5e-4 for a batch of 256";
    else if (share > 2.0)
        why = "0.03 for a batch of 256";
    snprintf(text, sizeof text, "%.6g", lr);
    int other = follow(config, "lr", text, &rc);
    if (other || (!rc && share < 2.0 && is_from_data(config, "lr")))
        give_reason(config, "lr %s (%s)", text, why);
    return rc;
}

static int resolve_sizes(struct config *config, size_t count)
{
    config->reasons[0] = '\0';
    int rc = resolve_batch(config, count);
    if (!rc)
        rc = resolve_groups(config);
    if (!rc)
        rc = resolve_rate(config);
    if (!rc && !strcmp(config->value.method, "moco"))
        rc = resolve_queue(config, count);
    return rc;
}

/* What the method needs, where nobody chose. */
static int resolve_key_encoder(struct config *config)
{
    static const char *const names[] = {
        [KEYS_FIXED] = "momentum", [KEYS_TRAINED] = "same", [KEYS_NONE] = "none",
        [KEYS_JOINT] = "joint",
    };
    const struct method *kind = method_named(config->value.method);
    if (!kind)
        return MOCO_EARG;
    int second = kind->keys == KEYS_NONE && config->value.consistency > 0.0;
    return config_set(config, "key-encoder", second ? "same" : names[kind->keys], FROM_DATA);
}

/* What the settings ask for and these images can not give. */
static void notice_channels(const struct run_config *c, const struct source *source,
                            const struct train_hooks *hooks)
{
    int channels = source->channels, colours = channels == 3 && !c->per_channel;
    if (colours && source->dtype != DTYPE_U8 && (c->jitter_p > 0 || c->grey_p > 0))
        run_notice(hooks, "three channels of more than 8 bits are taken for colours: where they "
                          "are measurements, --jitter 0 --grey 0 leaves them as they are and "
                          "--per-channel tells them apart");
    if (!colours && c->jitter_p > 0 && (c->saturation > 0 || c->hue > 0))
        run_notice(hooks, "images of %d channel%s%s: saturation and hue are off%s", channels,
                   channels == 1 ? "" : "s", c->per_channel ? " that are no colours" : "",
                   channels > 1 && !c->per_channel && c->grey_p > 0
                       ? ", and so is grey unless --per-channel makes it the mean of the channels"
                       : "");
    if (channels == 1 && c->drop_p > 0)
        run_notice(hooks, "channel-drop is off: the images have one channel");
}

/* Numbers by more than a tenth of their channel's deviation outside [0, 1]. */
static size_t count_outside(const struct image *image, const float *std)
{
    size_t plane = (size_t)image->height * (size_t)image->width, n = 0;
    for (int c = 0; c < image->channels; c++) {
        const float *x = image->pixels + (size_t)c * plane, slack = 0.1f * std[c];
        for (size_t i = 0; i < plane; i++)
            n += x[i] < -slack || x[i] > 1.0f + slack;
    }
    return n;
}

/* Jitter is that of photographs: it cuts to [0, 1], where unsigned numbers lie, but not all floats;
 * of temperatures in kelvin nothing is left. */
static void notice_range(const struct run_config *c, const struct source *source,
                         const struct train_hooks *hooks)
{
    struct policy policy;
    struct image image = { 0 };
    double all = 0, outside = 0;
    size_t n = source->count < RANGE_SAMPLE ? source->count : RANGE_SAMPLE;
    int colours = source->channels == 3 && !c->per_channel && (c->saturation > 0 || c->hue > 0);
    if (!hooks || !hooks->notice || source->dtype == DTYPE_U8 || source->dtype == DTYPE_U16 ||
        !(c->jitter_p > 0) || !(c->brightness > 0 || c->contrast > 0 || colours) ||
        config_policy(&policy, c, source->channels))
        return;
    for (size_t i = 0; i < n; i++)
        if (!source->read(source, i * source->count / n, &image) &&
            image.channels == source->channels) {
            all += (double)image.channels * image.height * image.width - (double)image.missing;
            outside += (double)count_outside(&image, policy.std);
        }
    image_close(&image);
    if (outside > 0.01 * all)
        run_notice(hooks, "%.0f %% of the numbers of %s lie outside 0 to 1, to which jitter cuts "
                          "them: --jitter 0 leaves them as they are", 100.0 * outside / all,
                   source->where);
}

int views_resolve(struct config *config, const struct source *source,
                  const struct train_hooks *hooks)
{
    if (source->channels <= 0)
        return error_set(MOCO_EARG, "the images of %s differ in their number of channels; views "
                                    "are made of images of one kind", source->where);
    int rc = resolve_side(config, source, hooks);
    if (!rc)
        rc = config_check_views(config);
    if (!rc)
        rc = resolve_normalisation(config, source, hooks);
    if (!rc)
        notice_channels(&config->value, source, hooks);
    if (!rc)
        notice_range(&config->value, source, hooks);
    return rc;
}

int train_resolve(struct config *config, const struct source *source,
                  const struct train_hooks *hooks)
{
    if (source->channels <= 0)
        return error_set(MOCO_EARG, "the images of %s differ in their number of channels; train "
                                    "on images of one kind", source->where);
    int rc = resolve_side(config, source, hooks);
    if (!rc)
        rc = resolve_sizes(config, source_samples(source));
    if (!rc)
        rc = resolve_key_encoder(config);
    if (!rc)
        rc = config_check(config, source_samples(source));
    if (!rc)
        rc = resolve_normalisation(config, source, hooks);
    if (!rc)
        notice_channels(&config->value, source, hooks);
    if (!rc)
        notice_range(&config->value, source, hooks);
    if (!rc && source_samples(source) > (size_t)config->value.shuffle_window)
        run_notice(hooks, "%zu images are shuffled in windows of %d (--shuffle-window)",
                   source_samples(source), config->value.shuffle_window);
    if (!rc && strcmp(config->value.method, "moco") == 0 &&
        (size_t)config->value.queue > source_samples(source))
        run_notice(hooks, "the queue (%d keys) is longer than the data set (%zu images): every "
                          "image meets older keys of itself as negatives; --mask leaves them out",
                   config->value.queue, source_samples(source));
    return rc;
}
