/* team.h: as many threads as a parallel loop really gets.
 *
 * OpenMP may give a loop fewer threads than it was asked for: OMP_THREAD_LIMIT, OMP_DYNAMIC, a loop
 * inside another parallel one, a system that starts no more. oneDNN's primitives wait for all that
 * were promised when they were made, for ever; and where a thread can not be started, gcc's OpenMP
 * ends the process. So we ask first, and ask OpenMP for what there is. */
#ifndef MOCO_ENGINE_BASE_TEAM_H
#define MOCO_ENGINE_BASE_TEAM_H

/* What belongs to the calling thread's loops. */
struct team {
    int threads, dynamic;
};

/* Loops of the calling thread get `wanted` threads from now on, or as many as there are: that
 * number. *before, if not NULL: for team_restore(). */
int team_fit(struct team *before, int wanted);
void team_restore(const struct team *before);

/* 1 in a child of fork(): the threads that OpenMP keeps for the calling one are not there. A new
 * thread gets new ones. */
int team_is_lost(void);

#endif
