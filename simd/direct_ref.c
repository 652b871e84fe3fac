/* direct_ref.c: the kernels of a direct convolution in plain C, the specification to the byte. */
#include "simd/bf16.h"
#include "simd/kernels.h"

/* Index of channel c of pixel (y, x) in image n; -1 outside. */
static long pixel(const struct moco_image *g, size_t n, size_t c, long y, long x)
{
    if (y < 0 || x < 0 || y >= (long)g->H || x >= (long)g->W)
        return -1;
    return (long)((((n * g->blocks + c / g->lanes) * g->H + (size_t)y) * g->W + (size_t)x) *
                      g->lanes + c % g->lanes);
}

/* The same for channel c where a tap falls for a pixel of the grid. */
static long tapped(const struct moco_image *g, size_t c, const struct moco_grid *grid,
                   const struct moco_tap *tap, size_t i)
{
    size_t each = grid->rows * grid->columns, at = i % each;
    long y = (long)(at / grid->columns * grid->step), x = (long)(at % grid->columns * grid->step);

    return pixel(g, i / each, c, y + tap->y, x + tap->x);
}

static float number_at(const void *d, enum moco_number number, long at)
{
    return number == MOCO_BF16 ? bf16_widened(((const moco_bf16 *)d)[at]) : ((const float *)d)[at];
}

static void gather(enum moco_number number, float *v, size_t stride, const void *d,
                   const struct moco_image *image, size_t first_block, size_t blocks,
                   const struct moco_grid *grid, const struct moco_tap *tap, size_t taps,
                   size_t first, size_t count)
{
    size_t channels = blocks * image->lanes, c0 = first_block * image->lanes;

    for (size_t t = 0; t < count; t++)
        for (size_t k = 0; k < taps; k++)
            for (size_t c = 0; c < channels; c++) {
                long at = tapped(image, c0 + c, grid, &tap[k], first + t);

                v[t * stride + k * channels + c] = at < 0 ? 0.0f : number_at(d, number, at);
            }
}

static void scatter(enum moco_number number, void *d, const float *m, size_t width,
                    const struct moco_image *image, size_t first_block, size_t blocks,
                    const struct moco_grid *grid, const struct moco_tap *tap, size_t first,
                    size_t count)
{
    for (size_t t = 0; t < count; t++)
        for (size_t c = 0; c < blocks * image->lanes; c++) {
            long at = tapped(image, first_block * image->lanes + c, grid, tap, first + t);

            if (number == MOCO_BF16)
                ((moco_bf16 *)d)[at] = bf16_narrowed(m[t * width + c]);
            else
                ((float *)d)[at] = m[t * width + c];
        }
}

#define MOVES(suffix, number)                                                                    \
    void moco_direct_gather_##suffix(float *v, size_t stride, const void *d,                     \
                                     const struct moco_image *image, size_t first_block,         \
                                     size_t blocks, const struct moco_grid *grid,                \
                                     const struct moco_tap *tap, size_t taps, size_t first,      \
                                     size_t count)                                               \
    {                                                                                            \
        gather(number, v, stride, d, image, first_block, blocks, grid, tap, taps, first, count); \
    }                                                                                            \
    void moco_direct_scatter_##suffix(void *d, const float *m, size_t width,                     \
                                      const struct moco_image *image, size_t first_block,        \
                                      size_t blocks, const struct moco_grid *grid,               \
                                      const struct moco_tap *tap, size_t first, size_t count)    \
    {                                                                                            \
        scatter(number, d, m, width, image, first_block, blocks, grid, tap, first, count);       \
    }

MOVES(ref, MOCO_FP32)
MOVES(bf16_ref, MOCO_BF16)

void moco_direct_weights_ref(float *u, const float *w, const struct moco_weights *x, int turned)
{
    for (size_t k = 0; k < x->taps; k++)
        for (size_t r = 0; r < x->ins; r++)
            for (size_t c = 0; c < x->outs; c++) {
                size_t o = turned ? x->first_in + r : x->first_out + c;
                size_t i = turned ? x->first_out + c : x->first_in + r;

                u[(k * x->ins + r) * x->outs + c] =
                    o < x->O && i < x->I ? w[(o * x->I + i) * x->size + x->tap[k].at] : 0.0f;
            }
}

void moco_direct_weights_grad_ref(float *d_w, const float *s, size_t stride,
                                  const struct moco_weights *x)
{
    for (size_t k = 0; k < x->taps; k++)
        for (size_t i = x->first_in; i < x->first_in + x->ins && i < x->I; i++)
            for (size_t o = x->first_out; o < x->first_out + x->outs && o < x->O; o++)
                d_w[(o * x->I + i) * x->size + x->tap[k].at] +=
                    s[(k * x->ins + i - x->first_in) * stride + o - x->first_out];
}
