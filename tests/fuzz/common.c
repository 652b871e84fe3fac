/* common.c: bytes as a file that lies in memory; sources over it. */
#define _GNU_SOURCE
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/data/source.h"

const char *fuzz_file(int slot, const uint8_t *data, size_t size)
{
    static int file[2] = { -1, -1 };
    static char path[2][64];
    if (file[slot] < 0) {
        file[slot] = memfd_create("fuzz", 0);
        snprintf(path[slot], sizeof path[slot], "/proc/self/fd/%d", file[slot]);
    }
    if (file[slot] < 0 || ftruncate(file[slot], 0) || pwrite(file[slot], data, size, 0) !=
        (ssize_t)size) {
        fputs("fuzz: no file in memory\n", stderr);
        abort();
    }
    return path[slot];
}

void fuzz_source(const char *spec)
{
    struct source *source = NULL;
    struct image image = { 0 };
    if (source_open(&source, spec) == 0) {
        size_t step = source->count / 4 + 1;
        for (size_t i = 0; i < source->count; i += step)
            source->read(source, i, &image);
        source->read(source, source->count - 1, &image);
    }
    image_close(&image);
    source_close(&source);
}
