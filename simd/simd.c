/* simd.c: the tables of kernels, and the choice among them.
 *
 * A level's table is handed out only where this build has its code and this CPU its instructions.
 * The logarithm lives here too: one copy, so that all variants agree to the byte. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd/cpu.h"
#include "simd/kernels.h"

float moco_simd_log(float x)
{
    return logf(x);
}

/* Queries and sums of a group, the logits of a block, and a panel of keys for few queries. */
size_t moco_infonce_scratch(size_t D)
{
    return (2 * (size_t)MOCO_ROW_GROUP + MOCO_KNN_PANEL) * D + MOCO_KEY_BLOCK * MOCO_KNN_PANEL;
}

/* The panel of the widest level. */
size_t moco_knn_scratch(size_t D)
{
    return (size_t)MOCO_KNN_PANEL * D;
}

/* The rows turned over, and a block of results. */
size_t moco_resize_scratch(size_t width)
{
    return (size_t)MOCO_RESIZE_ROWS * (width + MOCO_RESIZE_BLOCK);
}

int moco_simd_at_cpu(struct moco_simd *table, enum moco_level level, enum moco_level cpu)
{
    if (level > cpu)
        return -1;
    switch (level) {
    case MOCO_LEVEL_REF: *table = MOCO_TABLE(ref, 8, 16); return 0;
#if defined(__x86_64__)
    case MOCO_LEVEL_AVX2: *table = MOCO_TABLE(avx2, 8, 16); return 0;
    case MOCO_LEVEL_AVX512: *table = MOCO_TABLE(avx512, 16, 64); return 0;
#elif defined(__aarch64__)
    case MOCO_LEVEL_NEON: *table = MOCO_TABLE(neon, 8, 16); return 0;
#endif
    default: return -1;
    }
}

int moco_simd_at(struct moco_simd *table, enum moco_level level)
{
    return moco_simd_at_cpu(table, level, moco_cpu_level());
}

static const char *const level_names[MOCO_LEVELS] = {
    [MOCO_LEVEL_REF] = "ref",
    [MOCO_LEVEL_NEON] = "neon",
    [MOCO_LEVEL_AVX2] = "avx2",
    [MOCO_LEVEL_AVX512] = "avx512",
};

const char *moco_level_name(enum moco_level level)
{
    return level_names[level];
}

int moco_level_named(const char *name)
{
    for (int i = 0; i < MOCO_LEVELS; i++)
        if (!strcmp(name, level_names[i]))
            return i;
    return -1;
}

int moco_simd_init(struct moco_simd *table, const char *cap)
{
    int level;

    if (!cap)
        cap = getenv("MOCO_SIMD");
    if (!cap || !*cap)
        return moco_simd_at(table, moco_cpu_level());
    level = moco_level_named(cap);
    return level < 0 ? -1 : moco_simd_at(table, (enum moco_level)level);
}
