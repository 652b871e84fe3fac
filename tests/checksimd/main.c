/* main.c: every kernel of every level against the plain C specification, byte by byte, and the
 * specification against double arithmetic within the bounds of simd.h.
 *
 * The idea is FFmpeg's checkasm: sizes around each edge, friendly and hostile values, guarded
 * buffers, several divisions among threads. Each group's mutants, which forget their tails, must be
 * caught first, or the checker is the one that failed.
 *
 * Usage: checksimd [--readable-ends] [seed]. With readable ends only writing past a buffer ends the
 * program: qemu 7 reads all lanes of a masked load, which CPUs do not. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/checksimd/harness.h"
#include "tests/levels.h"

static const struct {
    void (*check)(const struct moco_simd *t);
    void (*mutants)(void);
} groups[] = {
    {check_dense, mutants_dense}, {check_softmax, mutants_softmax},
    {check_infonce, mutants_infonce}, {check_update, mutants_update},
    {check_number, mutants_number}, {check_bn, mutants_bn}, {check_nce, mutants_nce},
    {check_margin, mutants_margin}, {check_knn, mutants_knn},
};

int main(int argc, char **argv)
{
    int readable = argc > 1 && !strcmp(argv[1], "--readable-ends");
    uint64_t seed = argc > 1 + readable ? strtoull(argv[1 + readable], NULL, 0) : 20200709;
    struct moco_simd tables[TABLES_MAX];
    size_t count = all_tables(tables);
    char levels[64] = "";

    seed_random(seed);
    printf("checksimd: seed %llu\n", (unsigned long long)seed);
    open_slots(readable);
    ref = tables[0];
    for (size_t i = 0; i < COUNT(groups); i++)
        groups[i].mutants();
    for (size_t t = 0; t < count; t++) {
        strcat(strcat(levels, " "), tables[t].name);
        for (size_t i = 0; i < COUNT(groups); i++)
            groups[i].check(&tables[t]);
    }
    return report(levels);
}
