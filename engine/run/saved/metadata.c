/* metadata.c: see metadata.h. */
#include "engine/run/saved/metadata.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "include/moco.h"

void meta_text(struct meta *meta, const char *key, const char *value)
{
    meta->rows[meta->count++] = (struct st_meta){ key, value };
}

static char *meta_room(struct meta *meta, const char *key)
{
    char *room = meta->numbers[meta->used++];
    meta_text(meta, key, room);
    return room;
}

void meta_whole(struct meta *meta, const char *key, uint64_t value)
{
    snprintf(meta_room(meta, key), sizeof meta->numbers[0], "%llu", (unsigned long long)value);
}

void meta_real(struct meta *meta, const char *key, double value)
{
    snprintf(meta_room(meta, key), sizeof meta->numbers[0], "%.17g", value);
}

void meta_encoder(struct meta *meta, const struct net *net, const char *recipe)
{
    const struct net_config *c = net_get_config(net);
    meta_text(meta, "format", "pt");
    meta_text(meta, "moco.version", moco_version());
    meta_text(meta, "arch", c->arch);
    meta_text(meta, "stem", c->stem == STEM_CIFAR ? "cifar" : "imagenet");
    meta_text(meta, "head", net_head_name(c->head));
    meta_whole(meta, "width", (uint64_t)c->width);
    meta_whole(meta, "channels", (uint64_t)c->channels);
    if (recipe)
        meta_whole(meta, "side", (uint64_t)c->side);
    meta_whole(meta, "dim", (uint64_t)c->dim);
    if (meta->mean[0])
        meta_text(meta, "mean", meta->mean);
    if (meta->std[0])
        meta_text(meta, "std", meta->std);
    if (recipe)
        meta_text(meta, "recipe", recipe);
}

void meta_channels_text(char *out, size_t size, const float *values, int channels)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < channels && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%.9g", i ? "," : "",
                                 (double)values[i]);
}

void recipe_text(char *out, size_t size, const char *recipe, const char *name)
{
    cJSON *object = cJSON_Parse(recipe);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    const char *text = cJSON_GetStringValue(item);
    char *number = item && !text ? cJSON_PrintUnformatted(item) : NULL;
    snprintf(out, size, "%s", text ? text : number ? number : "");
    cJSON_free(number);
    cJSON_Delete(object);
}

int meta_get_whole(uint64_t *out, const struct st_file *file, const char *key)
{
    char *end;
    const char *text = safetensors_meta(file, key);
    errno = 0;
    *out = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text || *end || errno || strchr(text, '-'))
        return error_set(MOCO_EFORMAT, "%s: %s is '%.32s', no whole number: this is no checkpoint "
                         "of moco", safetensors_path(file), key, text ? text : "");
    return MOCO_OK;
}

int meta_get_real(double *out, const struct st_file *file, const char *key)
{
    char *end;
    const char *text = safetensors_meta(file, key);
    *out = text ? strtod(text, &end) : 0.0;
    if (!text || end == text || *end)
        return error_set(MOCO_EFORMAT, "%s: %s is '%.32s', no number: this is no checkpoint of "
                         "moco", safetensors_path(file), key, text ? text : "");
    return MOCO_OK;
}

int meta_get_channels(float *out, const struct st_file *file, const char *key, int channels)
{
    const char *text = safetensors_meta(file, key), *at = text;
    int n = 0;
    while (at && *at && n < channels) {
        char *end;
        out[n] = strtof(at, &end);
        if (end == at || (*end && *end != ',') || !isfinite(out[n]))
            break;
        at = *end ? end + 1 : end;
        n++;
    }
    if (n == 1 && !*at)
        for (; n < channels; n++)
            out[n] = out[0];
    if (at && (*at || (n && n != channels)))
        return error_set(MOCO_EFORMAT, "%s: %s '%.64s' has not one number for each of %d channels",
                         safetensors_path(file), key, text, channels);
    return MOCO_OK;
}
