/* resize_body.h: bytes to planes, weighted sums of rows, and rows made shorter or longer.
 *
 * A blend keeps up to four vectors of sums in registers while it goes over its rows. resize turns
 * sixteen rows over, so that lanes are rows: all lanes of an output then have the same weights and
 * the same places, which gathers and shuffles would cost more to bring together. */
#include <string.h>

#include "simd/tile.h"

enum { BLEND_VECS = 4 };

/* 1/255 as two floats: the fused sum is the nearest float to n / 255 for every byte n. */
#define BYTE_HIGH 0x1.010102p-8f
#define BYTE_LOW (-0x1.fdfdfep-33f)

INLINE f32x16 byte_plane(const uint8_t *src, int c)
{
    f32x16 n = v_bytes(src, c);

    return v_fma(n, v_set1(BYTE_HIGH), v_mul(n, v_set1(BYTE_LOW)));
}

void KERNEL(unpack)(float *dst, size_t plane, const uint8_t *src, size_t n)
{
    uint8_t last[4 * MOCO_VL] = {0};
    size_t i = 0;

    for (; i + MOCO_VL <= n; i += MOCO_VL)
        UNROLL for (int c = 0; c < 3; c++)
            v_store(dst + (size_t)c * plane + i, byte_plane(src + 4 * i, c));
    if (i == n)
        return;
    memcpy(last, src + 4 * i, 4 * (n - i));
    UNROLL for (int c = 0; c < 3; c++)
        v_store_n(dst + (size_t)c * plane + i, byte_plane(last, c), n - i);
}

INLINE void blend_vecs(size_t vecs, float *out, const float *const *row, const float *w,
                       size_t taps, size_t i)
{
    f32x16 sum[BLEND_VECS], a = v_set1(w[0]);

    UNROLL for (size_t c = 0; c < vecs; c++)
        sum[c] = v_mul(a, v_load(row[0] + i + c * MOCO_VL));
    for (size_t t = 1; t < taps; t++) {
        const float *in = row[t] + i;

        a = v_set1(w[t]);
        UNROLL for (size_t c = 0; c < vecs; c++)
            sum[c] = v_add(sum[c], v_mul(a, v_load(in + c * MOCO_VL)));
    }
    UNROLL for (size_t c = 0; c < vecs; c++)
        v_store(out + i + c * MOCO_VL, sum[c]);
}

static void blend_last(float *out, const float *const *row, const float *w, size_t taps, size_t i,
                       size_t n)
{
    f32x16 sum = v_mul(v_set1(w[0]), v_load_n(row[0] + i, n));

    for (size_t t = 1; t < taps; t++)
        sum = v_add(sum, v_mul(v_set1(w[t]), v_load_n(row[t] + i, n)));
    v_store_n(out + i, sum, n);
}

void KERNEL(blend)(float *out, const float *const *row, const float *w, size_t taps, size_t n)
{
    size_t i = 0;

    for (; i + BLEND_VECS * MOCO_VL <= n; i += BLEND_VECS * MOCO_VL)
        blend_vecs(BLEND_VECS, out, row, w, taps, i);
    for (; i + 2 * MOCO_VL <= n; i += 2 * MOCO_VL)
        blend_vecs(2, out, row, w, taps, i);
    for (; i + MOCO_VL <= n; i += MOCO_VL)
        blend_vecs(1, out, row, w, taps, i);
    if (i < n)
        blend_last(out, row, w, taps, i, n - i);
}

/* out(count, 16) = Σ_t w(count, taps)[t] in[start(count) + t](16) */
INLINE void columns(size_t taps, size_t count, float *out, const float *in, const int32_t *start,
                    const float *w)
{
    UNROLL for (size_t j = 0; j < count; j++, w += taps) {
        const float *from = in + (size_t)start[j] * MOCO_VL;
        f32x16 sum = v_mul(v_set1(w[0]), v_load(from));

        UNROLL_BY_4 for (size_t t = 1; t < taps; t++)
            sum = v_add(sum, v_mul(v_set1(w[t]), v_load(from + t * MOCO_VL)));
        v_store(out + j * MOCO_VL, sum);
    }
}

/* The usual numbers of taps, of whole blocks, are compiled by themselves. */
static void block_of(float *out, const float *in, const int32_t *start, const float *w,
                     size_t taps, size_t count)
{
    enum { ALL = MOCO_RESIZE_BLOCK };

    switch (count == ALL ? taps : 0) {
    case 2: columns(2, ALL, out, in, start, w); break;
    case 3: columns(3, ALL, out, in, start, w); break;
    case 4: columns(4, ALL, out, in, start, w); break;
    case 5: columns(5, ALL, out, in, start, w); break;
    default:
        for (size_t j = 0; j < count; j++)
            columns(taps, 1, out + j * MOCO_VL, in, start + j, w + j * taps);
        break;
    }
}

void KERNEL(resize)(float *dst, size_t ldd, const float *src, size_t lds, size_t width,
                    const int32_t *start, const float *w, size_t taps, size_t rows, size_t n,
                    float *scratch)
{
    float *turned = scratch, *block = scratch + width * MOCO_VL;

    pack_columns(turned, MOCO_VL, src, lds, rows, width);
    for (size_t x = 0; x < n; x += MOCO_RESIZE_BLOCK) {
        size_t count = least(n - x, MOCO_RESIZE_BLOCK);

        block_of(block, turned, start + x, w + x * taps, taps, count);
        turn_rows(dst + x, ldd, block, MOCO_VL, count, rows);
    }
}
