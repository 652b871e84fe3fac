/* nce_avx2.c: NCE, sampled softmax and gathered products, compiled for AVX2 and FMA.
 * The code is nce_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_avx2.h"

#define KERNEL(op) moco_##op##_avx2
#include "simd/nce_body.h"
