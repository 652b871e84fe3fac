/* direct.h: contracts of the kernels of a direct convolution; part of simd.h.
 *
 * A convolution of any size and stride is a matrix product: row t has the pixels that the taps of
 * output t fall on, channel by channel (im2col), the columns are the weights of an output. Rows are
 * made for a few dozen outputs at a time, so they stay in a core's second cache, and multiplied by
 * the micro-kernels of winograd.h.
 *   forward          dst = Σ_taps Σ_c src[y stride - pad + tap] w
 *   data gradient    the same on d_dst, channels exchanged, for the pixels of each remainder by the
 *                    stride by themselves: they meet the same taps
 *   weight gradient  d_w = Σ_pixels rows(src)ᵀ d_dst
 * All but the products are copies, exact but for images of bfloat16 numbers, which are rounded
 * once where they are written. */
#ifndef MOCO_SIMD_DIRECT_H
#define MOCO_SIMD_DIRECT_H

#include "simd/winograd.h"

/* Pixels of a convolution, numbered along the rows, image after image; pixel (y, x) stands on an
 * image's pixel (y step + tap.y, x step + tap.x). */
struct moco_grid {
    size_t rows, columns, step;
};

struct moco_tap {
    int y, x;
    size_t at; /* its place in the kernel, row by row */
};

/* v(count, stride): number (tap, c) of row t is channel c of the blocks first_block..+blocks-1
 * where the tap falls for pixel first + t; 0 outside the image. */
typedef void moco_direct_gather_fn(float *v, size_t stride, const void *d,
                                   const struct moco_image *image, size_t first_block,
                                   size_t blocks, const struct moco_grid *grid,
                                   const struct moco_tap *tap, size_t taps, size_t first,
                                   size_t count);

/* The way back, of one tap: m(count, width) into the blocks first_block..+blocks-1 of d, all of it
 * inside the image. */
typedef void moco_direct_scatter_fn(void *d, const float *m, size_t width,
                                    const struct moco_image *image, size_t first_block,
                                    size_t blocks, const struct moco_grid *grid,
                                    const struct moco_tap *tap, size_t first, size_t count);

/* Some of the weights (O, I, size), size being taps of the whole kernel, at most
 * MOCO_DIRECT_TAPS. */
enum { MOCO_DIRECT_TAPS = 64 };
struct moco_weights {
    size_t O, I, size;
    const struct moco_tap *tap;
    size_t taps;
    size_t first_in, ins, first_out, outs;
};

/* u(taps, ins, outs), outs a multiple of 16; what lies past O or I is zero. turned: inputs are the
 * rows O, outputs the columns I. */
typedef void moco_direct_weights_fn(float *u, const float *w, const struct moco_weights *which,
                                    int turned);

/* d_w(O, I, size) += s(taps, ins, stride), as far as there are outputs and inputs. */
typedef void moco_direct_weights_grad_fn(float *d_w, const float *s, size_t stride,
                                         const struct moco_weights *which);

/* Kernels on images of one kind of number. */
struct moco_direct {
    moco_direct_gather_fn *gather;
    moco_direct_scatter_fn *scatter;
};

#endif
