/* init.c: settings of a run that starts from weights, and what a resumed one knows of them; see
 * init.h. */
#include "engine/run/init.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/run.h"
#include "engine/run/saved/metadata.h"

/* ---- settings that the file tells ---- */

static enum origin origin_of(const struct config *config, const char *name)
{
    size_t count;
    return config->origin[config_setting(name) - config_settings(&count)];
}

static int follow_int(struct config *config, const char *name, int value)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    return config_set(config, name, text, FROM_WEIGHTS);
}

/* Who gave a setting that differs from the file's. */
static void giver(char *out, size_t size, const struct config *config, const char *name)
{
    enum origin origin = origin_of(config, name);
    if (origin == FROM_PRESET)
        snprintf(out, size, "preset %s", config->value.preset);
    else if (origin == FROM_FILE)
        snprintf(out, size, "the file of settings%s%.300s", config->value.config[0] ? " " : "",
                 config->value.config);
    else
        snprintf(out, size, "--%s", name);
}

/* The file's value, where nobody gave one; another one can not be had. */
static int follow(struct config *config, const struct init *init, const char *name,
                  const char *text)
{
    char value[64], who[400];
    const struct net_config *net = &init->info.net;
    int rc = config_set(config, name, text, FROM_WEIGHTS);
    config_text(value, sizeof value, config, config_setting(name));
    if (rc || !strcmp(value, text))
        return rc;
    giver(who, sizeof who, config, name);
    return error_set(MOCO_EARG, "--init: %.300s holds a %s of width %d with stem %s, and %s asks "
                     "for %s %s: training starts from a network of the same shape alone; give "
                     "--%s %s, or other weights", safetensors_path(init->file), net->arch,
                     net->width, net->stem == STEM_CIFAR ? "cifar" : "imagenet", who, name, value,
                     name, text);
}

static int follow_network(struct config *config, const struct init *init)
{
    char width[16];
    const struct net_config *net = &init->info.net;
    snprintf(width, sizeof width, "%d", net->width);
    int rc = follow(config, init, "arch", net->arch);
    if (!rc)
        rc = follow(config, init, "width", width);
    return rc ? rc : follow(config, init, "stem", net->stem == STEM_CIFAR ? "cifar" : "imagenet");
}

/* Whose head it is: of others it is mostly a classifier of ImageNet. */
static int follow_head(struct config *config, const struct init *init)
{
    const struct net_config *net = &init->info.net;
    int v3 = !strcmp(config->value.method, "moco-v3"), rc = MOCO_OK;
    if (net->head == HEAD_NONE || (net->head == HEAD_V3) != v3)
        return MOCO_OK;
    if (v3)
        rc = follow_int(config, "moco-mlp-dim", net->hidden);
    else
        rc = config_set(config, "mlp", net->head == HEAD_MLP ? "on" : "off", FROM_WEIGHTS);
    if (!rc && (v3 || config->value.mlp == (net->head == HEAD_MLP)))
        rc = follow_int(config, "moco-dim", net->dim);
    return rc;
}

int init_follow(struct init *init, struct config *config)
{
    char path[PATH_SIZE];
    int rc = weights_path(path, sizeof path, config->value.init, "weights.safetensors",
                          "checkpoint.safetensors");
    if (!rc)
        rc = safetensors_open(&init->file, path);
    if (!rc)
        rc = weights_info(&init->info, init->file);
    if (!rc)
        rc = follow_network(config, init);
    if (!rc && init->info.own)
        rc = follow_head(config, init);
    if (!rc && init->info.own && safetensors_meta(init->file, "side"))
        rc = follow_int(config, "side", init->info.net.side);
    return rc;
}

static int follow_channels(struct config *config, const struct init *init, const char *name)
{
    char text[sizeof config->value.mean] = "";
    const char *recipe = safetensors_meta(init->file, "recipe");
    const float *values = !strcmp(name, "mean") ? init->info.mean : init->info.std;
    if (!safetensors_meta(init->file, name))
        return MOCO_OK;
    if (recipe)
        recipe_text(text, sizeof text, recipe, name); /* as it was typed or measured */
    if (!text[0])
        meta_channels_text(text, sizeof text, values, init->info.net.channels);
    return config_set(config, name, text, FROM_WEIGHTS);
}

int init_normalise(struct run *run)
{
    const struct init *init = &run->init;
    if (!init->file || init->info.net.channels != run->source->channels)
        return MOCO_OK;
    int rc = follow_channels(run->config, init, "mean");
    return rc ? rc : follow_channels(run->config, init, "std");
}

/* ---- a run that goes on ---- */

/* What followed from the file stands among the settings that the run was made with. */
static int keep_settings(struct config *config, const char *saved)
{
    static const char *const names[] = { "arch", "width", "stem", "side", "mlp", "moco-dim",
                                         "moco-mlp-dim" };
    char text[64];
    int rc = MOCO_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++) {
        rc = checkpoint_setting(text, sizeof text, saved, names[i]);
        if (!rc && text[0])
            rc = config_set(config, names[i], text, FROM_WEIGHTS);
    }
    return rc;
}

/* The checkpoint wins; that the file is another one now may not be what somebody thinks. */
static void notice_other(const struct run *run)
{
    char path[PATH_SIZE], sum[ST_SUM] = "no weights";
    struct st_file *file;
    if (weights_path(path, sizeof path, run->c->init, "weights.safetensors",
                     "checkpoint.safetensors") || !run_exists(path))
        return;
    if (!safetensors_open(&file, path)) {
        safetensors_sum(sum, file);
        safetensors_close(&file);
    }
    if (strcmp(sum, run->config->init_sum))
        run_notice(run->hooks, "--init: the run in %s was started from other weights than %s holds "
                               "now (%s, now %s); it goes on from its own state, which does not "
                               "need them", run->c->out, path, run->config->init_sum, sum);
}

static int go_on(struct run *run, const char *saved)
{
    char *sum = run->config->init_sum;
    int rc = checkpoint_setting(sum, sizeof run->config->init_sum, saved, "init");
    if (!rc && !sum[0] && run->c->init[0])
        rc = error_set(MOCO_EARG, "--init: the run in %s was not started from weights and goes on "
                       "from its own state: leave --init out, or start a run in another --out",
                       run->c->out);
    if (rc || !sum[0])
        return rc;
    if (run->c->init[0])
        notice_other(run);
    return keep_settings(run->config, saved);
}

/* ---- opening ---- */

/* Told now, not after the data have been measured: which tensors do not fit or are not finite. */
static int check_numbers(const struct run *run)
{
    struct net *net = NULL;
    struct encoder encoder = { 0 };
    int rc = init_load(&net, &encoder, &run->init, WEIGHTS_BACKBONE, run->simd);
    encoder_close(&encoder);
    net_close(&net);
    return rc;
}

int init_open(struct run *run)
{
    char prefix[WEIGHTS_NOTE], left_out[WEIGHTS_NOTE];
    struct init *init = &run->init;
    const char *saved = run->c->resume ? state_saved(run) : NULL;
    if (saved)
        return go_on(run, saved);
    if (!run->c->init[0])
        return MOCO_OK;
    int rc = init_follow(init, run->config);
    if (!rc)
        rc = check_numbers(run);
    if (rc)
        return rc;
    safetensors_sum(run->config->init_sum, init->file);
    weights_notes(prefix, left_out, safetensors_path(init->file), &init->info);
    if (prefix[0])
        run_notice(run->hooks, "%s", prefix);
    if (left_out[0])
        run_notice(run->hooks, "%s", left_out);
    return MOCO_OK;
}

void init_close(struct run *run)
{
    safetensors_close(&run->init.file);
}
