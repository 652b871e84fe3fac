/* simd.c: the tables of kernels, and the choice among them.
 *
 * A level's table is handed out only where this build has its code and this CPU its instructions.
 * The logarithm lives here too: one copy, so that all variants agree to the byte. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd/kernels.h"

#define TABLE(level, block, width)                                              \
    (struct moco_simd)                                                          \
    {                                                                           \
        .name = #level, .lanes = block, .logits = moco_logits_##level,          \
        .infonce = moco_infonce_##level,                                        \
        .softmax = moco_softmax_##level,                                        \
        .gather_logits = moco_gather_logits_##level, .nce = moco_nce_##level,   \
        .sampled = moco_sampled_##level, .margin = moco_margin_##level,         \
        .row_normalise = moco_row_normalise_##level,                            \
        .row_normalise_grad = moco_row_normalise_grad_##level,                  \
        .ema = moco_ema_##level, .sgd = moco_sgd_##level,                       \
        .sgd_ema = moco_sgd_ema_##level,                                        \
        .bn_stats = moco_bn_stats_##level, .bn_apply = moco_bn_apply_##level,   \
        .bn_grad_sums = moco_bn_grad_sums_##level,                              \
        .bn_grad = moco_bn_grad_##level,                                        \
        .knn_scan = moco_knn_scan_##level, .knn_cut = moco_knn_cut_##level,     \
        .winograd_width = width,                                                \
        .winograd_weights = moco_winograd_weights_##level,                      \
        .winograd_src = moco_winograd_src_##level,                              \
        .winograd_product = moco_winograd_product_##level,                      \
        .winograd_dst = moco_winograd_dst_##level,                              \
        .winograd_dst_grad = moco_winograd_dst_grad_##level,                    \
        .winograd_product_grad = moco_winograd_product_grad_##level,            \
        .winograd_weights_grad = moco_winograd_weights_grad_##level             \
    }

float moco_simd_log(float x)
{
    return logf(x);
}

/* The panel of one key block, and the logits of one group of rows against it. */
size_t moco_infonce_scratch(size_t D)
{
    return (size_t)MOCO_KEY_BLOCK * D + (size_t)MOCO_KEY_BLOCK * MOCO_ROW_GROUP;
}

/* The panel of the widest level. */
size_t moco_knn_scratch(size_t D)
{
    return (size_t)MOCO_KNN_PANEL * D;
}

int moco_simd_at(struct moco_simd *table, enum moco_level level)
{
    enum moco_level cpu = moco_cpu_level();

    if (level == MOCO_LEVEL_REF) {
        *table = TABLE(ref, 8, 16);
        return 0;
    }
#if defined(__x86_64__)
    if (level == MOCO_LEVEL_AVX2 && cpu >= MOCO_LEVEL_AVX2) {
        *table = TABLE(avx2, 8, 16);
        return 0;
    }
    if (level == MOCO_LEVEL_AVX512 && cpu >= MOCO_LEVEL_AVX512) {
        *table = TABLE(avx512, 16, 64);
        return 0;
    }
#elif defined(__aarch64__)
    if (level == MOCO_LEVEL_NEON && cpu == MOCO_LEVEL_NEON) {
        *table = TABLE(neon, 8, 16);
        return 0;
    }
#endif
    (void)cpu;
    return -1;
}

int moco_level_named(const char *name)
{
    static const char *const names[] = {
        [MOCO_LEVEL_REF] = "ref",
        [MOCO_LEVEL_NEON] = "neon",
        [MOCO_LEVEL_AVX2] = "avx2",
        [MOCO_LEVEL_AVX512] = "avx512",
    };

    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (!strcmp(name, names[i]))
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
