/* show.h: a training run on the terminal: progress, notices, signals. */
#ifndef MOCO_ENGINE_CLI_SHOW_H
#define MOCO_ENGINE_CLI_SHOW_H

#include "engine/run/train.h"

/* Trains, shows progress on standard error (JSON lines on standard output with config.json), ends
 * with a checkpoint on SIGINT and SIGTERM. Returns the exit status. */
int show_train(struct config *config, const struct moco_simd *simd);

#endif
