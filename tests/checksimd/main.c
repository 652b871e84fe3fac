/* main.c: every kernel of every level against the plain C specification, byte by byte, and the
 * specification against double arithmetic within the bounds of simd.h.
 *
 * The idea is FFmpeg's checkasm: sizes around each edge, friendly and hostile values, guarded
 * buffers, several divisions among threads. Each group's mutants, which forget their tails, must be
 * caught first, or the checker is the one that failed. Usage: checksimd [seed] */
#include <stdio.h>
#include <stdlib.h>

#include "tests/checksimd/harness.h"

static const struct {
    void (*check)(const struct moco_simd *t);
    void (*mutants)(void);
} groups[] = {
    {check_dense, mutants_dense}, {check_softmax, mutants_softmax},
    {check_infonce, mutants_infonce}, {check_update, mutants_update},
    {check_bn, mutants_bn}, {check_nce, mutants_nce}, {check_margin, mutants_margin},
    {check_knn, mutants_knn},
};

static void check_names(void)
{
    struct moco_simd t = {.name = "untouched"};

    expect(moco_level_named("avx512") == MOCO_LEVEL_AVX512, "level avx512");
    expect(moco_level_named("sse") == -1, "level sse");
    expect(moco_simd_init(&t, "sse") == -1 && !strcmp(t.name, "untouched"), "init sse");
    expect(moco_simd_init(&t, "ref") == 0 && !strcmp(t.name, "ref"), "init ref");
    expect(moco_simd_init(&t, "") == 0, "init without a cap");
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20200709;
    struct moco_simd t;
    char levels[64] = "";

    seed_random(seed);
    printf("checksimd: seed %llu\n", (unsigned long long)seed);
    open_slots();
    moco_simd_at(&ref, MOCO_LEVEL_REF);
    check_names();
    for (size_t i = 0; i < COUNT(groups); i++)
        groups[i].mutants();
    for (enum moco_level level = MOCO_LEVEL_REF; level <= MOCO_LEVEL_AVX512; level++) {
        if (moco_simd_at(&t, level))
            continue;
        strcat(strcat(levels, " "), t.name);
        for (size_t i = 0; i < COUNT(groups); i++)
            groups[i].check(&t);
    }
    return report(levels);
}
