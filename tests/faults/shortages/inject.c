/* inject.c: see inject.h. An interrupted call is one that fails with EINTR and may be made again.
 * read() and open() here are those that libraries call; stdio calls its own. */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS /* it makes open() and open64() one */
#include "tests/faults/shortages/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc's own, of which the usual names are aliases. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *old);

static atomic_int armed;
static enum inject_what kind;
static int for_good, errno_of;
static long failing;
static atomic_long counted, held;

void inject(enum inject_what what, long at, int lasting, int number)
{
    kind = what;
    failing = at;
    for_good = lasting;
    errno_of = number;
    atomic_store(&counted, 0);
    atomic_store(&armed, 1);
}

long inject_end(void)
{
    atomic_store(&armed, 0);
    return atomic_load(&counted);
}

long inject_held(void)
{
    return atomic_load(&held);
}

static int fails(enum inject_what what)
{
    if (!atomic_load(&armed) || kind != what)
        return 0;
    long n = atomic_fetch_add(&counted, 1) + 1;
    if (!failing || n < failing || (n > failing && !for_good))
        return 0;
    errno = errno_of;
    return 1;
}

#pragma GCC visibility push(default)

/* ---- memory ---- */

static void *count(void *block)
{
    atomic_fetch_add(&held, block != NULL);
    return block;
}

void *malloc(size_t size)
{
    return fails(INJECT_ALLOCATION) ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fails(INJECT_ALLOCATION) ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
    if (old && !size) {
        free(old);
        return NULL;
    }
    void *block = fails(INJECT_ALLOCATION) ? NULL : __libc_realloc(old, size);
    return old ? block : count(block);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(INJECT_ALLOCATION) ? NULL : count(__libc_memalign(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = aligned_alloc(alignment, size);
    if (block)
        *out = block;
    return block ? 0 : ENOMEM;
}

void free(void *old)
{
    atomic_fetch_sub(&held, old != NULL);
    __libc_free(old);
}

/* ---- files ---- */

static int open_file(const char *path, int flags, mode_t mode)
{
    return fails(INJECT_OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_file(path, flags, mode);
}

ssize_t read(int fd, void *out, size_t size)
{
    return fails(INJECT_READ) ? -1 : syscall(SYS_read, fd, out, size);
}

ssize_t pread(int fd, void *out, size_t size, off_t at)
{
    return fails(INJECT_READ) ? -1 : syscall(SYS_pread64, fd, out, size, at);
}

ssize_t pread64(int fd, void *out, size_t size, off64_t at)
{
    return fails(INJECT_READ) ? -1 : syscall(SYS_pread64, fd, out, size, at);
}
