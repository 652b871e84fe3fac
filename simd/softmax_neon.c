/* softmax_neon.c: the softmax with temperature, compiled for NEON.
 * The code is softmax_body.h; this file only picks the vector and the names.
 * It must not be entered on a CPU without those instructions: simd.c sees to that. */
#include "simd/vec_neon.h"

#define KERNEL(op) moco_##op##_neon
#include "simd/softmax_body.h"
