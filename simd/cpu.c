/* cpu.c: which vector instructions the CPU has and the operating system saves; see cpu.h.
 *
 * What is asked for and how it is judged comes first, the same code on every machine; below that
 * the machine's own instructions. */
#include "simd/cpu.h"

/* Numbers of bits. POPCNT is asked for because compilers use it wherever AVX2 is allowed. */
enum leaf1_ecx { FMA = 12, POPCNT = 23, OSXSAVE = 27, AVX = 28 };
enum leaf7_ebx { AVX2 = 5, AVX512F = 16, AVX512DQ = 17, AVX512BW = 30, AVX512VL = 31 };
enum leaf7_1_eax { AVX512_BF16 = 5 };
enum hwcap { ASIMD = 1 };

/* XMM and YMM; with them AVX-512's masks, upper halves of ZMM0-15, and ZMM16-31. */
enum xcr0 { STATE_YMM = 0x06, STATE_ZMM = 0xe6 };

static int has(uint32_t word, int bit)
{
    return word >> bit & 1;
}

static int saves(const struct moco_x86_words *words, uint32_t state)
{
    return has(words->leaf1_ecx, OSXSAVE) && (words->xcr0 & state) == state;
}

static int has_avx2(const struct moco_x86_words *words)
{
    uint32_t c = words->leaf1_ecx;

    return words->max_leaf >= 7 && has(c, AVX) && has(c, FMA) && has(c, POPCNT) &&
           has(words->leaf7_ebx, AVX2) && saves(words, STATE_YMM);
}

static int has_avx512(const struct moco_x86_words *words)
{
    uint32_t b = words->leaf7_ebx;

    return has(b, AVX512F) && has(b, AVX512BW) && has(b, AVX512DQ) && has(b, AVX512VL) &&
           saves(words, STATE_ZMM);
}

/* Nothing is read that is not there: a leaf beyond the last gives another one's words. */
struct moco_x86_words moco_x86_read(const struct moco_x86_cpu *cpu)
{
    struct moco_x86_words words = {0};
    uint32_t out[4];

    cpu->cpuid(0, 0, out);
    words.max_leaf = out[0];
    if (words.max_leaf >= 1) {
        cpu->cpuid(1, 0, out);
        words.leaf1_ecx = out[2];
    }
    if (has(words.leaf1_ecx, OSXSAVE))
        words.xcr0 = cpu->xgetbv();
    if (words.max_leaf >= 7) {
        cpu->cpuid(7, 0, out);
        words.max_subleaf = out[0];
        words.leaf7_ebx = out[1];
    }
    if (words.max_subleaf >= 1) {
        cpu->cpuid(7, 1, out);
        words.leaf7_1_eax = out[0];
    }
    return words;
}

enum moco_level moco_x86_level(const struct moco_x86_words *words)
{
    if (words->max_leaf < 1 || !has_avx2(words))
        return MOCO_LEVEL_REF;
    return has_avx512(words) ? MOCO_LEVEL_AVX512 : MOCO_LEVEL_AVX2;
}

unsigned moco_x86_features(const struct moco_x86_words *words)
{
    int bf16 = moco_x86_level(words) == MOCO_LEVEL_AVX512 && words->max_subleaf >= 1 &&
               has(words->leaf7_1_eax, AVX512_BF16);

    return bf16 ? MOCO_CPU_AVX512_BF16 : 0;
}

enum moco_level moco_arm_level(unsigned long hwcap)
{
    return hwcap >> ASIMD & 1 ? MOCO_LEVEL_NEON : MOCO_LEVEL_REF;
}

#if defined(__x86_64__)
#include <cpuid.h>

static void read_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
}

static uint32_t read_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static struct moco_x86_words read_words(void)
{
    return moco_x86_read(&(struct moco_x86_cpu){read_cpuid, read_xcr0});
}

enum moco_level moco_cpu_level(void)
{
    struct moco_x86_words words = read_words();

    return moco_x86_level(&words);
}

unsigned moco_cpu_features(void)
{
    struct moco_x86_words words = read_words();

    return moco_x86_features(&words);
}

#else

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

enum moco_level moco_cpu_level(void)
{
    return moco_arm_level(getauxval(AT_HWCAP));
}

#else

enum moco_level moco_cpu_level(void)
{
    return MOCO_LEVEL_REF;
}

#endif

unsigned moco_cpu_features(void)
{
    return 0;
}

#endif
