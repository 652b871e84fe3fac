/* cpu.h: the level of a CPU as a function of the raw words that it and the operating system report.
 *
 * Only the two instructions need the CPU; which words are asked for and how they are judged does
 * not, so every machine tests that for CPUs that are not at hand (tests/test_dispatch.c). On x86
 * three things must hold: CPUID has the leaf, the leaf names the instructions, and XCR0 names the
 * registers that survive a context switch. What a hypervisor or an operating system masks, and what
 * the small cores of a hybrid CPU lack, is missing in these words too. */
#ifndef MOCO_SIMD_CPU_H
#define MOCO_SIMD_CPU_H

#include "simd/simd.h"

/* CPUID and XGETBV. A leaf above max_leaf repeats another one's words, so they mean nothing; so
 * does leaf 7's subleaf 1 above max_subleaf, and xcr0 where leaf 1 lacks OSXSAVE. */
struct moco_x86_words {
    uint32_t max_leaf;    /* leaf 0, eax */
    uint32_t leaf1_ecx;
    uint32_t max_subleaf; /* leaf 7, eax */
    uint32_t leaf7_ebx;
    uint32_t leaf7_1_eax; /* subleaf 1 */
    uint32_t xcr0;        /* its low half */
};

/* The two instructions. out: eax, ebx, ecx, edx. The second does not exist without OSXSAVE. */
struct moco_x86_cpu {
    void (*cpuid)(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
    uint32_t (*xgetbv)(void); /* of XCR0, the low half */
};

struct moco_x86_words moco_x86_read(const struct moco_x86_cpu *cpu);
enum moco_level moco_x86_level(const struct moco_x86_words *words);
unsigned moco_x86_features(const struct moco_x86_words *words);

/* hwcap: AT_HWCAP of Linux on 64-bit Arm. */
enum moco_level moco_arm_level(unsigned long hwcap);

/* moco_simd_at for a CPU of another level than this one's; the table is not to be called then. */
int moco_simd_at_cpu(struct moco_simd *table, enum moco_level level, enum moco_level cpu);

#endif
