/* again.h: system calls that a signal interrupted, made again. Handlers of moco are set so that the
 * system does it; those of a program that uses the library may not be. */
#ifndef MOCO_ENGINE_BASE_AGAIN_H
#define MOCO_ENGINE_BASE_AGAIN_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static inline int open_again(const char *path, int flags, mode_t mode)
{
    int fd;
    do
        fd = open(path, flags, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Up to `bytes` of them, fewer at the end of the file; -1 and errno. */
static inline ssize_t read_again(int fd, void *data, size_t bytes)
{
    size_t got = 0;
    while (got < bytes) {
        ssize_t n = read(fd, (char *)data + got, bytes - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* All of it: 0, or -1 and errno. */
static inline int write_again(int fd, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes) {
        ssize_t n = write(fd, at, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : ENOSPC;
            return -1;
        }
        at += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static inline int fsync_again(int fd)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc && errno == EINTR);
    return rc;
}

static inline int ftruncate_again(int fd, off_t length)
{
    int rc;
    do
        rc = ftruncate(fd, length);
    while (rc && errno == EINTR);
    return rc;
}

#endif
