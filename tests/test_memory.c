/* test_memory.c: limits of memory as the system tells them, from a made-up /proc and /sys, and the
 * refusal of a run that is larger. */
#include "engine/run/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "tests/check.h"

#define MIB ((uint64_t)1 << 20)

static char root[64];

/* Makes the folders on the way, too. */
static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *p = path + strlen(root) + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(path, 0777);
            *p = '/';
        }
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    if (!file)
        return;
    fputs(text, file);
    fclose(file);
}

static void drop(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", root, name);
    CHECK_MSG(remove(path) == 0, "%s", path);
}

static void limited_to(uint64_t mib, const char *what)
{
    struct memory_limit limit;
    memory_limit(&limit, root);
    CHECK_MSG(limit.bytes == mib * MIB && strstr(limit.what, what),
              "%.9g MiB of %s, not %.9g of %s", (double)limit.bytes / MIB, limit.what, (double)mib,
              what);
}

static const char *const v2[] = { "/sys/fs/cgroup/a/b/memory.max",
                                  "/sys/fs/cgroup/a/b/memory.current",
                                  "/sys/fs/cgroup/a/b/memory.stat",
                                  "/sys/fs/cgroup/a/memory.max",
                                  "/sys/fs/cgroup/a/memory.current",
                                  "/sys/fs/cgroup/a/b",
                                  "/sys/fs/cgroup/a" };
static const char *const v1[] = { "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                  "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                                  "/sys/fs/cgroup/memory/memory.stat", "/sys/fs/cgroup/memory" };

static void test_v2(void)
{
    put("/proc/self/cgroup", "0::/a/b\n");
    put(v2[0], "max\n");
    put(v2[1], "104857600\n");
    put(v2[3], "max\n");
    put(v2[4], "104857600\n");
    limited_to(4096, "free memory");
    put(v2[0], "1073741824\n"); /* 1024 MiB, 100 taken, 30 of them idle pages of files */
    limited_to(924, "control group");
    put(v2[2], "anon 1\ninactive_file 31457280\nactive_file 5\n");
    limited_to(954, "control group");
    put(v2[3], "524288000\n"); /* the group above has less */
    limited_to(400, "control group");
    put(v2[4], "629145600\n"); /* and more is taken than it allows */
    limited_to(0, "control group");
    for (size_t i = 0; i < sizeof v2 / sizeof *v2; i++)
        drop(v2[i]);
}

/* Inside a container the path of the own group does not exist: the mount is that group. */
static void test_v1(void)
{
    put("/proc/self/cgroup", "9:name=systemd:/\n4:memory:/docker/0123\n3:cpu:/x\n0::/\n");
    put(v1[0], "9223372036854771712\n");
    put(v1[1], "104857600\n");
    put(v1[2], "inactive_file 1\ntotal_inactive_file 10485760\n");
    limited_to(4096, "free memory");
    put(v1[0], "209715200\n");
    limited_to(110, "control group");
    for (size_t i = 0; i < sizeof v1 / sizeof *v1; i++)
        drop(v1[i]);
}

/* A petabyte, because a sanitizer reserves terabytes. qemu's user mode keeps no such limit, and
 * says so to who asks. */
static void test_process(void)
{
    const uint64_t most = (uint64_t)1 << 50;
    struct memory_limit limit;
    struct rlimit before, less, kept;
    CHECK(getrlimit(RLIMIT_DATA, &before) == 0);
    less = before;
    less.rlim_cur = most;
    CHECK(setrlimit(RLIMIT_DATA, &less) == 0);
    memory_limit(&limit, "/nowhere");
    CHECK(getrlimit(RLIMIT_DATA, &kept) == 0);
    if (kept.rlim_cur == most)
        CHECK(limit.bytes < most && limit.bytes > most / 2 && strstr(limit.what, "ulimit -d"));
    else
        puts("left out: this machine keeps no limit of a process's memory");
    CHECK(setrlimit(RLIMIT_DATA, &before) == 0);
}

static int fits(const struct memory_plan *plan, uint64_t mib, const struct config *config)
{
    struct memory_limit limit = { mib == UINT64_MAX ? mib : mib * MIB, "a test" };
    return memory_check(plan, &limit, &config->value) == MOCO_OK;
}

static void test_check(void)
{
    struct config c;
    struct memory_plan plan = { .encoders = 100 * MIB, .activations = 900 * MIB,
                                .dictionary = 8 * MIB, .batches = 16 * MIB };
    config_default(&c);
    CHECK(memory_total(&plan) == 1024 * MIB);
    CHECK(fits(&plan, 1024, &c) && fits(&plan, UINT64_MAX, &c));
    CHECK(!fits(&plan, 1023, &c) && strstr(error_text(), "needs 1.00 GiB"));
    CHECK_MSG(strstr(error_text(), "(a test): give --accumulate 2,"), "%s", error_text());
    CHECK(!fits(&plan, 512, &c) && strstr(error_text(), "0.50 GiB") &&
          strstr(error_text(), "--accumulate 4,"));
    CHECK(!fits(&plan, 112, &c) && !strstr(error_text(), "--accumulate"));
    CHECK(strstr(error_text(), "--batch-size") && strstr(error_text(), "--moco-k"));
    CHECK(config_set(&c, "accumulate", "4", FROM_FLAG) == MOCO_OK);
    CHECK(!fits(&plan, 700, &c) && strstr(error_text(), "--accumulate 8,"));
    CHECK(config_set(&c, "accumulate", "1", FROM_FLAG) == MOCO_OK);
    CHECK(config_set(&c, "method", "end-to-end", FROM_FLAG) == MOCO_OK);
    CHECK(!fits(&plan, 512, &c) && !strstr(error_text(), "--accumulate"));
}

/* Sums that would begin again at 0 stay at the top, and do not fit. */
static void test_largest(void)
{
    struct config c;
    const size_t half = SIZE_MAX / 2 + 1;
    struct memory_plan plan = { .encoders = half, .activations = half, .dictionary = 5 };
    config_default(&c);
    CHECK(memory_total(&plan) == SIZE_MAX && !fits(&plan, 1 << 20, &c));
    CHECK(size_add(half, half) == SIZE_MAX && size_add(half, half - 1) == SIZE_MAX);
    CHECK(size_add(3, 4) == 7 && size_mul(half, 2) == SIZE_MAX);
    CHECK(size_mul(half - 1, 2) == SIZE_MAX - 1);
    CHECK(size_mul(0, half) == 0 && size_sum((const size_t[]){ half, 1, half }, 3) == SIZE_MAX);
    CHECK(arena_round(SIZE_MAX) > half && arena_round(65) == 128);
    struct arena arena;
    CHECK(arena_open(&arena, SIZE_MAX, "all there is") == MOCO_ENOMEM);
}

int main(void)
{
    char *dir = getenv("TMPDIR");
    snprintf(root, sizeof root, "%.40s/moco-memory-XXXXXX", dir ? dir : "/tmp");
    if (!mkdtemp(root))
        return 1;
    struct memory_limit none;
    memory_limit(&none, root);
    CHECK(none.bytes == UINT64_MAX || strstr(none.what, "ulimit"));
    put("/proc/meminfo", "MemTotal: 9000000 kB\nMemFree: 1 kB\nMemAvailable:    4194304 kB\n");
    limited_to(4096, "free memory");
    put("/sys/fs/cgroup/x", "");
    test_v2();
    test_v1();
    test_process();
    test_check();
    test_largest();
    size_t resident = memory_resident(); /* the kernel's counters lag by some pages */
    CHECK(resident > 0 && memory_peak() + MIB > resident);
    drop("/sys/fs/cgroup/x");
    static const char *const left[] = { "/proc/self/cgroup", "/proc/meminfo", "/proc/self", "/proc",
                                        "/sys/fs/cgroup", "/sys/fs", "/sys", "" };
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        drop(left[i]);
    return check_summary("memory");
}
