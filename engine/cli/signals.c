/* signals.c: see signals.h.
 *
 * A full quota of bytes a file (SIGXFSZ) is no reason to die: the write fails and says so. */
#define _GNU_SOURCE
#include "engine/cli/signals.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/temporary.h"
#include "engine/cli/cli.h"
#include "engine/net/encoder.h"

/* Who is asked to end says so with an exit status, as training does; the rest die of the signal. */
void signals_end(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    temporary_remove_all();
    if (number == SIGINT || number == SIGTERM || number == SIGHUP)
        _exit(128 + number);
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
    raise(number); /* blocked as long as its handler runs */
}

/* Whichever thread reads a mapped file that became shorter, or whose disk failed, gets this signal:
 * there is nothing to go back to. A handler may do no more than write and end. */
static void on_bus_error(int number)
{
    static const char sentence[] =
        "\nmoco: a mapped file of data or weights became shorter or can not be read any more; what "
        "was saved before is kept\n";
    (void)number;
    temporary_remove_all();
    ssize_t written = write(2, sentence, sizeof sentence - 1);
    (void)written; /* there is nobody else to tell */
    _exit(EXIT_FAILED);
}

/* A fault inside oneDNN, which does not bear to be refused memory; any other is one of ours, and is
 * not hidden. */
static void on_fault(int number)
{
    static const char sentence[] =
        "\nmoco: oneDNN ended the program, most likely because memory ran out; what was saved "
        "before is kept\n";
    if (!net_library_busy()) {
        signals_end(number);
        return;
    }
    temporary_remove_all();
    ssize_t written = write(2, sentence, sizeof sentence - 1);
    (void)written;
    _exit(EXIT_FAILED);
}

void signals_begin(void)
{
    static const int numbers[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
                                  SIGPIPE, SIGXCPU, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = signals_end, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!sigaction(numbers[i], NULL, &before) && before.sa_handler == SIG_DFL)
            sigaction(numbers[i], &action, NULL);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGABRT, on_fault);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    signal(SIGSEGV, on_fault); /* which sanitizers report */
#endif
    atexit(temporary_remove_all); /* OpenMP's library exits where it gets no memory */
    signal(SIGBUS, on_bus_error);
}
