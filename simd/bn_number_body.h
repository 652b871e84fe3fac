/* bn_number_body.h: the BatchNorm kernels on planes of one kind of number; included by bn_body.h
 * once per kind with BN_NUMBER, BN_OF (a name, marked by the kind) and BN_KERNEL, which it
 * undefines at the end. Planes have 16 or 8 channels. Where every number is by itself, two pixels
 * of 8 channels go as one of 16. */

#define BN_VEC f32x16
#define BN_LANES 16
#define BN_OP(op) v_##op
#define BN_PLANE(op) BN_OF(v_##op)
#define BN_FN(name) BN_OF(name##_16)
#include "simd/bn_plane.h"

#define BN_VEC f32x8
#define BN_LANES 8
#define BN_OP(op) h_##op
#define BN_PLANE(op) BN_OF(h_##op)
#define BN_FN(name) BN_OF(name##_8)
#include "simd/bn_plane.h"

void BN_KERNEL(bn_stats)(float *mean, float *m2, const void *src, size_t pixels, size_t lanes)
{
    if (lanes == 16)
        BN_OF(stats_16)(mean, m2, src, pixels);
    else
        BN_OF(stats_8)(mean, m2, src, pixels);
}

void BN_KERNEL(bn_apply)(void *dst, uint8_t *open, const void *src, const void *add,
                         const float *scale, const float *shift, size_t pixels, size_t lanes,
                         int relu, int far)
{
    const BN_NUMBER *x = src, *plus = add;
    float twice[2][16];
    BN_NUMBER *y = dst;
    size_t first, wide;

    far = far && dst != src && dst != add && (uintptr_t)dst % (lanes * sizeof *y) == 0;
    if (lanes == 16) {
        BN_OF(apply_16)(y, open, x, plus, scale, shift, pixels, relu, far);
    } else {
        first = pairs_from(dst, 16 * sizeof *y, pixels, far);
        wide = first + (pixels - first) / 2 * 2;
        two_pixels(twice[0], scale);
        two_pixels(twice[1], shift);
        BN_OF(apply_8)(y, open, x, plus, scale, shift, first, relu, far);
        BN_OF(apply_16)(y + 8 * first, open ? open + first : NULL, x + 8 * first,
                        plus ? plus + 8 * first : NULL, twice[0], twice[1], (wide - first) / 2,
                        relu, far);
        BN_OF(apply_8)(y + 8 * wide, open ? open + wide : NULL, x + 8 * wide,
                       plus ? plus + 8 * wide : NULL, scale, shift, pixels - wide, relu, far);
    }
    if (far)
        v_stream_end();
}

void BN_KERNEL(bn_grad_sums)(float *sum_g, float *sum_gx, void *g, const void *d_dst,
                             const struct moco_bn_gate *gate, const void *src, const float *mean,
                             size_t pixels, size_t lanes)
{
    if (lanes == 16)
        BN_OF(grad_sums_16)(sum_g, sum_gx, g, d_dst, gate, src, mean, pixels);
    else
        BN_OF(grad_sums_8)(sum_g, sum_gx, g, d_dst, gate, src, mean, pixels);
}

void BN_KERNEL(bn_grad)(void *d_src, const void *g, const void *src, const float *a,
                        const float *b, const float *c, size_t pixels, size_t lanes, int far)
{
    const BN_NUMBER *d = g, *x = src;
    float twice[3][16];
    BN_NUMBER *to = d_src;
    size_t first, wide;

    far = far && d_src != g && (uintptr_t)d_src % (lanes * sizeof *to) == 0;
    if (lanes == 16) {
        BN_OF(grad_16)(to, d, x, a, b, c, pixels, far);
    } else {
        first = pairs_from(d_src, 16 * sizeof *to, pixels, far);
        wide = first + (pixels - first) / 2 * 2;
        two_pixels(twice[0], a);
        two_pixels(twice[1], b);
        two_pixels(twice[2], c);
        BN_OF(grad_8)(to, d, x, a, b, c, first, far);
        BN_OF(grad_16)(to + 8 * first, d + 8 * first, x + 8 * first, twice[0], twice[1], twice[2],
                       (wide - first) / 2, far);
        BN_OF(grad_8)(to + 8 * wide, d + 8 * wide, x + 8 * wide, a, b, c, pixels - wide, far);
    }
    if (far)
        v_stream_end();
}

#undef BN_NUMBER
#undef BN_OF
#undef BN_KERNEL
