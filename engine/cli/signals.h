/* signals.h: how signals end a command. */
#ifndef MOCO_ENGINE_CLI_SIGNALS_H
#define MOCO_ENGINE_CLI_SIGNALS_H

/* From now on a signal that ends the process first removes the files that are being written; one
 * that was ignored stays so. Commands that have something to save set handlers of their own. */
void signals_begin(void);

/* The handler for that, also for a second signal: cleans, then ends as the signal does alone. */
void signals_end(int number);

#endif
