/* winograd.h: contracts of the 3x3 convolution kernels; part of simd.h.
 *
 * Winograd's minimal filtering in tiles of 4x4 outputs (Lavin and Gray 2016, section 4), padding 1.
 *   forward          dst = Aᵀ [ Σ_c (G w Gᵀ) ⊙ (Bᵀ src B) ] A
 *   data gradient    the same on d_dst with the taps turned by 180° and channels exchanged
 *   weight gradient  d_w = Gᵀ [ Σ_tiles (Bᵀ src B) ⊙ (A d_dst Aᵀ) ] G
 * The sums over channels and tiles are matrix products, one for each slot of a transformed tile;
 * several slots may share the weights of one point.
 *
 * Stride 1, F(4, 3): 36 slots, each a point of its own, instead of 144 multiplications a channel.
 *
 * Stride 2: y[j] = x[2j-1] w0 + x[2j] w1 + x[2j+1] w2. The taps 0 and 2 are a filter of two taps on
 * the odd inputs, F(4, 2) with 5 multiplications, tap 1 is a filter of one tap on the even inputs
 * with 4, so an axis has 9 slots: five of F(4, 2), then the four even inputs as they are, which all
 * share w1. Two axes make 81 slots instead of 144 multiplications, on 6x6 points of weights. The
 * data gradient makes 8x8 inputs from 5x5 outputs: F(4, 2) with turned taps at odd places, w1 at
 * even ones.
 *
 * Images are blocked activations (B, blocks, H, W, lanes), padded channels zero; outputs of stride
 * 2 have (H + 1) / 2 rows, (W + 1) / 2 columns. Tiles are numbered along the rows of an image,
 * image after image. Transformed arrays have the slot or point outermost; `point` is the distance
 * in floats between two of them. Images hold the table's kind of number (struct moco_activation),
 * all other arrays floats. Arithmetic: transforms as written in winograd_ref.c, each product one
 * sequential FMA chain.
 *
 * Errors: with |·| of every matrix and array in the formulas above, forward and data gradient lie
 * within (C + 24) u, the weight gradient within (T + 32) u of the value of that formula, where C
 * channels are summed and T is the longest chain of tiles: those of a stage plus the stages. Images
 * of bfloat16 numbers are rounded once more where they are written: within 2^-8 of the value. */
#ifndef MOCO_SIMD_WINOGRAD_H
#define MOCO_SIMD_WINOGRAD_H

#include <stddef.h>

enum {
    MOCO_WINOGRAD_POINTS = 36, /* of transformed weights */
    MOCO_WINOGRAD_SLOTS = 81,  /* of transformed tiles, at most */
    MOCO_WINOGRAD_STAGE = 64
};

struct moco_image {
    size_t blocks, lanes; /* channels = blocks * lanes, lanes 8 or 16 */
    size_t H, W;
};

static inline size_t moco_winograd_slots(size_t stride)
{
    return stride == 1 ? 36 : 81;
}

/* The point of a slot's weights. */
static inline size_t moco_winograd_point(size_t stride, size_t slot)
{
    size_t i = slot / 9, j = slot % 9;

    return stride == 1 ? slot : (i < 5 ? i : 5) * 6 + (j < 5 ? j : 5);
}

/* u(36, rows, width): G w Gᵀ of the outputs first_out..+width-1 and inputs first_in..+rows-1 of
 * w (O, I, 3, 3); what lies past O or I is zero. turned: outputs are the columns I, inputs the
 * rows O, taps turned. width is a multiple of 16. */
typedef void moco_winograd_weights_fn(float *u, size_t point, const float *w, size_t O, size_t I,
                                      size_t first_out, size_t width, size_t first_in, size_t rows,
                                      int turned);

/* v(slots, count, stride): Bᵀ d B, or A d Aᵀ, of the tiles first..first+count-1, zeros outside
 * the image; channels past the image's are untouched. */
typedef void moco_winograd_gather_fn(float *v, size_t point, size_t stride, const void *d,
                                     const struct moco_image *image, size_t first, size_t count);

/* m(T, width) = v(T, C) u(C, width), one slot, or by winograd_product_add added to m; width is a
 * multiple of 16, at most moco_simd.winograd_width. */
typedef void moco_winograd_product_fn(float *m, const float *v, const float *u, size_t T, size_t C,
                                      size_t width);

/* Aᵀ m A of the tiles into the blocks first_block..+blocks-1 of d; m(slots, count, width). */
typedef void moco_winograd_scatter_fn(void *d, const float *m, size_t point, size_t width,
                                      const struct moco_image *image, size_t first_block,
                                      size_t blocks, size_t first, size_t count);

/* s(C, O) += v(T, C)ᵀ y(T, O), one slot, in stages of MOCO_WINOGRAD_STAGE tiles that are summed
 * from zero and then added. Rows of v are `stride` apart, O is a multiple of 16. */
typedef void moco_winograd_product_grad_fn(float *s, const float *v, size_t stride, const float *y,
                                           size_t T, size_t C, size_t O);

/* d_w(O, I, 3, 3) += Gᵀ s G for the inputs first..first+count-1; s(36, count, stride). */
typedef void moco_winograd_weights_grad_fn(float *d_w, const float *s, size_t point, size_t stride,
                                           size_t O, size_t I, size_t first, size_t count);

/* The transforms of one stride. */
struct moco_winograd {
    moco_winograd_weights_fn *weights;
    moco_winograd_gather_fn *src;       /* Bᵀ src B: forward and weight gradient */
    moco_winograd_scatter_fn *dst;
    moco_winograd_gather_fn *d_dst;     /* Bᵀ d_dst B: data gradient */
    moco_winograd_scatter_fn *d_src;
    moco_winograd_gather_fn *d_dst_out; /* A d_dst Aᵀ: weight gradient */
    moco_winograd_weights_grad_fn *weights_grad;
};

#endif
