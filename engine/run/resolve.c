/* resolve.c: settings that follow from the data where nobody gave them: side and stem from the
 * image size, mean and deviation from the pixels, queue length from the number of images. */
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
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

static int resolve_normalisation(struct config *config, const struct source *source)
{
    float mean[AUGMENT_CHANNELS_MAX], std[AUGMENT_CHANNELS_MAX];
    char text[4096];
    struct run_config *c = &config->value;
    if (c->mean[0] && c->std[0])
        return MOCO_OK;
    int rc = source_statistics(source, mean, std, 4096);
    if (!rc && !c->mean[0]) {
        list_text(text, sizeof text, mean, source->channels);
        rc = config_set(config, "mean", text, FROM_DATA);
    }
    if (!rc && !c->std[0]) {
        for (int i = 0; i < source->channels; i++)
            std[i] = std[i] > 1e-6f ? std[i] : 1.0f;
        list_text(text, sizeof text, std, source->channels);
        rc = config_set(config, "std", text, FROM_DATA);
    }
    return rc;
}

/* Views as large as the images, up to 224; above 64 pixels the large stem. */
static int resolve_side(struct config *config, const struct source *source)
{
    char text[32];
    int side = source->height < source->width ? source->height : source->width;
    if (side <= 0 || side > 224)
        side = 224;
    if (side < 8)
        side = 8;
    snprintf(text, sizeof text, "%d", side);
    int rc = config_set(config, "side", text, FROM_DATA);
    if (!rc && config->value.side > 64)
        rc = config_set(config, "stem", "imagenet", FROM_DATA);
    return rc;
}

/* K: at most half the data set, so that few keys of an image meet their own query. */
static int resolve_queue(struct config *config, size_t count)
{
    char text[32];
    int K = config->value.queue;
    while ((size_t)K > count / 2 && K / 2 >= config->value.batch)
        K /= 2;
    if (K == config->value.queue)
        return MOCO_OK;
    snprintf(text, sizeof text, "%d", K);
    return config_set(config, "moco-k", text, FROM_DATA);
}

/* What the settings ask for and these images can not give. */
static void notice_channels(const struct run_config *c, int channels,
                            const struct train_hooks *hooks)
{
    int colours = channels == 3 && !c->per_channel;
    if (!colours && c->jitter_p > 0 && (c->saturation > 0 || c->hue > 0))
        run_notice(hooks, "images of %d channel%s%s: saturation and hue are off%s", channels,
                   channels == 1 ? "" : "s", c->per_channel ? " that are no colours" : "",
                   channels > 1 && !c->per_channel && c->grey_p > 0
                       ? ", and so is grey unless --per-channel makes it the mean of the channels"
                       : "");
    if (channels == 1 && c->drop_p > 0)
        run_notice(hooks, "channel-drop is off: the images have one channel");
}

int views_resolve(struct config *config, const struct source *source,
                  const struct train_hooks *hooks)
{
    if (source->channels <= 0)
        return error_set(MOCO_EARG, "the images of %s differ in their number of channels; views "
                                    "are made of images of one kind", source->where);
    int rc = resolve_side(config, source);
    if (!rc)
        rc = config_check_views(config);
    if (!rc)
        rc = resolve_normalisation(config, source);
    if (!rc)
        notice_channels(&config->value, source->channels, hooks);
    return rc;
}

int train_resolve(struct config *config, const struct source *source,
                  const struct train_hooks *hooks)
{
    if (source->channels <= 0)
        return error_set(MOCO_EARG, "the images of %s differ in their number of channels; train "
                                    "on images of one kind", source->where);
    int rc = resolve_side(config, source);
    if (!rc)
        rc = resolve_queue(config, source_samples(source));
    if (!rc && strcmp(config->value.method, "end-to-end") == 0)
        rc = config_set(config, "key-encoder", "same", FROM_DATA);
    if (!rc)
        rc = config_check(config, source_samples(source));
    if (!rc)
        rc = resolve_normalisation(config, source);
    if (!rc)
        notice_channels(&config->value, source->channels, hooks);
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
