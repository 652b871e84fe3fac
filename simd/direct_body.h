/* direct_body.h: the kernels of a direct convolution over the f32x16 and f32x8 of the including
 * file: copies from images to rows and back, and weights turned over. The products are those of
 * winograd_body.h. */
#include "simd/tile.h"

/* Pixels whose places are known at a time, and rows of turned weights. */
enum { RUN = 64, TURNED = 256 };

/* Where in an image, in bytes from block 0, a tap falls for the pixels first..first+count-1 of the
 * grid; -1 outside. */
static void places(long *at, const struct moco_image *g, size_t bytes,
                   const struct moco_grid *grid, const struct moco_tap *tap, size_t first,
                   size_t count)
{
    size_t each = grid->rows * grid->columns, in = first % each;
    size_t y = in / grid->columns, x = in % grid->columns;
    long image = (long)(g->blocks * g->H * g->W), base = (long)(first / each) * image;

    for (size_t t = 0; t < count; t++) {
        long v = (long)(y * grid->step) + tap->y, u = (long)(x * grid->step) + tap->x;
        int out = v < 0 || u < 0 || v >= (long)g->H || u >= (long)g->W;

        at[t] = out ? -1 : (base + v * (long)g->W + u) * (long)bytes;
        if (++x == grid->columns) {
            x = 0;
            if (++y == grid->rows) {
                y = 0;
                base += image;
            }
        }
    }
}

#define DC_VEC f32x16
#define DC_LANES 16
#define DC_OP(op) v_##op
#define DC_FN(name) direct_##name##_16
#include "simd/direct_plane.h"

#define DC_VEC f32x8
#define DC_LANES 8
#define DC_OP(op) h_##op
#define DC_FN(name) direct_##name##_8
#include "simd/direct_plane.h"

/* The kernels, which take the width that the image has. */
#define GATHER(kernel, number)                                                                   \
    void KERNEL(kernel)(float *v, size_t stride, const void *d, const struct moco_image *image,  \
                        size_t first_block, size_t blocks, const struct moco_grid *grid,         \
                        const struct moco_tap *tap, size_t taps, size_t first, size_t count)     \
    {                                                                                            \
        if (image->lanes == 16)                                                                  \
            direct_gather_16(number, v, stride, d, image, first_block, blocks, grid, tap, taps,  \
                             first, count);                                                      \
        else                                                                                     \
            direct_gather_8(number, v, stride, d, image, first_block, blocks, grid, tap, taps,   \
                            first, count);                                                       \
    }
#define SCATTER(kernel, number)                                                                  \
    void KERNEL(kernel)(void *d, const float *m, size_t width, const struct moco_image *image,   \
                        size_t first_block, size_t blocks, const struct moco_grid *grid,         \
                        const struct moco_tap *tap, size_t first, size_t count)                  \
    {                                                                                            \
        if (image->lanes == 16)                                                                  \
            direct_scatter_16(number, d, m, width, image, first_block, blocks, grid, tap, first, \
                              count);                                                            \
        else                                                                                     \
            direct_scatter_8(number, d, m, width, image, first_block, blocks, grid, tap, first,  \
                             count);                                                             \
    }

GATHER(direct_gather, MOCO_FP32)
GATHER(direct_gather_bf16, MOCO_BF16)
SCATTER(direct_scatter, MOCO_FP32)
SCATTER(direct_scatter_bf16, MOCO_BF16)

/* Inputs whose taps are turned at a time. */
static size_t some_inputs(const struct moco_weights *x, size_t in)
{
    size_t some = TURNED / x->size, left = x->first_in + x->ins - in;

    return least(some, in < x->I ? least(left, x->I - in) : left);
}

/* Sixteen outputs and some inputs: w's rows are outputs, which become lanes. */
static void weights_straight(float *u, const float *w, const struct moco_weights *x, size_t o)
{
    float turned[TURNED][MOCO_VL];

    for (size_t i = x->first_in, n; i < x->first_in + x->ins; i += n) {
        int there = o < x->O && i < x->I;

        n = some_inputs(x, i);
        if (there)
            pack_columns(turned[0], MOCO_VL, w + (o * x->I + i) * x->size, x->I * x->size,
                         least(MOCO_VL, x->O - o), n * x->size);
        for (size_t k = 0; k < x->taps; k++)
            for (size_t j = 0; j < n; j++)
                v_store(u + (k * x->ins + i - x->first_in + j) * x->outs + o - x->first_out,
                        there ? v_load(turned[j * x->size + x->tap[k].at]) : v_zero());
    }
}

/* One row of w and sixteen of its columns, which are the outputs. */
static void weights_turned(float *u, const float *w, const struct moco_weights *x, size_t o,
                           size_t i)
{
    float turned[MOCO_DIRECT_TAPS][MOCO_VL];
    int there = o < x->O && i < x->I;
    size_t n = there ? least(MOCO_VL, x->I - i) : 0;
    const float *from = w + (o * x->I + i) * x->size;

    if (there && x->size > 1)
        pack_columns(turned[0], MOCO_VL, from, x->size, n, x->size);
    else if (there)
        v_store(turned[0], load_upto(from, n));
    for (size_t k = 0; k < x->taps; k++)
        v_store(u + (k * x->ins + o - x->first_in) * x->outs + i - x->first_out,
                there ? v_load(turned[x->tap[k].at]) : v_zero());
}

void KERNEL(direct_weights)(float *u, const float *w, const struct moco_weights *x, int turned)
{
    for (size_t o = x->first_out; o < x->first_out + x->outs; o += MOCO_VL) {
        if (!turned)
            weights_straight(u, w, x, o);
        for (size_t i = x->first_in; turned && i < x->first_in + x->ins; i++)
            weights_turned(u, w, x, i, o);
    }
}

/* Sixteen by sixteen sums of one tap. */
static void add_square(float *d_w, const float *s, size_t stride, const struct moco_weights *x,
                       size_t at, size_t o, size_t i)
{
    float turned[MOCO_VL][MOCO_VL];
    size_t ins = least(MOCO_VL, least(x->I, x->first_in + x->ins) - i);
    size_t outs = least(MOCO_VL, least(x->O, x->first_out + x->outs) - o);

    turn_rows(turned[0], MOCO_VL, s, stride, ins, MOCO_VL);
    for (size_t r = 0; r < outs; r++) {
        float *to = d_w + ((o + r) * x->I + i) * x->size + at;

        if (x->size == 1)
            store_upto(to, v_add(load_upto(to, ins), v_load(turned[r])), ins);
        else
            for (size_t j = 0; j < ins; j++)
                to[j * x->size] += turned[r][j];
    }
}

void KERNEL(direct_weights_grad)(float *d_w, const float *s, size_t stride,
                                 const struct moco_weights *x)
{
    size_t ins = least(x->I, x->first_in + x->ins), outs = least(x->O, x->first_out + x->outs);

    for (size_t o = x->first_out; o < outs; o += MOCO_VL)
        for (size_t i = x->first_in; i < ins; i += MOCO_VL)
            for (size_t k = 0; k < x->taps; k++)
                add_square(d_w, s + (k * x->ins + i - x->first_in) * stride + o - x->first_out,
                           stride, x, x->tap[k].at, o, i);
}
