/* winograd.h: contracts of the 3x3 convolution kernels; part of simd.h.
 *
 * Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016, section 4): a tile of 4x4 outputs
 * is made from 6x6 inputs with 36 multiplications a channel instead of 144. Stride 1, padding 1.
 *   forward          dst = Aᵀ [ Σ_c (G w Gᵀ) ⊙ (Bᵀ src B) ] A
 *   data gradient    the same on d_dst with the taps turned by 180° and channels exchanged
 *   weight gradient  d_w = Gᵀ [ Σ_tiles (Bᵀ src B) ⊙ (A d_dst Aᵀ) ] G
 * The sums over channels and tiles are 36 matrix products, one for each point of the 6x6 grid.
 *
 * Images are blocked activations (B, blocks, H, W, lanes), padded channels zero. Tiles are numbered
 * along the rows of an image, image after image: ceil(H / 4) * ceil(W / 4) tiles each. Transformed
 * arrays have the point outermost; `point` is the distance in floats between two points.
 * Arithmetic: transforms as written in winograd_ref.c, each product one sequential FMA chain.
 *
 * Errors: with |·| of every matrix and array in the formulas above, forward and data gradient lie
 * within (C + 24) u, the weight gradient within (T + 32) u of the value of that formula, where C
 * channels are summed and T is the longest chain of tiles. */
#ifndef MOCO_SIMD_WINOGRAD_H
#define MOCO_SIMD_WINOGRAD_H

#include <stddef.h>

struct moco_image {
    size_t blocks, lanes; /* channels = blocks * lanes, lanes 8 or 16 */
    size_t H, W;
};

/* u(36, rows, width): G w Gᵀ of the outputs first_out..+width-1 and inputs first_in..+rows-1 of
 * w (O, I, 3, 3); what lies past O or I is zero. turned: outputs are the columns I, inputs the
 * rows O, taps turned. width is a multiple of 16. */
typedef void moco_winograd_weights_fn(float *u, size_t point, const float *w, size_t O, size_t I,
                                      size_t first_out, size_t width, size_t first_in, size_t rows,
                                      int turned);

/* v(36, count, channels): Bᵀ d B of the tiles first..first+count-1; outside the image zeros. */
typedef void moco_winograd_src_fn(float *v, size_t point, const float *src,
                                  const struct moco_image *image, size_t first, size_t count);

/* m(T, width) = v(T, C) u(C, width), one point; width is a multiple of 16, at most
 * moco_simd.winograd_width. */
typedef void moco_winograd_product_fn(float *m, const float *v, const float *u, size_t T, size_t C,
                                      size_t width);

/* Aᵀ m A of the tiles into the blocks first_block..+blocks-1 of dst; m(36, count, width). */
typedef void moco_winograd_dst_fn(float *dst, const float *m, size_t point, size_t width,
                                  const struct moco_image *image, size_t first_block,
                                  size_t blocks, size_t first, size_t count);

/* y(36, count, stride): A d Aᵀ of the tiles of d_dst; channels past the image's are untouched. */
typedef void moco_winograd_dst_grad_fn(float *y, size_t point, size_t stride, const float *d_dst,
                                       const struct moco_image *image, size_t first, size_t count);

/* s(C, O) += v(T, C)ᵀ y(T, O), one point, in stages of MOCO_WINOGRAD_STAGE tiles that are summed
 * from zero and then added. O is a multiple of 16. */
typedef void moco_winograd_product_grad_fn(float *s, const float *v, const float *y, size_t T,
                                           size_t C, size_t O);

/* d_w(O, I, 3, 3) += Gᵀ s G for the inputs first..first+count-1; s(36, I, stride). */
typedef void moco_winograd_weights_grad_fn(float *d_w, const float *s, size_t point, size_t stride,
                                           size_t O, size_t I, size_t first, size_t count);

enum { MOCO_WINOGRAD_POINTS = 36, MOCO_WINOGRAD_STAGE = 64 };

#endif
