/* colour_body.h: all steps of a vector of pixels while they are in registers.
 *
 * The order of the steps is the same for all vectors of a call, so the branches on them are
 * foreseen; what would be a branch on a pixel is a choice between lanes. */
#include "simd/tile.h"

INLINE f32x16 clamp01(f32x16 x)
{
    return v_min(v_max(x, v_zero()), v_set1(1.0f));
}

INLINE f32x16 grey_of(const f32x16 x[3])
{
    f32x16 red_green = v_add(v_mul(v_set1(0.2989f), x[0]), v_mul(v_set1(0.587f), x[1]));

    return v_add(red_green, v_mul(v_set1(0.114f), x[2]));
}

/* One channel of colours of value `max`, chroma `c` and hue h in [0, 6). */
INLINE f32x16 hue_channel(f32x16 max, f32x16 c, f32x16 h, float k0)
{
    const f32x16 six = v_set1(6.0f);
    f32x16 k = v_add(h, v_set1(k0));

    k = v_where_less(k, six, k, v_sub(k, six));
    k = v_min(k, v_sub(v_set1(4.0f), k));
    return v_sub(max, v_mul(c, clamp01(k)));
}

INLINE void hue(f32x16 x[3], f32x16 turn)
{
    const f32x16 zero = v_zero(), one = v_set1(1.0f), six = v_set1(6.0f);
    f32x16 red = x[0], green = x[1], blue = x[2];
    f32x16 max = v_max(v_max(red, green), blue);
    f32x16 c = v_sub(max, v_min(v_min(red, green), blue)), h, base;

    h = v_where_equal(green, max, v_sub(blue, red), v_sub(red, green));
    h = v_where_equal(red, max, v_sub(green, blue), h);
    base = v_where_equal(green, max, v_set1(2.0f), v_set1(4.0f));
    base = v_where_equal(red, max, zero, base);
    h = v_add(v_add(v_div(h, v_where_less(zero, c, c, one)), base), turn);
    h = v_where_less(h, zero, v_add(h, six), h);
    h = v_where_less(h, six, h, v_sub(h, six));
    x[0] = hue_channel(max, c, h, 5.0f);
    x[1] = hue_channel(max, c, h, 3.0f);
    x[2] = hue_channel(max, c, h, 1.0f);
}

INLINE void blend(f32x16 *x, size_t planes, f32x16 factor, f32x16 shift)
{
    UNROLL for (size_t c = 0; c < planes; c++)
        x[c] = clamp01(v_add(v_mul(x[c], factor), shift));
}

INLINE void one_step(f32x16 x[3], size_t planes, const struct moco_colour *step)
{
    switch (step->kind) {
    case MOCO_COLOUR_BLEND:
        blend(x, planes, v_set1(step->a[0]), v_set1(step->b[0]));
        break;
    case MOCO_COLOUR_SATURATION:
        blend(x, planes, v_set1(step->a[0]), v_mul(v_set1(step->b[0]), grey_of(x)));
        break;
    case MOCO_COLOUR_HUE:
        hue(x, v_set1(step->a[0]));
        break;
    case MOCO_COLOUR_GREY:
        x[0] = x[1] = x[2] = grey_of(x);
        break;
    case MOCO_COLOUR_NORMALISE:
        UNROLL for (size_t c = 0; c < planes; c++)
            x[c] = v_mul(v_sub(x[c], v_set1(step->a[c])), v_set1(step->b[c]));
        break;
    }
}

INLINE void all_steps(float *x, size_t plane, size_t planes, size_t n,
                      const struct moco_colour *step, size_t steps, float *sums)
{
    f32x16 sum[3] = {v_zero(), v_zero(), v_zero()};

    for (size_t i = 0; i < n; i += MOCO_VL) {
        f32x16 pixel[3] = {v_zero(), v_zero(), v_zero()};
        size_t left = n - i;

        UNROLL for (size_t c = 0; c < planes; c++)
            pixel[c] = load_upto(x + c * plane + i, left);
        for (size_t s = 0; s < steps; s++)
            one_step(pixel, planes, &step[s]);
        UNROLL for (size_t c = 0; c < planes; c++) {
            store_upto(x + c * plane + i, pixel[c], left);
            if (left < MOCO_VL)
                pixel[c] = v_load_n(x + c * plane + i, left);
            sum[c] = v_add(sum[c], pixel[c]);
        }
    }
    for (size_t c = 0; sums && c < planes; c++)
        v_store(sums + c * MOCO_VL, sum[c]);
}

void KERNEL(colour)(float *x, size_t plane, size_t planes, size_t n,
                    const struct moco_colour *step, size_t steps, float *sums)
{
    if (planes == 3)
        all_steps(x, plane, 3, n, step, steps, sums);
    else
        all_steps(x, plane, 1, n, step, steps, sums);
}
