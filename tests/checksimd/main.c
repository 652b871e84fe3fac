/* main.c: every kernel of every level against the plain C specification, byte by byte, and the
 * specification against double arithmetic within the bounds of simd.h.
 *
 * The idea is FFmpeg's checkasm: sizes around each edge, friendly and hostile values, guarded
 * buffers, several divisions among threads. Each group's mutants, which forget their tails, must be
 * caught first, or the checker is the one that failed.
 *
 * Usage: checksimd [--readable-ends] [--offered] [--level NAME] [seed]. With readable ends only
 * writing past a buffer ends the program: qemu 7 reads all lanes of a masked load, which CPUs do
 * not. --offered leaves out the level "ext", which takes most of the time where fused multiply-add
 * is emulated; --level checks one level alone, a fifth of the work: the specification was checked
 * elsewhere. A digest for each group is that of the specification's results: equal on all
 * machines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/checksimd/harness.h"
#include "tests/levels.h"

static const struct {
    const char *name;
    void (*check)(const struct moco_simd *t);
    void (*mutants)(void);
} groups[] = {
    {"dense", check_dense, mutants_dense}, {"softmax", check_softmax, mutants_softmax},
    {"infonce", check_infonce, mutants_infonce}, {"update", check_update, mutants_update},
    {"number", check_number, mutants_number}, {"bn", check_bn, mutants_bn},
    {"nce", check_nce, mutants_nce}, {"margin", check_margin, mutants_margin},
    {"knn", check_knn, mutants_knn}, {"resize", check_resize, mutants_resize},
    {"colour", check_colour, mutants_colour}, {"direct", check_direct, mutants_direct},
};

/* A group's sizes and values are the same whatever ran before it, and for every level. */
static void check_level(const struct moco_simd *t, uint64_t seed)
{
    for (size_t i = 0; i < COUNT(groups); i++) {
        seed_random(seed + i);
        groups[i].check(t);
        if (!strcmp(t->name, ref.name))
            print_digest(groups[i].name);
    }
}

int main(int argc, char **argv)
{
    int readable = 0, offered = 0;
    uint64_t seed = 20200709;
    struct moco_simd tables[TABLES_MAX];
    size_t count = all_tables(tables);
    char levels[64] = "";
    const char *level = NULL;

    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--readable-ends"))
            readable = 1;
        else if (!strcmp(argv[i], "--offered"))
            offered = 1;
        else if (!strcmp(argv[i], "--level") && i + 1 < argc)
            level = argv[++i];
        else
            seed = strtoull(argv[i], NULL, 0);
    count -= (size_t)offered;
    seed_random(seed);
    printf("checksimd: seed %llu\n", (unsigned long long)seed);
    open_slots(readable);
    ref = tables[0];
    if (level && !(count = one_table(tables, count, level)))
        return 1;
    for (size_t i = 0; i < COUNT(groups); i++)
        groups[i].mutants();
    for (size_t t = 0; t < count; t++) {
        strcat(strcat(levels, " "), tables[t].name);
        check_level(&tables[t], seed);
    }
    return report(levels);
}
