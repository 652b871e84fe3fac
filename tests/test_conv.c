/* test_conv.c: our 3x3 convolutions give the same bytes at every level, whatever the lanes of a
 * block and the width of a product, and, but for the weight gradient of small layers, for any
 * number of threads. Results are compared by channel and pixel, without the padding. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/conv.h"
#include "tests/check.h"
#include "tests/levels.h"

enum { DST, D_SRC, D_W, RESULTS, THREADS = 3 };

/* (B, C, H, W) and (OC, IC, 3, 3) in canonical order. */
struct results {
    float *at[RESULTS];
    size_t count[RESULTS];
};

static void *room(size_t floats)
{
    void *p;

    if (posix_memalign(&p, 64, (floats + 16) * sizeof(float)))
        abort();
    return memset(p, 0, floats * sizeof(float));
}

/* Numbers in -1..1 that only depend on where they are. */
static float value(size_t i)
{
    return (float)((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f;
}

struct blocks {
    size_t B, C, pixels, lanes;
};

static size_t blocked(const struct blocks *s)
{
    return s->B * ((s->C + s->lanes - 1) / s->lanes * s->lanes) * s->pixels;
}

/* Where value i of the canonical order stands. */
static size_t place(const struct blocks *s, size_t i)
{
    size_t n = i / (s->C * s->pixels), c = i / s->pixels % s->C, at = i % s->pixels;
    size_t per = (s->C + s->lanes - 1) / s->lanes;

    return ((n * per + c / s->lanes) * s->pixels + at) * s->lanes + c % s->lanes;
}

static float *image(const struct blocks *s)
{
    float *p = room(blocked(s));

    for (size_t i = 0; i < s->B * s->C * s->pixels; i++)
        p[place(s, i)] = value(i);
    return p;
}

/* A blocked array becomes canonical. */
static float *unblock(float *p, const struct blocks *s, size_t *count)
{
    float *out = room(*count = s->B * s->C * s->pixels);

    for (size_t i = 0; i < *count; i++)
        out[i] = p[place(s, i)];
    free(p);
    return out;
}

static void run(struct results *r, struct conv_shape shape, const struct moco_simd *simd)
{
    size_t B = (size_t)shape.B, n = (size_t)shape.IC * (size_t)shape.OC * 9;
    size_t lanes = shape.lanes = simd->lanes;
    struct blocks in = {B, (size_t)shape.IC, (size_t)(shape.H * shape.W), lanes};
    struct blocks out = {B, (size_t)shape.OC, (size_t)(shape.OH * shape.OW), lanes};
    float *src = image(&in), *d_dst = image(&out), *w = room(n);
    float *dst = room(blocked(&out)), *d_src = room(blocked(&in)), *d_w = room(n);
    struct conv *conv;

    if (conv_open(&conv, &shape, simd, "test"))
        abort();
    void *scratch = room(conv_scratch_bytes(conv) / sizeof(float));
    for (size_t i = 0; i < n; i++)
        w[i] = value(7 * i + 3);
    CHECK(!conv_forward(conv, dst, src, w, scratch));
    CHECK(!conv_backward_data(conv, d_src, d_dst, w, scratch));
    CHECK(!conv_backward_weights(conv, d_w, src, d_dst, scratch));
    conv_close(&conv);
    r->at[DST] = unblock(dst, &out, &r->count[DST]);
    r->at[D_SRC] = unblock(d_src, &in, &r->count[D_SRC]);
    r->at[D_W] = d_w;
    r->count[D_W] = n;
    free(src);
    free(d_dst);
    free(w);
    free(scratch);
}

static void drop(struct results *r)
{
    for (int i = 0; i < RESULTS; i++)
        free(r->at[i]);
}

static int same(const struct results *a, const struct results *b, int i)
{
    return !memcmp(a->at[i], b->at[i], a->count[i] * sizeof(float));
}

/* Layers with more weights than this deal out points instead of private sums. */
static int private_sums(const struct conv_shape *s)
{
    return (s->IC + 15) / 16 * ((s->OC + 15) / 16) <= 4 * 4;
}

static void check_shape(const struct conv_shape *s, const struct moco_simd *tables, size_t count)
{
    static const char *const names[] = {"dst", "d_src", "d_w"};
    struct results first, want, got;

    for (int threads = 1; threads <= THREADS; threads++) {
        omp_set_num_threads(threads);
        run(&want, *s, &tables[0]);
        if (threads == 1)
            first = want;
        for (int i = 0; i < RESULTS; i++)
            CHECK_MSG(same(&want, &first, i) || (i == D_W && private_sums(s)),
                      "%d to %d channels: %s differs with %d threads", s->IC, s->OC, names[i],
                      threads);
        for (size_t t = 1; t < count; t++) {
            run(&got, *s, &tables[t]);
            for (int i = 0; i < RESULTS; i++)
                CHECK_MSG(same(&got, &want, i), "%d to %d channels, stride %d, %d threads: %s of "
                          "%s is not ref's", s->IC, s->OC, s->stride, threads, names[i],
                          tables[t].name);
            drop(&got);
        }
        if (threads > 1)
            drop(&want);
    }
    drop(&first);
}

int main(void)
{
    static const int channels[][2] = {{8, 8}, {24, 20}, {40, 40}, {136, 72}};
    struct moco_simd tables[TABLES_MAX];
    size_t count = all_tables(tables);

    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (int stride = 1; stride <= 2; stride++) {
            int side = 13 * stride, out = 13;
            struct conv_shape shape = {4, channels[i][0], channels[i][1], side, side, out, out, 3,
                                       stride, 1, 0, 0, CONV_OWN};

            check_shape(&shape, tables, count);
        }
    return check_summary("conv");
}
