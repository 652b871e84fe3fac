/* winograd_avx512.c: the Winograd convolution kernels, compiled for AVX-512 F, BW, DQ and VL.
 * The code is winograd_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_avx512.h"

#define KERNEL(op) moco_##op##_avx512
#include "simd/winograd_body.h"
