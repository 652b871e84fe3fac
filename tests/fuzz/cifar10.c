/* cifar10.c: a batch of CIFAR-10's binary version; 200 bytes or more behind its last record are
 * names of classes. The folder holds links to files in memory. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static char folder[256];

static void remove_folder(void)
{
    static const char *const names[] = { "data_batch_1.bin", "batches.meta.txt" };
    char path[300];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void make_folder(const char *batch, const char *names)
{
    char path[300];
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.200s/moco-fuzz-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        abort();
    atexit(remove_folder);
    snprintf(path, sizeof path, "%s/data_batch_1.bin", folder);
    if (symlink(batch, path))
        abort();
    snprintf(path, sizeof path, "%s/batches.meta.txt", folder);
    if (symlink(names, path))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char spec[300];
    size_t records = size / 3073 * 3073, rest = size - records;
    const char *batch = fuzz_file(0, data, rest < 200 ? size : records);
    const char *names = fuzz_file(1, data + records, rest);
    if (!folder[0])
        make_folder(batch, names);
    snprintf(spec, sizeof spec, "cifar10:%s", folder);
    fuzz_source(spec);
    return 0;
}
