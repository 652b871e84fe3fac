/* train.c: the training loop; see train.h.
 *
 * The loop is a machine over (info.step, info.epoch_steps): either the epoch is full and is closed
 * (checkpoint, kNN, log row, checkpoint), or one step is made. A checkpoint may be taken between
 * any two, and a resumed run enters at the same place. Training is saved before it is judged:
 * whatever becomes of an evaluation, the steps are kept, and a resumed run judges them anew. */
#include "engine/run/train.h"

#include <math.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/net/report.h"
#include "engine/run/run.h"

static int diverged(const struct run *run, uint64_t step)
{
    const char *cause = run->dog.cause;
    return error_set(MOCO_EDIVERGED, "%s%s no longer finite in step %llu (epoch %llu); %s%s; try a "
                     "smaller --lr or --warmup", cause[0] ? cause : "the loss or a gradient",
                     cause[0] ? ", the first of all, is" : " is", (unsigned long long)step,
                     (unsigned long long)((step - 1) / run->steps + 1),
                     run_exists(run->checkpoint) ? "the last good checkpoint is kept in "
                                                 : "there is no checkpoint yet in ", run->c->out);
}

/* A weight that is no longer finite must not replace the last good checkpoint. */
static int save(struct run *run)
{
    run->info.log_bytes = run->log.bytes;
    run->save_asked = 0;
    if (watchdog_weights(&run->dog, &run->step))
        return diverged(run, run->info.step);
    int rc = checkpoint_save(run->checkpoint, &run->step, &run->info, run->recipe);
    run->saved = !rc && run->info.epoch_steps == run->steps ? run->info.step : 0;
    return rc;
}

static double fill_share(const struct run *run)
{
    size_t filled = 0, slots = 0;
    const struct method *kind = run->step.config.kind;
    if (kind->fill)
        kind->fill(run->step.state, &filled, &slots);
    return slots ? (double)filled / (double)slots : NAN;
}

/* Loss of a guess among all candidates, ln(K+1) with a queue; NAN where that has no meaning. */
static double guess_loss(const struct run *run)
{
    const struct method *kind = run->step.config.kind;
    return kind->guess ? kind->guess(&run->step.config.method) : NAN;
}

static uint64_t epoch_of(const struct run *run)
{
    return (run->info.step - run->info.epoch_steps) / run->steps;
}

static void progress_of(struct train_progress *p, const struct run *run)
{
    double judged = (double)(run->info.epoch_steps - run->info.unjudged);
    double n = judged > 0 ? judged : NAN;
    double seconds = run->data_s + run->compute_s;
    *p = (struct train_progress){
        .epoch = (int)epoch_of(run) + 1, .epochs = run->c->epochs, .step = run->info.epoch_steps,
        .steps = run->steps, .loss = run->info.loss_sum / n, .top1 = run->info.top1_sum / n,
        .step_loss = run->step.loss, .ln_k1 = guess_loss(run), .lr = run->lr,
        .queue_fill = fill_share(run),
        .img_s = seconds > 0 ? (double)run->timed * run->c->batch / seconds : 0.0,
        .data_s = run->data_s, .compute_s = run->compute_s, .knn = NAN, .source = run->source,
        .accuracy = NAN,
        .eta_s = run->all_steps ? run->all_s / (double)run->all_steps *
                                      (double)(run->total - run->info.step) : 0.0,
    };
}

static void report(const struct run *run, const struct train_progress *p)
{
    if (run->hooks && run->hooks->progress)
        run->hooks->progress(run->hooks->user, p);
}

/* Learning rate of a step of this epoch, counted from 0. */
static double lr_of(const struct run *run, uint64_t step)
{
    return schedule_lr(&run->schedule, (int)epoch_of(run), (long)step, (long)run->steps);
}

static double momentum_of(const struct run *run)
{
    if (!run->c->m_cosine)
        return run->c->m;
    return schedule_momentum(run->c->m, run->info.step, run->total);
}

/* Classes of a micro-batch, as far as training may see them. */
static const int32_t *batch_labels(const struct run *run, const int64_t *ids)
{
    if (!run->labels)
        return NULL;
    for (size_t i = 0; i < run->step.rows; i++)
        run->batch_labels[i] = run->labels[(size_t)ids[i] * source_views(run->source)];
    return run->batch_labels;
}

int run_step(struct run *run, double lr, double *data_s)
{
    int rc = MOCO_OK;
    *data_s = 0;
    step_begin(&run->step);
    for (int part = 0; part < run->c->accumulate && !rc; part++) {
        const struct batch *batch;
        double start = clock_seconds();
        rc = loader_next(run->loader, &batch);
        *data_s += clock_seconds() - start;
        if (!rc)
            rc = bad_take(run, batch);
        if (rc)
            return rc;
        struct step_input input = {.x_q = batch->x_q, .x_k = batch->x_k, .ids = batch->ids,
                                   .labels = batch_labels(run, batch->ids),
                                   .m = (float)momentum_of(run)};
        rc = step_part(&run->step, &input);
        if (!rc)
            rc = watchdog_part(&run->dog, &run->step, &input);
    }
    if (!rc)
        rc = step_end(&run->step, (float)lr);
    return rc ? rc : watchdog_step(&run->dog, &run->step);
}

static int train_step(struct run *run)
{
    double start = clock_seconds(), data_s, whole_s;
    run->lr = lr_of(run, run->info.epoch_steps);
    int rc = run_step(run, run->lr, &data_s);
    if (rc == MOCO_EDIVERGED)
        return diverged(run, run->info.step + 1);
    if (rc)
        return rc;
    whole_s = clock_seconds() - start;
    run->info.step++;
    run->info.epoch_steps++;
    run->info.unjudged += !run->step.judged;
    run->info.loss_sum += run->step.judged ? run->step.loss : 0.0;
    run->info.top1_sum += run->step.judged ? run->step.top1 : 0.0;
    run->data_s += data_s;
    run->compute_s += whole_s - data_s;
    run->all_s += whole_s;
    run->timed++;
    run->all_steps++;
    return MOCO_OK;
}

static int wants_score(const struct run *run, uint64_t done)
{
    if (!run->scored)
        return 0;
    if (done == (uint64_t)run->c->epochs)
        return 1;
    return run->c->knn_every > 0 && done % (uint64_t)run->c->knn_every == 0;
}

static int write_row(struct run *run, const struct log_row *row)
{
    int rc = log_append(&run->log, row);
    return rc ? rc : events_append(&run->events, row, clock_of_day());
}

/* Saves what is to be judged, unless the checkpoint has it, and judges it. */
static int judge_epoch(struct run *run, struct train_progress *p, uint64_t done)
{
    int rc = run->saved == run->info.step ? MOCO_OK : save(run);
    if (!rc)
        rc = judge_run(run, done);
    p->knn = run->knn;
    p->accuracy = run->accuracy;
    return rc;
}

/* kNN if it is due, the row, then the checkpoint that knows the row. */
static int end_epoch(struct run *run)
{
    struct train_progress p;
    uint64_t done = epoch_of(run) + 1;
    int rc = MOCO_OK;
    run->lr = lr_of(run, run->steps - 1); /* a run resumed here has made no step yet */
    progress_of(&p, run);
    if (wants_score(run, done))
        rc = judge_epoch(run, &p, done);
    struct log_row row = {(int)done, run->info.step, p.loss, p.ln_k1, p.top1, p.lr, p.img_s,
                          p.data_s, p.compute_s, p.queue_fill, p.knn, p.accuracy};
    if (!rc)
        rc = write_row(run, &row);
    if (rc)
        return rc;
    p.epoch_done = 1;
    report(run, &p);
    watchdog_epoch(&run->dog, &p, &run->step, run->hooks);
    bad_end_epoch(run, done);
    run->info.epoch_steps = run->info.unjudged = 0;
    run->info.loss_sum = run->info.top1_sum = 0.0;
    run->data_s = run->compute_s = 0.0;
    run->timed = 0;
    return save(run);
}

/* kNN of untrained weights, as epoch 0. */
static int score_start(struct run *run)
{
    struct train_progress p;
    if (run->info.step || run->log.rows || !run->scored || run->c->knn_every <= 0)
        return MOCO_OK;
    int rc = judge_run(run, 0);
    if (rc)
        return rc;
    progress_of(&p, run);
    p.epoch = 0;
    p.knn = run->knn;
    p.accuracy = run->accuracy;
    p.epoch_done = 1;
    report(run, &p);
    struct log_row row = {0, 0, NAN, p.ln_k1, NAN, NAN, NAN, NAN, NAN, p.queue_fill, p.knn,
                          p.accuracy};
    return write_row(run, &row);
}

static void profile(struct run *run)
{
    if (!run->c->profile || !run->hooks || !run->hooks->profile)
        return;
    if (run->all_steps == TRAIN_WARM_UP) {
        layer_report_restart(run->step.net, run->step.tape_q);
        if (run->step.tape_k)
            layer_report_restart(run->step.net_k, run->step.tape_k);
    } else if (run->all_steps == TRAIN_WARM_UP + TRAIN_PROFILED) {
        run->hooks->profile(run->hooks->user, &run->step);
    }
}

/* Between two steps: the checkpoint that is due or asked for; TRAIN_INTERRUPTED where the run is to
 * end. */
static int between_steps(struct run *run)
{
    const struct train_hooks *hooks = run->hooks;
    int asked = hooks && hooks->stop ? hooks->stop(hooks->user) : TRAIN_GO;
    int every = run->c->checkpoint_every;
    int due = every > 0 && run->info.step % (uint64_t)every == 0;
    int wanted = asked == TRAIN_SAVE || run->save_asked;
    int rc = due || wanted || asked == TRAIN_STOP ? save(run) : MOCO_OK;
    if (!rc && wanted)
        run_notice(hooks, "step %llu is saved as asked, training goes on",
                   (unsigned long long)run->info.step);
    return !rc && asked == TRAIN_STOP ? TRAIN_INTERRUPTED : rc;
}

static int loop(struct run *run)
{
    struct train_progress p;
    for (;;) {
        if (run->info.epoch_steps == run->steps) {
            int rc = end_epoch(run);
            if (rc)
                return rc;
            continue;
        }
        if (run->info.step == run->total)
            return MOCO_OK;
        int rc = train_step(run);
        if (rc)
            return rc;
        progress_of(&p, run);
        report(run, &p);
        profile(run);
        rc = between_steps(run);
        if (rc)
            return rc;
    }
}

/* The batch after the last one done; a full epoch that is still to be closed has given all its
 * batches, so the next comes from the epoch after it. */
static int seek(struct run *run)
{
    uint64_t full = run->info.epoch_steps == run->steps;
    return loader_seek(run->loader, epoch_of(run) + full,
                       full ? 0 : (size_t)run->info.epoch_steps);
}

static int train(struct run *run)
{
    int complete = run->info.step >= run->total && !run->info.epoch_steps;
    if (run->hooks && run->hooks->started)
        run->hooks->started(run->hooks->user, run->config, run->info.step, run->total);
    if (complete && run_exists(run->weights)) {
        run_notice(run->hooks, "the run in %s is complete", run->c->out);
        return MOCO_OK;
    }
    if (run->info.epoch_steps == run->steps)
        run->saved = run->info.step;
    int rc = score_start(run);
    if (!rc && run->c->fill_first && !run->info.step && !complete)
        rc = fill_queue(run);
    if (!rc && !complete)
        rc = seek(run);
    if (!rc)
        rc = loop(run);
    bad_end_run(run);
    if (!rc)
        rc = weights_save(run->weights, run->step.net, &run->step.q, run->policy.mean,
                          run->policy.std, run->recipe);
    return rc;
}

int train_run(struct config *config, const struct moco_simd *simd,
              const struct train_hooks *hooks)
{
    struct run run = {.config = config, .c = &config->value, .simd = simd, .hooks = hooks,
                      .log.fd = -1, .events.fd = -1, .knn = NAN, .accuracy = NAN};
    int rc = run_open(&run);
    if (!rc)
        rc = train(&run);
    run_close(&run);
    return rc;
}
