/* run.c: the three directions by the kernels of one level, the tiles in two chunks. */
#include "tests/checkwinograd/checkwinograd.h"

enum { P = MOCO_WINOGRAD_POINTS };

static struct moco_image image_of(const struct shape *s, size_t C, size_t H, size_t W)
{
    return (struct moco_image){ (C + s->lanes - 1) / s->lanes, s->lanes, H, W };
}

struct moco_image in_image(const struct shape *s, size_t C)
{
    return image_of(s, C, s->H, s->W);
}

struct moco_image out_image(const struct shape *s, size_t C)
{
    return image_of(s, C, (s->H - 1) / s->stride + 1, (s->W - 1) / s->stride + 1);
}

size_t channels(const struct moco_image *g)
{
    return g->blocks * g->lanes;
}

size_t index_of(const struct moco_image *g, size_t n, size_t c, size_t y, size_t x)
{
    return (((n * g->blocks + c / g->lanes) * g->H + y) * g->W + x) * g->lanes + c % g->lanes;
}

size_t tiles_of(const struct shape *s)
{
    struct moco_image out = out_image(s, 1);

    return s->B * ((out.H + 3) / 4) * ((out.W + 3) / 4);
}

static size_t wide(const struct moco_image *g)
{
    return (channels(g) + 15) / 16 * 16;
}

static size_t chunk_of(const struct shape *s)
{
    return tiles_of(s) / 3 + 1;
}

/* A point of stride 2 has up to 16 slots, each of which is summed in stages. */
size_t longest_chain(const struct shape *s)
{
    size_t chunk = chunk_of(s), tiles = tiles_of(s), stages = 0;

    for (size_t first = 0; first < tiles; first += chunk) {
        size_t count = tiles - first < chunk ? tiles - first : chunk;
        stages += (count + MOCO_WINOGRAD_STAGE - 1) / MOCO_WINOGRAD_STAGE;
    }
    return (chunk < MOCO_WINOGRAD_STAGE ? chunk : MOCO_WINOGRAD_STAGE) +
           stages * (s->stride == 1 ? 1 : 16);
}

size_t bytes_of(enum moco_number number)
{
    return number == MOCO_BF16 ? sizeof(moco_bf16) : sizeof(float);
}

float number_at(const void *p, enum moco_number number, size_t i)
{
    return number == MOCO_BF16 ? bf16_widened(((const moco_bf16 *)p)[i]) : ((const float *)p)[i];
}

static void pass(const struct moco_simd *t, void *dst, const struct operands *x,
                 const struct shape *s, int back)
{
    const struct moco_winograd *f = &t->activation[x->number].winograd[s->stride - 1];
    struct moco_image in = in_image(s, s->I), out = out_image(s, s->O);
    struct moco_image from = back ? out : in, to = back ? in : out;
    size_t C = channels(&from), tiles = tiles_of(s), slots = moco_winograd_slots(s->stride);

    for (size_t first = 0, count = chunk_of(s); first < tiles; first += count) {
        count = tiles - first < count ? tiles - first : count;
        float *v = flush_floats(slots * count * C);
        (back ? f->d_dst : f->src)(v, count * C, C, back ? x->d_dst : x->src, &from,
                                     first, count);
        for (size_t o = 0, width; o < wide(&to); o += width) {
            width = wide(&to) - o < t->winograd_width ? wide(&to) - o : t->winograd_width;
            float *u = flush_floats(P * C * width), *m = flush_floats(slots * count * width);
            size_t block = o / s->lanes, blocks = width / s->lanes;
            f->weights(u, C * width, x->w, s->O, s->I, o, width, 0, C, back);
            for (size_t i = 0; i < slots; i++)
                t->winograd_product(m + i * count * width, v + i * count * C,
                                    u + moco_winograd_point(s->stride, i) * C * width, count, C,
                                    width);
            (back ? f->d_src : f->dst)(dst, m, count * width, width, &to, block,
                                       block + blocks > to.blocks ? to.blocks - block : blocks,
                                       first, count);
        }
    }
}

/* The inputs in two parts. */
static void product_grad(const struct moco_simd *t, float *s, const float *v, const float *y,
                         size_t T, size_t I, size_t O)
{
    size_t part = I / 3;

    t->winograd_product_grad(s, v, I, y, T, part, O);
    t->winograd_product_grad(s + part * O, v + part, I, y, T, I - part, O);
}

static void gradient(const struct moco_simd *t, float *d_w, const struct operands *x,
                     const struct shape *s)
{
    const struct moco_winograd *f = &t->activation[x->number].winograd[s->stride - 1];
    struct moco_image in = in_image(s, s->I), out = out_image(s, s->O);
    size_t I = channels(&in), O = wide(&out), tiles = tiles_of(s);
    size_t slots = moco_winograd_slots(s->stride), half = s->I / 2;
    float *sums = flush_floats(P * I * O);

    for (size_t first = 0, count = chunk_of(s); first < tiles; first += count) {
        count = tiles - first < count ? tiles - first : count;
        float *v = flush_floats(slots * count * I), *y = flush_floats(slots * count * O);
        f->src(v, count * I, I, x->src, &in, first, count);
        f->d_dst_out(y, count * O, O, x->d_dst, &out, first, count);
        for (size_t i = 0; i < slots; i++)
            product_grad(t, sums + moco_winograd_point(s->stride, i) * I * O, v + i * count * I,
                         y + i * count * O, count, I, O);
    }
    f->weights_grad(d_w, sums, I * O, O, s->O, s->I, 0, half);
    f->weights_grad(d_w, sums + half * O, I * O, O, s->O, s->I, half, s->I - half);
}

struct results run_level(const struct moco_simd *t, const struct shape *s,
                         const struct operands *x)
{
    struct moco_image in = in_image(s, s->I), out = out_image(s, s->O);
    struct results r = { .number = { x->number, x->number, MOCO_FP32 },
                         .count = { s->B * channels(&out) * out.H * out.W,
                                    s->B * channels(&in) * in.H * in.W, s->O * s->I * 9 } };

    for (int i = 0; i < 3; i++)
        r.at[i] = flush(r.count[i] * bytes_of(r.number[i]));
    pass(t, r.at[0], x, s, 0);
    pass(t, r.at[1], x, s, 1);
    gradient(t, r.at[2], x, s);
    return r;
}
