/* train.c: the training loop; see train.h.
 *
 * The loop is a machine over (info.step, info.epoch_steps): either the epoch is full and is closed
 * (kNN, log row, checkpoint), or one step is made. A checkpoint may be taken between any two, and
 * a resumed run enters at the same place. */
#include "engine/run/train.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/base/error.h"
#include "engine/data/loader.h"
#include "engine/eval/score.h"
#include "engine/run/checkpoint.h"
#include "engine/run/log.h"

enum { PATH_SIZE = 1100, WATCHDOG_EPOCHS = 3 };

struct run {
    struct config *config;
    const struct run_config *c; /* &config->value */
    const struct moco_simd *simd;
    const struct train_hooks *hooks;
    struct source *source;
    struct policy policy;
    struct schedule schedule;
    struct loader *loader;
    struct step step;
    int opened; /* step is */
    struct score_sets sets;
    int scored; /* sets are open: kNN is on */
    struct checkpoint_info info;
    struct log log;
    char *recipe;
    char checkpoint[PATH_SIZE], weights[PATH_SIZE];
    uint64_t steps, total;                /* of an epoch, of the run */
    double data_s, compute_s;             /* this epoch, this process */
    uint64_t timed;                       /* steps that the two cover */
    double all_s;                         /* this process, and its steps */
    uint64_t all_steps;
    double lr, knn;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void __attribute__((format(printf, 2, 3)))
notice(const struct train_hooks *hooks, const char *format, ...)
{
    char sentence[1400];
    va_list args;
    if (!hooks || !hooks->notice)
        return;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    hooks->notice(hooks->user, sentence);
}

static int exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* ---- settings that follow from the data ---- */


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

int train_resolve(struct config *config, const struct source *source,
                  const struct train_hooks *hooks)
{
    if (source->channels <= 0)
        return error_set(MOCO_EARG, "the images of %s differ in their number of channels; train "
                                    "on images of one kind", source->where);
    int rc = resolve_side(config, source);
    if (!rc)
        rc = resolve_queue(config, source->count);
    if (!rc && strcmp(config->value.method, "end-to-end") == 0)
        rc = config_set(config, "key-encoder", "same", FROM_DATA);
    if (!rc)
        rc = config_check(config, source->count);
    if (!rc)
        rc = resolve_normalisation(config, source);
    if (!rc && strcmp(config->value.method, "moco") == 0 &&
        (size_t)config->value.queue > source->count)
        notice(hooks, "the queue (%d keys) is longer than the data set (%zu images): every image "
                      "meets older keys of itself as negatives; --mask leaves them out",
               config->value.queue, source->count);
    return rc;
}

/* ---- kNN data ---- */

/* The data argument of the other part: "cifar10:DIR" -> "cifar10:DIR:test". */
static void part_of(char *out, size_t size, const struct source *source, const char *data,
                    const char *part)
{
    if (strcmp(source->kind, "synthetic") == 0) {
        const char *settings = strchr(data, ':');
        int some = settings && settings[1];
        snprintf(out, size, "%s%s%ssplit=%s", data, settings ? "" : ":", some ? "," : "", part);
        return;
    }
    char base[1024];
    snprintf(base, sizeof base, "%s", data);
    size_t length = strlen(base);
    if (length > 6 && strcmp(base + length - 6, ":train") == 0)
        base[length - 6] = '\0';
    else if (length > 5 && strcmp(base + length - 5, ":test") == 0)
        base[length - 5] = '\0';
    snprintf(out, size, "%s%s:%s", strncmp(base, "cifar10:", 8) ? "cifar10:" : "", base, part);
}

static int open_scores(struct run *run)
{
    const struct run_config *c = run->c;
    char train[1100], test[1100];
    if (!c->knn_train[0] != !c->knn_test[0])
        return error_set(MOCO_EARG, "kNN needs both --knn-train and --knn-test");
    if (!c->knn_train[0] && c->knn_every <= 0)
        return MOCO_OK;
    int rc;
    if (c->knn_train[0]) {
        rc = score_open(&run->sets, c->knn_train, c->knn_test);
    } else if (!run->source->labels) {
        notice(run->hooks, "%s has no labels: kNN is off; give --knn-train and --knn-test",
               run->source->where);
        return MOCO_OK;
    } else if (!strcmp(run->source->kind, "cifar10") || !strcmp(run->source->kind, "synthetic")) {
        part_of(train, sizeof train, run->source, c->data, "train");
        part_of(test, sizeof test, run->source, c->data, "test");
        rc = score_open(&run->sets, train, test);
    } else {
        notice(run->hooks, "no --knn-test was given: kNN classifies every fifth training image by "
                           "the others");
        rc = score_split(&run->sets, run->source);
    }
    run->scored = !rc;
    return rc;
}

static int score(struct run *run)
{
    struct embed embed = {.net = run->step.net, .encoder = &run->step.q, .simd = run->simd};
    int rc = embed_feature_named(&embed.feature, run->c->feature);
    if (!rc)
        rc = score_run(&run->knn, &run->sets, &embed, &run->policy, run->c->knn_k, run->c->knn_t,
                       run->simd);
    return rc;
}

/* ---- opening and closing ---- */

static int make_folder(const char *path)
{
    char part[PATH_SIZE];
    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        mkdir(part, 0777);
        *p = '/';
    }
    if (mkdir(part, 0777) && errno != EEXIST)
        return error_set(MOCO_EIO, "creating folder %s: %s", path, strerror(errno));
    return MOCO_OK;
}

static int open_step(struct run *run)
{
    const struct run_config *c = run->c;
    struct step_config s = {.shuffle = c->shuffle_bn, .momentum = (float)c->momentum,
                            .weight_decay = (float)c->wd, .seed = c->seed};
    int rc = config_net(&s.net, c, run->source->channels);
    if (rc)
        return rc;
    config_method(&s.method, c);
    s.kind = method_named(c->method);
    if (!s.kind)
        return MOCO_EARG;
    rc = key_encoder_named(&s.key, c->key_encoder);
    if (!rc)
        rc = step_open(&run->step, &s, run->simd);
    run->opened = !rc;
    return rc;
}

/* Reads the checkpoint or starts afresh; then info says where the run stands. */
static int open_state(struct run *run)
{
    char path[PATH_SIZE];
    const char *out = run->c->out;
    int resumed = exists(run->checkpoint), rc;
    snprintf(path, sizeof path, "%s/log.csv", out);
    if (!run->c->resume && (resumed || exists(path) || exists(run->weights)))
        return error_set(MOCO_EARG, "%s holds a run already; go on with --resume or choose another "
                                    "--out", out);
    if (resumed) {
        rc = checkpoint_load(run->checkpoint, &run->step, &run->info, run->recipe);
        if (!rc && run->info.images != run->source->count)
            rc = error_set(MOCO_EARG, "the run in %s was started on %llu images, %s has %zu", out,
                           (unsigned long long)run->info.images, run->source->where,
                           run->source->count);
    } else {
        step_init(&run->step);
        rc = make_folder(out);
    }
    if (!rc)
        rc = log_open(&run->log, path, resumed ? run->info.log_bytes : 0);
    snprintf(path, sizeof path, "%s/config.json", out);
    if (!rc && !resumed)
        rc = config_write(run->config, path, run->simd->name);
    run->info.images = run->source->count;
    run->info.channels = run->source->channels;
    return rc;
}

static int open_data(struct run *run)
{
    const struct run_config *c = run->c;
    int rc = source_open(&run->source, c->data);
    if (!rc)
        rc = train_resolve(run->config, run->source, run->hooks);
    if (!rc)
        rc = config_policy(&run->policy, c, run->source->channels);
    if (!rc)
        rc = config_schedule(&run->schedule, c);
    if (!rc)
        rc = open_scores(run);
    if (!rc)
        rc = loader_open(&run->loader, run->source, &run->policy, (size_t)c->batch, c->seed,
                         c->workers);
    return rc;
}

static int run_open(struct run *run)
{
    const struct run_config *c = run->c;
    if (!c->out[0])
        return error_set(MOCO_EARG, "training needs a folder for the run: --out DIR");
    snprintf(run->checkpoint, PATH_SIZE, "%s/checkpoint.safetensors", c->out);
    snprintf(run->weights, PATH_SIZE, "%s/weights.safetensors", c->out);
    int rc = open_data(run);
    if (rc)
        return rc;
    run->steps = loader_steps(run->loader);
    run->total = run->steps * (uint64_t)c->epochs;
    if (!run->steps)
        return error_set(MOCO_EARG, "a batch of %d needs at least as many images, %s has %zu",
                         c->batch, run->source->where, run->source->count);
    run->recipe = config_recipe(run->config);
    if (!run->recipe)
        return error_memory("the settings' text", 0);
    rc = open_step(run);
    return rc ? rc : open_state(run);
}

static void run_close(struct run *run)
{
    loader_close(&run->loader);
    log_close(&run->log);
    if (run->opened)
        step_close(&run->step);
    if (run->scored)
        score_close(&run->sets);
    source_close(&run->source);
    free(run->recipe);
}

/* ---- the loop ---- */

/* A weight that is no longer finite must not replace the last good checkpoint. */
static int check_finite(const struct run *run)
{
    size_t count = net_param_count(run->step.net);
    float sum = 0.0f;
    for (size_t i = 0; i < count; i++)
        sum += run->step.q.params[i] * 0.0f;
    if (sum == 0.0f)
        return MOCO_OK;
    return error_set(MOCO_EDIVERGED, "a weight is no longer finite after step %llu; the last good "
                     "checkpoint in %s is kept; try a smaller --lr or --warmup",
                     (unsigned long long)run->info.step, run->c->out);
}

static int save(struct run *run)
{
    run->info.log_bytes = run->log.bytes;
    int rc = check_finite(run);
    return rc ? rc : checkpoint_save(run->checkpoint, &run->step, &run->info, run->recipe);
}

static double fill_share(const struct run *run)
{
    size_t filled = 0, slots = 0;
    const struct method *kind = run->step.config.kind;
    if (kind->fill)
        kind->fill(run->step.state, &filled, &slots);
    return slots ? (double)filled / (double)slots : 0.0;
}

/* Loss of a guess among all candidates: ln(K+1), or ln(B) without a dictionary. */
static double guess_loss(const struct run *run)
{
    size_t filled = 0, slots = 0;
    const struct method *kind = run->step.config.kind;
    if (kind->fill)
        kind->fill(run->step.state, &filled, &slots);
    double one = slots ? log((double)slots + 1.0) : log((double)run->c->batch);
    return run->c->symmetric ? 2.0 * one : one;
}

static uint64_t epoch_of(const struct run *run)
{
    return (run->info.step - run->info.epoch_steps) / run->steps;
}

static void progress_of(struct train_progress *p, const struct run *run)
{
    double n = run->info.epoch_steps ? (double)run->info.epoch_steps : NAN;
    double seconds = run->data_s + run->compute_s;
    *p = (struct train_progress){
        .epoch = (int)epoch_of(run) + 1, .epochs = run->c->epochs, .step = run->info.epoch_steps,
        .steps = run->steps, .loss = run->info.loss_sum / n, .top1 = run->info.top1_sum / n,
        .ln_k1 = guess_loss(run), .lr = run->lr, .queue_fill = fill_share(run),
        .img_s = seconds > 0 ? (double)run->timed * run->c->batch / seconds : 0.0,
        .data_s = run->data_s, .compute_s = run->compute_s, .knn = NAN,
        .eta_s = run->all_steps ? run->all_s / (double)run->all_steps *
                                      (double)(run->total - run->info.step) : 0.0,
    };
}

static void report(const struct run *run, const struct train_progress *p)
{
    if (run->hooks && run->hooks->progress)
        run->hooks->progress(run->hooks->user, p);
}

static int diverged(const struct run *run)
{
    return error_set(MOCO_EDIVERGED, "the loss or a gradient is no longer finite in step %llu "
                     "(epoch %llu); %s%s; try a smaller --lr or --warmup",
                     (unsigned long long)run->info.step + 1,
                     (unsigned long long)epoch_of(run) + 1,
                     exists(run->checkpoint) ? "the last good checkpoint is kept in "
                                             : "there is no checkpoint yet in ", run->c->out);
}

static int train_step(struct run *run)
{
    const struct batch *batch;
    double start = now();
    int rc = loader_next(run->loader, &batch);
    if (rc)
        return rc;
    double middle = now();
    run->lr = schedule_lr(&run->schedule, (int)epoch_of(run), (long)run->info.epoch_steps,
                          (long)run->steps);
    struct step_input input = {.x_q = batch->x_q, .x_k = batch->x_k, .ids = batch->ids,
                               .lr = (float)run->lr, .m = (float)run->c->m};
    rc = step_run(&run->step, &input);
    if (rc == MOCO_EDIVERGED || (!rc && !isfinite(run->step.loss)))
        return diverged(run);
    if (rc)
        return rc;
    run->info.step++;
    run->info.epoch_steps++;
    run->info.loss_sum += run->step.loss;
    run->info.top1_sum += run->step.top1;
    run->data_s += middle - start;
    run->compute_s += now() - middle;
    run->all_s += now() - start;
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

/* kNN if it is due, the row, then the checkpoint that knows the row. */
static int end_epoch(struct run *run)
{
    struct train_progress p;
    uint64_t done = epoch_of(run) + 1;
    int rc = MOCO_OK;
    progress_of(&p, run);
    if (wants_score(run, done)) {
        rc = score(run);
        p.knn = run->knn;
    }
    struct log_row row = {(int)done, run->info.step, p.loss, p.ln_k1, p.top1, p.lr, p.img_s,
                          p.data_s, p.compute_s, p.queue_fill, p.knn};
    if (!rc)
        rc = log_append(&run->log, &row);
    if (rc)
        return rc;
    p.epoch_done = 1;
    report(run, &p);
    if (done == WATCHDOG_EPOCHS && fabs(p.loss - p.ln_k1) < 0.01 * p.ln_k1)
        notice(run->hooks, "after %d epochs the loss is still at %.3f, that of guessing (%.3f): "
                           "nothing is learnt; check --lr, the views and the data",
               WATCHDOG_EPOCHS, p.loss, p.ln_k1);
    run->info.epoch_steps = 0;
    run->info.loss_sum = run->info.top1_sum = 0.0;
    run->data_s = run->compute_s = 0.0;
    run->timed = 0;
    return save(run);
}

/* kNN of untrained weights, as epoch 0. */
static int score_start(struct run *run)
{
    struct train_progress p;
    if (run->info.step || run->log.bytes > 80 || !run->scored || run->c->knn_every <= 0)
        return MOCO_OK;
    int rc = score(run);
    if (rc)
        return rc;
    progress_of(&p, run);
    p.epoch = 0;
    p.knn = run->knn;
    p.epoch_done = 1;
    report(run, &p);
    struct log_row row = {0, 0, NAN, p.ln_k1, NAN, NAN, NAN, NAN, NAN, p.queue_fill, p.knn};
    return log_append(&run->log, &row);
}

static int loop(struct run *run)
{
    const struct train_hooks *hooks = run->hooks;
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
        int every = run->c->checkpoint_every;
        int stop = hooks && hooks->stop && hooks->stop(hooks->user);
        if (stop || (every > 0 && run->info.step % (uint64_t)every == 0))
            rc = save(run);
        if (rc || stop)
            return rc ? rc : TRAIN_INTERRUPTED;
    }
}

static int train(struct run *run)
{
    int complete = run->info.step >= run->total && !run->info.epoch_steps;
    if (run->hooks && run->hooks->started)
        run->hooks->started(run->hooks->user, run->config, run->info.step, run->total);
    if (complete && exists(run->weights)) {
        notice(run->hooks, "the run in %s is complete", run->c->out);
        return MOCO_OK;
    }
    int rc = score_start(run);
    if (!rc && !complete)
        rc = loader_seek(run->loader, epoch_of(run), (size_t)run->info.epoch_steps);
    if (!rc)
        rc = loop(run);
    if (!rc)
        rc = weights_save(run->weights, run->step.net, &run->step.q, run->policy.mean,
                          run->policy.std, run->recipe);
    return rc;
}

int train_run(struct config *config, const struct moco_simd *simd,
              const struct train_hooks *hooks)
{
    struct run run = {.config = config, .c = &config->value, .simd = simd, .hooks = hooks,
                      .log.fd = -1, .knn = NAN};
    int rc = run_open(&run);
    if (!rc)
        rc = train(&run);
    run_close(&run);
    return rc;
}
