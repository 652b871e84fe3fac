/* winograd_plane.h: the image transforms for one lane width; included by winograd_body.h once per
 * width with WG_VEC, WG_LANES, WG_OP and WG_FN, which it undefines at the end.
 *
 * A tile's channels are the lanes, so a 6x6 tile of one channel block is 36 vectors: columns are
 * transformed first, then rows. The loops over columns and rows stay loops: unrolled, the addresses
 * of 81 slots are spilled. Images hold floats or bfloat16 numbers: a constant of the always-inlined
 * functions, which step through them in bytes. */

/* ---- stride 1, F(4, 3) ---- */

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
INLINE void WG_FN(d_dst_out_line)(WG_VEC *o, const WG_VEC *d)
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

/* ---- stride 2: F(4, 2), and four values of the even inputs behind it ---- */

/* Bᵀ of F(4, 2) on five values. */
INLINE void WG_FN(pair_line)(WG_VEC *o, WG_VEC a, WG_VEC b, WG_VEC c, WG_VEC d, WG_VEC e)
{
    WG_VEC half = WG_OP(set1)(0.5f), more = WG_OP(set1)(1.5f);

    o[0] = WG_OP(fma)(more, WG_OP(sub)(b, c), WG_OP(sub)(a, d));
    o[1] = WG_OP(fma)(WG_OP(set1)(2.5f), c, WG_OP(add)(b, d));
    o[2] = WG_OP(fnma)(half, WG_OP(add)(b, c), d);
    o[3] = WG_OP(fnma)(WG_OP(set1)(2.0f), b, WG_OP(add)(c, d));
    o[4] = WG_OP(fma)(more, WG_OP(sub)(d, c), WG_OP(sub)(e, b));
}

/* Aᵀ of F(4, 2) on five values. */
INLINE void WG_FN(pair_back)(WG_VEC *o, const WG_VEC *m)
{
    WG_VEC eighth = WG_OP(set1)(0.125f), quarter = WG_OP(set1)(0.25f), half = WG_OP(set1)(0.5f);

    o[0] = WG_OP(add)(WG_OP(add)(m[0], m[1]), WG_OP(add)(m[2], m[3]));
    o[1] = WG_OP(fnma)(WG_OP(set1)(2.0f), m[2], WG_OP(fnma)(half, m[3], m[1]));
    o[2] = WG_OP(fma)(WG_OP(set1)(4.0f), m[2], WG_OP(fma)(quarter, m[3], m[1]));
    o[3] = WG_OP(fnma)(WG_OP(set1)(8.0f), m[2],
                       WG_OP(fnma)(eighth, m[3], WG_OP(add)(m[1], m[4])));
}

/* Nine inputs, the first of them odd. */
INLINE void WG_FN(src2_line)(WG_VEC *o, const WG_VEC *d)
{
    WG_FN(pair_line)(o, d[0], d[2], d[4], d[6], d[8]);
    o[5] = d[1];
    o[6] = d[3];
    o[7] = d[5];
    o[8] = d[7];
}

/* The four outputs. */
INLINE void WG_FN(dst2_line)(WG_VEC *o, const WG_VEC *m)
{
    WG_FN(pair_back)(o, m);
    UNROLL for (size_t i = 0; i < 4; i++)
        o[i] = WG_OP(add)(o[i], m[5 + i]);
}

/* Five outputs' gradients. */
INLINE void WG_FN(d_dst2_line)(WG_VEC *o, const WG_VEC *d)
{
    WG_FN(pair_line)(o, d[0], d[1], d[2], d[3], d[4]);
    o[5] = d[0];
    o[6] = d[1];
    o[7] = d[2];
    o[8] = d[3];
}

/* The gradients of eight inputs, even and odd ones by turns. */
INLINE void WG_FN(d_src2_line)(WG_VEC *o, const WG_VEC *m)
{
    WG_VEC odd[4];

    WG_FN(pair_back)(odd, m);
    UNROLL for (size_t i = 0; i < 4; i++) {
        o[2 * i] = m[5 + i];
        o[2 * i + 1] = odd[i];
    }
}

/* A d of F(4, 2), and d. */
INLINE void WG_FN(d_dst_out2_line)(WG_VEC *o, const WG_VEC *d)
{
    WG_VEC quarter = WG_OP(set1)(0.25f), four = WG_OP(set1)(4.0f);
    WG_VEC g = WG_OP(fma)(four, d[2], d[0]), h = WG_OP(fma)(four, d[3], d[1]);
    WG_VEC p = WG_OP(fma)(quarter, d[2], d[0]), q = WG_OP(fma)(quarter, d[3], d[1]);

    o[0] = d[0];
    o[1] = WG_OP(add)(WG_OP(add)(d[0], d[2]), WG_OP(add)(d[1], d[3]));
    o[2] = WG_OP(fnma)(WG_OP(set1)(2.0f), h, g);
    o[3] = WG_OP(fnma)(WG_OP(set1)(0.5f), q, p);
    o[4] = d[3];
    o[5] = d[0];
    o[6] = d[1];
    o[7] = d[2];
    o[8] = d[3];
}

/* ---- tiles ---- */

INLINE size_t WG_FN(pixel_bytes)(enum moco_number number)
{
    return WG_LANES * (number == MOCO_BF16 ? sizeof(moco_bf16) : sizeof(float));
}

INLINE WG_VEC WG_FN(pixel)(enum moco_number number, const void *p)
{
    return number == MOCO_BF16 ? WG_OP(load_bf16)(p) : WG_OP(load)(p);
}

INLINE void WG_FN(put_pixel)(enum moco_number number, void *p, WG_VEC x)
{
    if (number == MOCO_BF16)
        WG_OP(store_bf16)(p, x);
    else
        WG_OP(store)(p, x);
}

/* Tiles of `side` pixels: `from` x `from` pixels, the first of them `lead` before the tile, become
 * `to` x `to` slots. Rows outside the image are read from a row of zeros, columns outside are not
 * read. The next tile's pixels, which hardware does not guess, are fetched meanwhile: 0.7 of the
 * time where the image comes from memory. */
INLINE void WG_FN(gather)(void (*line)(WG_VEC *, const WG_VEC *), enum moco_number number,
                          size_t to, size_t from, size_t side, size_t lead, float *v, size_t point,
                          size_t stride, const char *d, const struct moco_image *g, size_t first,
                          size_t count)
{
    static const float zeros[9 * WG_LANES];
    size_t step = WG_FN(pixel_bytes)(number), plane = g->H * g->W * step;

    for (size_t i = 0; i < count; i++) {
        struct place at = place_of(g, side, first + i);
        size_t left = at.x < lead ? lead - at.x : 0, right = least(from, g->W + lead - at.x);
        size_t top = at.y < lead ? lead - at.y : 0, bottom = least(from, g->H + lead - at.y);

        for (size_t b = 0; b < g->blocks; b++) {
            const char *origin = d + (at.n * g->blocks + b) * plane, *rows[9];
            float *to_v = v + i * stride + b * WG_LANES;
            WG_VEC half[9][9], x[9], y[9];

            UNROLL for (size_t r = 0; r < from; r++)
                rows[r] = r < top || r >= bottom
                              ? (const char *)zeros
                              : origin + ((at.y + r - lead) * g->W + at.x + left - lead) * step;
            for (size_t j = 0; j < from; j++)
                if (j < left || j >= right)
                    UNROLL for (size_t r = 0; r < to; r++)
                        half[r][j] = WG_OP(zero)();
            ROLL for (size_t j = left; j < right; j++) {
                UNROLL for (size_t r = 0; r < from; r++) {
                    x[r] = WG_FN(pixel)(number, rows[r] + (j - left) * step);
                    __builtin_prefetch(rows[r] + (j - left + side) * step, 0, 3);
                }
                line(y, x);
                UNROLL for (size_t r = 0; r < to; r++)
                    half[r][j] = y[r];
            }
            ROLL for (size_t r = 0; r < to; r++) {
                line(y, half[r]);
                UNROLL for (size_t j = 0; j < to; j++)
                    WG_OP(store)(to_v + (r * to + j) * point, y[j]);
            }
        }
    }
}

/* The way back: `from` x `from` slots become a tile of `side` x `side` pixels. */
INLINE void WG_FN(scatter)(void (*line)(WG_VEC *, const WG_VEC *), enum moco_number number,
                           size_t side, size_t from, char *d, const float *m, size_t point,
                           size_t width, const struct moco_image *g, size_t first_block,
                           size_t blocks, size_t first, size_t count)
{
    size_t step = WG_FN(pixel_bytes)(number), row = g->W * step, plane = g->H * row;

    for (size_t i = 0; i < count; i++) {
        struct place at = place_of(g, side, first + i);
        size_t rows = least(side, g->H - at.y), columns = least(side, g->W - at.x);

        for (size_t b = 0; b < blocks; b++) {
            const float *from_m = m + i * width + b * WG_LANES;
            char *to = d + (at.n * g->blocks + first_block + b) * plane + at.y * row + at.x * step;
            WG_VEC half[8][9], x[9], y[8];

            ROLL for (size_t j = 0; j < from; j++) {
                UNROLL for (size_t r = 0; r < from; r++)
                    x[r] = WG_OP(load)(from_m + (r * from + j) * point);
                line(y, x);
                UNROLL for (size_t r = 0; r < side; r++)
                    half[r][j] = y[r];
            }
            ROLL for (size_t r = 0; r < rows; r++) {
                line(y, half[r]);
                UNROLL for (size_t j = 0; j < side; j++)
                    if (j < columns)
                        WG_FN(put_pixel)(number, to + r * row + j * step, y[j]);
            }
        }
    }
}

/* name(...) and name_bf16(...) of this width: the transforms of line `name` with their sizes. */
#define WG_GATHER_OF(name, line, number, ...)                                                    \
    static void WG_FN(name)(float *v, size_t point, size_t stride, const void *d,                \
                            const struct moco_image *g, size_t first, size_t count)              \
    {                                                                                            \
        WG_FN(gather)(WG_FN(line), number, __VA_ARGS__, v, point, stride, d, g, first, count);   \
    }
#define WG_SCATTER_OF(name, line, number, ...)                                                   \
    static void WG_FN(name)(void *d, const float *m, size_t point, size_t width,                 \
                            const struct moco_image *g, size_t first_block, size_t blocks,       \
                            size_t first, size_t count)                                          \
    {                                                                                            \
        WG_FN(scatter)(WG_FN(line), number, __VA_ARGS__, d, m, point, width, g, first_block,     \
                       blocks, first, count);                                                    \
    }
#define WG_GATHER(name, to, from, side, lead)                                                    \
    WG_GATHER_OF(name, name##_line, MOCO_FP32, to, from, side, lead)                             \
    WG_GATHER_OF(name##_bf16, name##_line, MOCO_BF16, to, from, side, lead)
#define WG_SCATTER(name, side, from)                                                             \
    WG_SCATTER_OF(name, name##_line, MOCO_FP32, side, from)                                      \
    WG_SCATTER_OF(name##_bf16, name##_line, MOCO_BF16, side, from)

WG_GATHER(src, 6, 6, 4, 1)
WG_SCATTER(dst, 4, 6)
WG_GATHER(d_dst_out, 6, 4, 4, 0)
WG_GATHER(src2, 9, 9, 8, 1)
WG_SCATTER(dst2, 4, 9)
WG_GATHER(d_dst2, 9, 5, 4, 0)
WG_SCATTER(d_src2, 8, 9)
WG_GATHER(d_dst_out2, 9, 4, 4, 0)

#undef WG_GATHER
#undef WG_SCATTER
#undef WG_GATHER_OF
#undef WG_SCATTER_OF
#undef WG_VEC
#undef WG_LANES
#undef WG_OP
#undef WG_FN
