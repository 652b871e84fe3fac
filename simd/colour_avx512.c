/* colour_avx512.c: colours of views, compiled for AVX-512 F, BW, DQ and VL.
 * The code is colour_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_avx512.h"

#define KERNEL(op) moco_##op##_avx512
#include "simd/colour_body.h"
