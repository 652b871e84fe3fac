/* kernels.h: prototypes of every kernel of every level, for the table in simd.c.
 * A level's kernels are called moco_<operation>_<level>, those on bfloat16 activations
 * moco_<operation>_bf16_<level>; all have the types that simd.h fixes. */
#ifndef MOCO_SIMD_KERNELS_H
#define MOCO_SIMD_KERNELS_H

#include "simd/simd.h"

/* suffix: a level, or bf16_<level>. */
#define MOCO_ACTIVATION_KERNELS(suffix)                       \
    moco_bn_stats_fn moco_bn_stats_##suffix;                  \
    moco_bn_apply_fn moco_bn_apply_##suffix;                  \
    moco_bn_grad_sums_fn moco_bn_grad_sums_##suffix;          \
    moco_bn_grad_fn moco_bn_grad_##suffix;                    \
    moco_winograd_gather_fn moco_winograd_src_##suffix;       \
    moco_winograd_gather_fn moco_winograd2_src_##suffix;      \
    moco_winograd_scatter_fn moco_winograd_dst_##suffix;      \
    moco_winograd_scatter_fn moco_winograd2_dst_##suffix;     \
    moco_winograd_gather_fn moco_winograd2_d_dst_##suffix;    \
    moco_winograd_scatter_fn moco_winograd2_d_src_##suffix;   \
    moco_winograd_gather_fn moco_winograd_d_dst_out_##suffix; \
    moco_winograd_gather_fn moco_winograd2_d_dst_out_##suffix; \
    moco_direct_gather_fn moco_direct_gather_##suffix;        \
    moco_direct_scatter_fn moco_direct_scatter_##suffix

#define MOCO_KERNELS_OF(level)                                         \
    moco_logits_fn moco_logits_##level;                                \
    moco_infonce_fn moco_infonce_##level;                              \
    moco_softmax_fn moco_softmax_##level;                              \
    moco_gather_logits_fn moco_gather_logits_##level;                  \
    moco_nce_fn moco_nce_##level;                                      \
    moco_sampled_fn moco_sampled_##level;                              \
    moco_margin_fn moco_margin_##level;                                \
    moco_row_normalise_fn moco_row_normalise_##level;                  \
    moco_row_normalise_grad_fn moco_row_normalise_grad_##level;        \
    moco_ema_fn moco_ema_##level;                                      \
    moco_sgd_fn moco_sgd_##level;                                      \
    moco_sgd_ema_fn moco_sgd_ema_##level;                              \
    moco_widen_fn moco_widen_##level;                                  \
    moco_narrow_fn moco_narrow_##level;                                \
    moco_knn_scan_fn moco_knn_scan_##level;                            \
    moco_knn_cut_fn moco_knn_cut_##level;                              \
    moco_unpack_fn moco_unpack_##level;                                \
    moco_blend_fn moco_blend_##level;                                  \
    moco_resize_fn moco_resize_##level;                                \
    moco_colour_fn moco_colour_##level;                                \
    moco_winograd_product_fn moco_winograd_product_##level;            \
    moco_winograd_product_fn moco_winograd_product_add_##level;        \
    moco_winograd_product_grad_fn moco_winograd_product_grad_##level;  \
    moco_winograd_weights_fn moco_winograd_weights_##level;            \
    moco_winograd_weights_fn moco_winograd2_weights_##level;           \
    moco_winograd_weights_grad_fn moco_winograd_weights_grad_##level;  \
    moco_winograd_weights_grad_fn moco_winograd2_weights_grad_##level; \
    moco_direct_weights_fn moco_direct_weights_##level;                \
    moco_direct_weights_grad_fn moco_direct_weights_grad_##level;      \
    MOCO_ACTIVATION_KERNELS(level);                                    \
    MOCO_ACTIVATION_KERNELS(bf16_##level)

MOCO_KERNELS_OF(ref);
MOCO_KERNELS_OF(neon);
MOCO_KERNELS_OF(avx2);
MOCO_KERNELS_OF(avx512);

/* The level of vec_ext.h and its table: tests link them, the dispatch does not know them. */
MOCO_KERNELS_OF(ext);
void moco_simd_ext(struct moco_simd *table);

/* Kernels on activations, which are `number`s; weights are floats all the same. */
#define MOCO_ACTIVATION(number, level, suffix)                                  \
    {                                                                           \
        .bytes = sizeof(number), .bn_stats = moco_bn_stats_##suffix,            \
        .bn_apply = moco_bn_apply_##suffix,                                     \
        .bn_grad_sums = moco_bn_grad_sums_##suffix,                             \
        .bn_grad = moco_bn_grad_##suffix,                                       \
        .winograd = {                                                           \
            { moco_winograd_weights_##level, moco_winograd_src_##suffix,        \
              moco_winograd_dst_##suffix, moco_winograd_src_##suffix,           \
              moco_winograd_dst_##suffix, moco_winograd_d_dst_out_##suffix,     \
              moco_winograd_weights_grad_##level },                             \
            { moco_winograd2_weights_##level, moco_winograd2_src_##suffix,      \
              moco_winograd2_dst_##suffix, moco_winograd2_d_dst_##suffix,       \
              moco_winograd2_d_src_##suffix, moco_winograd2_d_dst_out_##suffix, \
              moco_winograd2_weights_grad_##level } },                          \
        .direct = { moco_direct_gather_##suffix, moco_direct_scatter_##suffix } \
    }

/* All kernels of a level; block: channels of a plane, width: outputs of a Winograd product. */
#define MOCO_TABLE(level, block, width)                                       \
    (struct moco_simd)                                                        \
    {                                                                         \
        .name = #level, .lanes = block, .logits = moco_logits_##level,        \
        .infonce = moco_infonce_##level,                                      \
        .softmax = moco_softmax_##level,                                      \
        .gather_logits = moco_gather_logits_##level, .nce = moco_nce_##level, \
        .sampled = moco_sampled_##level, .margin = moco_margin_##level,       \
        .row_normalise = moco_row_normalise_##level,                          \
        .row_normalise_grad = moco_row_normalise_grad_##level,                \
        .ema = moco_ema_##level, .sgd = moco_sgd_##level,                     \
        .sgd_ema = moco_sgd_ema_##level, .widen = moco_widen_##level,         \
        .narrow = moco_narrow_##level,                                        \
        .knn_scan = moco_knn_scan_##level, .knn_cut = moco_knn_cut_##level,   \
        .unpack = moco_unpack_##level, .blend = moco_blend_##level,           \
        .resize = moco_resize_##level, .colour = moco_colour_##level,         \
        .winograd_width = width,                                              \
        .winograd_product = moco_winograd_product_##level,                    \
        .winograd_product_add = moco_winograd_product_add_##level,            \
        .winograd_product_grad = moco_winograd_product_grad_##level,          \
        .direct_weights = moco_direct_weights_##level,                        \
        .direct_weights_grad = moco_direct_weights_grad_##level,              \
        .activation = { MOCO_ACTIVATION(float, level, level),                 \
                        MOCO_ACTIVATION(moco_bf16, level, bf16_##level) }     \
    }

/* Fixed sizes that are part of the arithmetic: all variants must agree on them. */
enum { MOCO_VL = 16, MOCO_KEY_BLOCK = 128, MOCO_BN_STAGE = 64 };

/* Queries that meet a block of keys while it is in the cache; a matter of speed only. */
enum { MOCO_ROW_GROUP = 128 };

/* Lanes of the widest panel: four vectors. */
enum { MOCO_KNN_PANEL = 4 * MOCO_VL };

/* Columns that resize turns back at a time. */
enum { MOCO_RESIZE_BLOCK = 8 };

/* Natural logarithm, compiled in one place so that every variant gets the same bytes. */
float moco_simd_log(float x);

#endif
