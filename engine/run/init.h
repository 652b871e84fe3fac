/* init.h: training that starts from weights (--init); part of run.h.
 *
 * In: a file of weights, moco's or another's, or the folder of a run. Out: settings that the file
 * tells, where nobody gave them; a step whose encoders begin with the file's numbers. Everything
 * else starts as ever: predictor, what the method trains, dictionary, optimiser. The file is read
 * at the start alone: a resumed run has its state, and the hash of the file, from its checkpoint.
 * */
#ifndef MOCO_ENGINE_RUN_INIT_H
#define MOCO_ENGINE_RUN_INIT_H

#include "engine/run/config/config.h"
#include "engine/run/saved/weights.h"

struct run;

struct init {
    struct st_file *file; /* NULL: the run starts from random weights, or goes on */
    struct weights_info info;
};

/* Before the data: opens and checks the file, or looks at what is saved of a run that goes on. */
int init_open(struct run *run);
void init_close(struct run *run);

/* When the data are known: their number of channels decides whether mean and deviation follow. */
int init_normalise(struct run *run);

/* The numbers, into a step that step_init() has filled; tells what is taken. */
int init_take(struct run *run);

/* Opens the file and lets the settings follow: arch, width and stem, of moco's own files also side
 * and head. MOCO_EARG where somebody gave others. */
int init_follow(struct init *init, struct config *config);

/* The encoder that the file holds. Both are closed by their owner, on an error too. */
int init_load(struct net **net, struct encoder *encoder, const struct init *init,
              enum weights_part part, const struct moco_simd *simd);

#endif
