/* conv_impl.h: the implementations that conv.c chooses from: three direction by direction, and one
 * for stems. Private to conv.c, conv_plain.c, dnnl.c, winograd.c and direct.c; net.c asks for
 * onednn_has_bf16(). */
#ifndef MOCO_ENGINE_NET_CONV_IMPL_H
#define MOCO_ENGINE_NET_CONV_IMPL_H

#include "engine/net/conv.h"

/* One bit a direction. */
enum { CONV_ALL = 7 };
static inline unsigned conv_bit(enum conv_direction direction)
{
    return 1u << direction;
}

/* Without oneDNN (Meson option onednn), no_dnnl.c stands in for dnnl.c and opens nothing. */
#ifdef MOCO_ONEDNN
enum { CONV_HAS_ONEDNN = 1 };
#else
enum { CONV_HAS_ONEDNN = 0 };
#endif

/* dnnl.c. The arguments of a run are those of conv.h: out is dst, d_src or d_weights; a is src,
 * d_dst or src; b is weights, weights or d_dst. A plain source has the shape's kind of number. */
struct onednn;
int onednn_open(struct onednn **out, const struct conv_shape *shape, unsigned directions,
                const char *name);
void onednn_close(struct onednn **conv);
size_t onednn_scratch_bytes(const struct onednn *conv);
int onednn_run(struct onednn *conv, enum conv_direction direction, void *out, const void *a,
               const void *b, void *scratch);

/* Whether oneDNN has fast code for bfloat16 in blocks of that many channels on this CPU. */
int onednn_has_bf16(int lanes);

/* winograd.c: 3x3, stride 1 or 2, padding 1, blocked source. It cannot fail once it is open. */
struct winograd;
int winograd_fits(const struct conv_shape *shape);
int winograd_open(struct winograd **out, const struct conv_shape *shape,
                  const struct moco_simd *simd, unsigned directions);
void winograd_close(struct winograd **conv);
size_t winograd_scratch_bytes(const struct winograd *conv);
void winograd_run(struct winograd *conv, enum conv_direction direction, void *out, const void *a,
                  const void *b, void *scratch);

/* direct.c: any size and stride, blocked source. It cannot fail once it is open. */
struct direct;
int direct_open(struct direct **out, const struct conv_shape *shape,
                const struct moco_simd *simd, unsigned directions);
void direct_close(struct direct **conv);
size_t direct_scratch_bytes(const struct direct *conv);
void direct_run(struct direct *conv, enum conv_direction direction, void *out, const void *a,
                const void *b, void *scratch);

/* conv_plain.c: a plain source by way of a copy in blocks: for our own kernels, and of more
 * channels than oneDNN likes. It gives no data gradient, as no plain source gets one. */
struct plain;
int plain_pays(const struct conv_shape *shape);
int plain_open(struct plain **out, const struct conv_shape *shape, const struct moco_simd *simd,
               const char *name);
void plain_close(struct plain **plain);
const struct conv *plain_inner(const struct plain *plain);
size_t plain_scratch_bytes(const struct plain *plain);
int plain_run(struct plain *plain, enum conv_direction direction, void *out, const float *src,
              const void *b, void *scratch);

#endif
