/* log.h: log.csv, one row an epoch.
 *
 * Rows are appended and flushed to the disk before the checkpoint that counts them is written, so
 * a resumed run cuts the file to the length its checkpoint knows and goes on. An open log also
 * locks the run folder: two processes never train into the same one. */
#ifndef MOCO_ENGINE_RUN_LOG_H
#define MOCO_ENGINE_RUN_LOG_H

#include <stddef.h>
#include <stdint.h>

struct log {
    int fd;         /* -1: closed */
    uint64_t bytes; /* length of the file */
    size_t rows;
    int accuracy;   /* rows have that column */
    char path[1100];
};

/* One row. NAN leaves a column empty. Times and rates are of this process. */
struct log_row {
    int epoch;
    uint64_t step; /* steps done since the start of the run */
    double loss, ln_k1, top1, lr, img_s, data_s, compute_s, queue_fill, knn;
    double accuracy; /* of a classifier that is trained; the last column, where there is one */
};

/* Opens `path`, cut to `keep` bytes; an empty file gets the header line. */
int log_open(struct log *log, const char *path, uint64_t keep, int accuracy);

/* Appends the row and flushes it to the disk. */
int log_append(struct log *log, const struct log_row *row);

void log_close(struct log *log);

/* log_read.c: the rows of a log.csv, with or without its last column; lines that are no rows are
 * passed over, as is a file that is not there. *rows: (*count), for free(). */
int log_read(struct log_row **rows, size_t *count, const char *path);

#endif
