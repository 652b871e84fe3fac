/* team.c: see team.h. */
#define _GNU_SOURCE
#include "engine/base/team.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static pid_t loaded_in;

__attribute__((constructor)) static void remember_process(void)
{
    loaded_in = getpid();
}

int team_is_lost(void)
{
    return getpid() != loaded_in;
}

/* ---- threads that can be started ---- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    int open;
};

static void *wait_at(void *user)
{
    struct gate *gate = user;
    pthread_mutex_lock(&gate->lock);
    while (!gate->open)
        pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return NULL;
}

/* Up to `wanted` threads at once beside this one, which end again. */
static int start_threads(int wanted)
{
    struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
    pthread_t *threads = calloc((size_t)wanted, sizeof *threads);
    int count = 0;
    while (threads && count < wanted && !pthread_create(&threads[count], NULL, wait_at, &gate))
        count++;
    pthread_mutex_lock(&gate.lock);
    gate.open = 1;
    pthread_cond_broadcast(&gate.opened);
    pthread_mutex_unlock(&gate.lock);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    return count;
}

/* Tried once for a number: OpenMP keeps the threads that it has started. Each thread that calls has
 * a team of its own. */
static int startable(int wanted)
{
    static _Thread_local int proven = 1;
    if (wanted <= proven)
        return wanted;
    int count = 1 + start_threads(wanted - 1);
    if (count == wanted)
        proven = count;
    return count;
}

/* ---- what OpenMP gives ---- */

static int measured(void)
{
    int threads = 1;
#pragma omp parallel
    {
#pragma omp single
        threads = omp_get_num_threads();
    }
    return threads;
}

int team_fit(struct team *before, int wanted)
{
    if (before)
        *before = (struct team){ omp_get_max_threads(), omp_get_dynamic() };
    omp_set_dynamic(0);
    omp_set_num_threads(1);
    if (wanted < 2)
        return 1;
    omp_set_num_threads(omp_in_parallel() ? wanted : startable(wanted));
    int real = measured();
    omp_set_num_threads(real);
    return real;
}

void team_restore(const struct team *before)
{
    omp_set_num_threads(before->threads);
    omp_set_dynamic(before->dynamic);
}
