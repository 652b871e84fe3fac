/* forecast.c: see forecast.h. Medians, because the first steps and those that other work disturbs
 * say nothing about the thousands to come. */
#include "engine/run/forecast.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/run/run.h"

/* Timed steps: at least LEAST, then until LONG seconds, or SHORT if ENOUGH have been made. */
enum { LEAST = 3, ENOUGH = 20, MOST = 1000, SHORT = 2, LONG = 20 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int one_step(struct run *run, double *seconds, double *data_s)
{
    double start = clock_seconds(), lr = schedule_lr(&run->schedule, 0, 0, (long)run->steps);
    int rc = run_step(run, lr, data_s);
    *seconds = clock_seconds() - start;
    return rc;
}

/* The first steps touch memory and let oneDNN build its code. */
static int warm_up(struct run *run)
{
    double seconds = 0, data_s;
    int rc = loader_seek(run->loader, 0, 0);
    for (int i = 0; i < TRAIN_WARM_UP && seconds < SHORT && !rc; i++)
        rc = one_step(run, &seconds, &data_s);
    return rc;
}

static int is_enough(int n, double seconds)
{
    return n == MOST || (n >= LEAST && seconds >= LONG) || (n >= ENOUGH && seconds >= SHORT);
}

static int time_steps(struct forecast *f, struct run *run)
{
    double each[MOST], whole = 0, data = 0, data_s, B = run->c->batch;
    int n = 0, rc = warm_up(run);
    while (!rc && !is_enough(n, whole)) {
        rc = one_step(run, &each[n], &data_s);
        whole += each[n++];
        data += data_s;
    }
    if (rc)
        return rc;
    qsort(each, (size_t)n, sizeof *each, ascending);
    f->timed = n;
    f->step_s = n % 2 ? each[n / 2] : 0.5 * (each[n / 2 - 1] + each[n / 2]);
    f->img_s = B / f->step_s;
    f->img_s_min = B / each[n - 1];
    f->img_s_max = B / each[0];
    f->data_share = data / whole;
    return MOCO_OK;
}

/* Two batches stand for all images that kNN embeds. */
static int time_evaluation(struct forecast *f, struct run *run)
{
    const struct score_side *test = &run->sets.test, *train = &run->sets.train;
    struct embed embed = {.net = run->step.net, .encoder = &run->step.q, .simd = run->simd};
    size_t n = 2 * run->step.rows < test->n ? 2 * run->step.rows : test->n;
    int every = run->c->knn_every, rc = embed_feature_named(&embed.feature, run->c->feature);
    if (rc)
        return rc;
    size_t bytes = n * embed_dim(embed.net, embed.feature) * sizeof(float) + n;
    struct embed_bad bad = { 0 };
    float *features = malloc(bytes);
    if (!features)
        return error_memory("features for kNN", bytes);
    bad.at = (unsigned char *)features + bytes - n;
    embed.bad = &bad; /* an image that can not be read takes no less time */
    double start = clock_seconds();
    rc = embed_source(features, &embed, test->source, test->index, n, &run->policy);
    f->evaluation_s = (clock_seconds() - start) / (double)n * (double)(test->n + train->n);
    f->evaluations = every > 0 ? 1 + (run->c->epochs + every - 1) / every : 1;
    free(features);
    return rc;
}

int forecast_run(struct forecast *f, struct config *config, const struct moco_simd *simd,
                 const struct train_hooks *hooks)
{
    struct run run = {.config = config, .c = &config->value, .simd = simd, .hooks = hooks,
                      .log.fd = -1, .events.fd = -1};
    *f = (struct forecast){.epochs = config->value.epochs};
    int rc = run_plan(&run);
    size_t before = memory_resident();
    if (!rc)
        rc = run_build(&run);
    if (!rc) {
        step_init(&run.step);
        rc = time_steps(f, &run);
    }
    if (!rc && run.scored)
        rc = time_evaluation(f, &run);
    if (run.source)
        summary_of(&f->data, run.source);
    f->plan = run.plan;
    f->limit = run.limit;
    f->predicted = before ? before + memory_total(&run.plan) : 0;
    f->measured = memory_peak();
    f->steps = run.steps;
    f->total_s = f->step_s * (double)run.total + f->evaluation_s * f->evaluations;
    run_close(&run);
    return rc;
}
