/* colour_ext.c: colours of views over the vectors of vec_ext.h, for tests.
 * The code is colour_body.h; this file only picks the vector and the names.
 * Any CPU may enter it. */
#include "simd/vec_ext.h"

#define KERNEL(op) moco_##op##_ext
#include "simd/colour_body.h"
