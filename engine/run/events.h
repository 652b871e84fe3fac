/* events.h: the rows of log.csv once more, as TensorBoard reads them.
 *
 * A file of TFRecords, each an Event message with scalars at one step; what log.csv leaves empty
 * has none. Beside log.csv, which is the truth and holds the lock: a resumed run keeps as many
 * events as there are rows. */
#ifndef MOCO_ENGINE_RUN_EVENTS_H
#define MOCO_ENGINE_RUN_EVENTS_H

#include <stddef.h>

#include "engine/run/log.h"

#define EVENTS_FILE "events.out.tfevents.moco" /* the name by which TensorBoard finds it */

struct events {
    int fd; /* -1: closed */
    char path[1100];
};

/* Opens `path`, cut behind its first `keep` events or where it is damaged. */
int events_open(struct events *events, const char *path, size_t keep);

/* time: seconds since 1970. */
int events_append(struct events *events, const struct log_row *row, double time);

void events_close(struct events *events);

#endif
