/* direct_avx2.c: the kernels of a direct convolution, compiled for AVX2 and FMA.
 * The code is direct_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_avx2.h"

#define KERNEL(op) moco_##op##_avx2
#include "simd/direct_body.h"
