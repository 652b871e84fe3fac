/* test_cpus.c: CPUs that a process may use, from a made-up /proc and /sys, its affinity mask, and
 * what OpenMP was told. */
#define _GNU_SOURCE
#include <omp.h>
#include <sched.h>

#include "engine/base/cpus.h"
#include "tests/files.h"

/* Makes the folders on the way, too. */
static void set(const char *name, const char *text)
{
    char path[1100];
    snprintf(path, sizeof path, "%s", at(name));
    for (char *p = path + strlen(files_dir) + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(path, 0777);
            *p = '/';
        }
    put(name, text, strlen(text));
}

static void groups(const char *text)
{
    set("proc/self/cgroup", text);
}

static void quota_is(double wanted, const char *when)
{
    struct cpus cpus;
    cpus_allowed(&cpus, files_dir);
    CHECK_MSG(cpus.quota == wanted, "%s: %g CPUs, not %g", when, cpus.quota, wanted);
    int rounded = wanted > (int)wanted ? (int)wanted + 1 : (int)wanted;
    int counts = wanted > 0 && rounded < cpus.affinity;
    CHECK_MSG(cpus.count == (counts ? rounded : cpus.affinity), "%s: %d", when, cpus.count);
    CHECK_MSG(counts == !strcmp(cpus.what, "the control group's quota"), "%s: %s", when,
              cpus.what);
}

static void version_2(void)
{
    groups("0::/a/b\n");
    quota_is(0, "no files");
    set("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    quota_is(0, "max");
    set("sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    quota_is(0.5, "half a CPU");
    set("sys/fs/cgroup/a/b/cpu.max", "350000 100000\n");
    quota_is(3.5, "3.5");
    set("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    quota_is(1, "the group above has less");
    set("sys/fs/cgroup/cpu.max", "20000 100000\n");
    quota_is(0.2, "so has the root, which is a container's own group");
    groups("0::/not/to/be/seen/in/a/container\n");
    quota_is(0.2, "a container");
    groups("0::/\n");
    quota_is(0.2, "the root");
    groups("nonsense\n:\n0:x\n");
    quota_is(0, "nonsense");
}

static void version_1(void)
{
    groups("12:memory:/m\n3:cpuset:/deep\n5:cpu,cpuacct:/deep\n1:name=systemd:/\n");
    quota_is(0, "v1 without files");
    set("sys/fs/cgroup/cpu,cpuacct/deep/cpu.cfs_quota_us", "-1\n");
    set("sys/fs/cgroup/cpu,cpuacct/deep/cpu.cfs_period_us", "100000\n");
    quota_is(0, "v1 without a quota");
    set("sys/fs/cgroup/cpu,cpuacct/deep/cpu.cfs_quota_us", "75000\n");
    quota_is(0.75, "v1");
    set("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "25000\n");
    set("sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n");
    groups("5:cpu:/\n");
    quota_is(0.5, "v1 alone");
    groups("5:cpuset:/\n6:cpuacct:/\n");
    quota_is(0, "other controllers");
    set("sys/fs/cgroup/unified/u/cpu.max", "10000 100000\n");
    groups("5:cpu:/\n0::/u\n");
    quota_is(0.1, "v2 beside v1");
}

static void affinity(void)
{
    struct cpus cpus;
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    cpus_allowed(&cpus, "/nowhere");
    CHECK_MSG(cpus.affinity == 1 && cpus.count == 1 && cpus.quota == 0, "%d", cpus.affinity);
    CHECK(cpus.online == 1 || !strcmp(cpus.what, "the affinity mask"));
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
    cpus_allowed(&cpus, "/nowhere");
    CHECK(cpus.affinity == CPU_COUNT(&all));
}

/* What OpenMP was told beats a quota. */
static void told(void)
{
    const char *what;
    struct cpus cpus = { 64, omp_get_max_threads(), 0.5, 1, "the control group's quota" };
    unsetenv("OMP_NUM_THREADS");
#ifdef _OPENMP
    CHECK(cpus_threads(&what, &cpus) == 1 && !strcmp(what, "the control group's quota"));
    omp_set_num_threads(cpus.affinity + 3);
    CHECK(cpus_threads(&what, &cpus) == cpus.affinity + 3 && !strcmp(what, "OpenMP's settings"));
    omp_set_num_threads(cpus.affinity);
    setenv("OMP_NUM_THREADS", "2", 1);
    CHECK(cpus_threads(&what, &cpus) == cpus.affinity && !strcmp(what, "OMP_NUM_THREADS"));
#else
    CHECK(cpus_threads(&what, &cpus) == 1);
#endif
}

int main(void)
{
    if (files_begin())
        return 1;
    version_2();
    version_1();
    affinity();
    told();
    files_end();
    return check_summary("cpus");
}
