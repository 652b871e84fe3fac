/* resize.c: checks of bytes to planes, of blended rows and of resized ones. */
#include "tests/checksimd/harness.h"

enum { TAPS_MAX = 23, GAP = 3 };

static const size_t taps_of[] = {1, 2, 3, 4, 5, 9, TAPS_MAX};

static uint8_t *random_bytes(int slot, size_t n)
{
    uint8_t *p = take_bytes(slot, n);

    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)next_random();
    return p;
}

/* Between the planes of dst lies a gap, which must stay as it is. */
static void unpack(const struct moco_simd *t, const uint8_t *src, size_t n)
{
    size_t plane = n + GAP, floats = 2 * plane + n;
    float *want = take(1, floats), *got = take(2, floats);

    ref.unpack(want, plane, src, n);
    t->unpack(got, plane, src, n);
    same("unpack", t, got, want, floats, "dst", n, 0, 0);
    for (size_t i = 0; t->unpack == ref.unpack && i < 3 * n; i++)
        expect(want[i % 3 * plane + i / 3] == (float)(src[i / 3 * 4 + i % 3] / 255.0),
               "ref, unpack: byte %d of pixel %zu", (int)(i % 3), i / 3);
    strips_intact("unpack", t->name);
}

static void unpack_all_bytes(const struct moco_simd *t)
{
    uint8_t *src = take_bytes(0, 1024);

    for (size_t i = 0; i < 256; i++)
        for (size_t c = 0; c < 4; c++)
            src[4 * i + c] = (uint8_t)(i + 85 * c);
    unpack(t, src, 256);
}

static void near_sum(const char *what, float got, const float *w, const float *x, size_t step,
                     size_t taps)
{
    double exact = 0, size = 0;

    for (size_t i = 0; i < taps; i++) {
        exact += (double)w[i] * x[i * step];
        size += fabs((double)w[i] * x[i * step]);
    }
    near(what, got, exact, ((double)taps + 1) * UNIT * size + (double)taps * LEAST);
}

/* Rows `stride` apart: with stride 1 they are one row moved along itself, as the blur has it. */
static void blend(const struct moco_simd *t, size_t taps, size_t n, size_t stride, enum fill fill)
{
    float *x = take_filled(0, (taps - 1) * stride + n, fill), *w = take_filled(1, taps, fill);
    float *want = take(2, n), *got;
    const float *row[TAPS_MAX];

    for (size_t i = 0; i < taps; i++)
        row[i] = x + i * stride;
    ref.blend(want, row, w, taps, n);
    for (size_t parts = 1; parts < 4; parts++) {
        got = take(3, n);
        for (size_t p = 0; p < parts; p++) {
            struct share s = share_of(n, parts, p);
            const float *from[TAPS_MAX];

            for (size_t i = 0; i < taps; i++)
                from[i] = row[i] + s.first;
            t->blend(got + s.first, from, w, taps, s.n);
        }
        same("blend", t, got, want, n, "out", taps, n, stride);
    }
    for (size_t i = 0; t->blend == ref.blend && fill != SPECIAL && i < n; i++)
        near_sum("blend", want[i], w, x + i, stride, taps);
    strips_intact("blend", t->name);
}

/* Places anywhere, as no resize has them, or in order and then mirrored. */
static void fill_starts(int32_t *start, size_t n, size_t last, int order)
{
    for (size_t i = 0; i < n; i++) {
        start[i] = (int32_t)(next_random() % (last + 1));
        if (order)
            start[i] = (int32_t)((order < 0 ? n - 1 - i : i) * last / (n > 1 ? n - 1 : 1));
    }
}

static void resize(const struct moco_simd *t, size_t width, size_t taps, size_t rows, size_t n,
                   enum fill fill)
{
    size_t lds = width + next_random() % 2 * GAP, ldd = n + next_random() % 2 * GAP;
    float *x = take_filled(0, (rows - 1) * lds + width, fill);
    float *w = take_filled(1, n * taps, fill), *scratch = take(4, moco_resize_scratch(width));
    float *want = take(2, (rows - 1) * ldd + n), *got = take(3, (rows - 1) * ldd + n);
    int32_t *start = take_bytes(5, n * sizeof *start);

    fill_starts(start, n, width - taps, (int)(next_random() % 3) - 1);
    ref.resize(want, ldd, x, lds, width, start, w, taps, rows, n, scratch);
    t->resize(got, ldd, x, lds, width, start, w, taps, rows, n, scratch);
    same("resize", t, got, want, (rows - 1) * ldd + n, "dst", width, taps, n);
    for (size_t i = 0; t->resize == ref.resize && fill != SPECIAL && i < rows * n; i++)
        near_sum("resize", want[i / n * ldd + i % n], w + i % n * taps,
                 x + i / n * lds + start[i % n], 1, taps);
    strips_intact("resize", t->name);
}

void check_resize(const struct moco_simd *t)
{
    unpack_all_bytes(t);
    for (size_t i = 0; i < COUNT(edges); i++) {
        size_t n = edges[i];

        unpack(t, random_bytes(0, 4 * n), n);
        for (enum fill fill = 0; fill < FILLS; fill++) {
            size_t taps = one_of(taps_of, COUNT(taps_of));

            blend(t, taps, n, n, fill);
            blend(t, taps, n, 1, fill);
            for (size_t rows = 1; rows <= MOCO_RESIZE_ROWS; rows += 1 + next_random() % 4)
                resize(t, taps + next_random() % 70, taps, rows, n, fill);
        }
    }
    resize(t, 500, 5, MOCO_RESIZE_ROWS, 224, UNIFORM);
}

static void mutant_unpack(float *dst, size_t plane, const uint8_t *src, size_t n)
{
    ref.unpack(dst, plane, src, n / 16 * 16);
}

/* One over 255 instead of a division: half the bytes are off by their last bit. */
static void mutant_inverse(float *dst, size_t plane, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < 3 * n; i++)
        dst[i % 3 * plane + i / 3] = (float)src[i / 3 * 4 + i % 3] * (1.0f / 255.0f);
}

static void mutant_blend(float *out, const float *const *row, const float *w, size_t taps,
                         size_t n)
{
    ref.blend(out, row, w, taps, n / 16 * 16);
}

static void mutant_fused(float *out, const float *const *row, const float *w, size_t taps,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = w[0] * row[0][i];
        for (size_t t = 1; t < taps; t++)
            out[i] = fmaf(w[t], row[t][i], out[i]);
    }
}

static void mutant_resize(float *dst, size_t ldd, const float *src, size_t lds, size_t width,
                          const int32_t *start, const float *w, size_t taps, size_t rows, size_t n,
                          float *scratch)
{
    ref.resize(dst, ldd, src, lds, width, start, w, taps, rows, n / 8 * 8, scratch);
}

static void mutant_rows(float *dst, size_t ldd, const float *src, size_t lds, size_t width,
                        const int32_t *start, const float *w, size_t taps, size_t rows, size_t n,
                        float *scratch)
{
    ref.resize(dst, ldd, src, lds, width, start, w, taps, rows / 8 * 8, n, scratch);
}

static void some(const struct moco_simd *t)
{
    unpack(t, random_bytes(0, 4 * 33), 33);
    blend(t, 3, 33, 33, UNIFORM);
    resize(t, 20, 3, 9, 33, UNIFORM);
}

void mutants_resize(void)
{
    struct moco_simd t = ref;

    t.unpack = mutant_unpack;
    must_catch("unpack", some, &t);
    t.unpack = mutant_inverse;
    must_catch("unpack's division", some, &t);
    t = ref;
    t.blend = mutant_blend;
    must_catch("blend", some, &t);
    t.blend = mutant_fused;
    must_catch("blend's roundings", some, &t);
    t = ref;
    t.resize = mutant_resize;
    must_catch("resize", some, &t);
    t.resize = mutant_rows;
    must_catch("resize's rows", some, &t);
}
