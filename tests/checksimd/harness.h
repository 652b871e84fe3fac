/* harness.h: what the checks of all kernel groups share.
 *
 * Buffers are numbered slots. Each ends flush against an unreadable page and has a painted strip
 * before it; under AddressSanitizer each is a heap block of the exact size instead. A group has a
 * tour of sizes and values for one level, and mutants that its own checks must catch. */
#ifndef MOCO_TESTS_CHECKSIMD_HARNESS_H
#define MOCO_TESTS_CHECKSIMD_HARNESS_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd/bf16.h"
#include "simd/simd.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define UNIT ((double)FLT_EPSILON / 2)
#define LEAST ((double)FLT_MIN * FLT_EPSILON) /* the smallest number above 0 */

enum { SLOTS = 24, PAINT = 0xa5 };

/* SPECIAL has NaN and infinities among its values; the others are finite. */
enum fill { UNIFORM, TINY, HUGE_VALUES, ALTERNATING, EQUAL, MIXED, FINITE_FILLS,
            SPECIAL = FINITE_FILLS, FILLS };

/* Sizes around every edge: the vector, the panel, the key block, the row group. */
extern const size_t edges[18];
extern struct moco_simd ref;

/* readable: what lies past a buffer may be read, still not written. */
void open_slots(int readable);
uint64_t next_random(void);
size_t one_of(const size_t *list, size_t n);
float uniform(void);

/* A failure is counted and, unless a mutant is at work, printed. */
__attribute__((format(printf, 2, 3))) void expect(int ok, const char *format, ...);
int report(const char *levels);
/* Of what the reference gave since the last one was printed; none of nothing (the specification of
 * the group "number" is arithmetic of integers). */
void print_digest(const char *group);
void seed_random(uint64_t seed);

void *take_bytes(int slot, size_t bytes);
float *take(int slot, size_t n);
float *take_copy(int slot, const float *src, size_t n);
float *take_filled(int slot, size_t n, enum fill fill);
void unit_rows(float *p, size_t rows, size_t D);

/* Activations, whose numbers are floats or bfloat16; SPECIAL has denormal bfloat16 numbers too, the
 * largest, and NaN that is not quiet. */
size_t bytes_of(enum moco_number number);
float number_at(const void *p, enum moco_number number, size_t i);
void *take_numbers(int slot, enum moco_number number, size_t n);
void *take_numbers_copy(int slot, enum moco_number number, const void *src, size_t n);
void *take_numbers_filled(int slot, enum moco_number number, size_t n, enum fill fill);

void strips_intact(const char *kernel, const char *level);

/* Results of the reference go into the digest once: when it meets itself. same() and same_numbers()
 * do that themselves. */
void digest_reference(const struct moco_simd *t, enum moco_number number, const void *want,
                      size_t n);

/* Equal bytes; a NaN equals any NaN. The sizes are for the message. */
void same(const char *kernel, const struct moco_simd *t, const float *got, const float *want,
          size_t n, const char *what, size_t a, size_t b, size_t c);

/* The same for activations. */
void same_numbers(const char *kernel, const struct moco_simd *t, enum moco_number number,
                  const void *got, const void *want, size_t n, const char *what, size_t a,
                  size_t b, size_t c);

/* |got - exact| <= bound; an exact value that no float holds is not measured. */
void near(const char *what, double got, double exact, double bound);

/* A bound for what is rounded to an activation's number after an error of at most `bound`. */
double rounded_bound(enum moco_number number, double exact, double bound);

/* Σ a_i b_i in double; *size becomes Σ |a_i b_i|. */
double exact_dot(const float *a, const float *b, size_t D, double *size);

/* n items in `parts` consecutive shares, as threads would take them: share i is first..end-1. */
struct share {
    size_t first, n;
};

struct share share_of(size_t n, size_t parts, size_t i);

/* Calls `check` with the table of a wrong kernel, silently; it must find a failure. */
void must_catch(const char *what, void (*check)(const struct moco_simd *t),
                const struct moco_simd *mutant);

/* The groups. */
#define GROUP(name)                                    \
    void check_##name(const struct moco_simd *t);      \
    void mutants_##name(void)

GROUP(dense);
GROUP(softmax);
GROUP(infonce);
GROUP(update);
GROUP(number);
GROUP(bn);
GROUP(nce);
GROUP(margin);
GROUP(knn);
GROUP(resize);
GROUP(colour);
GROUP(direct);

#endif
