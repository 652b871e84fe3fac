/* cpus.c: see cpus.h.
 *
 * A quota is time that a group may run in each period (v2 cpu.max, v1 cpu.cfs_quota_us and
 * cpu.cfs_period_us). More threads than that run all at once until it is used up and then stand
 * still together: slower than as many threads as the quota has CPUs. */
#define _GNU_SOURCE
#include "engine/base/cpus.h"

#include <math.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 4096 + 512, LINE_ROOM = 4096 + 64 };

static int read_line(char *line, const char *dir, const char *name)
{
    char path[PATH_ROOM + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    int found = file && fgets(line, LINE_ROOM, file);
    if (file)
        fclose(file);
    return found;
}

static void lower(double *least, double quota, double period)
{
    if (quota > 0 && period > 0 && (*least == 0 || quota / period < *least))
        *least = quota / period;
}

/* "150000 100000", or "max 100000", of which sscanf() reads nothing */
static void quota_v2(double *least, const char *dir)
{
    char line[LINE_ROOM];
    double quota, period;
    if (read_line(line, dir, "cpu.max") && sscanf(line, "%lf %lf", &quota, &period) == 2)
        lower(least, quota, period);
}

/* -1: none */
static void quota_v1(double *least, const char *dir)
{
    char quota[LINE_ROOM], period[LINE_ROOM];
    if (read_line(quota, dir, "cpu.cfs_quota_us") && read_line(period, dir, "cpu.cfs_period_us"))
        lower(least, atof(quota), atof(period));
}

/* The group and those above it. In a container the own group's path may not be visible: then the
 * mount itself is that group. */
static void quota_of_groups(double *least, void (*quota)(double *, const char *), const char *root,
                            const char *mount, const char *group)
{
    char dir[PATH_ROOM];
    int length = snprintf(dir, sizeof dir, "%s%s%s", root, mount, group);
    size_t top = strlen(root) + strlen(mount);
    while (length < (int)sizeof dir && strlen(dir) >= top) {
        quota(least, dir);
        char *slash = strrchr(dir, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
}

/* "cpu" among names that commas part */
static int names_cpu(const char *controllers)
{
    for (const char *name = controllers; name; name = strchr(name, ',')) {
        name += *name == ',';
        if (!strncmp(name, "cpu", 3) && (!name[3] || name[3] == ','))
            return 1;
    }
    return 0;
}

/* Lines are number:controllers:path; v2's has no controllers. v1's controllers may be mounted
 * together, and v2 beside v1. */
static double quota_of(const char *root)
{
    static const char *const v1[] = { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct",
                                      "/sys/fs/cgroup/cpuacct,cpu" };
    static const char *const v2[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
    char path[PATH_ROOM], line[LINE_ROOM];
    double least = 0;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        line[strcspn(line, "\n")] = '\0';
        *group++ = '\0';
        controllers++;
        for (size_t i = 0; i < sizeof v1 / sizeof *v1 && names_cpu(controllers); i++)
            quota_of_groups(&least, quota_v1, root, v1[i], group);
        for (size_t i = 0; i < sizeof v2 / sizeof *v2 && !controllers[0]; i++)
            quota_of_groups(&least, quota_v2, root, v2[i], group);
    }
    if (file)
        fclose(file);
    return least;
}

/* Machines may have more CPUs than a cpu_set_t has bits. */
static int affinity_of(int online)
{
    for (int room = 1024; room <= 1 << 20; room *= 2) {
        cpu_set_t *set = CPU_ALLOC(room);
        size_t bytes = CPU_ALLOC_SIZE(room);
        if (!set)
            break;
        int count = sched_getaffinity(0, bytes, set) ? 0 : CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
        if (count)
            return count;
    }
    return online;
}

void cpus_allowed(struct cpus *out, const char *root)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    *out = (struct cpus){ .online = online > 0 ? (int)online : 1, .quota = quota_of(root) };
    out->affinity = affinity_of(out->online);
    out->count = out->online;
    out->what = "the CPUs that are online";
    if (out->affinity < out->count) {
        out->count = out->affinity;
        out->what = "the affinity mask";
    }
    if (out->quota > 0 && ceil(out->quota) < out->count) {
        out->count = (int)ceil(out->quota);
        out->what = "the control group's quota";
    }
}

int cpus_threads(const char **what, const struct cpus *cpus)
{
#ifndef _OPENMP
    (void)cpus;
    *what = "a build without OpenMP";
    return 1;
#else
    const char *variable = getenv("OMP_NUM_THREADS");
    int told = omp_get_max_threads();
    if (told == cpus->affinity && !(variable && *variable)) {
        *what = cpus->what;
        return cpus->count;
    }
    *what = variable && *variable ? "OMP_NUM_THREADS" : "OpenMP's settings";
    return told;
#endif
}
