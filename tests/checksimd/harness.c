/* harness.c: buffers with guarded ends, random numbers, comparisons and their count. */
#define _DEFAULT_SOURCE
#include "tests/checksimd/harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/digest.h"

enum { SLOT_BYTES = 36 << 20, STRIP = 64 };

const size_t edges[18] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 300};
struct moco_simd ref;

static unsigned long checks, failures;
static int silent;
static uint64_t state;
static uint64_t digest = DIGEST_START;
static unsigned char *slot_end[SLOTS], *slot_start[SLOTS];

void seed_random(uint64_t seed)
{
    state = seed;
}

uint64_t next_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

size_t one_of(const size_t *list, size_t n)
{
    return list[next_random() % n];
}

float uniform(void)
{
    return (float)(int64_t)(next_random() >> 40) / (float)(1 << 23) - 1.0f;
}

void expect(int ok, const char *format, ...)
{
    va_list args;

    checks++;
    if (ok)
        return;
    if (failures++ < 20 && !silent) {
        fputs("checksimd: ", stderr);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
    }
}

int report(const char *levels)
{
    if (failures)
        printf("checksimd: %lu of %lu checks failed\n", failures, checks);
    else
        printf("checksimd: %lu checks, levels%s\n", checks, levels);
    return failures != 0 || checks == 0;
}

void print_digest(const char *group)
{
    if (digest != DIGEST_START)
        printf("digest %-8s %016llx\n", group, (unsigned long long)digest);
    digest = DIGEST_START;
}

void must_catch(const char *what, void (*check)(const struct moco_simd *t),
                const struct moco_simd *mutant)
{
    unsigned long before = failures, caught;

    silent = 1;
    check(mutant);
    silent = 0;
    caught = failures - before;
    failures = before;
    expect(caught > 0, "a mutant of %s went unnoticed", what);
}

#if defined(__SANITIZE_ADDRESS__)

void open_slots(int readable)
{
    (void)readable;
}

void *take_bytes(int slot, size_t bytes)
{
    void *p;

    free(slot_end[slot]);
    if (posix_memalign(&p, 64, bytes))
        abort();
    return slot_end[slot] = p;
}

#else

void open_slots(int readable)
{
    int end = readable ? PROT_READ : PROT_NONE;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (int i = 0; i < SLOTS; i++) {
        unsigned char *p = mmap(NULL, SLOT_BYTES + page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p == MAP_FAILED || mprotect(p + SLOT_BYTES, page, end)) {
            perror("checksimd: mmap");
            exit(2);
        }
        slot_end[i] = p + SLOT_BYTES;
    }
}

/* The slot's last `bytes` bytes; the strip before them is painted. */
void *take_bytes(int slot, size_t bytes)
{
    if (bytes + STRIP > SLOT_BYTES)
        abort();
    slot_start[slot] = slot_end[slot] - bytes;
    memset(slot_start[slot] - STRIP, PAINT, STRIP);
    return slot_start[slot];
}

#endif

float *take(int slot, size_t n)
{
    float *p = take_bytes(slot, n * sizeof *p);

    memset(p, PAINT, n * sizeof *p);
    return p;
}

float *take_copy(int slot, const float *src, size_t n)
{
    float *p = take_bytes(slot, n * sizeof *p);

    memcpy(p, src, n * sizeof *p);
    return p;
}

float *take_filled(int slot, size_t n, enum fill fill)
{
    static const float scale[] = {1.0f, 1e-30f, 1e15f, 1.0f, 1.0f, 1.0f, 1.0f};
    static const float special[] = {NAN, INFINITY, -INFINITY, -0.0f};
    float *p = take_bytes(slot, n * sizeof *p), equal = uniform();

    for (size_t i = 0; i < n; i++) {
        p[i] = uniform() * scale[fill];
        if (fill == ALTERNATING)
            p[i] = i % 2 ? -1.0f : 1.0f;
        else if (fill == EQUAL)
            p[i] = equal;
        else if (fill == MIXED)
            p[i] = ldexpf(p[i], (int)(next_random() % 60) - 40);
        else if (fill == SPECIAL && next_random() % 32 == 0)
            p[i] = special[next_random() % COUNT(special)];
    }
    return p;
}

size_t bytes_of(enum moco_number number)
{
    return number == MOCO_BF16 ? sizeof(moco_bf16) : sizeof(float);
}

float number_at(const void *p, enum moco_number number, size_t i)
{
    return number == MOCO_BF16 ? bf16_widened(((const moco_bf16 *)p)[i]) : ((const float *)p)[i];
}

void *take_numbers(int slot, enum moco_number number, size_t n)
{
    return memset(take_bytes(slot, n * bytes_of(number)), PAINT, n * bytes_of(number));
}

void *take_numbers_copy(int slot, enum moco_number number, const void *src, size_t n)
{
    return memcpy(take_bytes(slot, n * bytes_of(number)), src, n * bytes_of(number));
}

void *take_numbers_filled(int slot, enum moco_number number, size_t n, enum fill fill)
{
    static const moco_bf16 special[] = {0x7f81, 0xffbf, 0x0001, 0x807f, 0x0040, 0x7f7f, 0xff7f};
    float *p = take_filled(slot, n, fill);
    moco_bf16 *out;

    if (number == MOCO_FP32)
        return p;
    p = take_copy(SLOTS - 1, p, n);
    out = take_bytes(slot, n * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        out[i] = bf16_narrowed(p[i]);
        if (fill == SPECIAL && next_random() % 32 == 0)
            out[i] = special[next_random() % COUNT(special)];
    }
    return out;
}

void unit_rows(float *p, size_t rows, size_t D)
{
    for (size_t r = 0; r < rows; r++, p += D) {
        double s = 0;

        for (size_t d = 0; d < D; d++)
            s += (double)p[d] * p[d];
        for (size_t d = 0; d < D; d++)
            p[d] = (float)(p[d] / sqrt(s > 0 ? s : 1));
    }
}

void strips_intact(const char *kernel, const char *level)
{
    int ok = 1;

    for (int i = 0; i < SLOTS; i++)
        for (int j = 1; slot_start[i] && j <= STRIP; j++)
            ok &= slot_start[i][-j] == PAINT;
    expect(ok, "%s %s wrote before a buffer", kernel, level);
}

void digest_reference(const struct moco_simd *t, enum moco_number number, const void *want,
                      size_t n)
{
    for (size_t i = 0; !silent && !strcmp(t->name, "ref") && i < n; i++)
        digest = digest_with(digest, number_at(want, number, i));
}

void same(const char *kernel, const struct moco_simd *t, const float *got, const float *want,
          size_t n, const char *what, size_t a, size_t b, size_t c)
{
    size_t i = 0;

    while (i < n && (!memcmp(got + i, want + i, sizeof *got) || (isnan(got[i]) && isnan(want[i]))))
        i++;
    expect(i == n, "%s %s: %s differs at %zu of %zu (sizes %zu %zu %zu): %a, ref %a", kernel,
           t->name, what, i, n, a, b, c, i < n ? (double)got[i] : 0, i < n ? (double)want[i] : 0);
    digest_reference(t, MOCO_FP32, want, n);
}

void same_numbers(const char *kernel, const struct moco_simd *t, enum moco_number number,
                  const void *got, const void *want, size_t n, const char *what, size_t a,
                  size_t b, size_t c)
{
    const moco_bf16 *x = got, *y = want;
    size_t i = 0;

    if (number == MOCO_FP32) {
        same(kernel, t, got, want, n, what, a, b, c);
        return;
    }
    while (i < n && (x[i] == y[i] || (isnan(bf16_widened(x[i])) && isnan(bf16_widened(y[i])))))
        i++;
    expect(i == n, "%s, bfloat16, %s: %s differs at %zu of %zu (sizes %zu %zu %zu): %#x, ref %#x",
           kernel, t->name, what, i, n, a, b, c, i < n ? x[i] : 0u, i < n ? y[i] : 0u);
    digest_reference(t, MOCO_BF16, want, n);
}

double rounded_bound(enum moco_number number, double exact, double bound)
{
    return number == MOCO_BF16 ? bound + ldexp(fabs(exact) + bound, -8) + (double)FLT_MIN : bound;
}

void near(const char *what, double got, double exact, double bound)
{
    expect(fabs(got - exact) <= bound || fabs(exact) >= (double)FLT_MAX,
           "ref, %s: %.9g, exact %.9g, bound %.3g", what, got, exact, bound);
}

double exact_dot(const float *a, const float *b, size_t D, double *size)
{
    double s = 0;

    *size = 0;
    for (size_t d = 0; d < D; d++) {
        s += (double)a[d] * b[d];
        *size += fabs((double)a[d] * b[d]);
    }
    return s;
}

struct share share_of(size_t n, size_t parts, size_t i)
{
    size_t first = n * i / parts;

    return (struct share){first, n * (i + 1) / parts - first};
}
