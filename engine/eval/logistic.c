/* logistic.c: logits and gradients by the kernels of queue-wide products, losses in double; see
 * logistic.h.
 *
 * A piece of the rows goes block by block, so that a block is still in the cache when it is read
 * again: logits (BLOCK, classes), probabilities in their place, and the block's outer products join
 * the piece's own gradient. The pieces' gradients are added in double, in order. Logits come from
 * the convolutions' product, whose panels may be as narrow as 16 classes: that of long queues has
 * 64, and took four times as long for ten classes. */
#include "engine/eval/logistic.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "engine/base/error.h"

/* Rows of a block (a stage of the gradient's kernel), pieces at most, floats of their sums at most,
 * and floats of a vector. */
enum { BLOCK = MOCO_WINOGRAD_STAGE, PIECES = 64, SUMS = 1 << 26, VECTOR = 16 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t padded(size_t n)
{
    return (n + VECTOR - 1) / VECTOR * VECTOR;
}

size_t logistic_columns(size_t D)
{
    return padded(D + 1);
}

static size_t pieces_of(size_t n, size_t floats)
{
    size_t pieces = least(least((n + BLOCK - 1) / BLOCK, PIECES), SUMS / floats);
    return pieces ? pieces : 1;
}

int logistic_open(struct logistic *p, size_t n, size_t D, size_t classes,
                  const struct moco_simd *simd)
{
    size_t wide = logistic_columns(D);
    *p = (struct logistic){ .D = D, .wide = wide, .classes = classes, .simd = simd,
                            .pieces = pieces_of(n, classes * wide),
                            .threads = omp_get_max_threads() };
    size_t sums = p->pieces * classes * wide * sizeof(float);
    size_t turned = padded(classes) * wide * sizeof(float);
    size_t stride = arena_round(BLOCK * (classes + simd->winograd_width) * sizeof(float));
    size_t scratch = (size_t)p->threads * stride;
    int err = arena_open(&p->arena, arena_round(sums) + arena_round(turned) + scratch +
                                        arena_round(p->pieces * sizeof(double)) +
                                        arena_round(classes * sizeof(double)),
                         "the sums of logistic regression");
    if (err)
        return err;
    p->sums = arena_take(&p->arena, sums);
    p->turned = arena_take(&p->arena, turned);
    p->losses = arena_take(&p->arena, p->pieces * sizeof *p->losses);
    p->penalties = arena_take(&p->arena, classes * sizeof *p->penalties);
    p->scratch = arena_take(&p->arena, scratch);
    p->stride = stride / sizeof(float);
    return MOCO_OK;
}

void logistic_close(struct logistic *p)
{
    arena_close(&p->arena);
}

/* turned: for each slice of the classes (wide, its padded width), zeros past the last class. */
static void turn_weights(struct logistic *p, const float *w)
{
#pragma omp parallel for schedule(static) num_threads(p->threads)
    for (size_t i = 0; i < p->wide; i++)
        for (size_t first = 0; first < p->classes; first += p->simd->winograd_width) {
            size_t n = least(p->classes - first, p->simd->winograd_width), width = padded(n);
            float *to = p->turned + first * p->wide + i * width;
            for (size_t c = 0; c < width; c++)
                to[c] = c < n ? w[(first + c) * p->wide + i] : 0.0f;
        }
}

/* logits: (rows, classes) of x: (rows, wide); part: (BLOCK, winograd_width). */
static void block_logits(const struct logistic *p, float *logits, float *part, const float *x,
                         size_t rows)
{
    for (size_t first = 0; first < p->classes; first += p->simd->winograd_width) {
        size_t n = least(p->classes - first, p->simd->winograd_width), width = padded(n);
        p->simd->winograd_product(part, x, p->turned + first * p->wide, rows, p->wide, width);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < n; c++)
                logits[r * p->classes + first + c] = part[r * width + c];
    }
}

/* The gradient is softmax(s) minus a one at y. */
double logistic_row(float *s, size_t classes, size_t y)
{
    double total = 0.0, top = s[0], own;
    for (size_t c = 1; c < classes; c++)
        top = s[c] > top ? s[c] : top;
    own = s[y];
    for (size_t c = 0; c < classes; c++)
        total += exp(s[c] - top);
    for (size_t c = 0; c < classes; c++)
        s[c] = (float)(exp(s[c] - top) / total - (c == y));
    return top - own + log(total);
}

/* The piece's rows into its sums. */
static void add_piece(struct logistic *p, size_t piece, float *scratch)
{
    size_t first = p->n * piece / p->pieces, last = p->n * (piece + 1) / p->pieces;
    float *sum = p->sums + piece * p->classes * p->wide, *part = scratch + BLOCK * p->classes;
    double loss = 0.0;
    memset(sum, 0, p->classes * p->wide * sizeof *sum);
    for (size_t row = first; row < last; row += BLOCK) {
        size_t rows = least(last - row, BLOCK);
        const float *x = p->x + row * p->wide;
        block_logits(p, scratch, part, x, rows);
        for (size_t r = 0; r < rows; r++)
            loss += logistic_row(scratch + r * p->classes, p->classes, (size_t)p->y[row + r]);
        p->simd->winograd_product_grad(sum, scratch, p->classes, x, rows, p->classes, p->wide);
    }
    p->losses[piece] = loss;
}

/* sums: of VECTOR columns over the pieces, from `at` on. */
static void add_sums(double *sums, const struct logistic *p, size_t at)
{
    for (size_t i = 0; i < VECTOR; i++)
        sums[i] = 0.0;
    for (size_t piece = 0; piece < p->pieces; piece++)
        for (size_t i = 0; i < VECTOR; i++)
            sums[i] += p->sums[piece * p->classes * p->wide + at + i];
}

/* Class c of the gradient, and its share of the penalty. */
static void finish_class(struct logistic *p, float *grad, const float *w, size_t c)
{
    double squares = 0.0, sums[VECTOR];
    for (size_t i = 0; i < p->wide; i++) {
        size_t at = c * p->wide + i;
        double weight = i < p->D ? w[at] : 0.0;
        if (i % VECTOR == 0)
            add_sums(sums, p, at);
        grad[at] = (float)(sums[i % VECTOR] / (double)p->n + p->l2 * weight);
        squares += weight * weight;
    }
    p->penalties[c] = 0.5 * p->l2 * squares;
}

int logistic_value(void *problem, double *value, float *grad, const float *w)
{
    struct logistic *p = problem;
    turn_weights(p, w);
#pragma omp parallel num_threads(p->threads)
    {
#pragma omp for schedule(dynamic)
        for (size_t piece = 0; piece < p->pieces; piece++)
            add_piece(p, piece, p->scratch + (size_t)omp_get_thread_num() * p->stride);
#pragma omp for schedule(static)
        for (size_t c = 0; c < p->classes; c++)
            finish_class(p, grad, w, c);
    }
    *value = 0.0;
    for (size_t piece = 0; piece < p->pieces; piece++)
        *value += p->losses[piece];
    *value /= (double)p->n;
    for (size_t c = 0; c < p->classes; c++)
        *value += p->penalties[c];
    return MOCO_OK;
}

void logistic_scores(float *scores, const float *x, const float *w, size_t n, size_t wide,
                     size_t classes, const struct moco_simd *simd)
{
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < n; row += BLOCK)
        simd->logits(scores + row * classes, x + row * wide, w, least(n - row, BLOCK), classes,
                     wide);
}
