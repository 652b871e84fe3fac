/* checkwinograd: the Winograd kernels of every level against the plain C specification, byte by
 * byte, and the specification against convolutions in double precision.
 *
 * Images have odd sides, channels that fill no vector, chunks that begin in the middle of an image.
 * Each buffer ends flush against an unreadable page; mutants that forget the last row of a product
 * or the last tile on the way back must be caught. Usage: checkwinograd [seed] */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/checkwinograd/checkwinograd.h"
#include "tests/levels.h"

static struct moco_simd tables[TABLES_MAX], ref;
static size_t table_count;
static uint64_t state;
static double worst; /* error, in bounds */

static const struct shape shapes[] = {
    { 1, 2, 16, 16, 8, 8, 16, 1 },    { 1, 1, 3, 5, 1, 1, 8, 1 },
    { 1, 3, 8, 24, 5, 7, 8, 1 },      { 1, 2, 20, 40, 4, 13, 8, 1 },
    { 1, 1, 48, 80, 9, 6, 16, 1 },    { 1, 2, 33, 17, 6, 3, 16, 1e15f },
    { 1, 5, 64, 64, 4, 4, 16, 1 },    { 1, 1, 128, 70, 3, 2, 8, 1e-18f },
    { 1, 1, 7, 200, 11, 12, 16, 1 },  { 1, 13, 64, 24, 12, 12, 8, 1 },
    { 2, 2, 16, 32, 16, 16, 16, 1 },  { 2, 1, 3, 5, 1, 1, 8, 1 },
    { 2, 3, 8, 24, 9, 7, 8, 1 },      { 2, 2, 20, 40, 2, 17, 8, 1 },
    { 2, 1, 48, 80, 18, 13, 16, 1 },  { 2, 2, 33, 17, 12, 3, 16, 1e15f },
    { 2, 5, 24, 64, 8, 8, 16, 1 },    { 2, 1, 128, 70, 5, 10, 8, 1e-18f },
    { 2, 1, 7, 200, 23, 24, 16, 1 },  { 2, 27, 16, 24, 14, 15, 8, 1 },
};

static float uniform(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (float)(int64_t)((z ^ z >> 31) >> 40) / (float)(1 << 23) - 1.0f;
}

float *flush(size_t floats)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = floats * sizeof(float);
    size_t room = (bytes + page - 1) / page * page;
    char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE)) {
        perror("checkwinograd: mmap");
        exit(2);
    }
    return (float *)(void *)(p + room - bytes);
}

/* A blocked image, the channels from C on zero. */
static float *random_image(const struct shape *s, const struct moco_image *g, size_t C)
{
    float *p = flush(s->B * channels(g) * g->H * g->W);

    for (size_t n = 0; n < s->B; n++)
        for (size_t c = 0; c < C; c++)
            for (size_t i = 0; i < g->H * g->W; i++)
                p[index_of(g, n, c, i / g->W, i % g->W)] = uniform() * s->scale;
    return p;
}

static float *random_weights(size_t n)
{
    float *p = flush(n);

    for (size_t i = 0; i < n; i++)
        p[i] = uniform();
    return p;
}

static int same_bytes(const struct results *a, const struct results *b)
{
    int same = 1;

    for (int i = 0; i < 3; i++)
        same &= !memcmp(a->at[i], b->at[i], a->count[i] * sizeof(float));
    return same;
}

static void mutant_product(float *m, const float *v, const float *u, size_t T, size_t C,
                           size_t width)
{
    ref.winograd_product(m, v, u, T - 1, C, width);
}

static void mutant_d_src(float *d, const float *m, size_t point, size_t width,
                         const struct moco_image *image, size_t first_block, size_t blocks,
                         size_t first, size_t count)
{
    ref.activation[MOCO_FP32].winograd[1].d_src(d, m, point, width, image, first_block, blocks, first, count - 1);
}

static void check_bounds(const struct results *r, const struct shape *s, const float *src,
                         const float *d_dst, const float *w)
{
    static const char *const names[] = { "dst", "d_src", "d_w" };
    double shares[3];

    shares_of_bounds(shares, r, s, src, d_dst, w);
    for (int i = 0; i < 3; i++) {
        CHECK_MSG(shares[i] <= 1, "%zu to %zu channels, %zu x %zu, stride %zu: %s is off by %g "
                  "of its bound", s->I, s->O, s->H, s->W, s->stride, names[i], shares[i]);
        if (shares[i] > worst)
            worst = shares[i];
    }
}

static void check_shape(const struct shape *s)
{
    struct moco_image in = in_image(s, s->I), out = out_image(s, s->O);
    float *src = random_image(s, &in, s->I), *d_dst = random_image(s, &out, s->O);
    float *w = random_weights(s->O * s->I * 9);
    struct results want = run_level(&ref, s, src, d_dst, w), got;
    struct moco_simd t = ref;

    check_bounds(&want, s, src, d_dst, w);
    t.winograd_product = mutant_product;
    got = run_level(&t, s, src, d_dst, w);
    CHECK_MSG(!same_bytes(&got, &want), "a product without its last row was not noticed");
    t = ref;
    t.activation[MOCO_FP32].winograd[1].d_src = mutant_d_src;
    got = run_level(&t, s, src, d_dst, w);
    CHECK_MSG(same_bytes(&got, &want) == (s->stride == 1), "a lost tile was not noticed");
    for (size_t i = 1; i < table_count; i++) {
        got = run_level(&tables[i], s, src, d_dst, w);
        CHECK_MSG(same_bytes(&got, &want),
                  "%s: %zu to %zu channels, %zu x %zu, stride %zu, differs from ref",
                  tables[i].name, s->I, s->O, s->H, s->W, s->stride);
    }
}

int main(int argc, char **argv)
{
    state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    printf("checkwinograd: seed %llu\n", (unsigned long long)state);
    table_count = all_tables(tables);
    ref = tables[0];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_shape(&shapes[i]);
    printf("checkwinograd: the largest error is %.2f of its bound\n", worst);
    return check_summary("checkwinograd");
}
