/* bn_plane.h: the BatchNorm kernels for one width of plane; included by bn_number_body.h once per
 * width with BN_VEC, BN_LANES, BN_OP, BN_PLANE (load, store, keep and stream of a plane's
 * numbers) and BN_FN, which it undefines at the end.
 *
 * Optional operands (act, add, the ReLU) are constants of an always-inlined inner function, so
 * that each combination gets a loop without branches. */

enum { BN_FN(STAGE) = MOCO_BN_STAGE * BN_LANES };

/* Sums `ways` stages of n pixels side by side: Σ x, or Σ (x - mean)² where squares is set. */
INLINE void BN_FN(stage_sums)(size_t ways, BN_VEC *total, const BN_NUMBER *src, size_t n,
                              BN_VEC mean, int squares)
{
    BN_VEC sum[4];

    UNROLL for (size_t w = 0; w < ways; w++)
        sum[w] = BN_OP(zero)();
    for (size_t i = 0; i < n * BN_LANES; i += BN_LANES)
        UNROLL for (size_t w = 0; w < ways; w++) {
            BN_VEC x = BN_PLANE(load)(src + w * BN_FN(STAGE) + i);
            BN_VEC d = BN_OP(sub)(x, mean);

            sum[w] = squares ? BN_OP(fma)(d, d, sum[w]) : BN_OP(add)(sum[w], x);
        }
    UNROLL for (size_t w = 0; w < ways; w++)
        *total = BN_OP(add)(*total, sum[w]);
}

INLINE BN_VEC BN_FN(plane_sum)(const BN_NUMBER *src, size_t pixels, BN_VEC mean, int squares)
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

static void BN_FN(stats)(float *mean, float *m2, const BN_NUMBER *src, size_t pixels)
{
    BN_VEC count = BN_OP(set1)(pixels ? (float)pixels : 1.0f);
    BN_VEC centre = BN_OP(div)(BN_FN(plane_sum)(src, pixels, BN_OP(zero)(), 0), count);

    BN_OP(store)(mean, centre);
    BN_OP(store)(m2, BN_FN(plane_sum)(src, pixels, centre, 1));
}

INLINE void BN_FN(put)(BN_NUMBER *to, BN_VEC x, int far)
{
    if (far)
        BN_PLANE(stream)(to, x);
    else
        BN_PLANE(store)(to, x);
}

/* The bits of one pixel's lanes. */
INLINE void BN_FN(put_bits)(uint8_t *to, unsigned bits)
{
    to[0] = (uint8_t)bits;
    if (BN_LANES == 16)
        to[1] = (uint8_t)(bits >> 8);
}

INLINE unsigned BN_FN(bits_at)(const uint8_t *at)
{
    return BN_LANES == 16 ? at[0] | (unsigned)at[1] << 8 : at[0];
}

INLINE void BN_FN(apply_as)(int relu, int adds, int notes, int far, BN_NUMBER *dst, uint8_t *open,
                            const BN_NUMBER *src, const BN_NUMBER *add, const float *scale,
                            const float *shift, size_t pixels)
{
    BN_VEC a = BN_OP(load)(scale), b = BN_OP(load)(shift);

    for (size_t i = 0; i < pixels * BN_LANES; i += BN_LANES) {
        BN_VEC y = BN_OP(fma)(BN_PLANE(load)(src + i), a, b);

        if (adds)
            y = BN_OP(add)(y, BN_PLANE(load)(add + i));
        if (notes)
            BN_FN(put_bits)(open + i / 8, BN_OP(above)(y, BN_OP(zero)()));
        BN_FN(put)(dst + i, relu ? BN_OP(relu)(y) : y, far);
    }
}

INLINE void BN_FN(apply_to)(int far, BN_NUMBER *dst, uint8_t *open, const BN_NUMBER *src,
                            const BN_NUMBER *add, const float *scale, const float *shift,
                            size_t pixels, int relu)
{
    if (relu && add && open)
        BN_FN(apply_as)(1, 1, 1, far, dst, open, src, add, scale, shift, pixels);
    else if (relu && add)
        BN_FN(apply_as)(1, 1, 0, far, dst, NULL, src, add, scale, shift, pixels);
    else if (relu && !open)
        BN_FN(apply_as)(1, 0, 0, far, dst, NULL, src, NULL, scale, shift, pixels);
    else
        BN_FN(apply_as)(relu, add != NULL, open != NULL, far, dst, open, src, add, scale, shift,
                        pixels);
}

static void BN_FN(apply)(BN_NUMBER *dst, uint8_t *open, const BN_NUMBER *src, const BN_NUMBER *add,
                         const float *scale, const float *shift, size_t pixels, int relu, int far)
{
    if (far)
        BN_FN(apply_to)(1, dst, open, src, add, scale, shift, pixels, relu);
    else
        BN_FN(apply_to)(0, dst, open, src, add, scale, shift, pixels, relu);
}

struct BN_FN(grad_total) {
    BN_VEC g, gx;
};

enum BN_FN(gate) { BN_FN(OPEN), BN_FN(BY_BITS), BN_FN(BY_SRC) };

/* One plane's operands; the gate's scale and shift are zero where they do not count. */
struct BN_FN(grad_plane) {
    BN_NUMBER *g;
    const uint8_t *open;
    const BN_NUMBER *d_dst, *src;
    BN_VEC mean, scale, shift;
};

INLINE void BN_FN(grad_stages)(enum BN_FN(gate) gate, size_t ways, struct BN_FN(grad_total) *total,
                               const struct BN_FN(grad_plane) *p, size_t first, size_t n)
{
    struct BN_FN(grad_total) sum[4];

    UNROLL for (size_t w = 0; w < ways; w++)
        sum[w].g = sum[w].gx = BN_OP(zero)();
    for (size_t i = first; i < first + n * BN_LANES; i += BN_LANES)
        UNROLL for (size_t w = 0; w < ways; w++) {
            size_t at = w * BN_FN(STAGE) + i;
            BN_VEC g = BN_PLANE(load)(p->d_dst + at), x = BN_PLANE(load)(p->src + at);

            if (gate == BN_FN(BY_BITS))
                g = BN_OP(where_bits)(g, BN_FN(bits_at)(p->open + at / 8));
            else if (gate == BN_FN(BY_SRC))
                g = BN_OP(where_positive)(g, BN_OP(fma)(x, p->scale, p->shift));
            if (gate != BN_FN(OPEN))
                BN_PLANE(keep)(p->g + at, g);
            sum[w].g = BN_OP(add)(sum[w].g, g);
            sum[w].gx = BN_OP(fma)(g, BN_OP(sub)(x, p->mean), sum[w].gx);
        }
    UNROLL for (size_t w = 0; w < ways; w++) {
        total->g = BN_OP(add)(total->g, sum[w].g);
        total->gx = BN_OP(add)(total->gx, sum[w].gx);
    }
}

INLINE void BN_FN(grad_sums_as)(enum BN_FN(gate) gate, float *sum_g, float *sum_gx,
                                const struct BN_FN(grad_plane) *p, size_t pixels)
{
    struct BN_FN(grad_total) total = {BN_OP(zero)(), BN_OP(zero)()};
    size_t at = 0, n;

    for (; pixels >= 4 * MOCO_BN_STAGE; pixels -= 4 * MOCO_BN_STAGE, at += 4 * BN_FN(STAGE))
        BN_FN(grad_stages)(gate, 4, &total, p, at, MOCO_BN_STAGE);
    for (; pixels; pixels -= n, at += n * BN_LANES) {
        n = least(pixels, MOCO_BN_STAGE);
        BN_FN(grad_stages)(gate, 1, &total, p, at, n);
    }
    BN_OP(store)(sum_g, total.g);
    BN_OP(store)(sum_gx, total.gx);
}

static void BN_FN(grad_sums)(float *sum_g, float *sum_gx, BN_NUMBER *g, const BN_NUMBER *d_dst,
                             const struct moco_bn_gate *gate, const BN_NUMBER *src,
                             const float *mean, size_t pixels)
{
    struct BN_FN(grad_plane) p = {g, gate->open, d_dst, src, BN_OP(load)(mean), BN_OP(zero)(),
                                  BN_OP(zero)()};

    if (gate->open) {
        BN_FN(grad_sums_as)(BN_FN(BY_BITS), sum_g, sum_gx, &p, pixels);
    } else if (gate->scale) {
        p.scale = BN_OP(load)(gate->scale);
        p.shift = BN_OP(load)(gate->shift);
        BN_FN(grad_sums_as)(BN_FN(BY_SRC), sum_g, sum_gx, &p, pixels);
    } else {
        BN_FN(grad_sums_as)(BN_FN(OPEN), sum_g, sum_gx, &p, pixels);
    }
}

INLINE void BN_FN(grad_to)(int far, BN_NUMBER *d_src, const BN_NUMBER *g, const BN_NUMBER *src,
                           const float *a, const float *b, const float *c, size_t pixels)
{
    BN_VEC va = BN_OP(load)(a), vb = BN_OP(load)(b), vc = BN_OP(load)(c);

    for (size_t i = 0; i < pixels * BN_LANES; i += BN_LANES) {
        BN_VEC rest = BN_OP(fma)(BN_PLANE(load)(src + i), vb, vc);

        BN_FN(put)(d_src + i, BN_OP(fma)(BN_PLANE(load)(g + i), va, rest), far);
    }
}

static void BN_FN(grad)(BN_NUMBER *d_src, const BN_NUMBER *g, const BN_NUMBER *src, const float *a,
                        const float *b, const float *c, size_t pixels, int far)
{
    if (far)
        BN_FN(grad_to)(1, d_src, g, src, a, b, c, pixels);
    else
        BN_FN(grad_to)(0, d_src, g, src, a, b, c, pixels);
}

#undef BN_VEC
#undef BN_LANES
#undef BN_OP
#undef BN_PLANE
#undef BN_FN
