/* replay.c: a fuzz target without a fuzzer: its seeds, every beginning of them (of long ones some),
 * and a few thousand with bytes changed, always the same.
 *
 *   fuzz_TARGET                  the seeds and their changes
 *   fuzz_TARGET FILE...          those files, to repeat what a fuzzer has found
 *   fuzz_TARGET --write FOLDER   writes the seeds as a corpus */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/rng.h"
#include "tests/fuzz/fuzz.h"

#ifndef FUZZ_TARGET
#error "FUZZ_TARGET is the name of the target"
#endif

enum { CHANGES = 400, BEGINNINGS = 150 };

static uint64_t tries;

/* In an exact copy, so that a sanitizer sees a read behind its end. */
static void try_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return;
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    tries++;
    free(copy);
}

static void change(uint8_t *data, size_t size, struct rng *rng)
{
    static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xfe, 0xff };
    size_t near = rng_below(rng, 2) && size > 64 ? 64 : size; /* headers are in front */
    for (uint64_t n = 1 + rng_below(rng, 4); n > 0; n--) {
        uint8_t *at = data + rng_below(rng, near);
        uint64_t kind = rng_below(rng, 3);
        if (kind == 0)
            *at = edges[rng_below(rng, sizeof edges)];
        else if (kind == 1)
            *at ^= (uint8_t)(1u << rng_below(rng, 8));
        else
            *at = (uint8_t)rng_below(rng, 256);
    }
}

static void replay(void *user, const char *name, const uint8_t *data, size_t size)
{
    struct rng rng = rng_at(1, RNG_TEST, 0, tries);
    uint8_t *copy = malloc(size + 1);
    (void)user, (void)name;
    try_one(data, size);
    for (size_t cut = 0; cut < size; cut += 1 + size / BEGINNINGS)
        try_one(data, cut);
    for (int i = 0; copy && size > 0 && i < CHANGES; i++) {
        memcpy(copy, data, size);
        change(copy, size, &rng);
        try_one(copy, size);
    }
    free(copy);
}

static void write_seed(void *user, const char *name, const uint8_t *data, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", (const char *)user, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size)
        fprintf(stderr, "fuzz: writing %s failed\n", path);
    if (file)
        fclose(file);
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    static uint8_t bytes[1 << 24];
    if (!file) {
        fprintf(stderr, "fuzz: %s cannot be opened\n", path);
        return 1;
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    try_one(bytes, size);
    return 0;
}

int main(int argc, char **argv)
{
    int rc = 0;
    if (argc == 3 && !strcmp(argv[1], "--write"))
        return seeds_of(FUZZ_TARGET, write_seed, argv[2]) == 0;
    for (int i = 1; i < argc; i++)
        rc |= replay_file(argv[i]);
    size_t seeds = argc == 1 ? seeds_of(FUZZ_TARGET, replay, NULL) : 0;
    printf("fuzz %s: %zu seeds, %llu tries\n", FUZZ_TARGET, seeds, (unsigned long long)tries);
    return rc || tries == 0;
}
