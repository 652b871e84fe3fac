/* optimiser.c: SGD, LARS and AdamW over an encoder's arenas.
 *
 * SGD:   g' = g + wd p;  u <- momentum u + g';  p <- p - lr u
 * LARS:  for matrices and filters g' = (g + wd p) trust ‖p‖ / ‖g + wd p‖, where both norms
 *        are above 0; for vectors g' = g; then as SGD (You et al. 2017, eq. 6; the rate is
 *        outside u, as in Chen, Xie, He 2021)
 * AdamW: p <- (1 - lr wd) p; u, v <- moments of g; p <- p - lr (u / (1 - β1^t)) /
 *        (sqrt(v / (1 - β2^t)) + ε) (Loshchilov and Hutter 2019, algorithm 2)
 *
 * Threads share out pieces of fixed size and norms are sums of the pieces' sums in their order, so
 * the bytes do not depend on the number of threads. */
#include "engine/optim/optimiser.h"

#include <math.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/optim/update.h"

enum { PIECE = 1 << 14, PIECES_AT_ONCE = 256, LANES = 8 };

static const char *const names[] = { "sgd", "lars", "adamw" };

int optimiser_named(enum optimiser_kind *out, const char *name)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) {
            *out = (enum optimiser_kind)i;
            return MOCO_OK;
        }
    return error_set(MOCO_EARG, "unknown optimizer %s: sgd, lars and adamw are known", name);
}

int optimiser_states(enum optimiser_kind kind)
{
    return kind == OPTIMISER_ADAMW ? 2 : 1;
}

static size_t piece_end(size_t first, size_t n)
{
    return n - first < PIECE ? n : first + PIECE;
}

/* ---- LARS ---- */

/* Σ p² and Σ (g + wd p)² of one piece, in eight lanes. */
static void piece_squares(double out[2], const float *p, const float *g, size_t n, float wd)
{
    double weights[LANES] = { 0.0 }, decayed[LANES] = { 0.0 };
    for (size_t i = 0; i < n; i++) {
        double w = (double)p[i], d = (double)(g[i] + wd * p[i]);
        weights[i % LANES] += w * w;
        decayed[i % LANES] += d * d;
    }
    out[0] = out[1] = 0.0;
    for (int i = 0; i < LANES; i++) {
        out[0] += weights[i];
        out[1] += decayed[i];
    }
}

/* trust ‖p‖ / ‖g + wd p‖, or 1 where one of them is 0. */
static float trust_ratio(const struct optimiser *o, const float *p, const float *g, size_t n)
{
    double squares[2] = { 0.0, 0.0 }, part[PIECES_AT_ONCE][2];
    for (size_t first = 0; first < n; first += (size_t)PIECES_AT_ONCE * PIECE) {
        long pieces = (long)((n - first + PIECE - 1) / PIECE);
        pieces = pieces < PIECES_AT_ONCE ? pieces : PIECES_AT_ONCE;
#pragma omp parallel for schedule(static)
        for (long i = 0; i < pieces; i++) {
            size_t at = first + (size_t)i * PIECE;
            piece_squares(part[i], p + at, g + at, piece_end(at, n) - at, o->weight_decay);
        }
        for (long i = 0; i < pieces; i++) {
            squares[0] += part[i][0];
            squares[1] += part[i][1];
        }
    }
    if (!(squares[0] > 0.0 && squares[1] > 0.0))
        return 1.0f;
    return (float)(o->trust * sqrt(squares[0] / squares[1]));
}

static void lars_matrix(const struct optimiser *o, float *p, float *u, const float *g, size_t n,
                        float lr)
{
    float ratio = trust_ratio(o, p, g, n), wd = o->weight_decay, momentum = o->momentum;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++) {
        u[i] = momentum * u[i] + ratio * (g[i] + wd * p[i]);
        p[i] -= lr * u[i];
    }
}

static void lars_update(const struct optimiser *o, const struct moco_simd *simd,
                        const struct net *net, float *p, float *u, const float *g, float lr)
{
    size_t count;
    const struct tensor *t = net_tensors(net, &count);
    for (; count--; t++) {
        if (t->kind != TENSOR_PARAM)
            continue;
        if (t->rank > 1)
            lars_matrix(o, p + t->offset, u + t->offset, g + t->offset, t->count, lr);
        else
            sgd_update(simd, p + t->offset, u + t->offset, g + t->offset, t->count, lr,
                       o->momentum, 0.0f);
    }
}

/* ---- AdamW ---- */

static void adamw_update(const struct optimiser *o, float *p, float *u, float *v, const float *g,
                         size_t n, float lr, uint64_t t)
{
    float b1 = o->beta1, b2 = o->beta2, epsilon = o->epsilon;
    float kept = 1.0f - lr * o->weight_decay;
    float first = (float)(1.0 / (1.0 - pow((double)b1, (double)t)));
    float second = (float)(1.0 / (1.0 - pow((double)b2, (double)t)));
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++) {
        u[i] = b1 * u[i] + (1.0f - b1) * g[i];
        v[i] = b2 * v[i] + (1.0f - b2) * g[i] * g[i];
        p[i] = kept * p[i] - lr * (u[i] * first) / (sqrtf(v[i] * second) + epsilon);
    }
}

void optimiser_update(const struct optimiser *o, const struct moco_simd *simd,
                      const struct net *net, float *params, float *u, float *v,
                      const float *grads, float lr, uint64_t t)
{
    size_t n = net_param_count(net);
    if (o->kind == OPTIMISER_SGD)
        sgd_update(simd, params, u, grads, n, lr, o->momentum, o->weight_decay);
    else if (o->kind == OPTIMISER_LARS)
        lars_update(o, simd, net, params, u, grads, lr);
    else
        adamw_update(o, params, u, v, grads, n, lr, t);
}
