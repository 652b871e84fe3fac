/* checkwinograd: the Winograd kernels of every level against the plain C specification, byte by
 * byte, and the specification against convolutions in double precision.
 *
 * Images are of floats and of bfloat16 numbers and have odd sides, channels that fill no vector,
 * chunks that begin in the middle of an image; hostile ones go to the levels once more. Each buffer
 * ends flush against an unreadable page; mutants that forget the last row of a product or the last
 * tile on the way back, or cut off what they should round, must be caught.
 * Usage: checkwinograd [--level NAME] [seed]. --level checks one level alone: the specification and
 * the mutants were tried elsewhere. */
#define _DEFAULT_SOURCE
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/checkwinograd/checkwinograd.h"
#include "tests/digest.h"
#include "tests/levels.h"

static struct moco_simd tables[TABLES_MAX], ref;
static size_t table_count, first_table = 1;
static uint64_t state;
static double worst[MOCO_NUMBERS]; /* error, in bounds */
static uint64_t digest = DIGEST_START; /* of the specification: the same on every machine */

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

static uint64_t next_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static float uniform(void)
{
    return (float)(int64_t)(next_random() >> 40) / (float)(1 << 23) - 1.0f;
}

enum { TAKEN_MAX = 1 << 14 };
static struct {
    void *at;
    size_t bytes;
} taken[TAKEN_MAX];
static size_t taken_count;

void *flush(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
    char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE) || taken_count == TAKEN_MAX) {
        perror("checkwinograd: mmap");
        exit(2);
    }
    taken[taken_count].at = p;
    taken[taken_count++].bytes = room + page;
    return p + room - bytes;
}

static void give_back(void)
{
    while (taken_count) {
        taken_count--;
        munmap(taken[taken_count].at, taken[taken_count].bytes);
    }
}

float *flush_floats(size_t n)
{
    return flush(n * sizeof(float));
}

/* A number of an image; where they are hostile, one of 64 is no number, infinite, far or tiny. */
static float number_for(const struct shape *s, int hostile)
{
    static const float bad[] = { NAN, INFINITY, -INFINITY, -0.0f, FLT_MAX, FLT_MIN, 0x1p-130f };
    float x = uniform() * s->scale;

    return hostile && next_random() % 64 == 0 ? bad[next_random() % 7] : x;
}

/* A blocked image, the channels from C on zero. */
static void *random_image(const struct shape *s, const struct moco_image *g, size_t C,
                          enum moco_number number, int hostile)
{
    void *p = flush(s->B * channels(g) * g->H * g->W * bytes_of(number));

    for (size_t n = 0; n < s->B; n++)
        for (size_t c = 0; c < C; c++)
            for (size_t i = 0; i < g->H * g->W; i++) {
                size_t at = index_of(g, n, c, i / g->W, i % g->W);
                float x = number_for(s, hostile);

                if (number == MOCO_FP32)
                    ((float *)p)[at] = x;
                else if (x != 0 && fabsf(x) < FLT_MIN) /* denormal: no kernel writes it */
                    ((moco_bf16 *)p)[at] = 0x0012;
                else
                    ((moco_bf16 *)p)[at] = bf16_narrowed(x);
            }
    return p;
}

static float *random_weights(size_t n)
{
    float *p = flush_floats(n);

    for (size_t i = 0; i < n; i++)
        p[i] = uniform();
    return p;
}

/* Equal bytes; a NaN equals any NaN. */
static int same_numbers(const struct results *a, const struct results *b, int i)
{
    size_t bytes = bytes_of(a->number[i]);

    for (size_t j = 0; j < a->count[i]; j++)
        if (memcmp((char *)a->at[i] + j * bytes, (char *)b->at[i] + j * bytes, bytes) &&
            !(isnan(number_at(a->at[i], a->number[i], j)) &&
              isnan(number_at(b->at[i], b->number[i], j))))
            return 0;
    return 1;
}

static int same_bytes(const struct results *a, const struct results *b)
{
    return same_numbers(a, b, 0) && same_numbers(a, b, 1) && same_numbers(a, b, 2);
}

static void mutant_product(float *m, const float *v, const float *u, size_t T, size_t C,
                           size_t width)
{
    ref.winograd_product(m, v, u, T - 1, C, width);
}

/* The kind of number whose kernels a mutant spoils. */
static enum moco_number mutated;

static void mutant_d_src(void *d, const float *m, size_t point, size_t width,
                         const struct moco_image *image, size_t first_block, size_t blocks,
                         size_t first, size_t count)
{
    ref.activation[mutated].winograd[1].d_src(d, m, point, width, image, first_block, blocks,
                                              first, count - 1);
}

/* Cuts off where it should round: forward, stride 1, bfloat16. */
static size_t mutated_images;

static void mutant_dst(void *d, const float *m, size_t point, size_t width,
                       const struct moco_image *image, size_t first_block, size_t blocks,
                       size_t first, size_t count)
{
    size_t n = mutated_images * channels(image) * image->H * image->W;
    float *wide = flush_floats(n);

    for (size_t i = 0; i < n; i++)
        wide[i] = NAN; /* stays where nothing is written */
    ref.activation[MOCO_FP32].winograd[0].dst(wide, m, point, width, image, first_block, blocks,
                                              first, count);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, wide + i, sizeof bits);
        if (!isnan(wide[i]))
            ((moco_bf16 *)d)[i] = (moco_bf16)(bits >> 16);
    }
}

static void check_bounds(const struct results *r, const struct shape *s, const struct operands *x)
{
    static const char *const names[] = { "dst", "d_src", "d_w" };
    double shares[3];

    shares_of_bounds(shares, r, s, x);
    for (int i = 0; i < 3; i++) {
        CHECK_MSG(shares[i] <= 1, "%zu to %zu channels, %zu x %zu, stride %zu, number %d: %s is "
                  "off by %g of its bound", s->I, s->O, s->H, s->W, s->stride, (int)x->number,
                  names[i], shares[i]);
        if (shares[i] > worst[x->number])
            worst[x->number] = shares[i];
    }
}
static void check_mutants(const struct results *want, const struct shape *s,
                          const struct operands *x)
{
    struct moco_simd t = ref;
    struct results got;

    t.winograd_product = mutant_product;
    got = run_level(&t, s, x);
    CHECK_MSG(!same_bytes(&got, want), "a product without its last row was not noticed");
    t = ref;
    mutated = x->number;
    t.activation[mutated].winograd[1].d_src = mutant_d_src;
    got = run_level(&t, s, x);
    CHECK_MSG(same_bytes(&got, want) == (s->stride == 1), "a lost tile was not noticed");
    if (x->number == MOCO_FP32 || s->stride == 2 || want->count[0] < 1000)
        return;
    t = ref;
    mutated_images = s->B;
    t.activation[MOCO_BF16].winograd[0].dst = mutant_dst;
    got = run_level(&t, s, x);
    CHECK_MSG(!same_bytes(&got, want), "outputs cut off instead of rounded were not noticed");
}

static void check_levels(const struct results *want, const struct shape *s,
                         const struct operands *x, const char *what)
{
    for (size_t i = first_table; i < table_count; i++) {
        struct results got = run_level(&tables[i], s, x);

        CHECK_MSG(same_bytes(&got, want),
                  "%s: %zu to %zu channels, %zu x %zu, stride %zu, number %d, %s, differs from ref",
                  tables[i].name, s->I, s->O, s->H, s->W, s->stride, (int)x->number, what);
    }
}

static void digest_results(const struct results *r)
{
    for (int i = 0; i < 3; i++)
        for (size_t j = 0; j < r->count[i]; j++)
            digest = digest_with(digest, number_at(r->at[i], r->number[i], j));
}

static void check_shape(const struct shape *s, enum moco_number number)
{
    struct moco_image in = in_image(s, s->I), out = out_image(s, s->O);
    struct operands x = { number, random_image(s, &in, s->I, number, 0),
                          random_image(s, &out, s->O, number, 0),
                          random_weights(s->O * s->I * 9) };
    struct results want = run_level(&ref, s, &x);

    digest_results(&want);
    if (first_table) {
        check_bounds(&want, s, &x);
        check_mutants(&want, s, &x);
    }
    check_levels(&want, s, &x, "friendly");
    x.src = random_image(s, &in, s->I, number, 1);
    x.d_dst = random_image(s, &out, s->O, number, 1);
    want = run_level(&ref, s, &x);
    check_levels(&want, s, &x, "hostile");
    digest_results(&want);
    give_back();
}

int main(int argc, char **argv)
{
    table_count = all_tables(tables);
    ref = tables[0];
    if (argc > 2 && !strcmp(argv[1], "--level")) {
        first_table = 0;
        if (!(table_count = one_table(tables, table_count, argv[2])))
            return 1;
        argc -= 2;
        argv += 2;
    }
    state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    printf("checkwinograd: seed %llu\n", (unsigned long long)state);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (enum moco_number number = 0; number < MOCO_NUMBERS; number++)
            check_shape(&shapes[i], number);
    if (first_table)
        printf("checkwinograd: the largest error is %.2f of its bound, of bfloat16 images %.2f\n",
               worst[MOCO_FP32], worst[MOCO_BF16]);
    printf("digest winograd %016llx\n", (unsigned long long)digest);
    return check_summary("checkwinograd");
}
