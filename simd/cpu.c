/* cpu.c: which vector instructions the CPU has and the operating system saves.
 *
 * On x86 both must hold: CPUID names the instructions, XGETBV the register state that survives a
 * context switch (bits 1-2: XMM and YMM; bits 5-7: AVX-512's masks and ZMM). On Arm the kernel's
 * HWCAP says it all. */
#include "simd/simd.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { STATE_YMM = 0x06, STATE_ZMM = 0xe6 };

static unsigned os_state(void)
{
    unsigned low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int has(unsigned word, unsigned bits)
{
    return (word & bits) == bits;
}

enum moco_level moco_cpu_level(void)
{
    const unsigned wide = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    unsigned a, b, c, d, state;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, bit_OSXSAVE | bit_AVX | bit_FMA))
        return MOCO_LEVEL_REF;
    state = os_state();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, bit_AVX2) || !has(state, STATE_YMM))
        return MOCO_LEVEL_REF;
    return has(b, wide) && has(state, STATE_ZMM) ? MOCO_LEVEL_AVX512 : MOCO_LEVEL_AVX2;
}

#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

enum { CAP_ASIMD = 1 << 1 };

enum moco_level moco_cpu_level(void)
{
    return getauxval(AT_HWCAP) & CAP_ASIMD ? MOCO_LEVEL_NEON : MOCO_LEVEL_REF;
}

#else

enum moco_level moco_cpu_level(void)
{
    return MOCO_LEVEL_REF;
}

#endif
