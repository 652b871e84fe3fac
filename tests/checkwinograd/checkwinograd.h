/* checkwinograd.h: what the files of checkwinograd share. */
#ifndef MOCO_TESTS_CHECKWINOGRAD_H
#define MOCO_TESTS_CHECKWINOGRAD_H

#include <stddef.h>

#include "simd/bf16.h"
#include "simd/simd.h"

/* A convolution: B images of I channels to O, H x W. */
struct shape {
    size_t stride, B, I, O, H, W, lanes;
    float scale;
};

/* Inputs or outputs of C channels. */
struct moco_image in_image(const struct shape *s, size_t C);
struct moco_image out_image(const struct shape *s, size_t C);
size_t channels(const struct moco_image *g);
size_t index_of(const struct moco_image *g, size_t n, size_t c, size_t y, size_t x);
size_t tiles_of(const struct shape *s);

/* Zeros that end at an unreadable page, kept until a shape is done with. */
void *flush(size_t bytes);
float *flush_floats(size_t n);

/* A convolution's operands. Images hold numbers of one kind. */
struct operands {
    enum moco_number number;
    const void *src, *d_dst;
    const float *w;
};

/* run.c: the results of one level's kernels, in the order dst, d_src, d_w. */
struct results {
    enum moco_number number[3];
    void *at[3];
    size_t count[3];
};
size_t bytes_of(enum moco_number number);
float number_at(const void *p, enum moco_number number, size_t i);
struct results run_level(const struct moco_simd *t, const struct shape *s,
                         const struct operands *x);
/* The longest chain of tiles that run_level sums in the weight gradient. */
size_t longest_chain(const struct shape *s);

/* exact.c: the worst errors of the results, in bounds. */
void shares_of_bounds(double share_of[3], const struct results *r, const struct shape *s,
                      const struct operands *x);

#endif
