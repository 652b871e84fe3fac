/* conv.h: one convolution in its three directions: the door to oneDNN and to our own kernels.
 *
 * In and out: activations in blocks of `lanes` channels, (B, C/lanes, H, W, lanes), padded
 * channels zero, whose numbers are of the kind that the shape names; the image that enters the stem
 * is plain float (B, C, H, W). Weights and their gradients are float and canonical OIHW: the layout
 * that a direction wants is made in scratch on each call (about 1 % of a step), so that optimiser,
 * EMA and checkpoint see one layout on every machine.
 *
 * With bfloat16 activations sums are float all the same. Operands are bfloat16 where oneDNN has
 * instructions for that; elsewhere oneDNN computes in float on copies whose weights are rounded to
 * the same numbers. Our own kernels read and write bfloat16 and compute in float. */
#ifndef MOCO_ENGINE_NET_CONV_H
#define MOCO_ENGINE_NET_CONV_H

#include <stddef.h>

#include "simd/simd.h"

/* Who computes: CONV_AUTO is our own kernels wherever they are the faster ones, CONV_OWN
 * everywhere, CONV_ONEDNN nowhere; CONV_DIRECT is oneDNN without its Winograd (--deterministic),
 * CONV_OWN_DIRECT our own without theirs. A build without oneDNN takes our own for all but
 * CONV_ONEDNN, which conv_open() refuses. */
enum conv_policy { CONV_AUTO, CONV_OWN, CONV_ONEDNN, CONV_DIRECT, CONV_OWN_DIRECT };

enum conv_direction { CONV_FORWARD, CONV_BACKWARD_DATA, CONV_BACKWARD_WEIGHTS };

struct conv_shape {
    int B, IC, OC;
    int H, W, OH, OW;
    int kernel, stride, pad;
    int lanes;      /* 8 or 16 */
    int src_plain;  /* the source is (B, IC, H, W), and gets no gradient */
    enum conv_policy policy;
    enum moco_number number; /* of source, destination and their gradients */
};

struct conv; /* opaque */

int conv_open(struct conv **out, const struct conv_shape *shape, const struct moco_simd *simd,
              const char *name);
void conv_close(struct conv **conv);
const struct conv_shape *conv_get_shape(const struct conv *conv);

/* "own" (Winograd), "direct" (ours as well), "onednn" or "widened" (oneDNN in float for
 * bfloat16). */
const char *conv_kind(const struct conv *conv, enum conv_direction direction);

/* Bytes of 64-byte aligned scratch that each call needs. */
size_t conv_scratch_bytes(const struct conv *conv);

int conv_forward(struct conv *conv, void *dst, const void *src, const float *weights,
                 void *scratch);
int conv_backward_data(struct conv *conv, void *d_src, const void *d_dst, const float *weights,
                       void *scratch);
/* d_weights: (OC, IC, kernel, kernel) is added to. */
int conv_backward_weights(struct conv *conv, float *d_weights, const void *src, const void *d_dst,
                          void *scratch);

#endif
