/* temporary.c: names, locks and leftovers; see temporary.h.
 *
 * A writer makes its file, then locks it; one who cleans may get the lock in between and remove the
 * file, which the writer sees (no link is left) and makes another. Handlers of signals may neither
 * allocate nor wait, so the paths of open files are copied into slots that are never freed. */
#define _GNU_SOURCE
#include "engine/base/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"

enum { SLOTS = 16, SLOT_PATH = 4096, LETTERS = 6, TRIES = 1000 };
enum { NAME_LONGEST = 255 - 1 - LETTERS - 5 }; /* of what stands before ".XXXXXX.part" */

static const char ending[] = ".part";
static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

/* ---- what a signal removes ---- */

static struct {
    atomic_int state; /* EMPTY, TAKEN while it is written, OPEN */
    pid_t owner;      /* a child of fork() must leave its parent's files alone */
    char path[SLOT_PATH];
} slots[SLOTS];

enum { EMPTY, TAKEN, OPEN };

static int slot_take(const char *path)
{
    if (strlen(path) >= SLOT_PATH)
        return -1;
    for (int i = 0; i < SLOTS; i++) {
        int empty = EMPTY;
        if (!atomic_compare_exchange_strong(&slots[i].state, &empty, TAKEN))
            continue;
        slots[i].owner = getpid();
        memcpy(slots[i].path, path, strlen(path) + 1);
        atomic_store(&slots[i].state, OPEN);
        return i;
    }
    return -1;
}

void temporary_remove_all(void)
{
    int number = errno;
    for (int i = 0; i < SLOTS; i++)
        if (atomic_load(&slots[i].state) == OPEN && slots[i].owner == getpid())
            unlink(slots[i].path);
    errno = number;
}

/* ---- names ---- */

/* Where the last part of a path begins. */
static size_t name_at(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* What stands before the letters: the file's name, or as much of it as leaves room. */
static size_t stem_length(const char *name)
{
    size_t length = strlen(name);
    return length < NAME_LONGEST ? length : NAME_LONGEST;
}

static void draw_letters(char *to)
{
    static atomic_uint turn;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t x = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)getpid() << 40;
    x += atomic_fetch_add(&turn, 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < LETTERS; i++) {
        x ^= x >> 29;
        x *= UINT64_C(0xbf58476d1ce4e5b9);
        to[i] = letters[(x >> 32) % (sizeof letters - 1)];
    }
}

/* NAME.XXXXXX.part of the name whose stem is given */
static int is_ours(const char *name, const char *stem, size_t length)
{
    if (strlen(name) != length + 1 + LETTERS + strlen(ending) || memcmp(name, stem, length) ||
        name[length] != '.' || strcmp(name + length + 1 + LETTERS, ending))
        return 0;
    return strspn(name + length + 1, letters) == LETTERS;
}

/* ---- leftovers ---- */

/* Removes a file that no living writer holds. */
static void remove_stale(int folder, const char *name)
{
    struct stat held, named;
    int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &held) == 0 && S_ISREG(held.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == held.st_ino &&
        named.st_dev == held.st_dev)
        unlinkat(folder, name, 0);
    close(fd);
}

/* What can not be looked at stays: it is in nobody's way. */
static void clean(const char *path)
{
    size_t at = name_at(path), length = stem_length(path + at);
    char *folder = strndup(at ? path : ".", at ? at : 1);
    DIR *dir = folder ? opendir(folder) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (is_ours(entry->d_name, path + at, length))
            remove_stale(dirfd(dir), entry->d_name);
    if (dir)
        closedir(dir);
    free(folder);
}

/* ---- opening ---- */

static int lock(int fd)
{
    int rc;
    do
        rc = flock(fd, LOCK_EX);
    while (rc && errno == EINTR);
    return rc;
}

/* A file that is ours, or -1 and errno. Where there are no locks it is ours as well. */
static int make(const char *path)
{
    struct stat st;
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno == EINTR)
            continue;
        if (fd < 0 || lock(fd) || fstat(fd, &st) || st.st_nlink > 0)
            return fd;
        close(fd); /* one who cleaned was faster */
    }
}

static int open_new(struct temporary *t, const char *path)
{
    size_t at = name_at(path), length = at + stem_length(path + at);
    size_t room = length + 1 + LETTERS + sizeof ending;
    t->path = malloc(room);
    if (!t->path)
        return error_memory("a file name", room);
    for (int i = 0; i < TRIES && t->fd < 0; i++) {
        snprintf(t->path, room, "%.*s.%*s%s", (int)length, path, LETTERS, "", ending);
        draw_letters(t->path + length + 1);
        t->fd = make(t->path);
        if (t->fd < 0 && errno != EEXIST)
            break;
    }
    return t->fd < 0 ? error_system("creating", t->path, errno) : MOCO_OK;
}

int temporary_open(struct temporary *t, const char *path)
{
    *t = (struct temporary){ .fd = -1, .lock = -1, .slot = -1 };
    clean(path);
    int rc = open_new(t, path);
    if (rc) {
        free(t->path);
        t->path = NULL;
        return rc;
    }
    t->slot = slot_take(t->path);
    t->lock = fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
    if (t->lock >= 0)
        return MOCO_OK;
    rc = error_system("creating", t->path, errno);
    temporary_remove(t);
    return rc;
}

void temporary_placed(struct temporary *t)
{
    if (t->slot >= 0)
        atomic_store(&slots[t->slot].state, EMPTY);
    if (t->fd >= 0)
        close(t->fd);
    if (t->lock >= 0)
        close(t->lock);
    free(t->path);
    *t = (struct temporary){ .fd = -1, .lock = -1, .slot = -1 };
}

void temporary_remove(struct temporary *t)
{
    if (!t->path)
        return;
    unlink(t->path);
    temporary_placed(t);
}
