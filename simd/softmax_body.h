/* softmax_body.h: out = softmax(x / T) by rows.
 *
 * Three passes: the maximum m; p = exp((x - m) / T) and its sum; p times one over the sum. Only the
 * first reads memory while a row fits the second cache, and the second calls for the next row,
 * since it computes more than it reads. Four vectors at a time hide latencies; the
 * sum has one chain, lane i adding elements i, i + 16, ..., then the fixed tree. */
#include "simd/vec_exp.h"

enum { STRIDE = 4 * MOCO_VL };

static float row_maximum(const float *x, size_t K)
{
    f32x16 top[4];
    size_t j = 0;
    float most;

    UNROLL for (int c = 0; c < 4; c++)
        top[c] = v_set1(-INFINITY);
    for (; j + STRIDE <= K; j += STRIDE)
        UNROLL for (int c = 0; c < 4; c++)
            top[c] = v_max(v_load(x + j + c * MOCO_VL), top[c]);
    for (; j + MOCO_VL <= K; j += MOCO_VL)
        top[0] = v_max(v_load(x + j), top[0]);
    most = v_largest(v_max(v_max(top[0], top[1]), v_max(top[2], top[3])));
    for (; j < K; j++)
        most = x[j] > most ? x[j] : most;
    return most;
}

/* out = exp((x - m) inv_T); returns its sum. Meanwhile the row at `next` comes from memory. */
static float row_exp(float *out, const float *x, const float *next, size_t K, float m, float inv_T)
{
    f32x16 sum = v_zero(), top = v_set1(m), scale = v_set1(inv_T);
    size_t j = 0;

    for (; j + STRIDE <= K; j += STRIDE) {
        f32x16 p[4];

        UNROLL for (int c = 0; c < 4; c++)
            p[c] = v_exp(v_mul(v_sub(v_load(x + j + c * MOCO_VL), top), scale));
        UNROLL for (int c = 0; c < 4; c++)
            __builtin_prefetch(next + j + c * MOCO_VL, 0, 2);
        UNROLL for (int c = 0; c < 4; c++) {
            v_store(out + j + c * MOCO_VL, p[c]);
            sum = v_add(sum, p[c]);
        }
    }
    for (; j < K; j += MOCO_VL) {
        f32x16 p = v_exp(v_mul(v_sub(load_upto(x + j, K - j), top), scale));

        store_upto(out + j, p, K - j);
        if (K - j < MOCO_VL)
            p = v_load_n(out + j, K - j);
        sum = v_add(sum, p);
    }
    return v_sum(sum);
}

static void scale_row(float *out, const float *p, size_t K, f32x16 share)
{
    for (size_t j = 0; j < K; j += MOCO_VL)
        store_upto(out + j, v_mul(load_upto(p + j, K - j), share), K - j);
}

static void stream_row(float *out, const float *p, size_t K, f32x16 share)
{
    for (size_t j = 0; j < K; j += MOCO_VL)
        v_stream(out + j, v_mul(v_load(p + j), share));
}

/* Long rows elsewhere than x: p stays in the cache, in the place of the last row, and the results
 * go straight to memory, which is then never read to be overwritten: 4.4 -> 3.7 ms for 256 rows of
 * 65536 on two Zen 4 threads. */
static int streams(const float *out, const float *x, size_t B, size_t K)
{
    return out != x && B >= 4 && K >= 16384 && K % MOCO_VL == 0 && (uintptr_t)out % 64 == 0;
}

void KERNEL(softmax)(float *out, const float *x, size_t B, size_t K, float T)
{
    int straight = streams(out, x, B, K);
    float inv_T = 1.0f / T, *last = out + (B ? B - 1 : 0) * K;

    for (size_t b = 0; b < B; b++, out += K, x += K) {
        const float *next = b + 1 < B ? x + K : x;
        float m = row_maximum(x, K), *p = straight ? last : out;
        f32x16 share = v_set1(1.0f / row_exp(p, x, next, K, m, inv_T));

        if (p != out)
            stream_row(out, p, K, share);
        else
            scale_row(out, p, K, share);
    }
    if (straight)
        v_stream_end();
}
