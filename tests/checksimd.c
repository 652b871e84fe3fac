/* checksimd.c: every kernel of every level against the plain C specification, byte by byte.
 *
 * The idea is FFmpeg's checkasm: random sizes around each edge, friendly and hostile values, each
 * buffer ending flush against an unreadable page, with a painted strip before it. `ref` itself is
 * measured against double arithmetic with the bounds of simd.h. Mutants that forget their tail
 * must be caught in the same run, or the checker is the one that failed.
 * Usage: checksimd [seed] */
#define _DEFAULT_SOURCE
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "simd/simd.h"

enum { SLOTS = 24, SLOT_BYTES = 1 << 20, STRIP = 64, PAINT = 0xa5, BATCHES = 7 };
enum fill { UNIFORM, TINY, HUGE_VALUES, ALTERNATING, EQUAL, MIXED, FILLS };

static const double UNIT = FLT_EPSILON / 2;
static const size_t rows_of[BATCHES] = {1, 6, 5, 0, 7, 13, 97};
static const size_t keys_of[] = {0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200, 257};
static const size_t columns_of[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 64, 65, 128, 200};
static const size_t lengths_of[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 1000};
static const size_t pixels_of[] = {0, 1, 2, 63, 64, 65, 255, 256, 257, 300, 576, 1023};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct moco_simd ref;
static unsigned long checks, failures;
static int silent;
static uint64_t state;
static unsigned char *slot_end[SLOTS];
static unsigned char *slot_start[SLOTS];

static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static float uniform(void)
{
    return (float)(int64_t)(next() >> 40) / (float)(1 << 23) - 1.0f;
}

__attribute__((format(printf, 2, 3))) static void expect(int ok, const char *format, ...)
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

static void open_slots(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (int i = 0; i < SLOTS; i++) {
        unsigned char *p = mmap(NULL, SLOT_BYTES + page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED || mprotect(p + SLOT_BYTES, page, PROT_NONE)) {
            perror("checksimd: mmap");
            exit(2);
        }
        slot_end[i] = p + SLOT_BYTES;
    }
}

/* The slot's last `bytes` bytes; the strip before them is painted. */
static void *take_bytes(int slot, size_t bytes)
{
    if (bytes + STRIP > SLOT_BYTES)
        abort();
    slot_start[slot] = slot_end[slot] - bytes;
    memset(slot_start[slot] - STRIP, PAINT, STRIP);
    return slot_start[slot];
}

static float *take(int slot, size_t n)
{
    return take_bytes(slot, n * sizeof(float));
}

static float *take_copy(int slot, const float *src, size_t n)
{
    float *p = take(slot, n);

    memcpy(p, src, n * sizeof *p);
    return p;
}

static float *take_filled(int slot, size_t n, enum fill fill)
{
    static const float scale[] = {1.0f, 1e-30f, 1e15f, 1.0f, 1.0f, 1.0f};
    float *p = take(slot, n), same = uniform();

    for (size_t i = 0; i < n; i++) {
        p[i] = uniform() * scale[fill];
        if (fill == ALTERNATING)
            p[i] = i % 2 ? -1.0f : 1.0f;
        else if (fill == EQUAL)
            p[i] = same;
        else if (fill == MIXED)
            p[i] = ldexpf(p[i], (int)(next() % 60) - 40);
    }
    return p;
}

static void strips_intact(const char *kernel, const char *level)
{
    int ok = 1;

    for (int i = 0; i < SLOTS; i++)
        for (int j = 1; slot_start[i] && j <= STRIP; j++)
            ok &= slot_start[i][-j] == PAINT;
    expect(ok, "%s %s wrote before a buffer", kernel, level);
}

static void same(const char *kernel, const struct moco_simd *t, const float *got,
                 const float *want, size_t n, const char *what, size_t a, size_t b, size_t c)
{
    size_t i = 0;

    while (i < n && !memcmp(got + i, want + i, sizeof *got))
        i++;
    expect(i == n, "%s %s: %s differs at %zu of %zu (sizes %zu %zu %zu): %a, ref %a", kernel,
           t->name, what, i, n, a, b, c, i < n ? (double)got[i] : 0, i < n ? (double)want[i] : 0);
}

/* logits */

static void logits_oracle(const float *out, const float *q, const float *keys, size_t B, size_t K,
                          size_t D)
{
    for (size_t i = 0; i < B * K; i++) {
        double exact = 0, size = 0;

        for (size_t d = 0; d < D; d++) {
            double term = (double)q[i / K * D + d] * keys[i % K * D + d];

            exact += term;
            size += fabs(term);
        }
        expect(fabs(out[i] - exact) <= (double)(D + 1) * (UNIT * size + FLT_MIN * UNIT * 2),
               "logits: %g, exact %g", (double)out[i], exact);
    }
}

static void check_logits(const struct moco_simd *t, size_t B, size_t K, size_t D, enum fill fill)
{
    float *q = take_filled(0, B * D, fill), *keys = take_filled(1, K * D, fill);
    float *want = take(2, B * K), *got = take(3, B * K);
    size_t cut = B / 3;

    ref.logits(want, q, keys, B, K, D);
    memset(got, PAINT, B * K * sizeof *got);
    t->logits(got, q, keys, B, K, D);
    same("logits", t, got, want, B * K, "out", B, K, D);
    memset(got, PAINT, B * K * sizeof *got);
    t->logits(got, q, keys, cut, K, D);
    t->logits(got + cut * K, q + cut * D, keys, B - cut, K, D);
    same("logits", t, got, want, B * K, "split", B, K, D);
    if (t->logits == ref.logits)
        logits_oracle(got, q, keys, B, K, D);
    strips_intact("logits", t->name);
}

/* infonce */

struct batch {
    float *q, *k, *keys, *scratch;
    int64_t *q_id, *key_id;
    size_t B, K, D;
    float T;
};

struct answer {
    float *loss, *top1, *d_q;
};

static void unit_rows(float *p, size_t rows, size_t D)
{
    for (size_t r = 0; r < rows; r++, p += D) {
        double s = 0;

        for (size_t d = 0; d < D; d++)
            s += (double)p[d] * p[d];
        for (size_t d = 0; d < D; d++)
            p[d] = (float)(p[d] / sqrt(s > 0 ? s : 1));
    }
}

static int counts(const struct batch *x, size_t b, size_t j)
{
    return !x->q_id || !x->key_id || (x->key_id[j] >= 0 && x->key_id[j] != x->q_id[b]);
}

static double exact_dot(const float *a, const float *b, size_t D, double *size)
{
    double s = 0, sum = 0;

    for (size_t d = 0; d < D; d++) {
        s += (double)a[d] * b[d];
        sum += fabs((double)a[d] * b[d]);
    }
    *size = fmax(*size, sum);
    return s;
}

/* One row in double: the maximum known beforehand, then the sums. */
static void infonce_oracle(const struct batch *x, const struct answer *y, size_t b)
{
    static double l[1024];
    const float *q = x->q + b * x->D, *k = x->k + b * x->D;
    double size = 0, l0 = exact_dot(q, k, x->D, &size) / x->T, top = -INFINITY, m, sum, loss;
    double bound;

    for (size_t j = 0; j < x->K; j++) {
        l[j] = exact_dot(q, x->keys + j * x->D, x->D, &size) / x->T;
        if (!counts(x, b, j))
            l[j] = -INFINITY;
        top = fmax(top, l[j]);
    }
    m = fmax(l0, top);
    sum = exp(l0 - m);
    for (size_t j = 0; j < x->K; j++)
        sum += exp(l[j] - m);
    loss = log(sum) + m - l0;
    bound = 16 * UNIT / x->T * size + 64 * UNIT * fabs(loss);
    expect(fabs(y->loss[b] - loss) <= bound, "infonce ref: loss %.9g, exact %.9g, bound %g",
           (double)y->loss[b], loss, bound);
    if (fabs(l0 - top) > 1e-4 / x->T)
        expect(y->top1[b] == (l0 >= top), "infonce ref: top1");
    for (size_t d = 0; d < x->D; d++) {
        double slope = exp(l0 - m) * k[d];

        for (size_t j = 0; j < x->K; j++)
            slope += exp(l[j] - m) * x->keys[j * x->D + d];
        slope = (slope / sum - k[d]) / x->T;
        expect(fabs(y->d_q[b * x->D + d] - slope) <= UNIT / x->T * (64 + 32 / x->T),
               "infonce ref: d_q %g, exact %g", (double)y->d_q[b * x->D + d], slope);
    }
}

static void call_infonce(const struct moco_simd *t, const struct batch *x, const struct answer *y,
                         size_t from, size_t to)
{
    size_t at = from * x->D;

    t->infonce(y->loss + from, y->top1 + from, y->d_q + at, x->q + at, x->k + at, x->keys,
               x->q_id ? x->q_id + from : NULL, x->key_id, to - from, x->K, x->D, x->T,
               x->scratch);
}

static struct answer take_answer(int slot, const struct batch *x)
{
    return (struct answer){take(slot, x->B), take(slot + 1, x->B), take(slot + 2, x->B * x->D)};
}

static void same_answer(const struct moco_simd *t, const struct answer *got,
                        const struct answer *want, const struct batch *x, const char *how)
{
    same("infonce", t, got->loss, want->loss, x->B, how, x->B, x->K, x->D);
    same("infonce", t, got->top1, want->top1, x->B, how, x->B, x->K, x->D);
    same("infonce", t, got->d_q, want->d_q, x->B * x->D, how, x->B, x->K, x->D);
}

static void take_ids(struct batch *x, int how)
{
    x->q_id = how ? take_bytes(4, x->B * sizeof *x->q_id) : NULL;
    x->key_id = how > 1 ? take_bytes(5, x->K * sizeof *x->key_id) : NULL;
    for (size_t b = 0; x->q_id && b < x->B; b++)
        x->q_id[b] = (int64_t)(next() % 8) + ((int64_t)1 << 33);
    for (size_t j = 0; x->key_id && j < x->K; j++)
        x->key_id[j] = how == 3 ? -1 : (int64_t)(next() % 9) - 1 + ((int64_t)(next() & 1) << 33);
}

static void check_infonce(const struct moco_simd *t, size_t B, size_t K, size_t D, enum fill fill,
                          float T, int ids)
{
    struct batch x = {.q = take_filled(0, B * D, fill), .k = take_filled(1, B * D, fill),
                      .keys = take_filled(2, K * D, fill), .B = B, .K = K, .D = D, .T = T};
    struct answer want, got, split;
    size_t floats = moco_infonce_scratch(D), cut = B / 2;
    int unit = fill == UNIFORM || fill == EQUAL;

    if (unit) {
        unit_rows(x.q, B, D);
        unit_rows(x.k, B, D);
        unit_rows(x.keys, K, D);
    }
    x.scratch = take(3, (floats + 15) / 16 * 16);
    take_ids(&x, ids);
    want = take_answer(6, &x);
    got = take_answer(9, &x);
    split = take_answer(12, &x);
    call_infonce(&ref, &x, &want, 0, B);
    call_infonce(t, &x, &got, 0, B);
    call_infonce(t, &x, &split, 0, cut);
    call_infonce(t, &x, &split, cut, B);
    same_answer(t, &got, &want, &x, "whole");
    same_answer(t, &split, &want, &x, "split");
    for (size_t b = 0; t->infonce == ref.infonce && unit && b < B; b++)
        infonce_oracle(&x, &got, b);
    strips_intact("infonce", t->name);
}

/* rows */

static void check_rows(const struct moco_simd *t, size_t B, size_t D, enum fill fill)
{
    size_t n = B * D;
    float *src = take_filled(0, n, fill), *g = take_filled(1, n, fill);
    float *want = take(2, n), *want_inv = take(3, B), *got = take(4, n), *inv = take(5, B);
    float *d_want = take(6, n), *d_got = take(7, n);
    int measured;

    ref.row_normalise(want, want_inv, src, B, D);
    t->row_normalise(got, inv, src, B, D);
    same("row_normalise", t, got, want, n, "dst", B, D, 0);
    same("row_normalise", t, inv, want_inv, B, "inv_norm", B, D, 0);
    ref.row_normalise_grad(d_want, g, want, inv, B, D);
    t->row_normalise_grad(d_got, g, want, inv, B, D);
    same("row_normalise_grad", t, d_got, d_want, n, "d_src", B, D, 0);
    t->row_normalise_grad(g, g, want, inv, B, D);
    same("row_normalise_grad", t, g, d_want, n, "in place", B, D, 0);
    measured = t->row_normalise == ref.row_normalise && fill == UNIFORM && D;
    for (size_t b = 0; measured && b < B; b++) {
        double s = 0;

        for (size_t d = 0; d < D; d++)
            s += (double)src[b * D + d] * src[b * D + d];
        expect(fabs(inv[b] * sqrt(s) - 1) <= (double)(D + 8) * UNIT, "row_normalise ref: norm");
    }
    t->row_normalise(src, inv, src, B, D);
    same("row_normalise", t, src, want, n, "in place", B, D, 0);
    strips_intact("rows", t->name);
}

/* updates */

static void check_ema(const struct moco_simd *t, size_t n, enum fill fill, float m)
{
    float *k = take_filled(0, n, fill), *q = take_filled(1, n, fill);
    float *want = take_copy(2, k, n), *got = take_copy(3, k, n), *split = take_copy(4, k, n);
    float take_q = 1.0f - m;

    ref.ema(want, q, n, m);
    t->ema(got, q, n, m);
    t->ema(split, q, n / 3, m);
    t->ema(split + n / 3, q + n / 3, n - n / 3, m);
    same("ema", t, got, want, n, "k", n, 0, 0);
    same("ema", t, split, want, n, "split", n, 0, 0);
    for (size_t i = 0; t->ema == ref.ema && i < n; i++) {
        double a = (double)m * k[i], b = (double)take_q * q[i];

        expect(fabs(want[i] - (a + b)) <= 3 * UNIT * (fabs(a) + fabs(b)) + FLT_MIN * UNIT * 4,
               "ema ref: %g, exact %g", (double)want[i], a + b);
    }
    strips_intact("ema", t->name);
}

static void check_sgd(const struct moco_simd *t, size_t n, enum fill fill)
{
    float *p = take_filled(0, n, fill), *u = take_filled(1, n, fill), *g = take_filled(2, n, fill);
    float *p1 = take_copy(3, p, n), *u1 = take_copy(4, u, n);
    float *p2 = take_copy(5, p, n), *u2 = take_copy(6, u, n);
    const float lr = 0.03f, momentum = 0.9f, wd = 5e-4f;

    ref.sgd(p1, u1, g, n, lr, momentum, wd);
    t->sgd(p2, u2, g, n / 2, lr, momentum, wd);
    t->sgd(p2 + n / 2, u2 + n / 2, g + n / 2, n - n / 2, lr, momentum, wd);
    t->sgd(p, u, g, n, lr, momentum, wd);
    same("sgd", t, p, p1, n, "p", n, 0, 0);
    same("sgd", t, u, u1, n, "u", n, 0, 0);
    same("sgd", t, p2, p1, n, "split p", n, 0, 0);
    same("sgd", t, u2, u1, n, "split u", n, 0, 0);
    strips_intact("sgd", t->name);
}

static void check_sgd_ema(const struct moco_simd *t, size_t n, enum fill fill)
{
    float *w = take_filled(0, n, fill), *v = take_filled(1, n, fill), *k = take_filled(2, n, fill);
    float *g = take_filled(3, n, fill), *w1 = take_copy(4, w, n), *v1 = take_copy(5, v, n);
    float *k1 = take_copy(6, k, n);
    size_t cut = n / 3;

    ref.sgd(w1, v1, g, n, 0.03f, 0.9f, 5e-4f);
    ref.ema(k1, w1, n, 0.99f);
    t->sgd_ema(w, v, k, g, cut, 0.03f, 0.9f, 5e-4f, 0.99f);
    t->sgd_ema(w + cut, v + cut, k + cut, g + cut, n - cut, 0.03f, 0.9f, 5e-4f, 0.99f);
    same("sgd_ema", t, w, w1, n, "w", n, 0, 0);
    same("sgd_ema", t, v, v1, n, "v", n, 0, 0);
    same("sgd_ema", t, k, k1, n, "w_k", n, 0, 0);
    strips_intact("sgd_ema", t->name);
}

static void check_softmax(const struct moco_simd *t, size_t B, size_t K, enum fill fill)
{
    size_t n = B * K;
    float *x = take_filled(0, n, fill), *want = take(1, n), *got = take(2, n);

    ref.softmax(want, x, B, K, 0.07f);
    t->softmax(got, x, B / 2, K, 0.07f);
    t->softmax(got + B / 2 * K, x + B / 2 * K, B - B / 2, K, 0.07f);
    same("softmax", t, got, want, n, "out", B, K, 0);
    t->softmax(x, x, B, K, 0.07f);
    same("softmax", t, x, want, n, "in place", B, K, 0);
    strips_intact("softmax", t->name);
}

/* BatchNorm */

static void stats_oracle(const float *mean, const float *m2, const float *src, size_t pixels,
                         size_t lanes)
{
    for (size_t c = 0; c < lanes; c++) {
        double s = 0, size = 0, squares = 0;

        for (size_t i = 0; i < pixels; i++) {
            s += src[i * lanes + c];
            size += fabs(src[i * lanes + c]);
        }
        s /= pixels ? (double)pixels : 1;
        for (size_t i = 0; i < pixels; i++)
            squares += (src[i * lanes + c] - s) * (src[i * lanes + c] - s);
        expect(fabs(mean[c] - s) <= 100 * UNIT * (size / (pixels ? (double)pixels : 1)) + FLT_MIN,
               "bn_stats ref: mean %g, exact %g", (double)mean[c], s);
        expect(fabs(m2[c] - squares) <= 200 * UNIT * (squares + size * fabs(s)) + FLT_MIN,
               "bn_stats ref: m2 %g, exact %g", (double)m2[c], squares);
    }
}

static void check_stats(const struct moco_simd *t, size_t pixels, size_t lanes, enum fill fill)
{
    float *src = take_filled(0, pixels * lanes, fill);
    float *mean1 = take(1, lanes), *m21 = take(2, lanes), *mean2 = take(3, lanes);
    float *m22 = take(4, lanes);

    ref.bn_stats(mean1, m21, src, pixels, lanes);
    t->bn_stats(mean2, m22, src, pixels, lanes);
    same("bn_stats", t, mean2, mean1, lanes, "mean", pixels, lanes, 0);
    same("bn_stats", t, m22, m21, lanes, "m2", pixels, lanes, 0);
    if (t->bn_stats == ref.bn_stats && (fill == UNIFORM || fill == EQUAL))
        stats_oracle(mean2, m22, src, pixels, lanes);
    strips_intact("bn_stats", t->name);
}

static void check_apply(const struct moco_simd *t, size_t pixels, size_t lanes, enum fill fill,
                        int relu, int adds)
{
    size_t n = pixels * lanes, cut = pixels / 3 * lanes;
    float *src = take_filled(0, n, fill), *add = adds ? take_filled(1, n, fill) : NULL;
    float *scale = take_filled(2, lanes, UNIFORM), *shift = take_filled(3, lanes, fill);
    float *want = take(4, n), *got = take(5, n), *in_place = take_copy(6, src, n);

    ref.bn_apply(want, src, add, scale, shift, pixels, lanes, relu);
    t->bn_apply(got, src, add, scale, shift, pixels, lanes, relu);
    same("bn_apply", t, got, want, n, "dst", pixels, lanes, 0);
    t->bn_apply(got, src, add, scale, shift, pixels / 3, lanes, relu);
    t->bn_apply(got + cut, src + cut, add ? add + cut : NULL, scale, shift, pixels - pixels / 3,
                lanes, relu);
    same("bn_apply", t, got, want, n, "split", pixels, lanes, 0);
    t->bn_apply(in_place, in_place, add, scale, shift, pixels, lanes, relu);
    same("bn_apply", t, in_place, want, n, "dst = src", pixels, lanes, 0);
    if (add) {
        t->bn_apply(add, src, add, scale, shift, pixels, lanes, relu);
        same("bn_apply", t, add, want, n, "dst = add", pixels, lanes, 0);
    }
    strips_intact("bn_apply", t->name);
}

static void check_grad_sums(const struct moco_simd *t, size_t pixels, size_t lanes, enum fill fill,
                            int gated)
{
    size_t n = pixels * lanes;
    float *g = take_filled(0, n, fill), *act = gated ? take_filled(1, n, fill) : NULL;
    float *src = take_filled(2, n, fill), *mean = take_filled(3, lanes, fill);
    float *g1 = take(4, lanes), *gx1 = take(5, lanes), *g2 = take(6, lanes), *gx2 = take(7, lanes);

    ref.bn_grad_sums(g1, gx1, g, act, src, mean, pixels, lanes);
    t->bn_grad_sums(g2, gx2, g, act, src, mean, pixels, lanes);
    same("bn_grad_sums", t, g2, g1, lanes, "sum_g", pixels, lanes, 0);
    same("bn_grad_sums", t, gx2, gx1, lanes, "sum_gx", pixels, lanes, 0);
    strips_intact("bn_grad_sums", t->name);
}

static void check_grad(const struct moco_simd *t, size_t pixels, size_t lanes, enum fill fill,
                       int gated, int adds)
{
    size_t n = pixels * lanes;
    float *g = take_filled(0, n, fill), *act = gated ? take_filled(1, n, fill) : NULL;
    float *src = take_filled(2, n, fill), *a = take_filled(3, lanes, UNIFORM);
    float *b = take_filled(4, lanes, UNIFORM), *c = take_filled(5, lanes, fill);
    float *want = take(6, n), *got = take(7, n), *alias = take_copy(10, g, n);
    float *add1 = adds ? take(8, n) : NULL, *add2 = adds ? take(9, n) : NULL;

    ref.bn_grad(want, add1, g, act, src, a, b, c, pixels, lanes);
    t->bn_grad(got, add2, g, act, src, a, b, c, pixels, lanes);
    same("bn_grad", t, got, want, n, "d_src", pixels, lanes, 0);
    t->bn_grad(alias, add2, alias, act, src, a, b, c, pixels, lanes);
    same("bn_grad", t, alias, want, n, "d_src = d_dst", pixels, lanes, 0);
    if (adds) {
        same("bn_grad", t, add2, add1, n, "d_add", pixels, lanes, 0);
        t->bn_grad(got, g, g, act, src, a, b, c, pixels, lanes);
        same("bn_grad", t, got, want, n, "d_src beside d_add = d_dst", pixels, lanes, 0);
        same("bn_grad", t, g, add1, n, "d_add = d_dst", pixels, lanes, 0);
    }
    strips_intact("bn_grad", t->name);
}

/* The whole tour */

static void check_products(const struct moco_simd *t)
{
    static const float temperatures[] = {0.07f, 0.01f, 0.2f, 1.0f, 0.005f};
    unsigned turn = 0;

    for (size_t i = 0; i < COUNT(keys_of); i++)
        for (size_t j = 0; j < COUNT(columns_of); j++)
            for (int again = 0; again < 2; again++, turn++) {
                size_t B = rows_of[next() % BATCHES], K = keys_of[i], D = columns_of[j];

                check_logits(t, B, K, D, turn % FILLS);
                check_infonce(t, B, K, D, again ? next() % FILLS : UNIFORM,
                              temperatures[next() % COUNT(temperatures)], (int)(next() % 4));
            }
}

static void check_lengths(const struct moco_simd *t)
{
    for (size_t i = 0; i < COUNT(lengths_of); i++)
        for (enum fill fill = 0; fill < FILLS; fill++) {
            check_rows(t, rows_of[next() % BATCHES], lengths_of[i], fill);
            check_ema(t, lengths_of[i], fill, i % 2 ? 0.999f : 0.99f);
            check_sgd(t, lengths_of[i], fill);
            check_sgd_ema(t, lengths_of[i], fill);
            check_softmax(t, rows_of[next() % BATCHES], lengths_of[i], fill);
        }
}

static void check_planes(const struct moco_simd *t)
{
    for (size_t i = 0; i < COUNT(pixels_of); i++)
        for (enum fill fill = 0; fill < FILLS; fill++)
            for (int how = 0; how < 8; how++) {
                size_t lanes = how & 4 ? 16 : 8;

                check_stats(t, pixels_of[i], lanes, fill);
                check_apply(t, pixels_of[i], lanes, fill, how & 1, how & 2);
                check_grad_sums(t, pixels_of[i], lanes, fill, how & 1);
                check_grad(t, pixels_of[i], lanes, fill, how & 1, how & 2);
            }
}

/* Mutants: right but for their tails. */

static void mutant_ema(float *k, const float *q, size_t n, float m)
{
    ref.ema(k, q, n / 16 * 16, m);
}

static void mutant_logits(float *out, const float *q, const float *keys, size_t B, size_t K,
                          size_t D)
{
    ref.logits(out, q, keys, K % 16 ? B / 2 : B, K, D);
}

static void mutant_stats(float *mean, float *m2, const float *src, size_t pixels, size_t lanes)
{
    ref.bn_stats(mean, m2, src, pixels > 64 ? pixels / 64 * 64 : pixels, lanes);
}

static void check_mutants(void)
{
    unsigned long before = failures, caught[3];
    struct moco_simd t = ref;

    t.name = "mutant";
    t.ema = mutant_ema;
    t.logits = mutant_logits;
    t.bn_stats = mutant_stats;
    silent = 1;
    check_ema(&t, 33, UNIFORM, 0.999f);
    caught[0] = failures - before;
    check_logits(&t, 3, 17, 8, UNIFORM);
    caught[1] = failures - before - caught[0];
    check_stats(&t, 65, 8, UNIFORM);
    caught[2] = failures - before - caught[0] - caught[1];
    failures = before;
    silent = 0;
    for (int i = 0; i < 3; i++)
        expect(caught[i] > 0, "mutant %d went unnoticed", i);
}

static void check_names(void)
{
    struct moco_simd t = {.name = "untouched"};

    expect(moco_level_named("avx512") == MOCO_LEVEL_AVX512, "level avx512");
    expect(moco_level_named("sse") == -1, "level sse");
    expect(moco_simd_init(&t, "sse") == -1 && !strcmp(t.name, "untouched"), "init sse");
    expect(moco_simd_init(&t, "ref") == 0 && !strcmp(t.name, "ref"), "init ref");
    expect(moco_simd_init(&t, "") == 0, "init without a cap");
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20200709;
    struct moco_simd t;
    char levels[64] = "";

    state = seed;
    printf("checksimd: seed %llu\n", (unsigned long long)seed);
    open_slots();
    moco_simd_at(&ref, MOCO_LEVEL_REF);
    check_names();
    check_mutants();
    for (enum moco_level level = MOCO_LEVEL_REF; level <= MOCO_LEVEL_AVX512; level++) {
        if (moco_simd_at(&t, level))
            continue;
        strcat(strcat(levels, " "), t.name);
        check_products(&t);
        check_lengths(&t);
        check_planes(&t);
    }
    if (failures)
        printf("checksimd: %lu of %lu checks failed\n", failures, checks);
    else
        printf("checksimd: %lu checks, levels%s\n", checks, levels);
    return failures != 0;
}
