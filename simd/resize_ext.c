/* resize_ext.c: resampling of images over the vectors of vec_ext.h, for tests.
 * The code is resize_body.h; this file only picks the vector and the names.
 * Any CPU may enter it. */
#include "simd/vec_ext.h"

#define KERNEL(op) moco_##op##_ext
#include "simd/resize_body.h"
