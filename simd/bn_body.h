/* bn_body.h: the BatchNorm kernels, for planes of 16 and of 8 channels.
 *
 * A lane is a channel, so each channel's sums run sequentially over the pixels of a stage of 64
 * and the stage sums are added in order. Four stages are summed side by side: their chains are
 * independent, which hides the latency of the additions and changes no byte.
 * The plane code is bn_plane.h, written once and included for either width. */
#include "simd/tile.h"

#define BN_VEC f32x16
#define BN_LANES 16
#define BN_OP(op) v_##op
#define BN_FN(name) name##_16
#include "simd/bn_plane.h"

#define BN_VEC f32x8
#define BN_LANES 8
#define BN_OP(op) h_##op
#define BN_FN(name) name##_8
#include "simd/bn_plane.h"

void KERNEL(bn_stats)(float *mean, float *m2, const void *src, size_t pixels, size_t lanes)
{
    if (lanes == 16)
        stats_16(mean, m2, src, pixels);
    else
        stats_8(mean, m2, src, pixels);
}

void KERNEL(bn_apply)(void *dst, uint8_t *open, const void *src, const void *add,
                      const float *scale, const float *shift, size_t pixels, size_t lanes, int relu,
                      int far)
{
    far = far && dst != src && dst != add && (uintptr_t)dst % (lanes * sizeof(float)) == 0;
    if (lanes == 16)
        apply_16(dst, open, src, add, scale, shift, pixels, relu, far);
    else
        apply_8(dst, open, src, add, scale, shift, pixels, relu, far);
    if (far)
        v_stream_end();
}

void KERNEL(bn_grad_sums)(float *sum_g, float *sum_gx, void *g, const void *d_dst,
                          const struct moco_bn_gate *gate, const void *src, const float *mean,
                          size_t pixels, size_t lanes)
{
    if (lanes == 16)
        grad_sums_16(sum_g, sum_gx, g, d_dst, gate, src, mean, pixels);
    else
        grad_sums_8(sum_g, sum_gx, g, d_dst, gate, src, mean, pixels);
}

void KERNEL(bn_grad)(void *d_src, const void *g, const void *src, const float *a,
                     const float *b, const float *c, size_t pixels, size_t lanes, int far)
{
    far = far && d_src != g && (uintptr_t)d_src % (lanes * sizeof(float)) == 0;
    if (lanes == 16)
        grad_16(d_src, g, src, a, b, c, pixels, far);
    else
        grad_8(d_src, g, src, a, b, c, pixels, far);
    if (far)
        v_stream_end();
}
