/* winograd_plane.h: the image transforms for one lane width; included by winograd_body.h once per
 * width with WG_VEC, WG_LANES, WG_OP and WG_FN, which it undefines at the end.
 *
 * A tile's channels are the lanes, so a 6x6 tile of one channel block is 36 vectors: columns are
 * transformed first, then rows. A tile that reaches over the image's edge is copied into a
 * patch with zeros around it, so that there is one transform. */

/* Bᵀ d */
INLINE void WG_FN(src_line)(WG_VEC *o, const WG_VEC *d)
{
    WG_VEC two = WG_OP(set1)(2.0f), four = WG_OP(set1)(4.0f), five = WG_OP(set1)(5.0f);
    WG_VEC a = WG_OP(fnma)(four, d[2], d[4]), b = WG_OP(fnma)(four, d[1], d[3]);
    WG_VEC c = WG_OP(sub)(d[4], d[2]), e = WG_OP(sub)(d[3], d[1]);

    o[0] = WG_OP(fma)(four, d[0], WG_OP(fnma)(five, d[2], d[4]));
    o[1] = WG_OP(add)(a, b);
    o[2] = WG_OP(sub)(a, b);
    o[3] = WG_OP(fma)(two, e, c);
    o[4] = WG_OP(fnma)(two, e, c);
    o[5] = WG_OP(fma)(four, d[1], WG_OP(fnma)(five, d[3], d[5]));
}

/* Aᵀ m */
INLINE void WG_FN(dst_line)(WG_VEC *o, const WG_VEC *m)
{
    WG_VEC a = WG_OP(add)(m[1], m[2]), b = WG_OP(sub)(m[1], m[2]);
    WG_VEC c = WG_OP(add)(m[3], m[4]), d = WG_OP(sub)(m[3], m[4]);

    o[0] = WG_OP(add)(WG_OP(add)(m[0], a), c);
    o[1] = WG_OP(fma)(WG_OP(set1)(2.0f), d, b);
    o[2] = WG_OP(fma)(WG_OP(set1)(4.0f), c, a);
    o[3] = WG_OP(add)(WG_OP(fma)(WG_OP(set1)(8.0f), d, b), m[5]);
}

/* A d */
INLINE void WG_FN(grad_line)(WG_VEC *o, const WG_VEC *d)
{
    WG_VEC two = WG_OP(set1)(2.0f), four = WG_OP(set1)(4.0f);
    WG_VEC e = WG_OP(add)(d[0], d[2]), f = WG_OP(add)(d[1], d[3]);
    WG_VEC g = WG_OP(fma)(four, d[2], d[0]), h = WG_OP(fma)(four, d[3], d[1]);

    o[0] = d[0];
    o[1] = WG_OP(add)(e, f);
    o[2] = WG_OP(sub)(e, f);
    o[3] = WG_OP(fma)(two, h, g);
    o[4] = WG_OP(fnma)(two, h, g);
    o[5] = d[3];
}

/* The part of rows y0..y0+n-1 and columns x0..x0+n-1 that lies in the image; zeros elsewhere. */
static void WG_FN(patch)(float *out, const float *plane, long H, long W, long y0, long x0, long n)
{
    for (long i = 0; i < n; i++)
        for (long j = 0; j < n; j++) {
            long y = y0 + i, x = x0 + j;
            int inside = y >= 0 && y < H && x >= 0 && x < W;

            WG_OP(store)(out + (i * n + j) * WG_LANES,
                         inside ? WG_OP(load)(plane + (y * W + x) * WG_LANES) : WG_OP(zero)());
        }
}

/* line in line^T: `from` x `from` vectors at in + i * in_row + j * in_step become `to` x `to` at
 * out + i * out_row + j * out_step, columns first. */
INLINE void WG_FN(transform)(void (*line)(WG_VEC *, const WG_VEC *), size_t to, size_t from,
                             float *out, size_t out_row, size_t out_step, const float *in,
                             size_t in_row, size_t in_step)
{
    WG_VEC half[6][6], x[6], y[6];

    UNROLL for (size_t j = 0; j < from; j++) {
        UNROLL for (size_t i = 0; i < from; i++)
            x[i] = WG_OP(load)(in + i * in_row + j * in_step);
        line(y, x);
        UNROLL for (size_t i = 0; i < to; i++)
            half[i][j] = y[i];
    }
    UNROLL for (size_t i = 0; i < to; i++) {
        line(y, half[i]);
        UNROLL for (size_t j = 0; j < to; j++)
            WG_OP(store)(out + i * out_row + j * out_step, y[j]);
    }
}

INLINE void WG_FN(src_tile)(float *v, size_t point, const float *d, size_t row)
{
    WG_FN(transform)(WG_FN(src_line), 6, 6, v, 6 * point, point, d, row, WG_LANES);
}

INLINE void WG_FN(grad_tile)(float *y, size_t point, const float *d, size_t row)
{
    WG_FN(transform)(WG_FN(grad_line), 6, 4, y, 6 * point, point, d, row, WG_LANES);
}

/* The tile's outputs, `row` floats from one to the next row of the image. */
INLINE void WG_FN(dst_tile)(float *d, size_t row, const float *m, size_t point)
{
    WG_FN(transform)(WG_FN(dst_line), 4, 6, d, row, WG_LANES, m, 6 * point, point);
}

static void WG_FN(src)(float *v, size_t point, const float *src, const struct moco_image *g,
                       size_t first, size_t count)
{
    size_t plane = g->H * g->W * WG_LANES, row = g->W * WG_LANES;
    float patch[36 * WG_LANES];

    for (size_t i = 0; i < count; i++) {
        struct place at = place_of(g, first + i);
        int inner = at.y >= 1 && at.x >= 1 && at.y + 5 <= g->H && at.x + 5 <= g->W;

        for (size_t b = 0; b < g->blocks; b++, v += WG_LANES) {
            const float *from = src + (at.n * g->blocks + b) * plane;

            if (inner) {
                WG_FN(src_tile)(v, point, from + ((at.y - 1) * g->W + at.x - 1) * WG_LANES, row);
            } else {
                WG_FN(patch)(patch, from, (long)g->H, (long)g->W, (long)at.y - 1, (long)at.x - 1,
                             6);
                WG_FN(src_tile)(v, point, patch, 6 * WG_LANES);
            }
        }
    }
}

static void WG_FN(dst_grad)(float *y, size_t point, size_t stride, const float *d_dst,
                            const struct moco_image *g, size_t first, size_t count)
{
    size_t plane = g->H * g->W * WG_LANES, row = g->W * WG_LANES;
    float patch[16 * WG_LANES];

    for (size_t i = 0; i < count; i++) {
        struct place at = place_of(g, first + i);
        int inner = at.y + 4 <= g->H && at.x + 4 <= g->W;

        for (size_t b = 0; b < g->blocks; b++) {
            const float *from = d_dst + (at.n * g->blocks + b) * plane;
            float *to = y + i * stride + b * WG_LANES;

            if (inner) {
                WG_FN(grad_tile)(to, point, from + (at.y * g->W + at.x) * WG_LANES, row);
            } else {
                WG_FN(patch)(patch, from, (long)g->H, (long)g->W, (long)at.y, (long)at.x, 4);
                WG_FN(grad_tile)(to, point, patch, 4 * WG_LANES);
            }
        }
    }
}

static void WG_FN(dst)(float *dst, const float *m, size_t point, size_t width,
                       const struct moco_image *g, size_t first_block, size_t blocks, size_t first,
                       size_t count)
{
    size_t plane = g->H * g->W * WG_LANES, row = g->W * WG_LANES;
    float patch[16 * WG_LANES];

    for (size_t i = 0; i < count; i++) {
        struct place at = place_of(g, first + i);
        size_t rows = least(4, g->H - at.y), columns = least(4, g->W - at.x);

        for (size_t b = 0; b < blocks; b++) {
            const float *from = m + i * width + b * WG_LANES;
            float *to = dst + (at.n * g->blocks + first_block + b) * plane +
                        (at.y * g->W + at.x) * WG_LANES;

            if (rows == 4 && columns == 4) {
                WG_FN(dst_tile)(to, row, from, point);
                continue;
            }
            WG_FN(dst_tile)(patch, 4 * WG_LANES, from, point);
            for (size_t r = 0; r < rows; r++)
                for (size_t c = 0; c < columns; c++)
                    WG_OP(store)(to + r * row + c * WG_LANES,
                                 WG_OP(load)(patch + (4 * r + c) * WG_LANES));
        }
    }
}

#undef WG_VEC
#undef WG_LANES
#undef WG_OP
#undef WG_FN
