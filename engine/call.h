/* call.h: how a call of the library runs inside a program that is not ours.
 *
 * Threads, OpenMP's settings and the locale belong to the calling thread: a call sets them and puts
 * them back. Files are written and read with decimal points, whatever the program speaks. Where the
 * calling thread can not have the threads that an engine was opened with (inside a parallel region
 * of the program, in a child of fork()), the call runs on a new thread, which can. */
#ifndef MOCO_ENGINE_CALL_H
#define MOCO_ENGINE_CALL_H

/* team: the threads that compute. */
typedef int call_body(void *user, int team);

/* body(user) with exactly `team` threads, or, where these can not be had, MOCO_ELIMIT. */
int call_with(int team, call_body *body, void *user);

/* The same with up to `wanted` threads, 0: all that the process may use. */
int call_up_to(int wanted, call_body *body, void *user);

#endif
