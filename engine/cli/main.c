/* main.c: from the command line to a command of the table in commands.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/cli/help/help.h"
#include "engine/cli/signals.h"
#include "engine/cli/terminal.h"
#include "include/moco.h"

static int is(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* gcc's OpenMP threads spin for milliseconds where they wait. On cores that others use too, this
 * made a step 10 to 20 times slower (26 images/s beside a busy process, 187 after a short spin and
 * a sleep, at 5 % of the speed on idle cores). The library reads the variable before main(), so
 * moco starts itself once more with it; who sets a policy keeps it. clang's library spins for
 * 200 ms, reads another variable, and counts in milliseconds. */
static void wait_politely(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME"))
        return;
    if (setenv("GOMP_SPINCOUNT", "1000", 1) == 0 && setenv("KMP_BLOCKTIME", "0", 1) == 0)
        execv("/proc/self/exe", argv); /* if that fails, this process goes on as it is */
}

/* What was printed may not have arrived: a full disk behind a redirection. */
static int printed(int rc)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return rc;
    fprintf(stderr, "moco: standard output can not be written%s%s\n", errno ? ": " : "",
            errno ? strerror(errno) : "");
    return rc ? rc : EXIT_FAILED;
}

static int unknown_command(const char *word)
{
    const char *likest = NULL;
    for (const struct command *command = commands; command->name; command++)
        cli_likest(&likest, word, command->name);
    return cli_unknown("command", word, likest);
}

/* "--name=value" is taken as "--name value"; --help=man and its like are words of their own. */
static int run_command(const struct command *command, int argc, char **argv)
{
    int count = 0;
    char **words = calloc(2 * (size_t)argc + 1, sizeof *words), *equals;
    if (!words) {
        error_memory("arguments", (2 * (size_t)argc + 1) * sizeof *words);
        return cli_failed();
    }
    for (int i = 0; i < argc; i++) {
        words[count++] = argv[i];
        equals = strncmp(argv[i], "--", 2) ? NULL : strchr(argv[i], '=');
        if (equals && strncmp(argv[i], "--help=", 7)) {
            *equals = '\0';
            words[count++] = equals + 1;
        }
    }
    int rc = command->run(count, words);
    free(words);
    return rc == EXIT_LISTED ? EXIT_DONE : rc;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return help_overview(stderr);
    if (is(argv[1], "help", "--help") || is(argv[1], "-h", "-h"))
        return command_help(argc - 2, argv + 2);
    if (is(argv[1], "version", "--version")) {
        printf("moco %s\n", moco_version());
        return EXIT_DONE;
    }
    const struct command *command = command_named(argv[1]);
    if (!command)
        return unknown_command(argv[1]);
    cli_running(command->name);
    if (help_asked(argc - 2, argv + 2) == LIST_TEXT)
        return help_command(command);
    wait_politely(argv);
    signals_begin();
    return run_command(command, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    terminal_begin();
    return printed(run(argc, argv));
}
