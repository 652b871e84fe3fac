/* show.h: a training run on the terminal: progress, notices, signals. */
#ifndef MOCO_ENGINE_CLI_SHOW_H
#define MOCO_ENGINE_CLI_SHOW_H

#include "engine/cli/wait.h"
#include "engine/run/train.h"

/* Trains, shows progress on standard error (JSON lines on standard output with config.json), ends
 * with a checkpoint on SIGINT, SIGTERM, SIGHUP and SIGPIPE, and saves one on SIGUSR1. keeps:
 * whether the run's folder stays, so that it is worth telling of. Returns the exit status. */
int show_train(struct config *config, const struct moco_simd *simd, int keeps);

/* The same for whoever starts several runs: fills the hooks and catches the signals. `show` must
 * stay where it is. */
struct show {
    int terminal, json;
    int lines; /* of JSON so far */
    int open;     /* a line without its end stands on the terminal */
    double shown; /* when */
    struct wait wait;
    int trained;  /* a step was made, so that there is something saved */
};
void show_open(struct show *show, struct train_hooks *hooks, int json);
void show_close(struct show *show);
int show_interrupted(void); /* exit status after a signal */
/* Whether one came; a struct watch's stop(). */
int show_asked(void *user);

#endif
