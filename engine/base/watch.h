/* watch.h: who watches a long computation: how far it is, and whether it is to end.
 *
 * Evaluation is made of many stages, any of which may take minutes. Like the sentence of an error,
 * the watch belongs to the thread that computes, so the stages need not hand it to each other: they
 * call watch_step() where they begin a piece of work, and end with WATCH_STOPPED when it says so.
 * In a parallel loop only the thread that has the watch hears; watch_all() tells the others.
 * Without a watch all this does nothing. */
#ifndef MOCO_ENGINE_BASE_WATCH_H
#define MOCO_ENGINE_BASE_WATCH_H

#include <stddef.h>

enum { WATCH_STOPPED = -1000 }; /* beside the codes of moco.h, which it is none of */

struct watch {
    void *user;
    /* May be NULL. "WHAT: done of count UNIT" */
    void (*progress)(void *user, const char *what, const char *unit, size_t done, size_t count);
    int (*stop)(void *user); /* may be NULL; not 0: the computation ends */
};

/* Of this thread from now on, NULL for none; borrowed. */
void watch_begin(const struct watch *watch);

/* What is done now, in texts that stay: `done` pieces of it are, of `count` in all; steps count
 * from there. */
void watch_part(const char *what, const char *unit, size_t done, size_t count);

/* `done` of what watch_part() announced are done beside those from before. MOCO_OK, or
 * WATCH_STOPPED with its sentence. */
int watch_step(size_t done);

/* The same without news; and the code with its sentence for who has heard it from watch_all(). */
int watch_stopped(void);
int watch_end(void);

/* For the threads of a team that share *stopped, 0 at first: whether to do no more. */
int watch_all(int *stopped);

#endif
