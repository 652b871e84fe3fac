/* bn_body.h: the BatchNorm kernels, on planes of floats and of bfloat16 numbers.
 *
 * A lane is a channel, so each channel's sums run sequentially over the pixels of a stage of 64
 * and the stage sums are added in order. Four stages are summed side by side: their chains are
 * independent, which hides the latency of the additions and changes no byte.
 * The kernels of one kind of number are bn_number_body.h, the code for planes of one width is
 * bn_plane.h. */
#include "simd/tile.h"

/* Coefficients of two pixels of 8 channels. */
static inline void two_pixels(float *twice, const float *of)
{
    for (size_t i = 0; i < 16; i++)
        twice[i] = of[i % 8];
}

/* The pixel from which on pairs are written: one of the first two. Past the caches each has to
 * stand at a multiple of its size. */
static inline size_t pairs_from(const void *dst, size_t bytes, size_t pixels, int far)
{
    return far && pixels > 0 && (uintptr_t)dst % bytes ? 1 : 0;
}

/* Stores what was loaded, or zeros: floats as any other. */
INLINE void v_keep(float *p, f32x16 a)
{
    v_store(p, a);
}

INLINE void h_keep(float *p, f32x8 a)
{
    h_store(p, a);
}

#define BN_NUMBER float
#define BN_OF(name) name
#define BN_KERNEL(op) KERNEL(op)
#include "simd/bn_number_body.h"

#define BN_NUMBER moco_bf16
#define BN_OF(name) name##_bf16
#define BN_KERNEL(op) KERNEL(op##_bf16)
#include "simd/bn_number_body.h"
