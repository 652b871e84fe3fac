/* wait.c: see wait.h. */
#include "engine/cli/wait.h"

#include <stdio.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/watch.h"
#include "engine/cli/cli.h"

static const double few_seconds = 3.0, often = 0.2, seldom = 10.0;

/* "12,000" */
static const char *number(char *out, size_t size, size_t value)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%zu", value);
    size_t used = 0;
    for (int i = 0; i < n && used + 2 < size; i++) {
        if (i && (n - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

static void print(struct wait *wait, const char *unit, size_t done, size_t count, double seconds)
{
    char eta[32], a[40], b[40];
    cli_duration(eta, sizeof eta,
                 seconds / (double)(done - wait->first) * (double)(count - done));
    if (wait->terminal)
        terminal_clear_line();
    fprintf(stderr, "%s: %s of %s %s, ETA %s%s", wait->what, number(a, sizeof a, done),
            number(b, sizeof b, count), unit, eta, wait->terminal ? "" : "\n");
    wait->open = wait->terminal;
}

void wait_show(void *user, const char *what, const char *unit, size_t done, size_t count)
{
    struct wait *wait = user;
    double now = clock_seconds();
    int anew = wait->what != what || done == 0 || done < wait->last;
    wait->last = done;
    if (anew) {
        *wait = (struct wait){.what = what, .begun = now, .first = done, .last = done,
                              .terminal = isatty(2), .open = wait->open};
        return;
    }
    double pause = wait->shown <= 0 ? 0.0 : wait->terminal ? often : seldom;
    if (now - wait->begun < few_seconds || now - wait->shown < pause || done <= wait->first ||
        done > count)
        return;
    wait->shown = now;
    print(wait, unit, done, count, now - wait->begun);
}

void wait_clear(struct wait *wait)
{
    if (wait->open)
        terminal_clear_line();
    wait->open = 0;
}

static struct wait here;

void cli_wait_begin(void)
{
    static const struct watch watch = {&here, wait_show, NULL};
    watch_begin(&watch);
}

void cli_wait_clear(void)
{
    wait_clear(&here);
}

void cli_wait_end(void)
{
    watch_begin(NULL);
    cli_wait_clear();
}
