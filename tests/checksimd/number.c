/* number.c: checks of widen and narrow, on every bfloat16 number and on floats around each. */
#include "tests/checksimd/harness.h"

enum { PATTERNS = 1 << 16 };

/* The lower halves of floats: what is exact, the ends, and the middle with its neighbours. */
static const uint32_t lower[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The nearer of the two neighbours, measured in double; past the largest number lies 2^128. */
static moco_bf16 nearest(float x)
{
    uint32_t bits;
    double size = fabs(x), low, high;
    moco_bf16 down, sign;

    memcpy(&bits, &x, sizeof bits);
    down = (moco_bf16)(bits >> 16);
    sign = down & 0x8000;
    if (isnan(x))
        return down | 0x40;
    if (size < (double)FLT_MIN)
        return sign;
    if (isinf(x))
        return down;
    down &= 0x7fff;
    low = (double)float_of((uint32_t)down << 16);
    high = down == 0x7f7f ? ldexp(1, 128) : (double)float_of((down + 1u) << 16);
    if (high - size < size - low || (high - size == size - low && down & 1))
        down++;
    return down | sign;
}

static void widen(const struct moco_simd *t, size_t n, size_t first)
{
    moco_bf16 *src = take_bytes(0, n * sizeof *src);
    float *want = take(1, n), *got = take(2, n);

    for (size_t i = 0; i < n; i++) {
        src[i] = (moco_bf16)(first + i);
        want[i] = float_of((uint32_t)src[i] << 16);
    }
    t->widen(got, src, n);
    expect(!memcmp(got, want, n * sizeof *got), "widen %s: %zu from %zu on", t->name, n, first);
    strips_intact("widen", t->name);
}

static void narrow_to(const struct moco_simd *t, const float *src, size_t n, const char *what)
{
    moco_bf16 *got = take_numbers(3, MOCO_BF16, n);
    size_t i = 0;

    t->narrow(got, src, n);
    while (i < n && got[i] == nearest(src[i]))
        i++;
    expect(i == n, "narrow %s, %s: %a becomes %#x, not %#x, at %zu of %zu", t->name, what,
           i < n ? (double)src[i] : 0, i < n ? got[i] : 0u, i < n ? nearest(src[i]) : 0u, i, n);
    strips_intact("narrow", t->name);
}

/* All floats with one of the lower halves. */
static void narrow_around(const struct moco_simd *t)
{
    float *src = take(0, PATTERNS * COUNT(lower));

    for (size_t i = 0; i < PATTERNS * COUNT(lower); i++)
        src[i] = float_of((uint32_t)(i / COUNT(lower)) << 16 | lower[i % COUNT(lower)]);
    narrow_to(t, src, PATTERNS * COUNT(lower), "around every number");
}

static void narrow(const struct moco_simd *t, size_t n)
{
    float *src = take(0, n);

    for (size_t i = 0; i < n; i++)
        src[i] = float_of((uint32_t)next_random());
    narrow_to(t, src, n, "any floats");
}

/* A bfloat16 number comes back as it was, but for denormal ones and NaN that is not quiet. */
static void back(const struct moco_simd *t)
{
    moco_bf16 *all = take_bytes(0, PATTERNS * sizeof *all), *got;
    float *wide = take(1, PATTERNS);
    int ok = 1;

    for (size_t i = 0; i < PATTERNS; i++)
        all[i] = (moco_bf16)i;
    got = take_numbers(2, MOCO_BF16, PATTERNS);
    t->widen(wide, all, PATTERNS);
    t->narrow(got, wide, PATTERNS);
    for (size_t i = 0; i < PATTERNS; i++) {
        unsigned size = i & 0x7fff, want = (unsigned)i;

        if (size < 0x80)
            want &= 0x8000;
        if (size > 0x7f80)
            want |= 0x40;
        ok &= got[i] == want;
    }
    expect(ok, "%s: numbers that are widened and narrowed become others", t->name);
}

void check_number(const struct moco_simd *t)
{
    widen(t, PATTERNS, 0);
    back(t);
    narrow_around(t);
    for (size_t i = 0; i < COUNT(edges); i++) {
        widen(t, edges[i], 0x3f00 + i);
        narrow(t, edges[i]);
    }
}

static void mutant_widen(float *dst, const moco_bf16 *src, size_t n)
{
    ref.widen(dst, src, n / 16 * 16);
}

static void mutant_narrow(moco_bf16 *dst, const float *src, size_t n)
{
    ref.narrow(dst, src, n / 16 * 16);
}

/* Cuts off instead of rounding. */
static void mutant_cut(moco_bf16 *dst, const float *src, size_t n)
{
    memset(dst, 0, n * sizeof *dst);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, src + i, sizeof bits);
        dst[i] = (moco_bf16)(bits >> 16);
    }
}

/* Rounds ties upwards. */
static void mutant_ties(moco_bf16 *dst, const float *src, size_t n)
{
    ref.narrow(dst, src, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, src + i, sizeof bits);
        if ((bits & 0xffff) == 0x8000 && isnormal(src[i]))
            dst[i] = (moco_bf16)((bits >> 16) + 1);
    }
}

static void some_sizes(const struct moco_simd *t)
{
    widen(t, 33, 0x3f80);
    narrow(t, 33);
}

void mutants_number(void)
{
    struct moco_simd t = ref;

    t.widen = mutant_widen;
    must_catch("widen", some_sizes, &t);
    t = ref;
    t.narrow = mutant_narrow;
    must_catch("narrow", some_sizes, &t);
    t.narrow = mutant_cut;
    must_catch("narrow's rounding", some_sizes, &t);
    t.narrow = mutant_ties;
    must_catch("narrow's ties", narrow_around, &t);
}
