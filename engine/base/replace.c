/* replace.c: a stream onto a temporary file, flush, rename; see replace.h.
 *
 * A write that a signal interrupts makes stdio drop its buffer, so the stream writes through
 * write_all(), which goes on, and remembers the first failure: the stream itself keeps no reason.
 * The folder is flushed too: without that the rename itself could be lost. */
#define _GNU_SOURCE
#include "engine/base/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/temporary.h"

struct replace_part {
    struct temporary temporary;
    char *path;  /* what is replaced, behind links; owned */
    char *old;   /* another name of the old file while a pair is renamed; owned */
    int existed; /* there was a file when we began */
    int number;  /* errno of the first write that failed */
};

/* ---- the stream ---- */

static ssize_t write_all(void *cookie, const char *data, size_t bytes)
{
    struct replace_part *part = cookie;
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = write(part->temporary.fd, data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            part->number = part->number ? part->number : n < 0 ? errno : ENOSPC;
            return 0;
        }
        done += (size_t)n;
    }
    return (ssize_t)bytes;
}

static int seek(void *cookie, off_t *place, int whence)
{
    struct replace_part *part = cookie;
    off_t at = lseek(part->temporary.fd, *place, whence);
    if (at < 0)
        part->number = part->number ? part->number : errno;
    *place = at;
    return at < 0 ? -1 : 0;
}

static FILE *stream_open(struct replace_part *part)
{
    cookie_io_functions_t functions = { .write = write_all, .seek = seek };
    return fopencookie(part, "w", functions);
}

/* ---- opening and writing ---- */

static void forget(struct replace *replace)
{
    if (replace->part) {
        free(replace->part->path);
        free(replace->part->old);
    }
    free(replace->part);
    *replace = (struct replace){ 0 };
}

static int failed(const struct replace *replace, int number)
{
    char reason[900];
    int rc = error_system("writing", replace->part->path, number);
    snprintf(reason, sizeof reason, "%s", error_text());
    return replace->part->existed ? error_set(rc, "%s; the old file is kept", reason) : rc;
}

/* Behind a link stands what is meant; a link to nothing is replaced itself. */
static char *resolved(const char *path)
{
    struct stat st;
    if (lstat(path, &st) || !S_ISLNK(st.st_mode))
        return strdup(path);
    char *target = realpath(path, NULL);
    return target ? target : errno == ENOENT ? strdup(path) : NULL;
}

static int part_open(struct replace_part *part, const char *path)
{
    struct stat st;
    part->path = resolved(path);
    if (!part->path)
        return error_system("creating", path, errno);
    part->existed = stat(part->path, &st) == 0;
    if (part->existed && !S_ISREG(st.st_mode))
        return error_set(MOCO_EIO, "%s is %s, so it is not replaced; give the name of a file",
                         path, S_ISDIR(st.st_mode) ? "a folder" : "no ordinary file");
    return temporary_open(&part->temporary, part->path);
}

int replace_open(struct replace *replace, const char *path)
{
    *replace = (struct replace){ .part = calloc(1, sizeof *replace->part) };
    if (!replace->part)
        return error_memory("a file to be written", sizeof *replace->part);
    int rc = part_open(replace->part, path);
    if (!rc) {
        replace->file = stream_open(replace->part);
        if (replace->file)
            return MOCO_OK;
        rc = error_memory("a file to be written", BUFSIZ);
        temporary_remove(&replace->part->temporary);
    }
    forget(replace);
    return rc;
}

int replace_write(struct replace *replace, const void *data, size_t bytes)
{
    if (bytes && fwrite(data, 1, bytes, replace->file) != bytes)
        return failed(replace, replace->part->number ? replace->part->number : EIO);
    return MOCO_OK;
}

int replace_rewind(struct replace *replace)
{
    if (fflush(replace->file) || fseeko(replace->file, 0, SEEK_SET))
        return failed(replace, replace->part->number ? replace->part->number : EIO);
    return MOCO_OK;
}

/* ---- onto the disk ---- */

static int synced(int fd)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc && errno == EINTR);
    return rc == 0 || errno == EINVAL || errno == ENOTSUP || errno == ENOSYS;
}

/* All bytes are on the disk, still under the other name. Linux closes also where a signal
 * interrupts close(), and what could be lost was flushed before. */
static int finish(struct replace *replace)
{
    struct replace_part *part = replace->part;
    int bad = fflush(replace->file) != 0 || ferror(replace->file); /* also of an earlier write */
    int number = part->number ? part->number : bad ? EIO : 0;
    fclose(replace->file);
    replace->file = NULL;
    if (!number && !synced(part->temporary.fd))
        number = errno;
    int fd = part->temporary.fd;
    part->temporary.fd = -1;
    if (close(fd) && !number && errno != EINTR)
        number = errno;
    return number ? failed(replace, number) : MOCO_OK;
}

static int rename_file(const char *from, const char *to)
{
    int rc;
    do
        rc = rename(from, to);
    while (rc && errno == EINTR);
    return rc;
}

/* -1: a folder that may not be opened for it, as one without permission to list. */
static int folder_open(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = strndup(slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(folder);
    return fd;
}

/* Whether the disk has the new name; a folder that can not be flushed is no failure, as the file
 * is whole either way, but one whose disk fails is. */
static int folder_flush(int fd, const char *path)
{
    int rc = MOCO_OK;
    if (fd >= 0 && !synced(fd) && errno != EBADF && errno != EACCES && errno != EPERM &&
        errno != EROFS)
        rc = error_set(MOCO_EIO, "%s is written, but its folder could not be flushed: %s", path,
                       strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

static int place(struct replace *replace)
{
    struct replace_part *part = replace->part;
    if (rename_file(part->temporary.path, part->path))
        return failed(replace, errno);
    temporary_placed(&part->temporary);
    return MOCO_OK;
}

int replace_commit(struct replace *replace)
{
    int rc = finish(replace);
    if (!rc)
        rc = place(replace);
    if (!rc)
        rc = folder_flush(folder_open(replace->part->path), replace->part->path);
    replace_abort(replace);
    return rc;
}

/* ---- two files ---- */

/* Gives the old file a second name, or where `away` is set another one. */
static int keep_old(struct replace *replace, int away)
{
    struct replace_part *part = replace->part;
    struct temporary name;
    int rc = temporary_open(&name, part->path);
    if (rc)
        return rc;
    part->old = strdup(name.path);
    temporary_remove(&name);
    if (!part->old)
        return error_memory("a file name", strlen(part->path));
    if ((away || link(part->path, part->old)) && rename_file(part->path, part->old)) {
        rc = errno == ENOENT ? MOCO_OK : failed(replace, errno);
        free(part->old);
        part->old = NULL;
    }
    return rc;
}

static void put_back(struct replace *replace)
{
    struct replace_part *part = replace->part;
    if (part->old && !rename_file(part->old, part->path))
        unlink(part->old); /* rename() does nothing to two names of one file */
    else if (!part->old && !part->temporary.path) /* the new one stands there */
        unlink(part->path);
    free(part->old);
    part->old = NULL;
}

/* The old guide goes first and the new one comes last. */
static int place_both(struct replace *file, struct replace *guide)
{
    int rc = keep_old(guide, 1);
    if (!rc)
        rc = keep_old(file, 0);
    if (!rc)
        rc = place(file);
    if (!rc)
        rc = place(guide);
    if (rc) {
        put_back(file);
        put_back(guide);
        return rc;
    }
    if (file->part->old)
        unlink(file->part->old);
    if (guide->part->old)
        unlink(guide->part->old);
    return MOCO_OK;
}

int replace_commit_both(struct replace *file, struct replace *guide)
{
    const char *path = file->part->path, *beside = guide->part->path;
    int rc = finish(file);
    if (!rc)
        rc = finish(guide);
    int folder = folder_open(path);
    if (!rc) {
        if (folder >= 0)
            flock(folder, LOCK_EX); /* two pairs must not mix; where there are no locks, they may */
        rc = place_both(file, guide);
        if (folder >= 0)
            flock(folder, LOCK_UN);
    }
    int flushed = folder_flush(folder, path);
    if (!rc)
        rc = folder_flush(folder_open(beside), beside);
    replace_abort(file);
    replace_abort(guide);
    return rc ? rc : flushed;
}

void replace_abort(struct replace *replace)
{
    if (replace->file)
        fclose(replace->file);
    if (replace->part)
        temporary_remove(&replace->part->temporary);
    forget(replace);
}
