/* method.h: what the tests of methods share: a call with numbers in it, the same loss written out
 * in double, and its gradient by central differences. One file a method. */
#ifndef MOCO_TESTS_METHODS_METHOD_H
#define MOCO_TESTS_METHODS_METHOD_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/contrast/bank.h"
#include "engine/contrast/consistency.h"
#include "engine/contrast/method.h"
#define CHECK_SHARED
#include "tests/check.h"

/* Behind the headers: these name their sizes alike. */
enum { B = 9, D = 12, N = 70, M = 25, CLASSES = 4 };

extern struct moco_simd simd;

/* Normal numbers; rows of unit length. */
void numbers(float *x, size_t n, uint64_t stream);
void unit_rows(float *x, size_t rows, uint64_t stream);

/* Everything that a call reads and writes. */
struct call {
    struct contrast c;
    float q[B * D], k[B * D], d_q[B * D], d_k[B * D], raw[B * D], d_raw[B * D];
    float weight[N * D], bias[N], d_weight[N * D], d_bias[N];
    int64_t ids[B], index[B * M];
    int32_t labels[B], different[B];
};

/* For free(); unit: q and k are unit rows. */
struct call *call_open(int unit);

struct method_config config_of(void);

double dot(const double *a, const double *b); /* (D) */

/* A loss in double, of numbers that a central difference moves. */
struct reference {
    double (*loss)(const struct reference *r);
    const struct call *call;
    struct method_config config;
    double bank[N * D], q[B * D], k[B * D], raw[B * D], weight[N * D], bias[N];
    double z, lambda;
};

struct reference *reference_of(const struct call *s, const struct method_config *config,
                               double (*loss)(const struct reference *r));

void widen(double *to, const float *from, size_t n);

/* -log of the softmax of s (n) at `own`. */
double softmax_loss(const double *s, size_t own, size_t n);

/* d_x: (n) against central differences of r's loss; x: numbers inside r. */
void check_gradient(struct reference *r, double *x, const float *d_x, size_t n, const char *what);

struct state_tensor tensor(const struct method *method, void *state, size_t i);

/* The same bytes with 1, 4 and 7 threads. */
void test_threads(const struct method *method, enum bank_loss bank);

/* One a file. */
void test_memory_bank(void);
void test_parametric(void);
void test_margin(void);
void test_semi_supervised(void);
void test_consistency(void);
void test_moco_v3(void);

#endif
