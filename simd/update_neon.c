/* update_neon.c: the parameter updates (EMA and SGD), compiled for NEON.
 * The code is update_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_neon.h"

#define KERNEL(op) moco_##op##_neon
#include "simd/update_body.h"
