/* fuzz.h: what fuzz targets share.
 *
 * A target is one file with one LLVMFuzzerTestOneInput: any bytes, which must not crash, hang or
 * take memory beyond the stated limits. tests/fuzz/run builds it with clang's libFuzzer; in
 * every build replay.c runs it over the seeds of seeds.c and simple changes of them. */
#ifndef MOCO_TESTS_FUZZ_FUZZ_H
#define MOCO_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The path of a file in memory with these bytes, the same one each time; its content changes with
 * the next call for the same slot, 0 or 1. */
const char *fuzz_file(int slot, const uint8_t *data, size_t size);

/* Opens `spec`, reads a few images and closes; a refusal is as good. */
void fuzz_source(const char *spec);

/* Calls take() for every seed of a target ("decode", "npy", "npz", "idx", "cifar10",
 * "packed", "safetensors", "config"); returns their number. */
typedef void (*seed_taker)(void *user, const char *name, const uint8_t *data, size_t size);
size_t seeds_of(const char *target, seed_taker take, void *user);

#endif
