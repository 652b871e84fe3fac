/* probe.c: what moco knn and moco linear judge: labelled images and an encoder, or pixels. */
#include "engine/cli/cli.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/run/train.h"

/* Mean and deviation from the training images, and the side where it is 0. */
static int pixel_policy(struct policy *out, const struct source *source, int side)
{
    struct config config;
    char text[16];
    config_default(&config);
    snprintf(text, sizeof text, "%d", side);
    int rc = side ? config_set(&config, "side", text, FROM_FLAG) : MOCO_OK;
    if (!rc)
        rc = views_resolve(&config, source, NULL);
    return rc ? rc : config_policy(out, &config.value, source->channels);
}

static int open_model(struct probe *probe, const char *weights, const struct moco_simd *simd)
{
    int rc = model_open(&probe->model, weights, simd);
    if (rc)
        return rc;
    probe->has_model = 1;
    probe->policy = probe->model.policy;
    if (!probe->with)
        return MOCO_OK;
    probe->embed.net = probe->model.net;
    probe->embed.encoder = &probe->model.encoder;
    if (embed_feature_named(&probe->embed.feature, probe->feature))
        return error_set(MOCO_EARG, "feature '%s' is not known: backbone, head or pixels",
                         probe->feature);
    return model_check_feature(&probe->model, probe->feature);
}

/* The test set is every fifth labelled image. */
static int open_split(struct score_sets *sets, const char *data)
{
    struct source *source;
    int rc = source_open(&source, data);
    if (rc)
        return rc;
    rc = score_split(sets, source);
    if (rc)
        source_close(&source);
    else
        sets->train.owned = 1;
    return rc;
}

int probe_open(struct probe *probe, const struct probe_job *job, const struct moco_simd *simd)
{
    const char *feature = job->feature;
    int pixels = strcmp(job->weights, "pixels") == 0, rc = MOCO_OK;
    *probe = (struct probe){.embed.simd = simd, .feature = feature ? feature : "backbone"};
    if (pixels && feature && strcmp(feature, "pixels"))
        return error_set(MOCO_EARG, "pixels have no feature '%s'", feature);
    if (job->side && !pixels)
        return error_set(MOCO_EARG, "--side is for pixels: an encoder has a side of its own");
    if (pixels)
        probe->feature = "pixels";
    probe->with = strcmp(probe->feature, "pixels") ? &probe->embed : NULL;
    if (!pixels)
        rc = open_model(probe, job->weights, simd);
    if (!rc)
        rc = job->split && !job->test ? open_split(&probe->sets, job->train)
                                      : score_open(&probe->sets, job->train, job->test, NULL);
    if (rc)
        return rc;
    score_allow_missing(&probe->sets, job->max_missing);
    cli_note(probe->sets.train.source, job->test != NULL);
    if (job->test)
        cli_note(probe->sets.test.source, 1);
    if (probe->sets.only[0])
        fprintf(stderr, "moco: %s\n", probe->sets.only);
    return pixels ? pixel_policy(&probe->policy, probe->sets.train.source, job->side) : MOCO_OK;
}

void probe_missing(const struct probe *probe)
{
    cli_missing(probe->sets.train.source);
    if (probe->sets.test.source && probe->sets.test.source != probe->sets.train.source)
        cli_missing(probe->sets.test.source);
}

const char *probe_unknown(char out[UNKNOWN_TEXT], const struct score_sets *sets)
{
    out[0] = '\0';
    if (sets->unknown)
        snprintf(out, UNKNOWN_TEXT, ", %zu of them of classes that --train lacks", sets->unknown);
    return out;
}

void probe_json_accounts(const struct score_sets *sets)
{
    const struct source *train = sets->train.source, *test = sets->test.source;
    cli_json_account(&train->account, "");
    if (test && test != train)
        cli_json_account(&test->account, "test_");
}

void probe_left(const struct probe *probe)
{
    if (probe->sets.why[0])
        fprintf(stderr, "moco: %s\n", probe->sets.why);
}

void probe_close(struct probe *probe)
{
    score_close(&probe->sets);
    if (probe->has_model)
        model_close(&probe->model);
}
