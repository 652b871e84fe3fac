/* colour.c: checks of the steps on colours, alone against double arithmetic and one after the
 * other. */
#include "tests/checksimd/harness.h"

enum { PLANES = 3, LANES = 16, STEPS = 6, GAP = 5 };

static const float grey_weight[PLANES] = {0.2989f, 0.587f, 0.114f};

static double clamp01(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* Hue by the textbook's way through HSV: sextant, then one of six triples (Smith 1978). */
static void turned(double out[PLANES], const float *x, double turn)
{
    double r = x[0], g = x[1], b = x[2], max = fmax(fmax(r, g), b), c = max - fmin(fmin(r, g), b);
    double h = c > 0 ? (max == r ? (g - b) / c : max == g ? 2 + (b - r) / c : 4 + (r - g) / c) : 0;
    double s = max > 0 ? c / max : 0, f, p, q, t;
    int sextant;

    h += turn;
    h -= 6 * floor(h / 6);
    sextant = (int)h % 6;
    f = h - floor(h);
    p = max * (1 - s), q = max * (1 - s * f), t = max * (1 - s * (1 - f));
    const double of[6][PLANES] = {{max, t, p}, {q, max, p}, {p, max, t},
                                  {p, q, max}, {t, p, max}, {max, p, q}};
    memcpy(out, of[sextant], sizeof of[sextant]);
}

/* One step on one pixel in double. */
static void exact_step(double out[PLANES], const float *x, size_t planes,
                       const struct moco_colour *step)
{
    double grey = 0;

    for (size_t c = 0; planes == PLANES && c < planes; c++)
        grey += (double)grey_weight[c] * x[c];
    if (step->kind == MOCO_COLOUR_HUE)
        turned(out, x, step->a[0]);
    for (size_t c = 0; c < planes; c++)
        switch (step->kind) {
        case MOCO_COLOUR_BLEND: out[c] = clamp01((double)step->a[0] * x[c] + step->b[0]); break;
        case MOCO_COLOUR_SATURATION:
            out[c] = clamp01((double)step->a[0] * x[c] + step->b[0] * grey);
            break;
        case MOCO_COLOUR_GREY: out[c] = grey; break;
        case MOCO_COLOUR_NORMALISE: out[c] = ((double)x[c] - step->a[c]) * step->b[c]; break;
        case MOCO_COLOUR_HUE: break;
        }
}

static struct moco_colour any_step(size_t planes)
{
    static const enum moco_colour_kind kinds[] = {
        MOCO_COLOUR_BLEND, MOCO_COLOUR_NORMALISE, MOCO_COLOUR_SATURATION, MOCO_COLOUR_HUE,
        MOCO_COLOUR_GREY
    };
    struct moco_colour step = {kinds[next_random() % (planes == PLANES ? 5 : 2)], {0}, {0}};
    float scale = step.kind == MOCO_COLOUR_HUE ? 6.0f : 2.0f;

    for (size_t c = 0; c < PLANES; c++) {
        step.a[c] = scale * uniform();
        step.b[c] = uniform();
    }
    return step;
}

/* x: planes n + GAP apart; pixels are in 0..1 as views have them, but for fills beyond. */
static float *picture(int slot, size_t planes, size_t n, enum fill fill)
{
    size_t floats = (planes - 1) * (n + GAP) + n;
    float *x = take_filled(slot, floats, fill);

    for (size_t i = 0; (fill == UNIFORM || fill == EQUAL) && i < floats; i++)
        x[i] = fabsf(x[i]);
    return x;
}

static void colour(const struct moco_simd *t, size_t planes, size_t n, size_t steps,
                   enum fill fill)
{
    size_t plane = n + GAP, floats = (planes - 1) * plane + n;
    float *x = picture(0, planes, n, fill), *want = take_copy(1, x, floats);
    float *got = take_copy(2, x, floats);
    float *sums = take(3, planes * LANES), *got_sums = take(4, planes * LANES);
    struct moco_colour step[STEPS];

    for (size_t s = 0; s < steps; s++)
        step[s] = any_step(planes);
    ref.colour(want, plane, planes, n, step, steps, sums);
    t->colour(got, plane, planes, n, step, steps, got_sums);
    same("colour", t, got, want, floats, "x", planes, n, steps);
    same("colour", t, got_sums, sums, planes * LANES, "sums", planes, n, steps);
    for (size_t parts = 1; parts < 4; parts++) {
        got = take_copy(2, x, floats);
        for (size_t i = 0; i < parts; i++) {
            struct share s = share_of(n, parts, i);

            t->colour(got + s.first, plane, planes, s.n, step, steps, NULL);
        }
        same("colour", t, got, want, floats, "x in parts", planes, n, steps);
    }
    strips_intact("colour", t->name);
}

/* Every kind by itself; numbers are of size 1, so 64 u is far above the roundings of any. */
static void oracle(const struct moco_simd *t, size_t planes, size_t n)
{
    for (int times = 0; times < 40; times++) {
        struct moco_colour step = any_step(planes);
        float *x = picture(0, planes, n, UNIFORM);
        float *y = take_copy(1, x, (planes - 1) * (n + GAP) + n);

        t->colour(y, n + GAP, planes, n, &step, 1, NULL);
        for (size_t i = 0; i < n; i++) {
            float pixel[PLANES] = {0};
            double exact[PLANES] = {0};

            for (size_t c = 0; c < planes; c++)
                pixel[c] = x[c * (n + GAP) + i];
            exact_step(exact, pixel, planes, &step);
            for (size_t c = 0; c < planes; c++)
                near("colour", y[c * (n + GAP) + i], exact[c], 64 * UNIT);
        }
    }
}

void check_colour(const struct moco_simd *t)
{
    for (size_t planes = 1; planes <= PLANES; planes += PLANES - 1) {
        for (size_t i = 0; i < COUNT(edges); i++)
            for (enum fill fill = 0; fill < FILLS; fill++)
                for (size_t steps = 0; steps <= STEPS; steps++)
                    colour(t, planes, edges[i], steps, fill);
        colour(t, planes, 1024, STEPS, UNIFORM);
        if (t->colour == ref.colour)
            oracle(t, planes, 65);
    }
}

static void mutant_tail(float *x, size_t plane, size_t planes, size_t n,
                        const struct moco_colour *step, size_t steps, float *sums)
{
    ref.colour(x, plane, planes, n / 16 * 16, step, steps, sums);
}

/* A sextant further. */
static void mutant_hue(float *x, size_t plane, size_t planes, size_t n,
                       const struct moco_colour *step, size_t steps, float *sums)
{
    struct moco_colour other[STEPS];

    memcpy(other, step, steps * sizeof *step);
    for (size_t s = 0; s < steps; s++)
        if (other[s].kind == MOCO_COLOUR_HUE)
            other[s].a[0] += 1.0f;
    ref.colour(x, plane, planes, n, other, steps, sums);
}

/* Clamps only the end of a list. */
static void mutant_clamp(float *x, size_t plane, size_t planes, size_t n,
                         const struct moco_colour *step, size_t steps, float *sums)
{
    for (size_t s = 0; s < steps; s++) {
        if (step[s].kind != MOCO_COLOUR_BLEND || s + 1 == steps) {
            ref.colour(x, plane, planes, n, step + s, 1, sums);
            continue;
        }
        for (size_t c = 0; c < planes; c++)
            for (size_t i = 0; i < n; i++)
                x[c * plane + i] = x[c * plane + i] * step[s].a[0] + step[s].b[0];
    }
}

static void some(const struct moco_simd *t)
{
    for (int times = 0; times < 20; times++)
        colour(t, PLANES, 33, 4, UNIFORM);
}

void mutants_colour(void)
{
    struct moco_simd t = ref;

    t.colour = mutant_tail;
    must_catch("colour", some, &t);
    t.colour = mutant_hue;
    must_catch("colour's hue", some, &t);
    t.colour = mutant_clamp;
    must_catch("colour's clamps", some, &t);
}
