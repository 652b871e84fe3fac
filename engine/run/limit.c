/* limit.c: how much memory a process may still take, as Linux tells it; see memory.h.
 *
 * The least of: MemAvailable; what each control group from the process's own up to the root leaves
 * (v2 memory.max, v1 memory.limit_in_bytes; pages of files that nobody uses do not count as taken);
 * what ulimit -v and ulimit -d leave. What cannot be read limits nothing. */
#define _GNU_SOURCE
#include "engine/run/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_ROOM = 1200, LINE_ROOM = 512 };

static void lower(struct memory_limit *limit, uint64_t bytes, const char *what)
{
    if (bytes < limit->bytes)
        *limit = (struct memory_limit){ bytes, what };
}

/* The number behind `key` at the start of a line ("" for the file's first number); 0: none. */
static int read_number(uint64_t *out, const char *path, const char *key)
{
    char line[LINE_ROOM], *end;
    int found = 0;
    FILE *file = fopen(path, "r");
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)))
            continue;
        errno = 0;
        *out = strtoull(line + strlen(key), &end, 10);
        found = end != line + strlen(key) && !errno;
    }
    if (file)
        fclose(file);
    return found;
}

static void limit_by_system(struct memory_limit *limit, const char *root)
{
    char path[PATH_ROOM];
    uint64_t kib;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    if (read_number(&kib, path, "MemAvailable:"))
        lower(limit, kib * 1024, "free memory");
}

/* ---- control groups ---- */

/* Files of one version of control groups. */
struct hierarchy {
    const char *mount, *max, *used, *idle;
};

static const struct hierarchy v1 = { "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                     "memory.usage_in_bytes", "total_inactive_file " };
static const struct hierarchy v2 = { "/sys/fs/cgroup", "memory.max", "memory.current",
                                     "inactive_file " };

static void limit_by_group(struct memory_limit *limit, const struct hierarchy *h, const char *dir)
{
    char path[PATH_ROOM + 64];
    uint64_t max, used, idle = 0;
    snprintf(path, sizeof path, "%s/%s", dir, h->max);
    if (!read_number(&max, path, "") || max > UINT64_MAX / 4) /* "max", or v1's way to say so */
        return;
    snprintf(path, sizeof path, "%s/%s", dir, h->used);
    if (!read_number(&used, path, ""))
        return;
    snprintf(path, sizeof path, "%s/memory.stat", dir);
    (void)read_number(&idle, path, h->idle);
    used -= idle < used ? idle : used;
    lower(limit, max > used ? max - used : 0, "the control group's limit");
}

/* The group and those above it. In a container the own group's path may not be visible: then the
 * mount itself is that group. */
static void limit_by_groups(struct memory_limit *limit, const struct hierarchy *h,
                            const char *root, const char *group)
{
    char dir[PATH_ROOM];
    snprintf(dir, sizeof dir, "%s%s%s", root, h->mount, group);
    size_t top = strlen(root) + strlen(h->mount);
    while (strlen(dir) >= top) {
        limit_by_group(limit, h, dir);
        char *slash = strrchr(dir, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
}

/* Lines are number:controllers:path; v2's has no controllers. */
static void limit_by_all_groups(struct memory_limit *limit, const char *root)
{
    char path[PATH_ROOM], line[LINE_ROOM];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        line[strcspn(line, "\n")] = '\0';
        *group++ = '\0';
        if (!strcmp(controllers, ":memory"))
            limit_by_groups(limit, &v1, root, group);
        else if (!controllers[1])
            limit_by_groups(limit, &v2, root, group);
    }
    if (file)
        fclose(file);
}

/* ---- limits of the process ---- */

/* The i-th number of /proc/self/statm, in bytes: 0 all of the address space, 5 private data. */
static uint64_t own_bytes(int i)
{
    unsigned long long pages[6] = { 0 };
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    int n = fscanf(file, "%llu %llu %llu %llu %llu %llu", &pages[0], &pages[1], &pages[2],
                   &pages[3], &pages[4], &pages[5]);
    fclose(file);
    return n == 6 ? pages[i] * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void limit_by_process(struct memory_limit *limit)
{
    static const struct {
        int resource, number;
        const char *what;
    } rows[] = { { RLIMIT_AS, 0, "the limit of ulimit -v" },
                 { RLIMIT_DATA, 5, "the limit of ulimit -d" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rlimit r;
        uint64_t used = own_bytes(rows[i].number);
        if (getrlimit(rows[i].resource, &r) || r.rlim_cur == RLIM_INFINITY)
            continue;
        lower(limit, r.rlim_cur > used ? r.rlim_cur - used : 0, rows[i].what);
    }
}

void memory_limit(struct memory_limit *out, const char *root)
{
    *out = (struct memory_limit){ UINT64_MAX, "no limit is known" };
    limit_by_system(out, root);
    limit_by_all_groups(out, root);
    limit_by_process(out);
}

size_t memory_resident(void)
{
    uint64_t kib;
    return read_number(&kib, "/proc/self/status", "VmRSS:") ? (size_t)kib * 1024 : 0;
}

size_t memory_peak(void)
{
    uint64_t kib;
    return read_number(&kib, "/proc/self/status", "VmHWM:") ? (size_t)kib * 1024 : 0;
}
