/* direct_neon.c: the kernels of a direct convolution, compiled for NEON.
 * The code is direct_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_neon.h"

#define KERNEL(op) moco_##op##_neon
#include "simd/direct_body.h"
