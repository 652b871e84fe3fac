/* test_dispatch.c: which level a CPU gets, which tables are handed out, and that they are whole.
 *
 * The words are those of real CPUs, and of one with every word changed that could mislead: an
 * operating system or a hypervisor that hides or does not save what the instructions need. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "simd/cpu.h"
#include "tests/check.h"
#include "tests/levels.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BIT(n) (1u << (n))

enum { REF = MOCO_LEVEL_REF, AVX2 = MOCO_LEVEL_AVX2, AVX512 = MOCO_LEVEL_AVX512,
       BF16 = MOCO_CPU_AVX512_BF16 };

/* max_leaf, leaf1_ecx, max_subleaf, leaf7_ebx, leaf7_1_eax, xcr0 */
static const struct {
    const char *what;
    struct moco_x86_words words;
    int level;
    unsigned features;
} cpus[] = {
    {"Nehalem", {0x0b, 0x009ce3bd, 0, 0, 0, 0}, REF, 0},
    {"Sandy Bridge: AVX alone", {0x0d, 0x1fbae3ff, 0, 0, 0, 0x07}, REF, 0},
    {"Haswell", {0x0d, 0x7ffafbff, 0, 0x000027ab, 0, 0x07}, AVX2, 0},
    {"Zen 1", {0x0d, 0x7ed8320b, 0, 0x209c01a9, 0, 0x07}, AVX2, 0},
    {"Knights Landing: no VL, BW, DQ", {0x0d, 0x7ff8f39f, 0, 0x1c0d23ab, 0, 0xe7}, AVX2, 0},
    {"Skylake-X", {0x16, 0x7ffefbff, 0, 0xd39ffffb, 0, 0xe7}, AVX512, 0},
    {"Alder Lake, AVX-512 masked", {0x20, 0x7ffafbff, 1, 0x239c27eb, 0x00400810, 0x207}, AVX2, 0},
    {"Alder Lake, ZMM not saved", {0x20, 0x7ffafbff, 1, 0xf3bfa7eb, 0x00400830, 0x207}, AVX2, 0},
    {"AVX10 of 256 bits", {0x24, 0x7ffafbff, 2, 0x239c27eb, 0x00400810, 0xe7}, AVX2, 0},
    {"Zen 4", {0x10, 0x7ed8320b, 1, 0xf1bf97a9, 0x20, 0x2e7}, AVX512, BF16},
};

/* Zen 4 with some bits of one word taken away, or with another word. */
static const struct {
    const char *what;
    size_t word; /* offset in struct moco_x86_words */
    uint32_t keep, set;
    int level;
    unsigned features;
} changes[] = {
#define WORD(name) offsetof(struct moco_x86_words, name)
    {"nothing", WORD(xcr0), ~0u, 0, AVX512, BF16},
    {"no OSXSAVE", WORD(leaf1_ecx), ~BIT(27), 0, REF, 0},
    {"no AVX", WORD(leaf1_ecx), ~BIT(28), 0, REF, 0},
    {"AVX2 without FMA", WORD(leaf1_ecx), ~BIT(12), 0, REF, 0},
    {"no POPCNT", WORD(leaf1_ecx), ~BIT(23), 0, REF, 0},
    {"no AVX2", WORD(leaf7_ebx), ~BIT(5), 0, REF, 0},
    {"no AVX-512 F", WORD(leaf7_ebx), ~BIT(16), 0, AVX2, 0},
    {"no AVX-512 DQ", WORD(leaf7_ebx), ~BIT(17), 0, AVX2, 0},
    {"no AVX-512 BW", WORD(leaf7_ebx), ~BIT(30), 0, AVX2, 0},
    {"no AVX-512 VL", WORD(leaf7_ebx), ~BIT(31), 0, AVX2, 0},
    {"AVX-512 F alone", WORD(leaf7_ebx), ~(BIT(17) | BIT(30) | BIT(31)), 0, AVX2, 0},
    {"AVX-512 without AVX2", WORD(leaf7_ebx), ~BIT(5), BIT(16), REF, 0},
    {"nothing in leaf 7", WORD(leaf7_ebx), 0, 0, REF, 0},
    {"no state saved", WORD(xcr0), 0, 0, REF, 0},
    {"XMM saved, not YMM", WORD(xcr0), 0, 0x03, REF, 0},
    {"YMM without XMM", WORD(xcr0), 0, 0xe5, REF, 0},
    {"all but YMM saved", WORD(xcr0), ~BIT(2), 0, REF, 0},
    {"ZMM not saved", WORD(xcr0), 0, 0x07, AVX2, 0},
    {"masks not saved", WORD(xcr0), ~BIT(5), 0, AVX2, 0},
    {"ZMM0-15 not saved", WORD(xcr0), ~BIT(6), 0, AVX2, 0},
    {"ZMM16-31 not saved", WORD(xcr0), ~BIT(7), 0, AVX2, 0},
    {"other state saved too", WORD(xcr0), ~0u, 0x60000, AVX512, BF16},
    {"leaf 7 beyond the last", WORD(max_leaf), 0, 6, REF, 0},
    {"leaf 1 beyond the last", WORD(max_leaf), 0, 0, REF, 0},
    {"leaf 7 is the last", WORD(max_leaf), 0, 7, AVX512, BF16},
    {"subleaf 1 beyond the last", WORD(max_subleaf), 0, 0, AVX512, 0},
    {"no BF16", WORD(leaf7_1_eax), ~BIT(5), 0, AVX512, 0},
};

static void check_words(const char *what, const struct moco_x86_words *words, int level,
                        unsigned features)
{
    enum moco_level got = moco_x86_level(words);

    CHECK_MSG((int)got == level, "%s: level %s, not %s", what, moco_level_name(got),
              moco_level_name((enum moco_level)level));
    CHECK_MSG(moco_x86_features(words) == features, "%s: features %#x, not %#x", what,
              moco_x86_features(words), features);
}

static void test_x86(void)
{
    struct moco_x86_words zen4 = cpus[COUNT(cpus) - 1].words;

    for (size_t i = 0; i < COUNT(cpus); i++)
        check_words(cpus[i].what, &cpus[i].words, cpus[i].level, cpus[i].features);
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct moco_x86_words words = zen4;
        uint32_t word;

        memcpy(&word, (char *)&words + changes[i].word, sizeof word);
        word = (word & changes[i].keep) | changes[i].set;
        memcpy((char *)&words + changes[i].word, &word, sizeof word);
        check_words(changes[i].what, &words, changes[i].level, changes[i].features);
    }
}

/* A Zen 4 whose CPUID ends early, or whose operating system saves nothing, as the instructions show
 * it: beyond the last leaf everything seems to be there, and XGETBV without OSXSAVE is a fault. */
static struct {
    uint32_t max_leaf, max_subleaf, leaf1_ecx;
    int faults, reads;
} fake;

static void fake_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    struct moco_x86_words zen4 = cpus[COUNT(cpus) - 1].words;

    fake.reads++;
    memset(out, 0xff, 4 * sizeof *out);
    if (leaf == 0)
        out[0] = fake.max_leaf;
    else if (leaf == 1 && leaf <= fake.max_leaf)
        out[2] = fake.leaf1_ecx;
    else if (leaf == 7 && leaf <= fake.max_leaf && subleaf == 0)
        out[0] = fake.max_subleaf, out[1] = zen4.leaf7_ebx;
    else if (leaf == 7 && leaf <= fake.max_leaf && subleaf <= fake.max_subleaf)
        out[0] = zen4.leaf7_1_eax;
    else
        fake.faults++;
}

static uint32_t fake_xgetbv(void)
{
    if (!(fake.leaf1_ecx & BIT(27)) || fake.max_leaf < 1)
        fake.faults++;
    return 0xe7;
}

static void check_read(const char *what, uint32_t max_leaf, uint32_t max_subleaf, uint32_t ecx_off,
                       int level, unsigned features)
{
    struct moco_x86_cpu cpu = {fake_cpuid, fake_xgetbv};
    struct moco_x86_words words;

    memset(&fake, 0, sizeof fake);
    fake.max_leaf = max_leaf, fake.max_subleaf = max_subleaf;
    fake.leaf1_ecx = cpus[COUNT(cpus) - 1].words.leaf1_ecx & ~ecx_off;
    words = moco_x86_read(&cpu);
    CHECK_MSG(fake.reads > 0 && fake.faults == 0, "%s: %d reads of what is not there", what,
              fake.faults);
    check_words(what, &words, level, features);
}

static void test_reading(void)
{
    check_read("all there", 0x10, 1, 0, AVX512, BF16);
    check_read("no subleaf 1", 0x10, 0, 0, AVX512, 0);
    check_read("CPUID ends before leaf 7", 6, 1, 0, REF, 0);
    check_read("CPUID limited to three leaves", 3, 1, 0, REF, 0);
    check_read("CPUID ends before leaf 1", 0, 1, 0, REF, 0);
    check_read("XGETBV does not exist", 0x10, 1, BIT(27), REF, 0);
    check_read("XGETBV does not exist, nor leaf 7", 4, 1, BIT(27), REF, 0);
    check_read("a hypervisor hides FMA", 0x10, 1, BIT(12), REF, 0);
}

static void test_arm(void)
{
    CHECK(moco_arm_level(0) == MOCO_LEVEL_REF);
    CHECK(moco_arm_level(1) == MOCO_LEVEL_REF); /* FP alone */
    CHECK(moco_arm_level(0x887) == MOCO_LEVEL_NEON); /* Cortex-A57 */
    CHECK(moco_arm_level(~0ul) == MOCO_LEVEL_NEON);
}

/* Whether this build has code for a level at all. */
static int built(enum moco_level level)
{
#if defined(__x86_64__)
    return level != MOCO_LEVEL_NEON;
#elif defined(__aarch64__)
    return level == MOCO_LEVEL_REF || level == MOCO_LEVEL_NEON;
#else
    return level == MOCO_LEVEL_REF;
#endif
}

/* A level is handed out up to the CPU's, by its own name, and no other touches the table. */
static void test_refusals(void)
{
    for (enum moco_level cpu = MOCO_LEVEL_REF; cpu < MOCO_LEVELS; cpu++)
        for (enum moco_level level = MOCO_LEVEL_REF; level < MOCO_LEVELS; level++) {
            struct moco_simd t = {.name = "untouched"};
            int wanted = level <= cpu && built(level) ? 0 : -1;
            int rc = moco_simd_at_cpu(&t, level, cpu);

            CHECK_MSG(rc == wanted, "%s on a CPU of %s: %d", moco_level_name(level),
                      moco_level_name(cpu), rc);
            CHECK(!strcmp(t.name, rc ? "untouched" : moco_level_name(level)));
        }
    for (enum moco_level level = moco_cpu_level() + 1; level < MOCO_LEVELS; level++) {
        struct moco_simd t = {.name = "untouched"};

        CHECK(moco_simd_at(&t, level) == -1 && !strcmp(t.name, "untouched"));
    }
    CHECK(built(moco_cpu_level()));
}

static void check_init(const char *cap, const char *wanted)
{
    struct moco_simd t = {.name = "untouched"};
    int rc = moco_simd_init(&t, cap);

    CHECK_MSG(rc == (wanted ? 0 : -1) && !strcmp(t.name, wanted ? wanted : "untouched"),
              "cap '%s': %d, %s", cap ? cap : "of MOCO_SIMD", rc, t.name);
}

static void test_caps(void)
{
    static const char *const unknown[] = {"sse", "AVX2", "avx2 ", "avx",
                                          "avx5120", "ext", "0", " "};
    const char *best = moco_level_name(moco_cpu_level());

    for (enum moco_level level = MOCO_LEVEL_REF; level < MOCO_LEVELS; level++) {
        const char *name = moco_level_name(level);

        CHECK(moco_level_named(name) == (int)level);
        check_init(name, level <= moco_cpu_level() && built(level) ? name : NULL);
    }
    for (size_t i = 0; i < COUNT(unknown); i++) {
        CHECK(moco_level_named(unknown[i]) == -1);
        check_init(unknown[i], NULL);
        setenv("MOCO_SIMD", unknown[i], 1);
        check_init(NULL, NULL);
    }
    check_init("", best); /* an argument beats the environment */
    check_init("ref", "ref");
    setenv("MOCO_SIMD", "ref", 1);
    check_init(NULL, "ref");
    setenv("MOCO_SIMD", "", 1);
    check_init(NULL, best);
    unsetenv("MOCO_SIMD");
    check_init(NULL, best);
}

/* The name of a table, or NULL where a slot behind `lanes` is empty. All slots are pointers but
 * winograd_width and the bytes of an activation's number, which may not be 0 either. */
static const char *whole(const struct moco_simd *t)
{
    static const unsigned char empty[sizeof t->logits];

    for (size_t at = offsetof(struct moco_simd, logits); at < sizeof *t; at += sizeof empty)
        if (!memcmp((const char *)t + at, empty, sizeof empty))
            return NULL;
    return t->name;
}

static void test_tables(void)
{
    struct moco_simd tables[TABLES_MAX], hollow;
    size_t count = all_tables(tables);

    CHECK(!strcmp(tables[0].name, "ref") && !strcmp(tables[count - 1].name, "ext"));
    for (size_t i = 0; i < count; i++) {
        CHECK_MSG(whole(&tables[i]), "a kernel of %s is missing", tables[i].name);
        CHECK(tables[i].lanes == 8 || tables[i].lanes == 16);
        CHECK(tables[i].winograd_width % MOCO_VL == 0);
        CHECK(tables[i].activation[MOCO_FP32].bytes == sizeof(float));
        CHECK(tables[i].activation[MOCO_BF16].bytes == sizeof(moco_bf16));
    }
    hollow = tables[0];
    hollow.activation[MOCO_BF16].winograd[1].weights_grad = NULL;
    CHECK_MSG(!whole(&hollow), "a missing kernel went unnoticed");
    hollow = tables[0];
    hollow.activation[MOCO_BF16].bytes = 0;
    CHECK_MSG(!whole(&hollow), "numbers without a size went unnoticed");
}

int main(void)
{
    test_x86();
    test_reading();
    test_arm();
    test_refusals();
    test_caps();
    test_tables();
    printf("test_dispatch: this CPU offers %s\n", moco_level_name(moco_cpu_level()));
    return check_summary("test_dispatch");
}
