/* number_neon.c: between float and bfloat16, compiled for NEON.
 * The code is number_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_neon.h"

#define KERNEL(op) moco_##op##_neon
#include "simd/number_body.h"
