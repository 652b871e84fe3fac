/* call.c: see call.h. */
#define _GNU_SOURCE
#include "engine/call.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/cpus.h"
#include "engine/base/error.h"
#include "engine/base/team.h"

struct call {
    call_body *body;
    void *user;
    int wanted, exactly;
    int real, rc;
    char sentence[1024]; /* of rc, which belongs to the thread that failed */
};

static int run_in_our_locale(const struct call *call)
{
    locale_t ours = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = (locale_t)0;
    if (!ours)
        return error_memory("a locale", 0);
    before = uselocale(ours);
    int rc = call->body(call->user, call->real);
    uselocale(before);
    freelocale(ours);
    return rc;
}

/* 0: this thread does not have what is wanted, and nothing was done. */
static int run_here(struct call *call)
{
    struct team before;
    call->real = team_fit(&before, call->wanted);
    int fits = !call->exactly || call->real == call->wanted;
    if (fits) {
        call->rc = run_in_our_locale(call);
        snprintf(call->sentence, sizeof call->sentence, "%s", error_text());
    }
    team_restore(&before);
    return fits;
}

static void *run_on_thread(void *user)
{
    struct call *call = user;
    if (run_here(call))
        return NULL;
    call->rc = MOCO_ELIMIT;
    snprintf(call->sentence, sizeof call->sentence,
             "the engine was opened with %d threads, but OpenMP gives %d now; open it with fewer",
             call->wanted, call->real);
    return NULL;
}

static int run(struct call *call)
{
    pthread_t thread;
    if (team_is_lost() || !run_here(call)) {
        int number = pthread_create(&thread, NULL, run_on_thread, call);
        if (number)
            return error_set(MOCO_ELIMIT, "no thread can be started for the call: %s",
                             strerror(number));
        pthread_join(thread, NULL);
    }
    return call->rc ? error_set(call->rc, "%s", call->sentence) : MOCO_OK;
}

int call_with(int team, call_body *body, void *user)
{
    struct call call = { .body = body, .user = user, .wanted = team, .exactly = 1 };
    return run(&call);
}

int call_up_to(int wanted, call_body *body, void *user)
{
    struct cpus cpus;
    const char *what;
    if (wanted < 1) {
        cpus_allowed(&cpus, "");
        wanted = cpus_threads(&what, &cpus);
    }
    struct call call = { .body = body, .user = user, .wanted = wanted };
    return run(&call);
}
