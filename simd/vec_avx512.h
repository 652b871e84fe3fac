/* vec_avx512.h: the virtual vector f32x16 as one AVX-512 register.
 *
 * Operations v_<operation> act on 16 lanes; v_load_n and v_store_n touch only the first n, by a
 * mask. Thirty-two registers leave room for tiles of six rows by four vectors. */
#ifndef MOCO_SIMD_VEC_AVX512_H
#define MOCO_SIMD_VEC_AVX512_H

#include "simd/vec_x86.h"

enum { TILE_ROWS = 6, TILE_VECS = 4 };

typedef __m512 f32x16;

static inline f32x16 v_zero(void)
{
    return _mm512_setzero_ps();
}

static inline f32x16 v_set1(float x)
{
    return _mm512_set1_ps(x);
}

static inline f32x16 v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void v_store(float *p, f32x16 a)
{
    _mm512_storeu_ps(p, a);
}

/* Past the caches, to an address that is a multiple of 64; v_stream_end before anyone reads it. */
static inline void v_stream(float *p, f32x16 a)
{
    _mm512_stream_ps(p, a);
}

/* One permutation puts words into upper halves or takes them out; widening and a shift are two. */
static inline f32x16 v_load_bf16(const moco_bf16 *p)
{
    const __m512i from = _mm512_set_epi16(15, 0, 14, 0, 13, 0, 12, 0, 11, 0, 10, 0, 9, 0, 8, 0, 7,
                                          0, 6, 0, 5, 0, 4, 0, 3, 0, 2, 0, 1, 0, 0, 0);
    __m512i words = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)p));

    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, from, words));
}

static inline __m256i v_upper(__m512i bits)
{
    const __m512i from = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 31, 29,
                                          27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);

    return _mm512_castsi512_si256(_mm512_permutexvar_epi16(from, bits));
}

/* bf16_narrowed by lanes: NaN is not rounded, and tiny numbers keep their sign alone. */
static inline __m256i v_narrowed(f32x16 a)
{
    __m512i bits = _mm512_castps_si512(a);
    __mmask16 number = _mm512_cmp_ps_mask(a, a, _CMP_ORD_Q);
    __mmask16 tiny = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
    __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x00010000));
    __m512i half = _mm512_mask_blend_epi32(odd, _mm512_set1_epi32(0x7fff),
                                           _mm512_set1_epi32(0x8000));
    __m256i out = v_upper(_mm512_mask_add_epi32(bits, number, bits, half));
    __m256i sign = _mm256_and_si256(out, _mm256_set1_epi16(INT16_MIN));
    __m256i quiet = _mm256_or_si256(out, _mm256_set1_epi16(0x40));

    out = _mm256_mask_mov_epi16(out, tiny, sign);
    return _mm256_mask_mov_epi16(quiet, number, out);
}

static inline void v_store_bf16(moco_bf16 *p, f32x16 a)
{
    _mm256_storeu_si256((__m256i *)p, v_narrowed(a));
}

/* Stores what was loaded, or zeros: no rounding. */
static inline void v_keep_bf16(moco_bf16 *p, f32x16 a)
{
    _mm256_storeu_si256((__m256i *)p, v_upper(_mm512_castps_si512(a)));
}

/* As v_stream, to a multiple of 32. */
static inline void v_stream_bf16(moco_bf16 *p, f32x16 a)
{
    _mm256_stream_si256((__m256i *)p, v_narrowed(a));
}

static inline __mmask16 v_first(size_t n)
{
    return (__mmask16)(n < 16 ? (1u << n) - 1u : 0xffffu);
}

static inline f32x16 v_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(v_first(n), p);
}

static inline void v_store_n(float *p, f32x16 a, size_t n)
{
    _mm512_mask_storeu_ps(p, v_first(n), a);
}

static inline f32x16 v_add(f32x16 a, f32x16 b)
{
    return _mm512_add_ps(a, b);
}

static inline f32x16 v_sub(f32x16 a, f32x16 b)
{
    return _mm512_sub_ps(a, b);
}

static inline f32x16 v_mul(f32x16 a, f32x16 b)
{
    return _mm512_mul_ps(a, b);
}

static inline f32x16 v_div(f32x16 a, f32x16 b)
{
    return _mm512_div_ps(a, b);
}

static inline f32x16 v_max(f32x16 a, f32x16 b)
{
    return _mm512_max_ps(a, b);
}

static inline f32x16 v_min(f32x16 a, f32x16 b)
{
    return _mm512_min_ps(a, b);
}

/* yes where a < b, else no; and where a = b */
static inline f32x16 v_where_less(f32x16 a, f32x16 b, f32x16 yes, f32x16 no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

static inline f32x16 v_where_equal(f32x16 a, f32x16 b, f32x16 yes, f32x16 no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), no, yes);
}

/* Byte `which` of 16 pixels of four bytes. */
static inline f32x16 v_bytes(const uint8_t *p, int which)
{
    __m512i words = _mm512_loadu_si512(p);

    words = _mm512_and_si512(_mm512_srli_epi32(words, (unsigned)(8 * which)),
                             _mm512_set1_epi32(255));
    return _mm512_cvtepi32_ps(words);
}

/* a b + c */
static inline f32x16 v_fma(f32x16 a, f32x16 b, f32x16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* a b - c */
static inline f32x16 v_fms(f32x16 a, f32x16 b, f32x16 c)
{
    return _mm512_fmsub_ps(a, b, c);
}

/* c - a b */
static inline f32x16 v_fnma(f32x16 a, f32x16 b, f32x16 c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

/* 0 > a ? 0 : a, so that NaN stays NaN */
static inline f32x16 v_relu(f32x16 a)
{
    return _mm512_max_ps(_mm512_setzero_ps(), a);
}

/* a where s > 0, else +0 */
static inline f32x16 v_where_positive(f32x16 a, f32x16 s)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(s, _mm512_setzero_ps(), _CMP_GT_OQ), a);
}

/* a where the lane's bit is set, else +0 */
static inline f32x16 v_where_bits(f32x16 a, unsigned bits)
{
    return _mm512_maskz_mov_ps((__mmask16)bits, a);
}

/* +0 where x < floor, else a */
static inline f32x16 v_zero_below(f32x16 a, f32x16 x, f32x16 floor)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, floor, _CMP_NLT_UQ), a);
}

/* p 2^n, a normal number. The other levels take n from t, the low bits of 1.5 * 2^23 + n. */
static inline f32x16 v_times_pow2(f32x16 p, f32x16 n, f32x16 t)
{
    (void)t;
    return _mm512_scalef_ps(p, n);
}

/* Bit i is set where lane i of a is above lane i of b; never for NaN. */
static inline unsigned v_above(f32x16 a, f32x16 b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}

/* The lanes that a mask names, moved together, at p; all 16 places are written. The count. */
static inline unsigned v_squeeze(void *p, f32x16 a, unsigned lanes)
{
    _mm512_storeu_ps(p, _mm512_maskz_compress_ps((__mmask16)lanes, a));
    return (unsigned)__builtin_popcount(lanes);
}

/* 16 words of another type, for v_squeeze. */
static inline f32x16 v_load_words(const uint32_t *p)
{
    return _mm512_loadu_ps(p);
}

/* The fixed tree: lanes i and i + 8, then the half vector's. */
static inline float v_sum(f32x16 a)
{
    return h_sum(h_add(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
}

static inline float v_largest(f32x16 a)
{
    return h_largest(h_max(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
}

#endif
