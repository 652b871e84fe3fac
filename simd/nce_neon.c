/* nce_neon.c: NCE, sampled softmax and gathered products, compiled for NEON.
 * The code is nce_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_neon.h"

#define KERNEL(op) moco_##op##_neon
#include "simd/nce_body.h"
