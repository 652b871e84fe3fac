/* colour_ref.c: the colours of views in plain C, the specification to the byte.
 *
 * Hue goes through HSV without a table: with h in sextants and c = max - min,
 *   channel = max - c clamp(min(k, 4 - k), 0, 1),  k = (k0 + h) mod 6,  k0 = 5, 3, 1 for r, g, b
 * (Smith, SIGGRAPH 1978, in closed form), which needs no branch on the sextant. The largest channel
 * says between which two others the hue lies; grey has hue 0. */
#include "simd/kernels.h"

static inline float least_of(float a, float b)
{
    return a < b ? a : b;
}

static inline float largest_of(float a, float b)
{
    return a > b ? a : b;
}

static inline float clamp01(float x)
{
    return least_of(largest_of(x, 0.0f), 1.0f);
}

static inline float grey_of(float r, float g, float b)
{
    return 0.2989f * r + 0.587f * g + 0.114f * b;
}

static inline float hue_channel(float max, float c, float h, float k0)
{
    float k = h + k0, turned = k - 6.0f;

    k = k < 6.0f ? k : turned;
    return max - c * clamp01(least_of(k, 4.0f - k));
}

/* Both sides of a choice are computed before it, so that compilers make vectors of it. */
static void hue(float *restrict r, float *restrict g, float *restrict b, size_t n, float turn)
{
    for (size_t i = 0; i < n; i++) {
        float red = r[i], green = g[i], blue = b[i];
        float max = largest_of(largest_of(red, green), blue);
        float c = max - least_of(least_of(red, green), blue);
        float of_red = green - blue, of_green = blue - red, of_blue = red - green;
        float h = green == max ? of_green : of_blue, base = green == max ? 2.0f : 4.0f, turned;

        h = red == max ? of_red : h;
        base = red == max ? 0.0f : base;
        h = h / (0.0f < c ? c : 1.0f) + base + turn;
        turned = h + 6.0f;
        h = h < 0.0f ? turned : h;
        turned = h - 6.0f;
        h = h < 6.0f ? h : turned;
        r[i] = hue_channel(max, c, h, 5.0f);
        g[i] = hue_channel(max, c, h, 3.0f);
        b[i] = hue_channel(max, c, h, 1.0f);
    }
}

static void grey(float *restrict r, float *restrict g, float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r[i] = g[i] = b[i] = grey_of(r[i], g[i], b[i]);
}

static void saturation(float *restrict r, float *restrict g, float *restrict b, size_t n,
                       float factor, float rest)
{
    for (size_t i = 0; i < n; i++) {
        float shift = rest * grey_of(r[i], g[i], b[i]);

        r[i] = clamp01(r[i] * factor + shift);
        g[i] = clamp01(g[i] * factor + shift);
        b[i] = clamp01(b[i] * factor + shift);
    }
}

static void each(float *x, size_t n, const struct moco_colour *step, size_t c)
{
    float a = step->a[c], b = step->b[c], factor = step->a[0], shift = step->b[0];

    if (step->kind == MOCO_COLOUR_NORMALISE)
        for (size_t i = 0; i < n; i++)
            x[i] = (x[i] - a) * b;
    else
        for (size_t i = 0; i < n; i++)
            x[i] = clamp01(x[i] * factor + shift);
}

static void one_step(float *x, size_t plane, size_t planes, size_t n,
                     const struct moco_colour *step)
{
    float *g = x + plane, *b = g + plane;

    switch (step->kind) {
    case MOCO_COLOUR_SATURATION: saturation(x, g, b, n, step->a[0], step->b[0]); break;
    case MOCO_COLOUR_HUE: hue(x, g, b, n, step->a[0]); break;
    case MOCO_COLOUR_GREY: grey(x, g, b, n); break;
    case MOCO_COLOUR_BLEND:
    case MOCO_COLOUR_NORMALISE:
        for (size_t c = 0; c < planes; c++)
            each(x + c * plane, n, step, c);
        break;
    }
}

void moco_colour_ref(float *x, size_t plane, size_t planes, size_t n,
                     const struct moco_colour *step, size_t steps, float *sums)
{
    for (size_t s = 0; s < steps; s++)
        one_step(x, plane, planes, n, &step[s]);
    for (size_t c = 0; sums && c < planes; c++) {
        for (size_t l = 0; l < MOCO_VL; l++)
            sums[c * MOCO_VL + l] = 0.0f;
        for (size_t i = 0; i < n; i++)
            sums[c * MOCO_VL + i % MOCO_VL] += x[c * plane + i];
    }
}
