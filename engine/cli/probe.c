/* probe.c: what moco knn and moco linear judge: labelled images and an encoder, or pixels. */
#include "engine/cli/cli.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/data/grey.h"
#include "engine/data/shape.h"
#include "engine/run/train.h"

/* Of grey images that are compared with colours. */
static void spread(struct policy *policy, int channels)
{
    for (int c = policy->channels; c < channels; c++) {
        int from = c == 3 ? 1 : 0; /* alpha is last, of 2 as of 4 */
        policy->mean[c] = policy->mean[from];
        policy->std[c] = policy->std[from];
    }
    if (channels > policy->channels)
        policy->mean[1] = policy->mean[0], policy->std[1] = policy->std[0];
    policy->channels = channels;
}

/* Mean and deviation from the training images, and the side where it is 0. */
static int pixel_policy(struct policy *out, const struct source *train, const struct source *test,
                        int side)
{
    struct config config;
    struct shape shape;
    char text[500];
    config_default(&config);
    snprintf(text, sizeof text, "%d", side);
    int rc = side ? config_set(&config, "side", text, FROM_FLAG) : MOCO_OK;
    if (!rc)
        rc = views_resolve(&config, train, NULL);
    if (!rc)
        rc = config_policy(out, &config.value, train->channels);
    if (!rc)
        rc = shape_of(&shape, train);
    if (rc)
        return rc;
    if (test && grey_expands(train->channels, test->channels))
        spread(out, test->channels);
    if (side)
        shape_square(out, &shape);
    else
        shape_pixels(out, &shape);
    shape_text(text, sizeof text, &shape, train);
    if (text[0])
        fprintf(stderr, "moco: %s; the whole image is compared, as %d x %d pixels\n", text,
                out->plain_height, out->plain_width);
    return MOCO_OK;
}

static int check_channels(const struct policy *policy, const struct source *source)
{
    if (source->channels == policy->channels)
        return MOCO_OK;
    if (!grey_expands(source->channels, policy->channels))
        return error_set(MOCO_EARG, "images of %.300s have %d channels, those that they are "
                                    "compared with %d", source->where, source->channels,
                         policy->channels);
    fprintf(stderr, "moco: %s is grey: it is taken as three equal channels\n", source->where);
    return MOCO_OK;
}

/* What both sets are seen as, by the first of them. */
static int see(struct probe *probe, const struct probe_job *job)
{
    const struct source *train = probe->sets.train.source, *test = probe->sets.test.source;
    if (test == train)
        test = NULL;
    if (!probe->has_model) {
        int rc = pixel_policy(&probe->policy, train, test, job->side);
        if (!rc)
            rc = check_channels(&probe->policy, train);
        return rc || !test ? rc : check_channels(&probe->policy, test);
    }
    int rc = model_see(&probe->policy, train);
    return rc || !test ? rc : check_channels(&probe->policy, test);
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
    return see(probe, job);
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
