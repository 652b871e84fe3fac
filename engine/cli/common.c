/* common.c: what several commands share: options, machine. */
#include "engine/cli/cli.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/cpus.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/team.h"
#include "engine/base/words.h"
#include "engine/cli/help/help.h"
#include "engine/cli/terminal.h"
#include "engine/cli/wait.h"
#include "engine/data/summary.h"

enum { WORD_NEAR = 2 /* letters that differ */, THREADS_MAX = 4096 };

int cli_failed(void)
{
    fflush(stdout);
    cli_wait_clear();
    fprintf(stderr, "moco: %s\n", error_text());
    return EXIT_FAILED;
}

void cli_note(const struct source *source, int named)
{
    char text[1400];
    struct summary *summary = malloc(sizeof *summary);
    if (summary) {
        summary_of(summary, source);
        summary_text(text, sizeof text, summary, named ? source->where : NULL);
        fprintf(stderr, "moco: %s\n", text);
    }
    free(summary);
    if (source->note[0])
        fprintf(stderr, "moco: %s\n", source->note);
}

void cli_json_account(const struct account *account, const char *prefix)
{
    printf(",\"%snot_taken\":{", prefix);
    for (size_t i = 0; i < account->n; i++) {
        printf("%s", i ? "," : "");
        cli_json_text(account->rows[i].what);
        printf(":%zu", account->rows[i].count);
    }
    printf("},\"%sclasses_gone\":[", prefix);
    for (size_t i = 0; i < account->gone_count && i < ACCOUNT_GONE; i++) {
        printf("%s", i ? "," : "");
        cli_json_text(account->gone[i]);
    }
    printf("]");
}

static const char *running;
static const char *taken[8]; /* names of the options that cli_take() knows */

void cli_running(const char *command)
{
    running = command;
}

int cli_usage(const char *format, ...)
{
    va_list args;
    fprintf(stderr, "moco: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    if (running)
        fprintf(stderr, " (moco help %s shows the usage)\n", running);
    else
        fprintf(stderr, " (moco help shows the usage)\n");
    return EXIT_USAGE;
}

void cli_likest(const char **likest, const char *word, const char *other)
{
    size_t distance = word_distance(word, other);
    if (distance <= WORD_NEAR && (!*likest || distance < word_distance(word, *likest)))
        *likest = other;
}

int cli_unknown(const char *kind, const char *word, const char *likest)
{
    for (int i = 0; taken[i]; i++)
        cli_likest(&likest, word, taken[i]);
    if (likest)
        return cli_usage("%s %s is not known; the nearest is %s", kind, word, likest);
    return cli_usage("%s %s is not known", kind, word);
}

static int set_option(const struct option *option, const char *text)
{
    char *end = NULL;
    if (option->type == OPTION_TEXT) {
        *(const char **)option->value = text;
        return 0;
    }
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return cli_usage("%s takes a number, not '%s'", option->name, text);
    if (option->type == OPTION_DOUBLE) {
        *(double *)option->value = value;
        return 0;
    }
    if (value < 0 || value > 1e9 || value != (double)(int)value)
        return cli_usage("%s takes a whole number from 0, not '%s'", option->name, text);
    *(int *)option->value = (int)value;
    return 0;
}

static const struct option *find_option(const struct option *options, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static int unknown_option(const struct option *options, size_t n, const char *name)
{
    const char *likest = NULL;
    for (size_t i = 0; i < n; i++)
        cli_likest(&likest, name, options[i].name);
    return cli_unknown("option", name, likest);
}

static int missing(int count)
{
    char words[200] = "";
    const struct command *command = running ? command_named(running) : NULL;
    if (command)
        help_operands(words, sizeof words, command);
    return cli_usage("%d argument%s missing%s%s", count, count == 1 ? " is" : "s are",
                     words[0] ? " of " : "", words);
}

static int parse(int argc, char **argv, const struct option *options, size_t n, const char **words,
                 int least, int count)
{
    int found = 0;
    enum listing listing = help_asked(argc, argv);
    if (listing) {
        help_options(options, n, listing);
        return EXIT_LISTED;
    }
    for (int i = 0; i < argc; i++) {
        const struct option *option = find_option(options, n, argv[i]);
        if (!option && argv[i][0] == '-' && argv[i][1])
            return unknown_option(options, n, argv[i]);
        if (!option) {
            if (found == count)
                return cli_usage("'%s' is one argument too many", argv[i]);
            words[found++] = argv[i];
        } else if (option->type == OPTION_SWITCH) {
            *(int *)option->value = 1;
        } else if (++i == argc) {
            return cli_usage("%s needs a value", option->name);
        } else if (set_option(option, argv[i])) {
            return EXIT_USAGE;
        }
    }
    return found >= least ? 0 : missing(least - found);
}

int cli_parse(int argc, char **argv, const struct option *options, size_t n, const char **words,
              int count)
{
    return parse(argc, argv, options, n, words, count, count);
}

int cli_parse_may(int argc, char **argv, const struct option *options, size_t n,
                  const char **word)
{
    return parse(argc, argv, options, n, word, 0, 1);
}

int cli_take(int *argc, char **argv, const struct option *options, size_t n)
{
    int kept = 0;
    enum listing listing = help_asked(*argc, argv);
    if (listing) {
        help_options(options, n, listing);
        return 0;
    }
    for (size_t i = 0; i < n && i + 1 < sizeof taken / sizeof *taken; i++)
        taken[i] = options[i].name;
    for (int i = 0; i < *argc; i++) {
        const struct option *option = find_option(options, n, argv[i]);
        if (!option) {
            argv[kept++] = argv[i];
            continue;
        }
        int value = option->type != OPTION_SWITCH && i + 1 < *argc;
        int rc = cli_parse(1 + value, argv + i, option, 1, NULL, 0);
        if (rc)
            return rc;
        i += value;
    }
    *argc = kept;
    return 0;
}

/* oneDNN reads its cap once, at its first call: this must come before. */
static void cap_dnnl(const char *name)
{
    const char *isa = !strcmp(name, "ref") ? "SSE41" : !strcmp(name, "avx2") ? "AVX2" : NULL;
    if (!strcmp(name, "avx512"))
        isa = "AVX512_CORE";
    if (!isa)
        return;
    setenv("ONEDNN_MAX_CPU_ISA", isa, 0);
    setenv("DNNL_MAX_CPU_ISA", isa, 0);
}

struct cap cli_cap(const char *option)
{
    const char *variable = getenv("MOCO_SIMD");
    if (option && *option)
        return (struct cap){option, "--simd"};
    if (variable && *variable)
        return (struct cap){variable, "MOCO_SIMD"};
    return (struct cap){NULL, NULL};
}

static int refuse(const struct cap *cap)
{
    if (moco_level_named(cap->level) < 0)
        return error_set(MOCO_EUNSUPPORTED, "%s asks for kernels '%s', which are not known; known: "
                         "ref, avx2, avx512, neon", cap->from, cap->level);
    return error_set(MOCO_EUNSUPPORTED, "%s asks for kernels %s; this machine goes up to %s",
                     cap->from, cap->level, moco_level_name(moco_cpu_level()));
}

static int threads_real; /* of this process's loops */
static const char *threads_from;

/* More threads than asked for are never had; fewer are told. */
static int set_threads(int threads)
{
    struct cpus cpus;
    cpus_allowed(&cpus, "");
    int wanted = cpus_threads(&threads_from, &cpus);
    if (threads > 0) {
        threads_from = "--threads";
        wanted = threads;
    }
    if (wanted > THREADS_MAX)
        return error_set(MOCO_EARG, "%s asks for %d threads: up to %d are possible", threads_from,
                         wanted, (int)THREADS_MAX);
    threads_real = team_fit(NULL, wanted);
#ifdef _OPENMP
    if (threads_real < wanted) {
        threads_from = "what OpenMP gives";
        fprintf(stderr, "moco: %d of %d threads compute: OpenMP gives no more here "
                "(OMP_THREAD_LIMIT, or the system starts no more)\n", threads_real, wanted);
    }
#else
    if (threads > 1)
        fprintf(stderr, "moco: this build has no OpenMP: one thread computes, not %d\n", threads);
#endif
    return MOCO_OK;
}

int cli_threads(const char **from)
{
    *from = threads_from;
    return threads_real;
}

int cli_machine(struct moco_simd *simd, int threads, const char *option)
{
    struct cap cap = cli_cap(option);
    if (moco_simd_init(simd, cap.level))
        return refuse(&cap);
    if (cap.level)
        cap_dnnl(cap.level);
    return set_threads(threads);
}

void cli_duration(char *out, size_t size, double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%ldh%02ldm", s / 3600, s / 60 % 60);
    else
        snprintf(out, size, "%ldm%02lds", s / 60, s % 60);
}

struct bar cli_bar(void)
{
    return (struct bar){.terminal = isatty(2)};
}

void cli_bar_step(void *user, size_t done, size_t count)
{
    struct bar *bar = user;
    double time = clock_seconds();
    if (!bar->terminal || time - bar->shown < 0.2)
        return;
    bar->shown = time;
    terminal_clear_line();
    fprintf(stderr, "%zu of %zu images", done, count);
}

void cli_bar_end(const struct bar *bar)
{
    if (bar->shown > 0)
        terminal_clear_line();
}

void cli_epoch(const char *what, int epoch, int epochs, double loss)
{
    int terminal = isatty(2);
    if (!terminal && epoch < epochs && epoch % 10)
        return;
    terminal_clear_line();
    fprintf(stderr, "%s: epoch %d/%d loss %.4f%s", what, epoch, epochs, loss,
            !terminal || epoch == epochs ? "\n" : "");
}

void cli_json_number(const char *key, const char *format, double value)
{
    printf(",\"%s\":", key);
    json_put_number(stdout, format, value);
}

void cli_json_text(const char *text)
{
    json_put(stdout, text);
}
