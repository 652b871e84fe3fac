/* squeeze.h: where each of four lanes comes from when those that a mask of four bits names move
 * together: squeeze_from[mask][i] is the i-th bit that is set. For levels without a compress. */
#ifndef MOCO_SIMD_SQUEEZE_H
#define MOCO_SIMD_SQUEEZE_H

#include <stdint.h>

_Alignas(64) static const uint32_t squeeze_from[16][4] = {
    {0}, {0}, {1}, {0, 1}, {2}, {0, 2}, {1, 2}, {0, 1, 2},
    {3}, {0, 3}, {1, 3}, {0, 1, 3}, {2, 3}, {0, 2, 3}, {1, 2, 3}, {0, 1, 2, 3},
};

#endif
