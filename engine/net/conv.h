/* conv.h: one convolution in its three directions; the only door to oneDNN.
 *
 * In and out: activations in blocks of `lanes` channels, (B, C/lanes, H, W, lanes), padded
 * channels zero; the image that enters the stem is plain (B, C, H, W). Weights and their gradients
 * are canonical OIHW: the layout that a direction wants is made in scratch on each call (about 1 %
 * of a step), so that optimiser, EMA and checkpoint see one layout on every machine. */
#ifndef MOCO_ENGINE_NET_CONV_H
#define MOCO_ENGINE_NET_CONV_H

#include <stddef.h>

struct conv_shape {
    int B, IC, OC;
    int H, W, OH, OW;
    int kernel, stride, pad;
    int lanes;      /* 8 or 16 */
    int src_plain;  /* the source is (B, IC, H, W), and gets no gradient */
    int winograd;   /* oneDNN may choose Winograd */
};

struct conv; /* opaque */

int conv_open(struct conv **out, const struct conv_shape *shape, const char *name);
void conv_close(struct conv **conv);
const struct conv_shape *conv_get_shape(const struct conv *conv);

/* Bytes of 64-byte aligned scratch that each call needs. */
size_t conv_scratch_bytes(const struct conv *conv);

int conv_forward(struct conv *conv, float *dst, const float *src, const float *weights,
                 void *scratch);
int conv_backward_data(struct conv *conv, float *d_src, const float *d_dst, const float *weights,
                       void *scratch);
/* d_weights: (OC, IC, kernel, kernel) is added to. */
int conv_backward_weights(struct conv *conv, float *d_weights, const float *src,
                          const float *d_dst, void *scratch);

#endif
