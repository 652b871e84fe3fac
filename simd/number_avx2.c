/* number_avx2.c: between float and bfloat16, compiled for AVX2 and FMA.
 * The code is number_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_avx2.h"

#define KERNEL(op) moco_##op##_avx2
#include "simd/number_body.h"
