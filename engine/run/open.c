/* open.c: opens the parts of a run in the order the data flows; state.c then puts the state where
 * the checkpoint left it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/data/format/raw.h"
#include "engine/data/missing.h"
#include "engine/data/order.h"
#include "engine/data/shape.h"
#include "engine/data/summary.h"
#include "engine/run/labels.h"
#include "engine/run/run.h"

void run_notice(const struct train_hooks *hooks, const char *format, ...)
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

int run_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* What the data are, and what opening them had to choose or leave out. */
static void note(const struct run *run, const struct source *source, const char *where)
{
    char text[1400];
    struct summary *summary = malloc(sizeof *summary);
    if (summary) {
        summary_of(summary, source);
        summary_text(text, sizeof text, summary, where);
        run_notice(run->hooks, "%s", text);
    }
    free(summary);
    if (source->note[0])
        run_notice(run->hooks, "%s", source->note);
}

/* Of the training data it is told when they are measured. */
static void note_missing(const struct run *run, const struct source *source)
{
    if (strcmp(source->where, run->source->where) != 0)
        notice_missing(source, run->hooks, 0);
}

/* ---- kNN data ---- */

/* The data argument of the other part: "cifar10:DIR" -> "cifar10:DIR:test"; CIFAR-100 alike. */
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
    size_t kind = strlen(source->kind);
    int named = !strncmp(base, source->kind, kind) && base[kind] == ':';
    snprintf(out, size, "%s:%s:%s", source->kind, named ? base + kind + 1 : base, part);
}

static int has_parts(const struct source *source)
{
    static const char *const kinds[] = { "cifar10", "cifar100", "synthetic" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(source->kind, kinds[i]))
            return 1;
    return 0;
}

static int open_scores(struct run *run)
{
    const struct run_config *c = run->c;
    char train[1100], test[1100];
    if (!c->knn_train[0] != !c->knn_test[0])
        return error_set(MOCO_EARG, "kNN needs both --knn-train and --knn-test");
    if (!c->knn_train[0] && c->knn_every <= 0)
        return MOCO_OK;
    const struct source *classes = run_classifies(run) ? run->source : NULL; /* its classes */
    int rc;
    if (c->knn_train[0]) {
        rc = score_open(&run->sets, c->knn_train, c->knn_test, classes);
    } else if (!run->source->labels) {
        run_notice(run->hooks, "%s has no labels: kNN is off; give --knn-train and --knn-test",
               run->source->where);
        return MOCO_OK;
    } else if (has_parts(run->source)) {
        part_of(train, sizeof train, run->source, c->data, "train");
        part_of(test, sizeof test, run->source, c->data, "test");
        rc = score_open(&run->sets, train, test, classes);
    } else {
        run_notice(run->hooks, "no --knn-test was given: kNN classifies every fifth training image "
                                "by the others");
        rc = score_split(&run->sets, run->source);
    }
    run->scored = !rc;
    if (!rc)
        score_allow_missing(&run->sets, c->max_missing);
    if (!rc && run->sets.only[0])
        run_notice(run->hooks, "%s", run->sets.only);
    if (!rc && run->sets.test.source == run->source && run_classifies(run) &&
        c->labels_fraction >= 1.0)
        run_notice(run->hooks, "the classifier is judged by images whose labels training does not "
                               "see, and it sees all: give --knn-train and --knn-test");
    if (!rc && (size_t)c->knn_k > run->sets.train.n)
        run_notice(run->hooks, "kNN: all of the %zu images vote where knn-k is %d; a smaller "
                               "--knn-k asks the nearest", run->sets.train.n, c->knn_k);
    if (!rc && c->knn_train[0]) {
        note(run, run->sets.train.source, run->sets.train.source->where);
        note(run, run->sets.test.source, run->sets.test.source->where);
        note_missing(run, run->sets.train.source);
        note_missing(run, run->sets.test.source);
    }
    return rc;
}

/* ---- step and state ---- */

int train_folder(const char *path)
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

/* Evaluation's view, by the images that are evaluated; random views do not look at it. */
static int see_whole(struct run *run)
{
    struct shape shape;
    int rc = shape_of(&shape, run->sets.train.source);
    if (!rc)
        shape_square(&run->policy, &shape);
    return rc;
}

static int open_data(struct run *run)
{
    const struct run_config *c = run->c;
    int rc = init_open(run);
    if (!rc)
        rc = source_open_pair(&run->source, c->data, c->positive,
                              !strcmp(c->positive_by, "index"));
    if (!rc)
        missing_allow(run->source, c->max_missing);
    if (!rc)
        note(run, run->source, NULL);
    if (!rc && c->resume)
        rc = state_keep_normalisation(run);
    if (!rc)
        rc = init_normalise(run);
    if (!rc)
        rc = train_resolve(run->config, run->source, run->hooks);
    if (!rc)
        notice_unread(run->config, run->hooks);
    if (!rc)
        rc = config_policy(&run->policy, c, run->source->channels);
    run->policy.simd = run->simd;
    if (!rc)
        rc = config_schedule(&run->schedule, c);
    if (!rc)
        rc = open_scores(run);
    if (!rc && run->scored)
        rc = see_whole(run);
    return rc || !run->scored ? rc : judge_check(run);
}

static int configure_step(struct run *run)
{
    const struct run_config *c = run->c;
    struct step_config *s = &run->step_config;
    *s = (struct step_config){.accumulate = c->accumulate, .shuffle = c->shuffle_bn,
                              .consistency = (float)c->consistency, .seed = c->seed};
    int rc = config_net(&s->net, c, run->source->channels);
    if (rc)
        return rc;
    config_method(&s->method, c, source_samples(run->source), (size_t)run->source->classes);
    s->kind = method_named(c->method);
    rc = s->kind ? config_optimiser(&s->optimiser, c) : MOCO_EARG;
    return rc ? rc : key_choice_named(&s->key, c->key_encoder);
}

/* bfloat16 works everywhere, but only pays where the CPU computes with it. */
static int check_precision(const struct run *run)
{
    const struct net_config *net = &run->step_config.net;
    if (run->c->force || net->number != MOCO_BF16 || net_bf16_pays(net, run->simd))
        return MOCO_OK;
    return error_set(MOCO_EUNSUPPORTED,
                     "--precision bf16 would only be slower here: it needs a CPU with AVX512_BF16, "
                     "oneDNN (here: %s), kernels avx512 (here: %s) and a width that is a multiple "
                     "of 16; train in fp32, or give --force",
                     net_library_version() ? net_library_version() : "not built in",
                     run->simd->name);
}

/* Arrays that are read from the disk as views ask for them: in random order a small image costs the
 * system's read-ahead each time, unless a window of them stays in memory. */
static void notice_disk(const struct run *run)
{
    const struct source *source = run->source;
    uint64_t free_bytes = run->limit.bytes, whole = raw_bytes(source);
    uint64_t window = (uint64_t)run->c->shuffle_window, samples = source_samples(source);
    if (!source->mapped || free_bytes == UINT64_MAX || whole <= free_bytes)
        return;
    uint64_t sample = whole / samples, fits = free_bytes / 2 / sample;
    if ((window < samples ? window : samples) <= fits)
        return;
    fits -= fits / 8; /* the next run may find a page less free */
    run_notice(run->hooks, "%s takes %.1f GiB, more than the free memory of %.1f GiB: "
                           "--shuffle-window %llu reads it about once an epoch, a larger window "
                           "many times where images are small", source->where,
               (double)whole / 0x1p30, (double)free_bytes / 0x1p30,
               (unsigned long long)(fits < ORDER_WINDOW_MIN ? ORDER_WINDOW_MIN : fits));
}

int run_plan(struct run *run)
{
    int rc = open_data(run);
    if (!rc)
        rc = configure_step(run);
    if (!rc)
        rc = check_precision(run);
    if (!rc)
        rc = memory_plan(&run->plan, &run->step_config, run->c, run->source, &run->policy,
                         run->scored ? &run->sets : NULL, run->simd);
    if (rc)
        return rc;
    memory_limit(&run->limit, "");
    notice_disk(run);
    return run->c->force ? MOCO_OK : memory_check(&run->plan, &run->limit, run->c);
}

/* What training may see of the labels, and which images are drawn more often for them. */
static int open_labels(struct run *run, struct loader_config *loader)
{
    const struct run_config *c = run->c;
    size_t bytes = (size_t)c->batch * sizeof *run->batch_labels;
    int rc = labels_choose(&run->labels, run->source, c->labels_fraction, c->seed);
    run->batch_labels = malloc(bytes);
    if (!rc && !run->batch_labels)
        rc = error_memory("labels", bytes);
    if (rc || !loader->extra)
        return rc;
    if (run->labels)
        rc = labels_list(&run->labelled, &loader->extra_count, run->source, run->labels);
    if (!rc && !loader->extra_count)
        rc = error_set(MOCO_EARG, "labels-per-batch %d: %s has no labels", c->labels_per_batch,
                       run->source->where);
    loader->extra_ids = run->labelled;
    return rc;
}

int run_build(struct run *run)
{
    const struct run_config *c = run->c;
    struct loader_config loader;
    config_loader(&loader, c);
    int rc = run->step_config.kind->labels ? open_labels(run, &loader) : MOCO_OK;
    if (!rc)
        rc = loader_open(&run->loader, run->source, &run->policy, &loader);
    if (rc)
        return rc;
    run->steps = loader_steps(run->loader);
    run->total = run->steps * (uint64_t)c->epochs;
    if (!run->steps)
        return error_set(MOCO_EARG, "a batch of %d needs at least as many images, %s has %zu",
                         c->batch, run->source->where, source_samples(run->source));
    rc = step_open(&run->step, &run->step_config, run->simd);
    run->opened = !rc;
    return rc;
}

int run_open(struct run *run)
{
    const struct run_config *c = run->c;
    if (!c->out[0])
        return error_set(MOCO_EARG, "training needs a folder for the run: --out DIR");
    snprintf(run->checkpoint, PATH_SIZE, "%s/checkpoint.safetensors", c->out);
    snprintf(run->weights, PATH_SIZE, "%s/weights.safetensors", c->out);
    int rc = state_check(run);
    if (!rc)
        rc = run_plan(run);
    if (!rc)
        rc = run_build(run);
    if (rc)
        return rc;
    run->recipe = config_recipe(run->config);
    return run->recipe ? state_open(run) : error_memory("the settings' text", 0);
}

void run_close(struct run *run)
{
    loader_close(&run->loader);
    events_close(&run->events);
    log_close(&run->log);
    if (run->opened)
        step_close(&run->step);
    if (run->scored)
        score_close(&run->sets);
    init_close(run);
    bad_close(&run->bad);
    source_close(&run->source);
    free(run->labels);
    free(run->labelled);
    free(run->batch_labels);
    free(run->recipe);
}
