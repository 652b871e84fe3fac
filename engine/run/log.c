/* log.c: log.csv; see log.h.
 *
 * Measured times are printed with a fixed width: the length of the file, which the checkpoint
 * stores, must not depend on the clock, or equal runs would not give equal checkpoints. */
#include "engine/run/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/again.h"
#include "engine/base/error.h"

enum { ROW = 512 };

static const char *const headers[] = {
    "epoch,step,loss,ln_k1,top1,lr,img_s,data_s,compute_s,queue_fill,knn\n",
    "epoch,step,loss,ln_k1,top1,lr,img_s,data_s,compute_s,queue_fill,knn,accuracy\n",
};

static int failed(const struct log *log, const char *verb)
{
    return error_set(MOCO_EIO, "%s %s: %s", verb, log->path, strerror(errno));
}

static int append(struct log *log, const char *text, size_t size)
{
    if (write_again(log->fd, text, size) || (fsync_again(log->fd) && errno != EINVAL))
        return failed(log, "writing");
    log->bytes += size;
    return MOCO_OK;
}

/* Rows of the file: its lines behind the first. */
static int count_rows(struct log *log)
{
    char text[4096];
    off_t place = 0;
    ssize_t n;
    size_t lines = 0;
    while ((n = pread(log->fd, text, sizeof text, place)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
        place += n;
    }
    log->rows = lines ? lines - 1 : 0;
    return n < 0 ? failed(log, "reading") : MOCO_OK;
}

/* Behind the last whole line: where a file was shortened, a part of a row may stand there. */
static int drop_part(struct log *log)
{
    char text[ROW];
    for (uint64_t end = log->bytes; end > 0;) {
        size_t size = end < sizeof text ? (size_t)end : sizeof text;
        ssize_t n = pread(log->fd, text, size, (off_t)(end - size));
        if (n != (ssize_t)size)
            return failed(log, "reading");
        while (n > 0 && text[n - 1] != '\n')
            n--;
        end -= size - (size_t)n;
        log->bytes = end;
        if (n > 0)
            break;
    }
    return MOCO_OK;
}

static int cut(struct log *log, uint64_t keep)
{
    const char *header = headers[log->accuracy];
    struct stat st;
    if (fstat(log->fd, &st))
        return failed(log, "reading");
    log->bytes = (uint64_t)st.st_size < keep ? (uint64_t)st.st_size : keep;
    if (drop_part(log))
        return MOCO_EIO;
    if (ftruncate_again(log->fd, (off_t)log->bytes))
        return failed(log, "cutting");
    return log->bytes ? count_rows(log) : append(log, header, strlen(header));
}

int log_open(struct log *log, const char *path, uint64_t keep, int accuracy)
{
    log->accuracy = accuracy;
    log->rows = 0;
    snprintf(log->path, sizeof log->path, "%s", path);
    log->fd = open_again(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd < 0)
        return failed(log, "opening");
    if (flock(log->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        log_close(log);
        return error_set(MOCO_EIO, "%s is locked: another process is training into this folder; "
                                   "wait for it or choose another --out", log->path);
    }
    int rc = cut(log, keep);
    if (rc)
        log_close(log);
    return rc;
}

static void column(char *line, size_t size, const char *format, double value)
{
    size_t used = strlen(line);
    snprintf(line + used, size - used, ",");
    if (!isnan(value))
        snprintf(line + used + 1, size - used - 1, format, value);
}

int log_append(struct log *log, const struct log_row *row)
{
    char line[ROW];
    snprintf(line, sizeof line, "%d,%llu", row->epoch, (unsigned long long)row->step);
    column(line, sizeof line, "%.6f", row->loss);
    column(line, sizeof line, "%.6f", row->ln_k1);
    column(line, sizeof line, "%.6f", row->top1);
    column(line, sizeof line, "%.8g", row->lr);
    column(line, sizeof line, "%10.1f", row->img_s);
    column(line, sizeof line, "%12.3f", row->data_s);
    column(line, sizeof line, "%12.3f", row->compute_s);
    column(line, sizeof line, "%.4f", row->queue_fill);
    column(line, sizeof line, "%.4f", row->knn);
    if (log->accuracy)
        column(line, sizeof line, "%.4f", row->accuracy);
    size_t used = strlen(line);
    snprintf(line + used, sizeof line - used, "\n");
    int rc = append(log, line, strlen(line));
    log->rows += !rc;
    return rc;
}

void log_close(struct log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}
