/* direct.c: checks of the direct convolution's kernels: rows of an image and back, weights turned
 * over, and products added to sums. All but the last are copies, which are held to the index that
 * the contract writes down as well. */
#include "tests/checksimd/harness.h"

struct layer {
    size_t B, C, H, W, lanes, kernel;
    int stride, pad;
};

static const struct layer layers[] = {
    {2, 16, 9, 7, 16, 3, 1, 1},  {1, 24, 5, 13, 8, 1, 1, 0}, {3, 40, 8, 5, 8, 3, 2, 1},
    {2, 48, 11, 9, 16, 5, 2, 2}, {1, 8, 15, 16, 8, 7, 2, 3}, {70, 16, 1, 1, 16, 1, 2, 0},
};

enum { IMAGE, TAKEN, WANT, GOT, SUMS };

static struct moco_image image_of(const struct layer *l)
{
    return (struct moco_image){l->C / l->lanes, l->lanes, l->H, l->W};
}

static struct moco_grid grid_of(const struct layer *l)
{
    size_t step = (size_t)l->stride;

    return (struct moco_grid){(l->H + step - 1) / step, (l->W + step - 1) / step, step};
}

static size_t taps_of(struct moco_tap *tap, const struct layer *l)
{
    for (size_t i = 0; i < l->kernel * l->kernel; i++)
        tap[i] = (struct moco_tap){(int)(i / l->kernel) - l->pad, (int)(i % l->kernel) - l->pad, i};
    return l->kernel * l->kernel;
}

/* A number of a row, from the contract. */
static float expected(const void *image, enum moco_number number, const struct layer *l,
                      const struct moco_tap *tap, size_t pixel, size_t c)
{
    struct moco_grid g = grid_of(l);
    size_t n = pixel / (g.rows * g.columns), in = pixel % (g.rows * g.columns);
    long y = (long)(in / g.columns * g.step) + tap->y, x = (long)(in % g.columns * g.step) + tap->x;

    if (y < 0 || x < 0 || y >= (long)l->H || x >= (long)l->W)
        return 0.0f;
    return number_at(image, number,
                     (((n * l->C / l->lanes + c / l->lanes) * l->H + (size_t)y) * l->W + (size_t)x)
                             * l->lanes + c % l->lanes);
}

/* Pixels first.. of the blocks from the second on, where there are two. */
static void gather(const struct moco_simd *t, const struct layer *l, enum moco_number number,
                   size_t first, enum fill fill)
{
    struct moco_image image = image_of(l);
    struct moco_grid g = grid_of(l);
    struct moco_tap tap[MOCO_DIRECT_TAPS];
    size_t taps = taps_of(tap, l), block = image.blocks > 1, blocks = image.blocks - block;
    size_t pixels = l->B * g.rows * g.columns - first, C = blocks * l->lanes, row = taps * C;
    void *src = take_numbers_filled(IMAGE, number, l->B * l->C * l->H * l->W, fill);
    float *want = take(WANT, pixels * row), *got = take(GOT, pixels * row);

    for (size_t i = 0; i < pixels * row; i++)
        want[i] = expected(src, number, l, &tap[i % row / C], first + i / row,
                           block * l->lanes + i % C);
    t->activation[number].direct.gather(got, row, src, &image, block, blocks, &g, tap, taps, first,
                                        pixels);
    same("direct_gather", t, got, want, pixels * row, "rows", l->C, l->kernel, first);
    strips_intact("direct_gather", t->name);
}

/* Every other place of the image is left as it was. */
static void scatter(const struct moco_simd *t, const struct layer *l, enum moco_number number,
                    enum fill fill)
{
    struct moco_image image = image_of(l);
    struct moco_grid g = grid_of(l);
    struct moco_tap corner = {l->H > g.step, l->W > g.step, 0};
    size_t n = l->B * l->C * l->H * l->W, width = (l->C + 15) / 16 * 16;

    g.rows = (l->H - (size_t)corner.y + g.step - 1) / g.step;
    g.columns = (l->W - (size_t)corner.x + g.step - 1) / g.step;
    size_t pixels = l->B * g.rows * g.columns;
    float *m = take_filled(TAKEN, pixels * width, fill);
    void *before = take_numbers_filled(IMAGE, number, n, UNIFORM);
    void *want = take_numbers_copy(WANT, number, before, n);
    void *got = take_numbers_copy(GOT, number, before, n);

    ref.activation[number].direct.scatter(want, m, width, &image, 0, image.blocks, &g, &corner, 0,
                                          pixels);
    t->activation[number].direct.scatter(got, m, width, &image, 0, image.blocks, &g, &corner, 0,
                                         pixels);
    same_numbers("direct_scatter", t, number, got, want, n, "image", l->C, l->H, l->W);
    strips_intact("direct_scatter", t->name);
}

/* Weights (O, I, size), some of their taps, inputs and outputs that go past the last ones. */
static void weights(const struct moco_simd *t, size_t O, size_t I, size_t kernel, int turned)
{
    struct layer l = {.kernel = kernel, .pad = 0};
    struct moco_tap tap[MOCO_DIRECT_TAPS];
    size_t size = taps_of(tap, &l), skip = size > 4, ins = turned ? O : I, outs = turned ? I : O;
    struct moco_weights x = {.O = O, .I = I, .size = size, .tap = tap + skip, .taps = size - skip,
                             .first_in = ins / 3, .ins = ins - ins / 3 + 5,
                             .outs = (outs + 15) / 16 * 16};
    size_t n = x.taps * x.ins * x.outs;
    float *w = take_filled(IMAGE, O * I * size, UNIFORM);
    float *want = take(WANT, n), *got = take(GOT, n);

    for (size_t i = 0; i < n; i++) {
        size_t in = x.first_in + i / x.outs % x.ins, out = i % x.outs;
        size_t at = ((turned ? in : out) * I + (turned ? out : in)) * size;

        want[i] = in < ins && out < outs ? w[at + x.tap[i / x.outs / x.ins].at] : 0.0f;
    }
    t->direct_weights(got, w, &x, turned);
    same("direct_weights", t, got, want, n, turned ? "turned" : "straight", O, I, kernel);
    strips_intact("direct_weights", t->name);
}

static void weights_grad(const struct moco_simd *t, size_t O, size_t I, size_t kernel)
{
    struct layer l = {.kernel = kernel, .pad = 0};
    struct moco_tap tap[MOCO_DIRECT_TAPS];
    size_t size = taps_of(tap, &l), first = O > 16 ? 16 : 0;
    struct moco_weights x = {.O = O, .I = I, .size = size, .tap = tap, .taps = size,
                             .first_in = I / 3, .ins = I - I / 3 + 3, .first_out = first,
                             .outs = (O + 15) / 16 * 16 - first};
    float *s = take_filled(TAKEN, x.taps * x.ins * x.outs, UNIFORM);
    float *d_w = take_filled(IMAGE, O * I * size, UNIFORM);
    float *want = take_copy(WANT, d_w, O * I * size), *got = take_copy(GOT, d_w, O * I * size);

    ref.direct_weights_grad(want, s, x.outs, &x);
    t->direct_weights_grad(got, s, x.outs, &x);
    same("direct_weights_grad", t, got, want, O * I * size, "weights", O, I, kernel);
    strips_intact("direct_weights_grad", t->name);
}

static void product_add(const struct moco_simd *t, size_t T, size_t C, enum fill fill)
{
    size_t width = t->winograd_width;
    float *v = take_filled(IMAGE, T * C, fill), *u = take_filled(TAKEN, C * width, UNIFORM);
    float *m = take_filled(SUMS, T * width, UNIFORM);
    float *want = take_copy(WANT, m, T * width), *got = take_copy(GOT, m, T * width);

    ref.winograd_product_add(want, v, u, T, C, width);
    t->winograd_product_add(got, v, u, T, C, width);
    same("winograd_product_add", t, got, want, T * width, "sums", T, C, width);
    strips_intact("winograd_product_add", t->name);
}

void check_direct(const struct moco_simd *t)
{
    static const size_t sizes[][2] = {{1, 1}, {16, 3}, {20, 33}, {48, 16}, {5, 70}};

    for (size_t i = 0; i < COUNT(layers); i++)
        for (enum moco_number number = 0; number < MOCO_NUMBERS; number++)
            for (int special = 0; special < 2; special++) {
                gather(t, &layers[i], number, i % 2, special ? SPECIAL : UNIFORM);
                scatter(t, &layers[i], number, special ? SPECIAL : UNIFORM);
            }
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t kernel = 1; kernel <= 7; kernel += 2) {
            weights(t, sizes[i][0], sizes[i][1], kernel, 0);
            weights(t, sizes[i][0], sizes[i][1], kernel, 1);
            weights_grad(t, sizes[i][0], sizes[i][1], kernel);
        }
    for (size_t i = 0; i < COUNT(edges); i++) {
        product_add(t, edges[i], 7, UNIFORM);
        product_add(t, 13, edges[i], SPECIAL);
    }
}

static void mutant_gather(float *v, size_t stride, const void *d, const struct moco_image *image,
                          size_t first_block, size_t blocks, const struct moco_grid *grid,
                          const struct moco_tap *tap, size_t taps, size_t first, size_t count)
{
    ref.activation[MOCO_FP32].direct.gather(v, stride, d, image, first_block, blocks, grid, tap,
                                            taps, first, count - 1);
}

/* Writes the image's first pixel where the corner is another. */
static void mutant_scatter(void *d, const float *m, size_t width, const struct moco_image *image,
                           size_t first_block, size_t blocks, const struct moco_grid *grid,
                           const struct moco_tap *tap, size_t first, size_t count)
{
    struct moco_tap other = {0, tap->x, 0};

    ref.activation[MOCO_BF16].direct.scatter(d, m, width, image, first_block, blocks, grid, &other,
                                             first, count);
}

static void mutant_weights(float *u, const float *w, const struct moco_weights *which, int turned)
{
    struct moco_weights fewer = *which;

    fewer.ins--;
    ref.direct_weights(u, w, turned ? which : &fewer, turned);
}

static void mutant_weights_grad(float *d_w, const float *s, size_t stride,
                                const struct moco_weights *which)
{
    struct moco_weights fewer = *which;

    fewer.taps--;
    ref.direct_weights_grad(d_w, s, stride, &fewer);
}

void mutants_direct(void)
{
    struct moco_simd t = ref;

    t.activation[MOCO_FP32].direct.gather = mutant_gather;
    must_catch("a direct_gather without its last pixel", check_direct, &t);
    t = ref;
    t.activation[MOCO_BF16].direct.scatter = mutant_scatter;
    must_catch("a direct_scatter to other rows", check_direct, &t);
    t = ref;
    t.direct_weights = mutant_weights;
    must_catch("direct_weights without the last input", check_direct, &t);
    t = ref;
    t.direct_weights_grad = mutant_weights_grad;
    must_catch("a direct_weights_grad without its last tap", check_direct, &t);
    t = ref;
    t.winograd_product_add = ref.winograd_product;
    must_catch("a winograd_product_add that does not add", check_direct, &t);
}
