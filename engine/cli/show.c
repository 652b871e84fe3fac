/* show.c: a training run on the terminal; see show.h.
 *
 * On a terminal one line is rewritten; elsewhere there is a line an epoch and one about every ten
 * seconds. A second signal ends the process at once: the checkpoint on the disk is whole. So does
 * the first one before training has begun, while data are looked at. */
#include "engine/cli/show.h"
#include "engine/cli/cli.h"
#include "engine/cli/signals.h"
#include "engine/cli/terminal.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"

static volatile sig_atomic_t caught, save_asked, begun;

/* Every line that is printed into a closed pipe sends SIGPIPE again: that is no second signal. */
static void on_signal(int number)
{
    if (!begun || (caught && caught != SIGPIPE && number != SIGPIPE))
        signals_end(number);
    if (!caught || caught == SIGPIPE)
        caught = number;
}

static void on_save(int number)
{
    (void)number;
    save_asked = 1;
}

/* What was ignored stays so, as under nohup; but not what a shell ignores for commands behind &. */
static void catch_signal(int number, void (*handler)(int), int always)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    if (always || (!sigaction(number, NULL, &before) && before.sa_handler != SIG_IGN))
        sigaction(number, &action, NULL);
}

static void catch_signals(void)
{
    begun = 0;
    catch_signal(SIGINT, on_signal, 1);
    catch_signal(SIGTERM, on_signal, 1);
    catch_signal(SIGHUP, on_signal, 0);
    catch_signal(SIGPIPE, on_signal, 0);
    catch_signal(SIGUSR1, on_save, 0);
}

static void end_line(struct show *show)
{
    wait_clear(&show->wait);
    if (show->open)
        fputc('\n', stderr);
    show->open = 0;
}

static void on_notice(void *user, const char *sentence)
{
    end_line(user);
    fprintf(stderr, "moco: %s\n", sentence);
}

static void on_profile(void *user, const struct step *step)
{
    end_line(user);
    profile_print(step);
}

static int on_stop(void *user)
{
    (void)user;
    if (caught)
        return TRAIN_STOP;
    int save = save_asked;
    save_asked = 0;
    return save ? TRAIN_SAVE : TRAIN_GO;
}

static void on_waiting(void *user, const char *what, const char *unit, size_t done, size_t count)
{
    struct show *show = user;
    wait_show(&show->wait, what, unit, done, count);
    show->open &= !show->wait.open; /* whose line stands in the other's place */
}

/* A default, whether nobody gave it or config.json, which has every setting, repeats it. */
static int is_default(const struct config *config, const struct setting *row, size_t i)
{
    return config->origin[i] == FROM_DEFAULT ||
           (config->origin[i] == FROM_FILE && config_is_usual(config, row));
}

/* Settings that are no default, each with its origin, a few a line. */
static void on_started(void *user, const struct config *config, uint64_t step, uint64_t steps)
{
    size_t count;
    char text[1100];
    int column = 0;
    const struct setting *rows = config_settings(&count);
    begun = 1;
    ((struct show *)user)->trained |= step > 0;
    fprintf(stderr, "method %s on %s -> %s\n", config->value.method, config->value.data,
            config->value.out);
    for (size_t i = 0; i < count; i++) {
        if (is_default(config, &rows[i], i) || !strcmp(rows[i].name, "out"))
            continue;
        config_text(text, sizeof text, config, &rows[i]);
        if (column > 70)
            column = 0, fputc('\n', stderr);
        column += fprintf(stderr, "  %s %.60s%s (%s)", rows[i].name, text,
                          strlen(text) > 60 ? "..." : "", origin_name(config->origin[i]));
    }
    if (config->reasons[0])
        fprintf(stderr, "%s  from the number of images and the batch: %s", column ? "\n" : "",
                config->reasons),
            column = 1;
    fprintf(stderr, "%s  steps %llu of %llu done\n", column ? "\n" : "",
            (unsigned long long)step, (unsigned long long)steps);
}

static void json_number(const char *name, double value)
{
    if (isfinite(value))
        printf(",\"%s\":%.9g", name, value);
}

/* On a run's first line: what it trains on. */
static void json_source(const struct source *source)
{
    printf(",\"images\":%zu,\"classes\":%d,\"channels\":%d", source->count,
           source->labels ? source->classes : 0, source->channels);
    cli_json_account(&source->account, "");
}

static void json_line(const struct train_progress *p, int first)
{
    printf("{\"epoch\":%d,\"step\":%llu", p->epoch, (unsigned long long)p->step);
    json_number("loss", p->loss);
    json_number("ln_k1", p->ln_k1);
    json_number("top1", p->top1);
    json_number("lr", p->lr);
    json_number("img_s", p->img_s);
    json_number("data_s", p->data_s);
    json_number("compute_s", p->compute_s);
    json_number("queue_fill", p->queue_fill);
    json_number("knn", p->knn);
    json_number("accuracy", p->accuracy);
    if (first && p->source)
        json_source(p->source);
    printf("}\n");
    fflush(stdout);
}

/* The loss of a guess, and how full the queue is; of methods that have these. */
static void dictionary_text(char *out, size_t size, const struct train_progress *p)
{
    int queue = !isnan(p->queue_fill), used = 0;
    out[0] = '\0';
    if (!isnan(p->ln_k1))
        used = snprintf(out, size, " (%s %.4f)", queue ? "ln(K+1)" : "guess", p->ln_k1);
    if (queue)
        snprintf(out + used, size - (size_t)used, " queue %.0f%%", 100 * p->queue_fill);
}

/* A number, or a stroke where there is none. */
static const char *number_text(char *out, size_t size, const char *format, double value)
{
    if (isnan(value))
        snprintf(out, size, "-");
    else
        snprintf(out, size, format, value);
    return out;
}

/* Accuracies of an epoch that was evaluated. */
static void scores_text(char *out, size_t size, const struct train_progress *p)
{
    int used = 0;
    out[0] = '\0';
    if (p->epoch_done && !isnan(p->knn))
        used = snprintf(out, size, " kNN %.2f%%", p->knn);
    if (p->epoch_done && !isnan(p->accuracy))
        snprintf(out + used, size - (size_t)used, " classifier %.2f%%", p->accuracy);
}

static void on_progress(void *user, const struct train_progress *p)
{
    struct show *show = user;
    char eta[32], dictionary[64], loss[32], top1[32], scores[64], line[400];
    double time = clock_seconds(), seconds = p->data_s + p->compute_s;
    begun = 1; /* a study's runs are not announced */
    show->trained |= p->epoch > 0;
    wait_clear(&show->wait);
    if (p->epoch_done && show->json)
        json_line(p, !show->lines++);
    if (!p->epoch_done && time - show->shown < (show->terminal ? 0.2 : 10.0))
        return;
    show->shown = time;
    if (p->epoch == 0) {
        fprintf(stderr, isnan(p->knn) ? "before training: no kNN\n"
                                      : "before training: kNN %.2f %%\n", p->knn);
        return;
    }
    cli_duration(eta, sizeof eta, p->eta_s);
    dictionary_text(dictionary, sizeof dictionary, p);
    scores_text(scores, sizeof scores, p);
    snprintf(line, sizeof line,
             "epoch %d/%d step %llu/%llu loss %s%s top-1 %s %.0f img/s "
             "data %.0f%% compute %.0f%% ETA %s%s",
             p->epoch, p->epochs, (unsigned long long)p->step, (unsigned long long)p->steps,
             number_text(loss, sizeof loss, "%.4f", p->loss), dictionary,
             number_text(top1, sizeof top1, "%.1f%%", 100 * p->top1), p->img_s,
             seconds > 0 ? 100 * p->data_s / seconds : 0.0,
             seconds > 0 ? 100 * p->compute_s / seconds : 0.0, eta, scores);
    if (show->terminal)
        terminal_clear_line();
    fputs(line, stderr);
    show->open = show->terminal;
    if (p->epoch_done || !show->terminal)
        show->open = 0, fputc('\n', stderr);
}

void show_open(struct show *show, struct train_hooks *hooks, int json)
{
    *show = (struct show){.terminal = isatty(2), .json = json, .shown = clock_seconds()};
    *hooks = (struct train_hooks){show, on_started, on_progress, on_notice, on_profile, on_stop,
                                  on_waiting};
    catch_signals();
}

void show_close(struct show *show)
{
    end_line(show);
}

int show_asked(void *user)
{
    (void)user;
    return caught != 0;
}

int show_interrupted(void)
{
    return 128 + caught;
}

int show_train(struct config *config, const struct moco_simd *simd, int keeps)
{
    struct show show;
    struct train_hooks hooks;
    show_open(&show, &hooks, config->value.json);
    int rc = train_run(config, simd, &hooks);
    show_close(&show);
    if (rc == TRAIN_INTERRUPTED) {
        fprintf(stderr, "moco: interrupted%s\n",
                !keeps ? "; nothing is kept"
                : show.trained ? "; the run is saved, go on with --resume"
                               : " before the first step; begin anew with --resume");
        return show_interrupted();
    }
    if (rc)
        return cli_failed();
    if (keeps)
        fprintf(stderr, "moco: weights are in %s/weights.safetensors\n", config->value.out);
    return EXIT_DONE;
}
