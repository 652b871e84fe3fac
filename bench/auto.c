/* auto.c: a table of the reference kernels as the compiler vectorises them, compiled once for each
 * instruction set together with simd's reference files (auto_names.h renames all of them). */
#include "bench/bench.h"
#include "simd/kernels.h"

#define NAME_OF(level) TEXT_OF(level)
#define TEXT_OF(level) #level
#define FUNCTION_OF(level) PASTE_OF(bench_auto_, level)
#define PASTE_OF(a, b) a##b

void FUNCTION_OF(AUTO_LEVEL)(struct moco_simd *out);

void FUNCTION_OF(AUTO_LEVEL)(struct moco_simd *out)
{
    *out = MOCO_TABLE(ref, AUTO_LANES, 16);
    out->name = "auto-" NAME_OF(AUTO_LEVEL);
}
