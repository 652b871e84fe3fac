/* vec_x86.h: what AVX2 and AVX-512 share: the half vector f32x8 and an 8 x 8 transposition.
 *
 * f32x8 serves planes of eight channels and is half of the AVX2 f32x16. The operations are called
 * h_<operation>; n in h_load_n and h_store_n is a count of lanes, and lanes past it are neither
 * read (they become 0) nor written. There is no file for both widths, as vec_neon_width.h is:
 * those of AVX-512 are other instructions with other masks. */
#ifndef MOCO_SIMD_VEC_X86_H
#define MOCO_SIMD_VEC_X86_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "simd/simd.h"

typedef __m256 f32x8;

static inline f32x8 h_zero(void)
{
    return _mm256_setzero_ps();
}

static inline f32x8 h_set1(float x)
{
    return _mm256_set1_ps(x);
}

static inline f32x8 h_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void h_store(float *p, f32x8 a)
{
    _mm256_storeu_ps(p, a);
}

static inline __m256i h_first(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < 8 ? (int)n : 8), lane);
}

static inline f32x8 h_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, h_first(n));
}

static inline void h_store_n(float *p, f32x8 a, size_t n)
{
    _mm256_maskstore_ps(p, h_first(n), a);
}

/* Past the caches, to an address that is a multiple of 32; v_stream_end before anyone reads it. */
static inline void h_stream(float *p, f32x8 a)
{
    _mm256_stream_ps(p, a);
}

static inline f32x8 h_load_bf16(const moco_bf16 *p)
{
    __m256i bits = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));

    return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
}

/* bf16_narrowed by lanes, each in the low half of 32 bits */
static inline __m256i h_narrowed(f32x8 a)
{
    __m256i bits = _mm256_castps_si256(a), quiet = _mm256_set1_epi32(0x00400000);
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7f800000));
    __m256i tiny = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    __m256i sum = _mm256_add_epi32(bits, half);

    sum = _mm256_blendv_epi8(sum, _mm256_or_si256(bits, quiet), nan);
    sum = _mm256_andnot_si256(_mm256_srli_epi32(tiny, 1), sum); /* leaves the sign */
    return _mm256_srli_epi32(sum, 16);
}

static inline __m128i h_packed(f32x8 a)
{
    __m256i words = h_narrowed(a);

    return _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

static inline void h_store_bf16(moco_bf16 *p, f32x8 a)
{
    _mm_storeu_si128((__m128i *)p, h_packed(a));
}

/* Stores what was loaded, or zeros: no rounding. */
static inline void h_keep_bf16(moco_bf16 *p, f32x8 a)
{
    __m256i words = _mm256_srli_epi32(_mm256_castps_si256(a), 16);

    _mm_storeu_si128((__m128i *)p, _mm_packus_epi32(_mm256_castsi256_si128(words),
                                                    _mm256_extracti128_si256(words, 1)));
}

/* As h_stream, to a multiple of 16. */
static inline void h_stream_bf16(moco_bf16 *p, f32x8 a)
{
    _mm_stream_si128((__m128i *)p, h_packed(a));
}

static inline f32x8 h_add(f32x8 a, f32x8 b)
{
    return _mm256_add_ps(a, b);
}

static inline f32x8 h_sub(f32x8 a, f32x8 b)
{
    return _mm256_sub_ps(a, b);
}

static inline f32x8 h_mul(f32x8 a, f32x8 b)
{
    return _mm256_mul_ps(a, b);
}

static inline f32x8 h_div(f32x8 a, f32x8 b)
{
    return _mm256_div_ps(a, b);
}

/* a b + c */
static inline f32x8 h_fma(f32x8 a, f32x8 b, f32x8 c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* a b - c */
static inline f32x8 h_fms(f32x8 a, f32x8 b, f32x8 c)
{
    return _mm256_fmsub_ps(a, b, c);
}

/* c - a b */
static inline f32x8 h_fnma(f32x8 a, f32x8 b, f32x8 c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

static inline f32x8 h_max(f32x8 a, f32x8 b)
{
    return _mm256_max_ps(a, b);
}

/* 0 > a ? 0 : a, so that NaN stays NaN */
static inline f32x8 h_relu(f32x8 a)
{
    return _mm256_max_ps(_mm256_setzero_ps(), a);
}

/* a where s > 0, else +0 */
static inline f32x8 h_where_positive(f32x8 a, f32x8 s)
{
    return _mm256_and_ps(a, _mm256_cmp_ps(s, _mm256_setzero_ps(), _CMP_GT_OQ));
}

/* a where the lane's bit is set, else +0 */
static inline f32x8 h_where_bits(f32x8 a, unsigned bits)
{
    const __m256i one = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i set = _mm256_and_si256(_mm256_set1_epi32((int)bits), one);

    return _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, one)));
}

/* +0 where x < floor, else a */
static inline f32x8 h_zero_below(f32x8 a, f32x8 x, f32x8 floor)
{
    return _mm256_andnot_ps(_mm256_cmp_ps(x, floor, _CMP_LT_OQ), a);
}

/* 2^n from the low bits of 1.5 * 2^23 + n */
static inline f32x8 h_pow2(f32x8 t)
{
    __m256i bits = _mm256_add_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(127));

    return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 23));
}

/* Bit i is set where lane i of a is above lane i of b; never for NaN. */
static inline unsigned h_above(f32x8 a, f32x8 b)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

/* Lanes i and i + 4, then i + 2, then i + 1: the last three levels of the fixed tree. */
static inline float h_sum(f32x8 a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float h_largest(f32x8 a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

static inline void v_stream_end(void)
{
    _mm_sfence();
}

/* Square blocks that v_transpose turns over: dst[j ldd + i] = src[i lds + j]. */
enum { V_SQUARE = 8 };

static inline void x86_interleave(__m256 r[8])
{
    __m256 t[8];

    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
}

static inline void x86_turn(float *dst, size_t ldd, __m256 r[8])
{
    x86_interleave(r);
    for (size_t j = 0; j < 4; j++) {
        _mm256_storeu_ps(dst + j * ldd, _mm256_permute2f128_ps(r[j], r[j + 4], 0x20));
        _mm256_storeu_ps(dst + (j + 4) * ldd, _mm256_permute2f128_ps(r[j], r[j + 4], 0x31));
    }
}

static inline void v_transpose(float *dst, size_t ldd, const float *src, size_t lds)
{
    __m256 r[8];

    for (size_t i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(src + i * lds);
    x86_turn(dst, ldd, r);
}

/* The same for rows that lie anywhere: dst[j ldd + i] = row[i][at + j]. */
static inline void v_transpose_rows(float *dst, size_t ldd, const float *const *row, size_t at)
{
    __m256 r[8];

    for (size_t i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(row[i] + at);
    x86_turn(dst, ldd, r);
}

#endif
