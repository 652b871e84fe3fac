/* wait.h: how far an evaluation is and how long it will take, on standard error: "kNN: 12,000 of
 * 60,000 images, ETA 1m20s". Nothing for one of less than a few seconds; on a terminal one line
 * that is rewritten, elsewhere a line about every ten seconds. */
#ifndef MOCO_ENGINE_CLI_WAIT_H
#define MOCO_ENGINE_CLI_WAIT_H

#include <stddef.h>

struct wait {
    const char *what;    /* is under way; NULL: nothing yet */
    double begun, shown; /* when */
    size_t first, last;  /* pieces that were done then, and the last time */
    int terminal;
    int open;            /* its line stands on the terminal */
};

/* All zeros at first; a struct watch's progress(). */
void wait_show(void *wait, const char *what, const char *unit, size_t done, size_t count);

/* Takes the line away. */
void wait_clear(struct wait *wait);

/* Of a command: from now on, until the end; what fails between may be told. */
void cli_wait_begin(void);
void cli_wait_clear(void);
void cli_wait_end(void);

#endif
