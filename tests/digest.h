/* digest.h: one number for many results, so that machines can compare theirs: FNV-1a over the bits
 * of floats, in which every NaN counts as the same one. */
#ifndef MOCO_TESTS_DIGEST_H
#define MOCO_TESTS_DIGEST_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define DIGEST_START 0xcbf29ce484222325u

static inline uint64_t digest_with(uint64_t digest, float x)
{
    uint32_t bits = 0x7fc00000;

    if (!isnan(x))
        memcpy(&bits, &x, sizeof bits);
    for (int i = 0; i < 4; i++)
        digest = (digest ^ (bits >> 8 * i & 0xff)) * 0x100000001b3u;
    return digest;
}

#endif
