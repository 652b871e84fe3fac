/* conv.c: who computes which direction of a convolution, and in which numbers; see conv.h. */
#include "engine/net/conv.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/net/conv_impl.h"

/* What oneDNN's operands are beside what the caller's are. */
enum door {
    AS_GIVEN,
    NARROWED, /* the plain source is rounded to bfloat16 first */
    WIDENED,  /* oneDNN computes in float on copies of bfloat16 operands */
};

enum { BY_WINOGRAD, BY_DIRECT };

struct conv {
    struct conv_shape shape;
    unsigned own[2]; /* directions that our own kernels compute, by method */
    struct winograd *winograd;
    struct direct *direct;
    struct onednn *onednn;
    struct plain *plain; /* or all by this one */
    enum door door;
    size_t src, dst, weights; /* numbers of each operand */
    moco_widen_fn *widen;
    moco_narrow_fn *narrow;
};

static size_t rounded(size_t numbers)
{
    return arena_round(numbers * sizeof(float)) / sizeof(float);
}

static size_t image_numbers(const struct conv_shape *s, int C, int H, int W, int plain)
{
    int channels = plain ? C : (C + s->lanes - 1) / s->lanes * s->lanes;
    return (size_t)s->B * (size_t)channels * (size_t)H * (size_t)W;
}

static void set_operands(struct conv *c, const struct moco_simd *simd)
{
    const struct conv_shape *s = &c->shape;
    if (s->number == MOCO_BF16 && !onednn_has_bf16(s->lanes))
        c->door = WIDENED;
    else if (s->number == MOCO_BF16 && s->src_plain)
        c->door = NARROWED;
    c->src = image_numbers(s, s->IC, s->H, s->W, s->src_plain);
    c->dst = image_numbers(s, s->OC, s->OH, s->OW, 0);
    c->weights = (size_t)s->OC * (size_t)s->IC * (size_t)(s->kernel * s->kernel);
    c->widen = simd->widen;
    c->narrow = simd->narrow;
}

/* Where oneDNN multiplies bfloat16 numbers, at twice the rate: two Zen 4 threads, ResNet-18 and 50,
 * our 4x4 tiles in float take 0.6 to 1.0 of its time all the same, those of stride 2 take 1.2 to 2
 * times as long, but in the weight gradient of a layer that widens (0.6 to 1.0 of it). */
static unsigned beside_bf16(const struct conv_shape *s)
{
    if (s->stride == 1)
        return CONV_ALL;
    return s->OC > s->IC ? conv_bit(CONV_BACKWARD_WEIGHTS) : 0;
}

/* Winograd's wherever they fit. Against oneDNN on one Zen 4 thread: with AVX2 1.8 to 3.7 times as
 * fast; with AVX-512, where oneDNN has a Winograd too, 1.2 to 3 times on small layers and level on
 * large ones. Stride 2 on two Zen 4 threads: 1.0 to 2.4 times as fast with AVX2, 1.0 to 1.7 with
 * AVX-512, but for layers of few channels, whose transforms cost more than the products save (0.8).
 * The reference level has no fast code. */
static unsigned beside_onednn(const struct conv_shape *s, const struct moco_simd *simd)
{
    if (!winograd_fits(s))
        return 0;
    if (s->number == MOCO_BF16 && onednn_has_bf16(s->lanes))
        return beside_bf16(s);
    if (s->stride == 2 && s->IC <= 16 && s->lanes == 16)
        return conv_bit(CONV_BACKWARD_WEIGHTS);
    return strcmp(simd->name, "ref") ? CONV_ALL : 0;
}

/* Whether nothing of a convolution is left to oneDNN. */
static int all_own(const struct conv_shape *s)
{
    return s->policy == CONV_OWN || s->policy == CONV_OWN_DIRECT ||
           (!CONV_HAS_ONEDNN && s->policy != CONV_ONEDNN);
}

static void choose(struct conv *c, const struct moco_simd *simd)
{
    const struct conv_shape *s = &c->shape;
    int direct = s->policy == CONV_DIRECT || s->policy == CONV_OWN_DIRECT || !winograd_fits(s);
    if (all_own(s))
        c->own[direct ? BY_DIRECT : BY_WINOGRAD] = CONV_ALL;
    else if (s->policy == CONV_AUTO)
        c->own[BY_WINOGRAD] = beside_onednn(s, simd);
}

static int open_onednn(struct conv *c, const char *name)
{
    struct conv_shape shape = c->shape;
    if (c->door == WIDENED)
        shape.number = MOCO_FP32;
    return onednn_open(&c->onednn, &shape, CONV_ALL & ~(c->own[0] | c->own[1]), name);
}

static int open_methods(struct conv *c, const struct moco_simd *simd, const char *name)
{
    int err = MOCO_OK;
    choose(c, simd);
    set_operands(c, simd);
    if (c->own[BY_WINOGRAD])
        err = winograd_open(&c->winograd, &c->shape, simd, c->own[BY_WINOGRAD]);
    if (!err && c->own[BY_DIRECT])
        err = direct_open(&c->direct, &c->shape, simd, c->own[BY_DIRECT]);
    if (!err && (c->own[0] | c->own[1]) != CONV_ALL)
        err = open_onednn(c, name);
    return err;
}

int conv_open(struct conv **out, const struct conv_shape *shape, const struct moco_simd *simd,
              const char *name)
{
    struct conv *c = calloc(1, sizeof *c);
    int err = MOCO_OK;

    *out = c;
    if (!c)
        return error_memory("a convolution", sizeof *c);
    c->shape = *shape;
    if (shape->src_plain && (all_own(shape) || plain_pays(shape)))
        err = plain_open(&c->plain, shape, simd, name);
    else
        err = open_methods(c, simd, name);
    if (err)
        conv_close(out);
    return err;
}

void conv_close(struct conv **conv)
{
    struct conv *c = *conv;
    if (!c)
        return;
    plain_close(&c->plain);
    winograd_close(&c->winograd);
    direct_close(&c->direct);
    onednn_close(&c->onednn);
    free(c);
    *conv = NULL;
}

const struct conv_shape *conv_get_shape(const struct conv *conv)
{
    return &conv->shape;
}

const char *conv_kind(const struct conv *conv, enum conv_direction direction)
{
    if (conv->plain)
        return conv_kind(plain_inner(conv->plain), direction);
    if (conv->own[BY_WINOGRAD] & conv_bit(direction))
        return "own";
    if (conv->own[BY_DIRECT] & conv_bit(direction))
        return "direct";
    return conv->door == WIDENED ? "widened" : "onednn";
}

static size_t copy_floats(const struct conv *c)
{
    if (c->door == WIDENED)
        return rounded(c->src) + rounded(c->dst) + rounded(c->weights);
    return c->door == NARROWED ? rounded(c->src) : 0;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t conv_scratch_bytes(const struct conv *conv)
{
    if (conv->plain)
        return plain_scratch_bytes(conv->plain);
    size_t most = conv->winograd ? winograd_scratch_bytes(conv->winograd) : 0;
    if (conv->direct)
        most = larger(most, direct_scratch_bytes(conv->direct));
    if (conv->onednn)
        most = larger(most, onednn_scratch_bytes(conv->onednn) +
                                copy_floats(conv) * sizeof(float));
    return most;
}

/* ---- copies, by all threads in pieces ---- */

enum { PIECE = 16 << 10 };

static void copy_widened(const struct conv *c, float *dst, const moco_bf16 *src, size_t n)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i += PIECE)
        c->widen(dst + i, src + i, n - i < PIECE ? n - i : PIECE);
}

static void copy_narrowed(const struct conv *c, moco_bf16 *dst, const float *src, size_t n)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i += PIECE)
        c->narrow(dst + i, src + i, n - i < PIECE ? n - i : PIECE);
}

/* Floats that have been bfloat16 on the way. */
static void copy_rounded(const struct conv *c, float *dst, const float *src, size_t n)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i += PIECE) {
        moco_bf16 piece[PIECE];
        size_t count = n - i < PIECE ? n - i : PIECE;
        c->narrow(piece, src + i, count);
        c->widen(dst + i, piece, count);
    }
}

static int run_widened(struct conv *c, enum conv_direction direction, void *out, const void *a,
                       const void *b, float *scratch)
{
    float *src = scratch, *dst = src + rounded(c->src), *weights = dst + rounded(c->dst);
    float *rest = weights + rounded(c->weights);
    int err;

    if (direction == CONV_BACKWARD_DATA)
        copy_widened(c, dst, a, c->dst);
    else if (c->shape.src_plain)
        copy_rounded(c, src, a, c->src);
    else
        copy_widened(c, src, a, c->src);
    if (direction == CONV_BACKWARD_WEIGHTS) {
        copy_widened(c, dst, b, c->dst);
        return onednn_run(c->onednn, direction, out, src, dst, rest);
    }
    copy_rounded(c, weights, b, c->weights);
    if (direction == CONV_FORWARD) {
        err = onednn_run(c->onednn, direction, dst, src, weights, rest);
        copy_narrowed(c, out, dst, c->dst);
    } else {
        err = onednn_run(c->onednn, direction, src, dst, weights, rest);
        copy_narrowed(c, out, src, c->src);
    }
    return err;
}

static int run(struct conv *c, enum conv_direction direction, void *out, const void *a,
               const void *b, void *scratch)
{
    float *rest = scratch;

    if (c->plain)
        return plain_run(c->plain, direction, out, a, b, scratch);
    if (c->own[BY_WINOGRAD] & conv_bit(direction)) {
        winograd_run(c->winograd, direction, out, a, b, scratch);
        return MOCO_OK;
    }
    if (c->own[BY_DIRECT] & conv_bit(direction)) {
        direct_run(c->direct, direction, out, a, b, scratch);
        return MOCO_OK;
    }
    if (c->door == WIDENED)
        return run_widened(c, direction, out, a, b, scratch);
    if (c->door == NARROWED && direction != CONV_BACKWARD_DATA) {
        copy_narrowed(c, scratch, a, c->src);
        a = scratch;
        rest += rounded(c->src);
    }
    return onednn_run(c->onednn, direction, out, a, b, rest);
}

int conv_forward(struct conv *c, void *dst, const void *src, const float *weights, void *scratch)
{
    return run(c, CONV_FORWARD, dst, src, weights, scratch);
}

int conv_backward_data(struct conv *c, void *d_src, const void *d_dst, const float *weights,
                       void *scratch)
{
    return run(c, CONV_BACKWARD_DATA, d_src, d_dst, weights, scratch);
}

int conv_backward_weights(struct conv *c, float *d_weights, const void *src, const void *d_dst,
                          void *scratch)
{
    return run(c, CONV_BACKWARD_WEIGHTS, d_weights, src, d_dst, scratch);
}
