/* bn_ref.c: the BatchNorm kernels in plain C, the specification to the byte.
 * The code is bn_ref_body.h, for planes of floats and of bfloat16 numbers. */
#include <math.h>

#include "simd/bf16.h"
#include "simd/kernels.h"

static size_t stage_end(size_t i, size_t pixels)
{
    return pixels - i < MOCO_BN_STAGE ? pixels : i + MOCO_BN_STAGE;
}

#define REF(op) moco_##op##_ref
#define NUMBER float
#define GET(x) (x)
#define PUT(x) (x)
#define KEEP(x) (x)
#define IS_OPEN is_open
#include "simd/bn_ref_body.h"

#define REF(op) moco_##op##_bf16_ref
#define NUMBER moco_bf16
#define GET(x) bf16_widened(x)
#define PUT(x) bf16_narrowed(x)
#define KEEP(x) bf16_upper(x)
#define IS_OPEN is_open_bf16
#include "simd/bn_ref_body.h"
