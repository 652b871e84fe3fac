/* watchdog.c: signs of runs that go wrong; see watchdog.h.
 *
 * Infinite and NaN have all bits of the exponent set: the compiler's vectors look for that. */
#include "engine/run/watchdog.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/eval/metrics.h"
#include "engine/net/report.h"
#include "engine/run/run.h"

enum { GUESS = 1, LEAK = 2, COLLAPSE = 4 };
enum { GUESS_EPOCHS = 3 };

/* kNN that lies this far below its best, in percent, has fallen; top-1 above this share is as good
 * as all. */
static const double fallen = 2.0, nearly_all = 0.999;

/* Deviation of a feature's columns as a share of 1 / sqrt(D). Untrained encoders have 0.3. */
static const double collapsed = 0.02;

/* ---- notices ---- */

/* True the first time. */
static int first(struct watchdog *dog, int sign)
{
    int told = dog->told & sign;
    dog->told |= sign;
    return !told;
}

static void watch_guess(struct watchdog *dog, const struct train_progress *p,
                        const struct train_hooks *hooks)
{
    if (p->epoch == GUESS_EPOCHS && fabs(p->loss - p->ln_k1) < 0.01 * fabs(p->ln_k1) &&
        first(dog, GUESS))
        run_notice(hooks, "after %d epochs the loss is still at %.3f, that of guessing (%.3f): "
                          "nothing is learnt; check --lr, the views and the data",
                   p->epoch, p->loss, p->ln_k1);
}

static void watch_leak(struct watchdog *dog, const struct train_progress *p,
                       const struct train_hooks *hooks)
{
    if (isnan(p->knn))
        return;
    if (p->top1 > nearly_all && p->knn < dog->best_knn - fallen && first(dog, LEAK))
        run_notice(hooks, "in epoch %d %.2f %% of the queries find their key while kNN fell from "
                          "%.2f %% to %.2f %%: BatchNorm seems to tell which images share a batch; "
                          "give --shuffle-bn with several --bn-splits, or a larger batch",
                   p->epoch, 100.0 * p->top1, dog->best_knn, p->knn);
    dog->best_knn = p->knn > dog->best_knn ? p->knn : dog->best_knn;
}

static int any_number(const float *x, size_t n)
{
    size_t i = 0;
    while (i < n && x[i] == 0.0f)
        i++;
    return i < n;
}

/* Deviation of the newest step's queries as a share of 1 / sqrt(D); NAN without memory for it, and
 * where a resumed run has made no step yet. */
static double spread_of(const struct step *s)
{
    size_t B = (size_t)s->config.net.batch, D = (size_t)s->config.net.dim;
    float *q = malloc((B * D + B) * sizeof *q);
    double least;
    if (!q || !any_number(s->emb_q[0], B * D)) {
        free(q);
        return NAN;
    }
    s->simd.row_normalise(q, q + B * D, s->emb_q[0], B, D); /* methods may want raw features */
    double spread = metrics_deviation(&least, q, B, D) * sqrt((double)D);
    free(q);
    return spread;
}

static void watch_collapse(struct watchdog *dog, const struct train_progress *p,
                           const struct step *step, const struct train_hooks *hooks)
{
    double spread = step->count ? spread_of(step) : NAN;
    if (spread < collapsed && first(dog, COLLAPSE))
        run_notice(hooks, "after epoch %d all images have nearly the same features (deviation of "
                          "a column %.1e of that on a sphere): the encoder has collapsed; check "
                          "--lr, --wd, the views and the data", p->epoch, spread);
}

void watchdog_epoch(struct watchdog *dog, const struct train_progress *p, const struct step *step,
                    const struct train_hooks *hooks)
{
    watch_guess(dog, p, hooks);
    watch_leak(dog, p, hooks);
    watch_collapse(dog, p, step, hooks);
}

/* ---- what is not finite ---- */

static int is_finite(const float *x, size_t n)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

/* Keeps the words for a sentence; 1. */
static int blame(struct watchdog *dog, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int blame(struct watchdog *dog, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(dog->cause, sizeof dog->cause, format, args);
    va_end(args);
    return 1;
}

static int not_finite(const struct watchdog *dog)
{
    return error_set(MOCO_EDIVERGED, "%s is no longer finite", dog->cause);
}

/* The first tensor, or the last, whose numbers in an arena of parameters are not finite. */
static const struct tensor *find_tensor(const struct net *net, const float *arena, int backwards)
{
    size_t count;
    const struct tensor *tensors = net_tensors(net, &count);
    for (size_t i = 0; i < count; i++) {
        const struct tensor *t = &tensors[backwards ? count - 1 - i : i];
        if (t->kind == TENSOR_PARAM && !is_finite(arena + t->offset, t->count))
            return t;
    }
    return NULL;
}

static int bad_weight(struct watchdog *dog, const struct net *net, const struct encoder *e,
                      const char *branch)
{
    if (is_finite(e->params, net_param_count(net)))
        return 0;
    return blame(dog, "the parameter %s of the %s encoder",
                 find_tensor(net, e->params, 0)->name, branch);
}

static int bad_view(struct watchdog *dog, const struct step *s, const struct step_input *in)
{
    const struct net_config *c = &s->config.net;
    size_t size = (size_t)c->channels * (size_t)c->side * (size_t)c->side;
    for (size_t i = 0; i < 2 * s->rows; i++) {
        size_t row = i / 2;
        if (is_finite((i % 2 ? in->x_k : in->x_q) + row * size, size))
            continue;
        if (in->ids)
            return blame(dog, "a view of image %lld", (long long)in->ids[row]);
        return blame(dog, "a view, row %zu of the batch,", row);
    }
    return 0;
}

/* Runs the branch again, operation by operation. */
static int bad_output(struct watchdog *dog, struct encoder *e, const struct net *net,
                      struct tape *tape, float *room, const float *x, const char *branch)
{
    char name[64];
    if (!layer_trace(name, e, net, tape, room, x))
        return 0;
    return blame(dog, "the output of %s in the %s encoder", name, branch);
}

static int bad_branches(struct watchdog *dog, struct step *s, const struct step_input *in)
{
    enum key_encoder key = s->config.key.kind;
    struct encoder *k = key == KEY_SAME ? &s->q : &s->k;
    const float *x_q = key == KEY_JOINT ? s->x_shuffled : in->x_q;
    return bad_output(dog, &s->q, s->net, s->tape_q, s->raw_q, x_q, "query") ||
           (key_has_branch(key) &&
            bad_output(dog, k, s->net_k, s->tape_k, s->raw_k, in->x_k, "key"));
}

int watchdog_part(struct watchdog *dog, struct step *s, const struct step_input *in)
{
    if (isfinite(s->loss))
        return MOCO_OK;
    int found = bad_weight(dog, s->net, &s->q, "query") ||
                (s->k.params && bad_weight(dog, s->net_k, &s->k, "key")) ||
                bad_view(dog, s, in) || bad_branches(dog, s, in);
    if (!found)
        blame(dog, "the loss of finite features");
    return not_finite(dog);
}

static int bad_gradient(struct watchdog *dog, const struct net *net, const struct encoder *e,
                        const char *branch)
{
    size_t count;
    const struct tensor *conv1 = net_tensors(net, &count);
    if (!e->grads || is_finite(e->grads + conv1->offset, conv1->count))
        return 0;
    return blame(dog, "the gradient of %s of the %s encoder",
                 find_tensor(net, e->grads, 1)->name, branch);
}

int watchdog_step(struct watchdog *dog, const struct step *s)
{
    int bad = bad_gradient(dog, s->net, &s->q, "query") ||
              (s->config.key.kind == KEY_SEPARATE && bad_gradient(dog, s->net_k, &s->k, "key"));
    return bad ? not_finite(dog) : MOCO_OK;
}

int watchdog_weights(struct watchdog *dog, const struct step *s)
{
    int bad = bad_weight(dog, s->net, &s->q, "query") ||
              (s->config.key.kind == KEY_SEPARATE && bad_weight(dog, s->net_k, &s->k, "key"));
    return bad ? not_finite(dog) : MOCO_OK;
}
