/* colour.c: jitter, grey, blur and solarisation, one pass over contiguous planes each.
 *
 * Hue goes through HSV without a table: with h in sextants and c = max - min,
 *   channel = max - c clamp(min(k, 4 - k), 0, 1),  k = (k0 + h) mod 6,  k0 = 5, 3, 1 for r, g, b
 * (Smith, SIGGRAPH 1978, in closed form), which needs no branch on the sextant.
 * Blur is separable: w(t) ~ exp(-t^2 / 2 sigma^2), t = -(taps-1)/2 .. (taps-1)/2. */
#include "engine/data/colour.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float clamp01(float x)
{
    x = x > 0.0f ? x : 0.0f;
    return x < 1.0f ? x : 1.0f;
}

static inline float grey_of(float r, float g, float b)
{
    return 0.2989f * r + 0.587f * g + 0.114f * b;
}

void colour_brightness(float *x, int channels, size_t n, float factor)
{
    n *= (size_t)channels;
    for (size_t i = 0; i < n; i++)
        x[i] = clamp01(x[i] * factor);
}

/* Short float sums in lanes, added up in double: fast, and exact enough for large views. */
static double plane_mean(const float *x, size_t n)
{
    enum { LANES = 16, CHUNK = 1024 };
    double total = 0.0;

    for (size_t begin = 0; begin < n; begin += CHUNK) {
        size_t count = n - begin < CHUNK ? n - begin : CHUNK, i = 0;
        float lane[LANES] = { 0 };
        for (; i + LANES <= count; i += LANES)
            for (int l = 0; l < LANES; l++)
                lane[l] += x[begin + i + (size_t)l];
        for (; i < count; i++)
            total += x[begin + i];
        for (int l = 0; l < LANES; l++)
            total += lane[l];
    }
    return total / (double)n;
}

void colour_contrast(float *x, int channels, size_t n, float factor)
{
    double mean = 0.0;

    /* The mean of the grey image is the grey of the planes' means. */
    if (channels == 3) {
        mean = 0.2989 * plane_mean(x, n) + 0.587 * plane_mean(x + n, n)
               + 0.114 * plane_mean(x + 2 * n, n);
    } else {
        for (int c = 0; c < channels; c++)
            mean += plane_mean(x + (size_t)c * n, n) / channels;
    }

    float shift = (float)(mean * (1.0 - (double)factor));
    n *= (size_t)channels;
    for (size_t i = 0; i < n; i++)
        x[i] = clamp01(x[i] * factor + shift);
}

void colour_saturation(float *x, size_t n, float factor)
{
    float *restrict r = x, *restrict g = x + n, *restrict b = x + 2 * n;
    float rest = 1.0f - factor;

    for (size_t i = 0; i < n; i++) {
        float grey = rest * grey_of(r[i], g[i], b[i]);
        r[i] = clamp01(r[i] * factor + grey);
        g[i] = clamp01(g[i] * factor + grey);
        b[i] = clamp01(b[i] * factor + grey);
    }
}

/* Four pixels of a channel. The choices of hue are masks over vectors of the compiler's, as wide as
 * every target has them: compiled by itself the loop keeps its branches, which natural pixels
 * mispredict all the time. Where there is no choice it finds the vectors by itself. */
enum { FOUR = 4 };
typedef float four __attribute__((vector_size(FOUR * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(FOUR * sizeof(int32_t))));

static inline four all_of(float x)
{
    return (four){ x, x, x, x };
}

/* `yes` where the mask is set, `no` elsewhere. */
static inline four chosen(mask where, four yes, four no)
{
    return (four)((where & (mask)yes) | (~where & (mask)no));
}

/* `x` where the mask is set, 0 elsewhere. */
static inline four only(mask where, float x)
{
    return (four)(where & (mask)all_of(x));
}

/* One channel of colours of value `max`, chroma `c` and hue h in [0, 6). */
static inline four hue_channel(four max, four c, four h, float k0)
{
    const four zero = all_of(0.0f), one = all_of(1.0f);
    four k = h + k0;
    k -= only(k >= 6.0f, 6.0f);
    four other = 4.0f - k;
    four x = chosen(k < other, k, other);
    x = chosen(x > zero, x, zero);
    return max - c * chosen(x < one, x, one);
}

/* channel: red, green, blue of four pixels, turned in place. */
static inline void hue_four(four channel[3], float turn)
{
    four red = channel[0], green = channel[1], blue = channel[2];
    four high = chosen(red > green, red, green), low = chosen(red < green, red, green);
    four max = chosen(high > blue, high, blue), min = chosen(low < blue, low, blue);
    four c = max - min;

    /* The largest channel says between which two others the hue lies; grey has hue 0. */
    mask is_red = red == max, is_green = (green == max) & ~is_red, is_blue = ~(is_red | is_green);
    four difference = chosen(is_red, green - blue, chosen(is_green, blue - red, red - green));
    four h = difference / chosen(c > 0.0f, c, all_of(1.0f));
    h += only(is_green, 2.0f);
    h += only(is_blue, 4.0f);
    h += turn;
    h += only(h < 0.0f, 6.0f);
    h -= only(h >= 6.0f, 6.0f);

    channel[0] = hue_channel(max, c, h, 5.0f);
    channel[1] = hue_channel(max, c, h, 3.0f);
    channel[2] = hue_channel(max, c, h, 1.0f);
}

void colour_hue(float *x, size_t n, float shift)
{
    float turn = 6.0f * shift;
    four channel[3] = { 0 };
    size_t i = 0;

    for (; i + FOUR <= n; i += FOUR) {
        for (size_t c = 0; c < 3; c++)
            memcpy(&channel[c], x + c * n + i, sizeof(four));
        hue_four(channel, turn);
        for (size_t c = 0; c < 3; c++)
            memcpy(x + c * n + i, &channel[c], sizeof(four));
    }
    for (size_t c = 0; c < 3; c++)
        memcpy(&channel[c], x + c * n + i, (n - i) * sizeof(*x));
    hue_four(channel, turn);
    for (size_t c = 0; c < 3; c++)
        memcpy(x + c * n + i, &channel[c], (n - i) * sizeof(*x));
}

void colour_grey(float *x, size_t n)
{
    float *restrict r = x, *restrict g = x + n, *restrict b = x + 2 * n;

    for (size_t i = 0; i < n; i++)
        r[i] = g[i] = b[i] = grey_of(r[i], g[i], b[i]);
}

void colour_mean(float *x, int channels, size_t n)
{
    float scale = 1.0f / (float)channels;

    for (int c = 1; c < channels; c++) { /* the first plane takes up the sum */
        const float *restrict other = x + (size_t)c * n;
        for (size_t i = 0; i < n; i++)
            x[i] += other[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
    for (int c = 1; c < channels; c++)
        memcpy(x + (size_t)c * n, x, n * sizeof(*x));
}

void colour_solarise(float *x, int channels, size_t n, float threshold)
{
    n *= (size_t)channels;
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] >= threshold ? 1.0f - x[i] : x[i];
}

size_t colour_blur_floats(int side, int taps)
{
    return (size_t)side * (size_t)side + (size_t)side + 2 * (size_t)taps;
}

static void gaussian(float *weights, int taps, float sigma)
{
    double total = 0.0;

    for (int t = 0; t < taps; t++) {
        double z = (t - (taps - 1) / 2) / (double)sigma;
        weights[t] = (float)exp(-0.5 * z * z);
        total += weights[t];
    }
    for (int t = 0; t < taps; t++)
        weights[t] = (float)(weights[t] / total);
}

/* Index i reflected into 0..n-1; the edge pixel itself is not repeated. */
static int reflect(int i, int n)
{
    if (i < 0)
        return -i;
    return i < n ? i : 2 * (n - 1) - i;
}

static void blur_row(float *restrict out, const float *restrict row, float *restrict padded,
                     const float *weights, int taps, int side)
{
    int radius = taps / 2;

    for (int i = 1; i <= radius; i++) {
        padded[radius - i] = row[reflect(-i, side)];
        padded[radius + side - 1 + i] = row[reflect(side - 1 + i, side)];
    }
    memcpy(padded + radius, row, (size_t)side * sizeof(*row));
    for (int x = 0; x < side; x++)
        out[x] = weights[0] * padded[x];
    for (int t = 1; t < taps; t++)
        for (int x = 0; x < side; x++)
            out[x] += weights[t] * padded[x + t];
}

static void blur_column(float *restrict out, const float *restrict plane, const float *weights,
                        int taps, int side, int y)
{
    memset(out, 0, (size_t)side * sizeof(*out));
    for (int t = 0; t < taps; t++) {
        const float *restrict row = plane + (size_t)reflect(y + t - taps / 2, side) * (size_t)side;
        float w = weights[t];
        for (int x = 0; x < side; x++)
            out[x] += w * row[x];
    }
}

void colour_blur(float *x, int channels, int side, int taps, float sigma, float *scratch)
{
    float *plane = scratch, *padded = plane + (size_t)side * (size_t)side;
    float *weights = padded + side + taps;
    size_t width = (size_t)side;

    gaussian(weights, taps, sigma);
    for (int c = 0; c < channels; c++, x += width * width) {
        for (int y = 0; y < side; y++)
            blur_row(plane + (size_t)y * width, x + (size_t)y * width, padded, weights, taps, side);
        for (int y = 0; y < side; y++)
            blur_column(x + (size_t)y * width, plane, weights, taps, side, y);
    }
}
