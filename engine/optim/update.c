/* update.c: see update.h. PIECE is large enough that a piece costs more than handing it out, and
 * small enough that the last ones level the threads. */
#include "engine/optim/update.h"

enum { PIECE = 1 << 15 }; /* floats */

static size_t piece_of(size_t n, long i)
{
    size_t left = n - (size_t)i * PIECE;
    return left < PIECE ? left : PIECE;
}

void ema_update(const struct moco_simd *simd, float *k, const float *q, size_t n, float m)
{
    long pieces = (long)((n + PIECE - 1) / PIECE);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < pieces; i++)
        simd->ema(k + (size_t)i * PIECE, q + (size_t)i * PIECE, piece_of(n, i), m);
}

void sgd_update(const struct moco_simd *simd, float *p, float *u, const float *g, size_t n,
                float lr, float momentum, float weight_decay)
{
    long pieces = (long)((n + PIECE - 1) / PIECE);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < pieces; i++) {
        size_t at = (size_t)i * PIECE;
        simd->sgd(p + at, u + at, g + at, piece_of(n, i), lr, momentum, weight_decay);
    }
}
