/* direct_ext.c: the kernels of a direct convolution over the vectors of vec_ext.h, for tests.
 * The code is direct_body.h; this file only picks the vector and the names.
 * Any CPU may enter it. */
#include "simd/vec_ext.h"

#define KERNEL(op) moco_##op##_ext
#include "simd/direct_body.h"
