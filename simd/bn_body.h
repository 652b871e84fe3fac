/* bn_body.h: the BatchNorm kernels, on planes of floats and of bfloat16 numbers.
 *
 * A lane is a channel, so each channel's sums run sequentially over the pixels of a stage of 64
 * and the stage sums are added in order. Four stages are summed side by side: their chains are
 * independent, which hides the latency of the additions and changes no byte.
 * The kernels of one kind of number are bn_number_body.h, the code for planes of one width is
 * bn_plane.h. */
#include "simd/tile.h"

#define BN_NUMBER float
#define BN_OF(name) name
#define BN_KERNEL(op) KERNEL(op)
#include "simd/bn_number_body.h"

#define BN_NUMBER moco_bf16
#define BN_OF(name) name##_bf16
#define BN_KERNEL(op) KERNEL(op##_bf16)
#include "simd/bn_number_body.h"
