/* ext.c: the table of the level "ext", which tests walk beside those of the dispatch. */
#include "simd/kernels.h"

void moco_simd_ext(struct moco_simd *table)
{
    *table = MOCO_TABLE(ext, 16, 64);
}
