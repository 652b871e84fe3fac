/* winograd_ext.c: the Winograd convolution kernels over the vectors of vec_ext.h, for tests.
 * The code is winograd_body.h; this file only picks the vector and the names.
 * Any CPU may enter it. */
#include "simd/vec_ext.h"

#define KERNEL(op) moco_##op##_ext
#include "simd/winograd_body.h"
