/* vec_avx2.h: the virtual vector f32x16 as two AVX registers.
 *
 * Operations v_<operation> act on 16 lanes; v_load_n and v_store_n touch only the first n. Sixteen
 * registers leave room for tiles of six rows by one f32x16 (twelve accumulators). */
#ifndef MOCO_SIMD_VEC_AVX2_H
#define MOCO_SIMD_VEC_AVX2_H

#include "simd/squeeze.h"
#include "simd/vec_x86.h"

enum { TILE_ROWS = 6, TILE_VECS = 1 };

typedef struct {
    f32x8 lo, hi;
} f32x16;

static inline f32x16 v_zero(void)
{
    return (f32x16){h_zero(), h_zero()};
}

static inline f32x16 v_set1(float x)
{
    return (f32x16){h_set1(x), h_set1(x)};
}

static inline f32x16 v_load(const float *p)
{
    return (f32x16){h_load(p), h_load(p + 8)};
}

static inline void v_store(float *p, f32x16 a)
{
    h_store(p, a.lo);
    h_store(p + 8, a.hi);
}

/* Past the caches, to an address that is a multiple of 64; v_stream_end before anyone reads it. */
static inline void v_stream(float *p, f32x16 a)
{
    _mm256_stream_ps(p, a.lo);
    _mm256_stream_ps(p + 8, a.hi);
}

static inline f32x16 v_load_bf16(const moco_bf16 *p)
{
    return (f32x16){h_load_bf16(p), h_load_bf16(p + 8)};
}

/* The lower and the upper halves of 16 floats. Shuffles work in halves of a register, so the
 * quarters come out of order; v_in_order puts them right. */
static inline void v_halves(__m256i *low, __m256i *high, f32x16 a)
{
    const __m256i even_odd = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15,
                                              0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    __m256i lo = _mm256_shuffle_epi8(_mm256_castps_si256(a.lo), even_odd);
    __m256i hi = _mm256_shuffle_epi8(_mm256_castps_si256(a.hi), even_odd);

    *low = _mm256_unpacklo_epi64(lo, hi);
    *high = _mm256_unpackhi_epi64(lo, hi);
}

static inline __m256i v_in_order(__m256i words)
{
    return _mm256_permute4x64_epi64(words, 0xd8);
}

/* bf16_narrowed by lanes. The carry of low + 0x7fff + odd is the upper bit of an average. */
static inline __m256i v_narrowed(f32x16 a)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i low, high, size, odd, carry, nan, tiny, out;

    v_halves(&low, &high, a);
    odd = _mm256_and_si256(high, _mm256_set1_epi16(1));
    carry = _mm256_avg_epu16(low, _mm256_or_si256(odd, _mm256_set1_epi16(0x7ffe)));
    out = _mm256_add_epi16(high, _mm256_srli_epi16(carry, 15));
    size = _mm256_and_si256(high, _mm256_set1_epi16(0x7fff));
    nan = _mm256_add_epi16(size, _mm256_cmpeq_epi16(low, zero)); /* infinity: 1 less */
    nan = _mm256_cmpgt_epi16(nan, _mm256_set1_epi16(0x7f7f));
    tiny = _mm256_cmpgt_epi16(_mm256_set1_epi16(0x80), size);
    out = _mm256_andnot_si256(_mm256_srli_epi16(tiny, 1), out); /* leaves the sign */
    out = _mm256_blendv_epi8(out, _mm256_or_si256(high, _mm256_set1_epi16(0x40)), nan);
    return v_in_order(out);
}

static inline void v_store_bf16(moco_bf16 *p, f32x16 a)
{
    _mm256_storeu_si256((__m256i *)p, v_narrowed(a));
}

/* Stores what was loaded, or zeros: no rounding. */
static inline void v_keep_bf16(moco_bf16 *p, f32x16 a)
{
    __m256i low, high;

    v_halves(&low, &high, a);
    _mm256_storeu_si256((__m256i *)p, v_in_order(high));
}

/* As v_stream, to a multiple of 32. */
static inline void v_stream_bf16(moco_bf16 *p, f32x16 a)
{
    _mm256_stream_si256((__m256i *)p, v_narrowed(a));
}

static inline f32x16 v_load_n(const float *p, size_t n)
{
    return (f32x16){h_load_n(p, n), n > 8 ? h_load_n(p + 8, n - 8) : h_zero()};
}

static inline void v_store_n(float *p, f32x16 a, size_t n)
{
    h_store_n(p, a.lo, n);
    if (n > 8)
        h_store_n(p + 8, a.hi, n - 8);
}

static inline f32x16 v_add(f32x16 a, f32x16 b)
{
    return (f32x16){h_add(a.lo, b.lo), h_add(a.hi, b.hi)};
}

static inline f32x16 v_sub(f32x16 a, f32x16 b)
{
    return (f32x16){h_sub(a.lo, b.lo), h_sub(a.hi, b.hi)};
}

static inline f32x16 v_mul(f32x16 a, f32x16 b)
{
    return (f32x16){h_mul(a.lo, b.lo), h_mul(a.hi, b.hi)};
}

static inline f32x16 v_div(f32x16 a, f32x16 b)
{
    return (f32x16){h_div(a.lo, b.lo), h_div(a.hi, b.hi)};
}

static inline f32x16 v_max(f32x16 a, f32x16 b)
{
    return (f32x16){h_max(a.lo, b.lo), h_max(a.hi, b.hi)};
}

static inline f32x16 v_min(f32x16 a, f32x16 b)
{
    return (f32x16){_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}

/* yes where a < b, else no; and where a = b */
static inline f32x16 v_where_less(f32x16 a, f32x16 b, f32x16 yes, f32x16 no)
{
    return (f32x16){_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
                    _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}

static inline f32x16 v_where_equal(f32x16 a, f32x16 b, f32x16 yes, f32x16 no)
{
    return (f32x16){_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ)),
                    _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ))};
}

static inline f32x8 h_bytes(const uint8_t *p, int which)
{
    __m256i words = _mm256_loadu_si256((const __m256i *)p);

    words = _mm256_and_si256(_mm256_srli_epi32(words, 8 * which), _mm256_set1_epi32(255));
    return _mm256_cvtepi32_ps(words);
}

/* Byte `which` of 16 pixels of four bytes. */
static inline f32x16 v_bytes(const uint8_t *p, int which)
{
    return (f32x16){h_bytes(p, which), h_bytes(p + 32, which)};
}

/* a b + c */
static inline f32x16 v_fma(f32x16 a, f32x16 b, f32x16 c)
{
    return (f32x16){h_fma(a.lo, b.lo, c.lo), h_fma(a.hi, b.hi, c.hi)};
}

/* a b - c */
static inline f32x16 v_fms(f32x16 a, f32x16 b, f32x16 c)
{
    return (f32x16){h_fms(a.lo, b.lo, c.lo), h_fms(a.hi, b.hi, c.hi)};
}

/* c - a b */
static inline f32x16 v_fnma(f32x16 a, f32x16 b, f32x16 c)
{
    return (f32x16){h_fnma(a.lo, b.lo, c.lo), h_fnma(a.hi, b.hi, c.hi)};
}

static inline f32x16 v_relu(f32x16 a)
{
    return (f32x16){h_relu(a.lo), h_relu(a.hi)};
}

static inline f32x16 v_where_positive(f32x16 a, f32x16 s)
{
    return (f32x16){h_where_positive(a.lo, s.lo), h_where_positive(a.hi, s.hi)};
}

static inline f32x16 v_where_bits(f32x16 a, unsigned bits)
{
    return (f32x16){h_where_bits(a.lo, bits), h_where_bits(a.hi, bits >> 8)};
}

static inline f32x16 v_zero_below(f32x16 a, f32x16 x, f32x16 floor)
{
    return (f32x16){h_zero_below(a.lo, x.lo, floor.lo), h_zero_below(a.hi, x.hi, floor.hi)};
}

/* p 2^n, with n in the low bits of t = 1.5 * 2^23 + n */
static inline f32x16 v_times_pow2(f32x16 p, f32x16 n, f32x16 t)
{
    (void)n;
    return v_mul(p, (f32x16){h_pow2(t.lo), h_pow2(t.hi)});
}

static inline unsigned v_above(f32x16 a, f32x16 b)
{
    return h_above(a.lo, b.lo) | h_above(a.hi, b.hi) << 8;
}

/* The lanes that a mask names, moved together, at p; up to 16 places are written. The count. */
static inline unsigned v_squeeze(void *p, f32x16 a, unsigned lanes)
{
    const __m128 part[4] = {_mm256_castps256_ps128(a.lo), _mm256_extractf128_ps(a.lo, 1),
                            _mm256_castps256_ps128(a.hi), _mm256_extractf128_ps(a.hi, 1)};
    unsigned n = 0;

    for (int i = 0; i < 4; i++) {
        unsigned four = lanes >> 4 * i & 15;
        __m128i from = _mm_load_si128((const __m128i *)squeeze_from[four]);

        _mm_storeu_ps((float *)p + n, _mm_permutevar_ps(part[i], from));
        n += (unsigned)__builtin_popcount(four);
    }
    return n;
}

static inline f32x16 v_load_words(const uint32_t *p)
{
    return v_load((const float *)p);
}

static inline float v_sum(f32x16 a)
{
    return h_sum(h_add(a.lo, a.hi));
}

static inline float v_largest(f32x16 a)
{
    return h_largest(h_max(a.lo, a.hi));
}

#endif
