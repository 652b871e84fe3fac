/* number_ref.c: between float and bfloat16 in plain C, the specification to the byte (bf16.h). */
#include "simd/bf16.h"
#include "simd/kernels.h"

void moco_widen_ref(float *dst, const moco_bf16 *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = bf16_widened(src[i]);
}

void moco_narrow_ref(moco_bf16 *dst, const float *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = bf16_narrowed(src[i]);
}
