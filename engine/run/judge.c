/* judge.c: evaluation during a run, which judges training and must not spoil it.
 *
 * What can be known is looked at before the first step: whether images of both sets can be read and
 * have the encoder's channels. What fails later is a notice and an empty cell of the log. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/data/grey.h"
#include "engine/run/run.h"

enum { LOOKED_AT = 16 }; /* images of each set, spread over it */

/* ---- who watches ---- */

static int is_asked(void *user)
{
    struct run *run = user;
    const struct train_hooks *hooks = run->hooks;
    int asked = hooks && hooks->stop ? hooks->stop(hooks->user) : TRAIN_GO;
    run->save_asked |= asked == TRAIN_SAVE;
    return asked == TRAIN_STOP;
}

static void on_wait(void *user, const char *what, const char *unit, size_t done, size_t count)
{
    const struct train_hooks *hooks = ((struct run *)user)->hooks;
    if (hooks && hooks->waiting)
        hooks->waiting(hooks->user, what, unit, done, count);
}

void run_watch(struct run *run, struct watch *watch)
{
    *watch = (struct watch){run, on_wait, is_asked};
    watch_begin(watch);
}

/* ---- before the first step ---- */

/* Only what the image can not help is an error; *bad counts the others. */
static int look_at(size_t *bad, float *x, const struct run *run, const struct score_side *side,
                   size_t i)
{
    int rc = embed_decode(x, side->source, &side->index[i], 1, &run->policy, NULL);
    if (!rc || !source_is_bad(rc))
        return rc;
    ++*bad;
    return MOCO_OK;
}

static int look_at_side(const struct run *run, const struct score_side *side)
{
    size_t n = side->n < LOOKED_AT ? side->n : LOOKED_AT, bad = 0;
    size_t bytes = embed_pixel_dim(&run->policy) * sizeof(float);
    float *x = malloc(bytes);
    int rc = x ? MOCO_OK : error_memory("an image", bytes);
    for (size_t i = 0; i < n && !rc; i++)
        rc = look_at(&bad, x, run, side, i * side->n / n);
    free(x);
    if (!rc && n && bad == n)
        rc = error_set(MOCO_EFORMAT, "kNN during the run: none of %zu images of %.300s that were "
                       "tried can be read; the last: %.600s", n, side->source->where,
                       error_text());
    return rc;
}

/* Known without reading: grey sets are expanded, which is told; others are refused. */
static int check_channels(const struct run *run, const struct score_side *side)
{
    const struct source *source = side->source;
    int wanted = run->policy.channels, channels = source ? source->channels : wanted;
    if (channels == wanted)
        return MOCO_OK;
    if (!grey_expands(channels, wanted))
        return error_set(MOCO_EARG, "kNN during the run: images of %.300s have %d channels, the "
                                    "encoder takes %d", source->where, channels, wanted);
    run_notice(run->hooks, "%.300s is grey: kNN takes it as three equal channels", source->where);
    return MOCO_OK;
}

int judge_check(const struct run *run)
{
    int rc = check_channels(run, &run->sets.train);
    if (!rc && run->sets.test.source != run->sets.train.source)
        rc = check_channels(run, &run->sets.test);
    if (!rc)
        rc = look_at_side(run, &run->sets.train);
    return rc ? rc : look_at_side(run, &run->sets.test);
}

/* ---- evaluation ---- */

int run_classifies(const struct run *run)
{
    const struct method *kind = method_named(run->c->method);
    return kind && kind->labels && kind->layer;
}

/* The classifier on the images of the test set, without those whose labels training saw. */
static int score_classifier(struct run *run)
{
    struct contrast c = { 0 };
    step_layer(&run->step, &c);
    struct embed embed = {.net = run->step.net, .encoder = &run->step.q, .simd = run->simd,
                          .feature = EMBED_HEAD};
    struct score_layer layer = {c.weight, c.bias, (size_t)run->source->classes,
                                run->sets.test.source == run->source ? run->labels : NULL};
    return score_classes(&run->accuracy, &run->sets, &embed, &layer, &run->policy, run->simd);
}

static int score(struct run *run)
{
    struct embed embed = {.net = run->step.net, .encoder = &run->step.q, .simd = run->simd};
    int rc = embed_feature_named(&embed.feature, run->c->feature);
    if (!rc)
        rc = score_run(&run->knn, &run->sets, &embed, &run->policy, run->c->knn_k, run->c->knn_t,
                       run->simd);
    if (rc) {
        run->knn = NAN;
        return rc;
    }
    rc = run_classifies(run) ? score_classifier(run) : MOCO_OK;
    if (rc)
        run->accuracy = NAN;
    return rc;
}

int judge_run(struct run *run, uint64_t epoch)
{
    struct watch watch;
    run->knn = run->accuracy = NAN;
    run_watch(run, &watch);
    int rc = score(run);
    watch_begin(NULL);
    if (rc == WATCH_STOPPED)
        return TRAIN_INTERRUPTED;
    if (rc)
        run_notice(run->hooks, "no %s of epoch %llu, and the run goes on: %s",
                   isnan(run->knn) ? "kNN" : "accuracy of the classifier",
                   (unsigned long long)epoch, error_text());
    else if (run->sets.why[0] && !run->scores++)
        run_notice(run->hooks, "%s", run->sets.why);
    return MOCO_OK;
}
