/* inbatch.c: the batch as its own dictionary; see inbatch.h.
 *
 * logits S = q kᵀ / T, (B, B); row i's positive is column i. P = softmax of the rows of S.
 * L = mean of -log P_ii;  d_q = (P - I) k / (T B);  d_k = (P - I)ᵀ q / (T B).
 * All three products are simd->logits, which wants its right side transposed: hence the turned
 * copies of q and k, and (P - I) written both ways. */
#include "engine/contrast/inbatch.h"

#include <math.h>

#include "engine/base/error.h"
#include "engine/contrast/rows.h"

static struct arena_pieces buffers(struct inbatch *s)
{
    size_t square = s->B * s->B * sizeof(float), turned = s->B * s->D * sizeof(float);
    size_t row = s->B * sizeof(double);

    return (struct arena_pieces){ {
        { &s->a, square }, { &s->a_turned, square }, { &s->q_turned, turned },
        { &s->k_turned, turned }, { &s->loss, row }, { &s->top1, row },
    } };
}

size_t inbatch_bytes(size_t B, size_t D)
{
    struct inbatch s = { .B = B, .D = D };
    struct arena_pieces pieces = buffers(&s);

    return arena_pieces_bytes(&pieces);
}

int inbatch_open(struct inbatch *s, size_t B, size_t D, float T, const struct moco_simd *simd)
{
    *s = (struct inbatch){ .simd = *simd, .B = B, .D = D, .T = T };
    if (B == 0 || D == 0 || !(T > 0.0f))
        return error_set(MOCO_EARG, "batch %zu, %zu columns and temperature %g: all must be above "
                         "0", B, D, (double)T);
    struct arena_pieces pieces = buffers(s);
    return arena_open_pieces(&s->arena, &pieces, "the buffers of the loss");
}

void inbatch_close(struct inbatch *s)
{
    arena_close(&s->arena);
}

/* Columns first..last-1 of out (D, B) = src (B, D) transposed. */
static void turn(float *out, const float *src, size_t first, size_t last, size_t B, size_t D)
{
    for (size_t d = 0; d < D; d++)
        for (size_t i = first; i < last; i++)
            out[d * B + i] = src[i * D + d];
}

/* Ties go to the lowest column. */
static int positive_wins(const float *l, size_t own, size_t B)
{
    for (size_t j = 0; j < own; j++)
        if (!(l[j] < l[own]))
            return 0;
    for (size_t j = own + 1; j < B; j++)
        if (!(l[j] <= l[own]))
            return 0;
    return 1;
}

/* Loss of row i; its logits give way to its row of (P - I) scale / (T B). The other columns are
 * summed apart from the positive, so that P_ii - 1 = -others / sum loses no digits. */
static void softmax_row(struct inbatch *s, size_t i, double scale)
{
    size_t B = s->B;
    float *a = s->a + i * B, top = a[0];
    double T = s->T, others = 0.0, own, share;

    s->top1[i] = positive_wins(a, i, B);
    for (size_t j = 1; j < B; j++)
        top = a[j] > top ? a[j] : top;
    own = ((double)a[i] - top) / T;
    for (size_t j = 0; j < B; j++)
        if (j != i)
            others += exp(((double)a[j] - top) / T);
    s->loss[i] = own < 0.0 ? log(others + exp(own)) - own : log1p(others);
    share = scale / ((others + exp(own)) * T * (double)B);
    for (size_t j = 0; j < B; j++)
        a[j] = (float)(j == i ? -others * share : exp(((double)a[j] - top) / T) * share);
    for (size_t j = 0; j < B; j++)
        s->a_turned[j * B + i] = a[j];
}

struct sides {
    const float *q, *k;
    float *d_q, *d_k;
};

/* One thread's rows. Every row of A must stand before d_k, and all of q and k be turned. */
static void loss_rows(struct inbatch *s, const struct sides *v, double scale, struct row_share r)
{
    size_t B = s->B, D = s->D, first = r.first, last = first + r.count, rows = r.count;

    turn(s->q_turned, v->q, first, last, B, D);
    turn(s->k_turned, v->k, first, last, B, D);
    if (rows)
        s->simd.logits(s->a + first * B, v->q + first * D, v->k, rows, B, D);
    for (size_t i = first; i < last; i++)
        softmax_row(s, i, scale);
#pragma omp barrier
    if (rows)
        s->simd.logits(v->d_q + first * D, s->a + first * B, s->k_turned, rows, D, B);
    if (rows && v->d_k)
        s->simd.logits(v->d_k + first * D, s->a_turned + first * B, s->q_turned, rows, D, B);
}

void inbatch_loss(struct inbatch *s, double *loss, double *top1, float *d_q, float *d_k,
                  const float *q, const float *k, double scale)
{
    const struct sides sides = { q, k, d_q, d_k };
    size_t B = s->B;

#pragma omp parallel
    loss_rows(s, &sides, scale, rows_share(B));
    *loss = *top1 = 0.0;
    for (size_t i = 0; i < B; i++) {
        *loss += s->loss[i];
        *top1 += s->top1[i];
    }
    *loss *= scale / (double)B;
    *top1 /= (double)B;
}
