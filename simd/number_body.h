/* number_body.h: between float and bfloat16, 16 numbers at a time; the last few pass through a
 * buffer of 16. */
#include <string.h>

#include "simd/tile.h"

void KERNEL(widen)(float *dst, const moco_bf16 *src, size_t n)
{
    moco_bf16 last[MOCO_VL] = {0};
    size_t i = 0;

    for (; i + MOCO_VL <= n; i += MOCO_VL)
        v_store(dst + i, v_load_bf16(src + i));
    if (i == n)
        return;
    memcpy(last, src + i, (n - i) * sizeof *src);
    v_store_n(dst + i, v_load_bf16(last), n - i);
}

void KERNEL(narrow)(moco_bf16 *dst, const float *src, size_t n)
{
    moco_bf16 last[MOCO_VL];
    size_t i = 0;

    for (; i + MOCO_VL <= n; i += MOCO_VL)
        v_store_bf16(dst + i, v_load(src + i));
    if (i == n)
        return;
    v_store_bf16(last, v_load_n(src + i, n - i));
    memcpy(dst + i, last, (n - i) * sizeof *dst);
}
