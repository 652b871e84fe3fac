/* allocations.c: a library for LD_PRELOAD in which one allocation fails. Counting begins where the
 * program sets its handler of SIGBUS, which a command does before it begins.
 *
 *   FAIL_AT=N         the N-th fails; 0 or none: none does
 *   FAIL_COUNT=FILE   gets the number of allocations at the end */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* glibc's own, of which the usual names are aliases. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_long counted;
static atomic_int armed;
static long failing;

static int fails(void)
{
    if (!atomic_load(&armed) || atomic_fetch_add(&counted, 1) + 1 != failing)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = fails() ? NULL : __libc_memalign(alignment, size);
    if (memory)
        *out = memory;
    return memory ? 0 : ENOMEM;
}

static void report(void)
{
    const char *path = getenv("FAIL_COUNT");
    atomic_store(&armed, 0);
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fprintf(file, "%ld\n", atomic_load(&counted));
    fclose(file);
}

void (*signal(int number, void (*handler)(int)))(int)
{
    static void (*(*real)(int, void (*)(int)))(int);
    const char *at = getenv("FAIL_AT");
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "signal");
    if (number == SIGBUS && !atomic_load(&armed)) {
        failing = at ? atol(at) : 0;
        atexit(report);
        atomic_store(&armed, 1);
    }
    return real(number, handler);
}
