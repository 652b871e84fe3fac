/* bn_plane.h: the BatchNorm kernels for one width of plane; included by bn_body.h once per width
 * with BN_VEC, BN_LANES, BN_OP and BN_FN, which it undefines at the end.
 *
 * Optional operands (act, add, the ReLU) are constants of an always-inlined inner function, so
 * that each combination gets a loop without branches. */

enum { BN_FN(STAGE) = MOCO_BN_STAGE * BN_LANES };

/* Sums `ways` stages of n pixels side by side: Σ x, or Σ (x - mean)² where squares is set. */
INLINE void BN_FN(stage_sums)(size_t ways, BN_VEC *total, const float *src, size_t n, BN_VEC mean,
                              int squares)
{
    BN_VEC sum[4];

    UNROLL for (size_t w = 0; w < ways; w++)
        sum[w] = BN_OP(zero)();
    for (size_t i = 0; i < n * BN_LANES; i += BN_LANES)
        UNROLL for (size_t w = 0; w < ways; w++) {
            BN_VEC x = BN_OP(load)(src + w * BN_FN(STAGE) + i);
            BN_VEC d = BN_OP(sub)(x, mean);

            sum[w] = squares ? BN_OP(fma)(d, d, sum[w]) : BN_OP(add)(sum[w], x);
        }
    UNROLL for (size_t w = 0; w < ways; w++)
        *total = BN_OP(add)(*total, sum[w]);
}

INLINE BN_VEC BN_FN(plane_sum)(const float *src, size_t pixels, BN_VEC mean, int squares)
{
    BN_VEC total = BN_OP(zero)();

    for (; pixels >= 4 * MOCO_BN_STAGE; pixels -= 4 * MOCO_BN_STAGE, src += 4 * BN_FN(STAGE))
        BN_FN(stage_sums)(4, &total, src, MOCO_BN_STAGE, mean, squares);
    while (pixels) {
        size_t n = least(pixels, MOCO_BN_STAGE);

        BN_FN(stage_sums)(1, &total, src, n, mean, squares);
        pixels -= n;
        src += n * BN_LANES;
    }
    return total;
}

static void BN_FN(stats)(float *mean, float *m2, const float *src, size_t pixels)
{
    BN_VEC count = BN_OP(set1)(pixels ? (float)pixels : 1.0f);
    BN_VEC centre = BN_OP(div)(BN_FN(plane_sum)(src, pixels, BN_OP(zero)(), 0), count);

    BN_OP(store)(mean, centre);
    BN_OP(store)(m2, BN_FN(plane_sum)(src, pixels, centre, 1));
}

INLINE void BN_FN(apply_as)(int relu, int adds, float *dst, const float *src, const float *add,
                            const float *scale, const float *shift, size_t pixels)
{
    BN_VEC a = BN_OP(load)(scale), b = BN_OP(load)(shift);

    for (size_t i = 0; i < pixels * BN_LANES; i += BN_LANES) {
        BN_VEC y = BN_OP(fma)(BN_OP(load)(src + i), a, b);

        if (adds)
            y = BN_OP(add)(y, BN_OP(load)(add + i));
        BN_OP(store)(dst + i, relu ? BN_OP(relu)(y) : y);
    }
}

static void BN_FN(apply)(float *dst, const float *src, const float *add, const float *scale,
                         const float *shift, size_t pixels, int relu)
{
    if (relu && add)
        BN_FN(apply_as)(1, 1, dst, src, add, scale, shift, pixels);
    else if (relu)
        BN_FN(apply_as)(1, 0, dst, src, add, scale, shift, pixels);
    else if (add)
        BN_FN(apply_as)(0, 1, dst, src, add, scale, shift, pixels);
    else
        BN_FN(apply_as)(0, 0, dst, src, add, scale, shift, pixels);
}

struct BN_FN(grad_total) {
    BN_VEC g, gx;
};

INLINE void BN_FN(grad_stages)(size_t ways, int gated, struct BN_FN(grad_total) *total,
                               const float *d_dst, const float *act, const float *src, BN_VEC mean,
                               size_t n)
{
    struct BN_FN(grad_total) sum[4];

    UNROLL for (size_t w = 0; w < ways; w++)
        sum[w].g = sum[w].gx = BN_OP(zero)();
    for (size_t i = 0; i < n * BN_LANES; i += BN_LANES)
        UNROLL for (size_t w = 0; w < ways; w++) {
            size_t at = w * BN_FN(STAGE) + i;
            BN_VEC g = BN_OP(load)(d_dst + at);

            if (gated)
                g = BN_OP(where_positive)(g, BN_OP(load)(act + at));
            sum[w].g = BN_OP(add)(sum[w].g, g);
            sum[w].gx = BN_OP(fma)(g, BN_OP(sub)(BN_OP(load)(src + at), mean), sum[w].gx);
        }
    UNROLL for (size_t w = 0; w < ways; w++) {
        total->g = BN_OP(add)(total->g, sum[w].g);
        total->gx = BN_OP(add)(total->gx, sum[w].gx);
    }
}

INLINE void BN_FN(grad_sums_as)(int gated, float *sum_g, float *sum_gx, const float *d_dst,
                                const float *act, const float *src, const float *mean,
                                size_t pixels)
{
    struct BN_FN(grad_total) total = {BN_OP(zero)(), BN_OP(zero)()};
    BN_VEC centre = BN_OP(load)(mean);
    size_t at = 0, n;

    for (; pixels >= 4 * MOCO_BN_STAGE; pixels -= 4 * MOCO_BN_STAGE, at += 4 * BN_FN(STAGE))
        BN_FN(grad_stages)(4, gated, &total, d_dst + at, gated ? act + at : NULL, src + at, centre,
                           MOCO_BN_STAGE);
    for (; pixels; pixels -= n, at += n * BN_LANES) {
        n = least(pixels, MOCO_BN_STAGE);
        BN_FN(grad_stages)(1, gated, &total, d_dst + at, gated ? act + at : NULL, src + at, centre,
                           n);
    }
    BN_OP(store)(sum_g, total.g);
    BN_OP(store)(sum_gx, total.gx);
}

static void BN_FN(grad_sums)(float *sum_g, float *sum_gx, const float *d_dst, const float *act,
                             const float *src, const float *mean, size_t pixels)
{
    if (act)
        BN_FN(grad_sums_as)(1, sum_g, sum_gx, d_dst, act, src, mean, pixels);
    else
        BN_FN(grad_sums_as)(0, sum_g, sum_gx, d_dst, NULL, src, mean, pixels);
}

INLINE void BN_FN(grad_as)(int gated, int passes, float *d_src, float *d_add, const float *d_dst,
                           const float *act, const float *src, const float *a, const float *b,
                           const float *c, size_t pixels)
{
    BN_VEC va = BN_OP(load)(a), vb = BN_OP(load)(b), vc = BN_OP(load)(c);

    for (size_t i = 0; i < pixels * BN_LANES; i += BN_LANES) {
        BN_VEC g = BN_OP(load)(d_dst + i), x = BN_OP(load)(src + i);

        if (gated)
            g = BN_OP(where_positive)(g, BN_OP(load)(act + i));
        if (passes)
            BN_OP(store)(d_add + i, g);
        BN_OP(store)(d_src + i, BN_OP(fma)(g, va, BN_OP(fma)(x, vb, vc)));
    }
}

static void BN_FN(grad)(float *d_src, float *d_add, const float *d_dst, const float *act,
                        const float *src, const float *a, const float *b, const float *c,
                        size_t pixels)
{
    if (act && d_add)
        BN_FN(grad_as)(1, 1, d_src, d_add, d_dst, act, src, a, b, c, pixels);
    else if (act)
        BN_FN(grad_as)(1, 0, d_src, NULL, d_dst, act, src, a, b, c, pixels);
    else if (d_add)
        BN_FN(grad_as)(0, 1, d_src, d_add, d_dst, NULL, src, a, b, c, pixels);
    else
        BN_FN(grad_as)(0, 0, d_src, NULL, d_dst, NULL, src, a, b, c, pixels);
}

#undef BN_VEC
#undef BN_LANES
#undef BN_OP
#undef BN_FN
