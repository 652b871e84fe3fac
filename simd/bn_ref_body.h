/* bn_ref_body.h: the BatchNorm kernels in plain C; included by bn_ref.c once per kind of number
 * with REF (a kernel's name), NUMBER, GET and PUT (to float and back), KEEP (back, for what was
 * got) and IS_OPEN (a function's name), which it undefines at the end.
 *
 * Every sum over a plane is taken channel by channel in stages of 64 pixels: sequential from 0
 * within a stage, then the stage's sum is added to the total. The ReLU is 0 > y ? 0 : y, so NaN
 * stays visible; a plane without pixels has mean 0. */

void REF(bn_stats)(float *mean, float *m2, const void *from, size_t pixels, size_t lanes)
{
    const NUMBER *src = from;

    for (size_t c = 0; c < lanes; c++) {
        float total = 0.0f, squares = 0.0f;

        for (size_t i = 0; i < pixels;) {
            float sum = 0.0f;

            for (size_t end = stage_end(i, pixels); i < end; i++)
                sum += GET(src[i * lanes + c]);
            total += sum;
        }
        mean[c] = total / (pixels ? (float)pixels : 1.0f);
        for (size_t i = 0; i < pixels;) {
            float sum = 0.0f;

            for (size_t end = stage_end(i, pixels); i < end; i++) {
                float d = GET(src[i * lanes + c]) - mean[c];

                sum = fmaf(d, d, sum);
            }
            squares += sum;
        }
        m2[c] = squares;
    }
}

void REF(bn_apply)(void *to, uint8_t *open, const void *from, const void *more,
                   const float *scale, const float *shift, size_t pixels, size_t lanes, int relu,
                   int far)
{
    const NUMBER *src = from, *add = more;
    NUMBER *dst = to;

    (void)far;
    for (size_t i = 0; i < pixels * lanes; i++) {
        float y = fmaf(GET(src[i]), scale[i % lanes], shift[i % lanes]);

        if (add)
            y += GET(add[i]);
        if (open && i % 8 == 0)
            open[i / 8] = 0;
        if (open)
            open[i / 8] |= (uint8_t)((y > 0.0f) << i % 8);
        dst[i] = PUT(relu && 0.0f > y ? 0.0f : y);
    }
}

static int IS_OPEN(const struct moco_bn_gate *gate, const NUMBER *src, size_t i, size_t c)
{
    if (gate->open)
        return gate->open[i / 8] >> i % 8 & 1;
    return !gate->scale || fmaf(GET(src[i]), gate->scale[c], gate->shift[c]) > 0.0f;
}

void REF(bn_grad_sums)(float *sum_g, float *sum_gx, void *kept, const void *d,
                       const struct moco_bn_gate *gate, const void *from, const float *mean,
                       size_t pixels, size_t lanes)
{
    const NUMBER *d_dst = d, *src = from;
    NUMBER *g = kept;
    int gated = gate->open || gate->scale;

    for (size_t c = 0; c < lanes; c++) {
        float total_g = 0.0f, total_gx = 0.0f;

        for (size_t i = 0; i < pixels;) {
            float s = 0.0f, sx = 0.0f;

            for (size_t end = stage_end(i, pixels); i < end; i++) {
                size_t at = i * lanes + c;
                float x = IS_OPEN(gate, src, at, c) ? GET(d_dst[at]) : 0.0f;

                s += x;
                sx = fmaf(x, GET(src[at]) - mean[c], sx);
                if (gated)
                    g[at] = KEEP(x);
            }
            total_g += s;
            total_gx += sx;
        }
        sum_g[c] = total_g;
        sum_gx[c] = total_gx;
    }
}

void REF(bn_grad)(void *to, const void *gradient, const void *from, const float *a,
                  const float *b, const float *c, size_t pixels, size_t lanes, int far)
{
    const NUMBER *g = gradient, *src = from;
    NUMBER *d_src = to;

    (void)far;
    for (size_t i = 0; i < pixels * lanes; i++) {
        size_t lane = i % lanes;

        d_src[i] = PUT(fmaf(GET(g[i]), a[lane], fmaf(GET(src[i]), b[lane], c[lane])));
    }
}

#undef REF
#undef NUMBER
#undef GET
#undef PUT
#undef KEEP
#undef IS_OPEN
