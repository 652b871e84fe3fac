/* direct_avx512.c: the kernels of a direct convolution, compiled for AVX-512 F, BW, DQ and VL.
 * The code is direct_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_avx512.h"

#define KERNEL(op) moco_##op##_avx512
#include "simd/direct_body.h"
