/* test_base.c: the random numbers' known answers and properties; the arena's alignment; arrays that
 * grow; the distance of words. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/base/rng.h"
#include "engine/base/words.h"
#include "tests/check.h"

/* Philox 4x32-10 known answers (Random123's kat_vectors): counter and key all zeros, all ones. */
static void known_answers(void)
{
    static const uint32_t zeros[4] = { 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u };
    static const uint32_t ones[4] = { 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu };
    struct rng a = { 0 }, b;
    memset(&b, 0xff, sizeof b);
    b.left = 0;
    for (int i = 0; i < 4; i++) {
        CHECK(rng_u32(&a) == zeros[i]);
        CHECK(rng_u32(&b) == ones[i]);
    }
}

static void streams_differ(void)
{
    struct rng a = rng_at(1, RNG_VIEW, 2, 3), b = rng_at(1, RNG_VIEW, 2, 3);
    struct rng c = rng_at(1, RNG_VIEW, 3, 3), d = rng_at(1, RNG_ORDER, 2, 3);
    uint32_t x = rng_u32(&a);
    CHECK(x == rng_u32(&b));
    CHECK(x != rng_u32(&c));
    CHECK(x != rng_u32(&d));
}

static void moments(void)
{
    enum { N = 200000 };
    struct rng rng = rng_at(7, RNG_TEST, 0, 0);
    double sum = 0, square = 0, uniform = 0;
    for (int i = 0; i < N; i++) {
        double x = rng_normal(&rng), u = rng_uniform(&rng);
        sum += x, square += x * x, uniform += u;
        CHECK(u >= 0 && u < 1);
    }
    CHECK_MSG(fabs(sum / N) < 5 / sqrt(N), "mean %g", sum / N);
    CHECK_MSG(fabs(square / N - 1) < 5 * sqrt(2.0 / N), "variance %g", square / N);
    CHECK_MSG(fabs(uniform / N - 0.5) < 5 * sqrt(1.0 / 12 / N), "uniform mean %g", uniform / N);
}

static void permutations(void)
{
    uint32_t p[101];
    unsigned char seen[101] = { 0 };
    struct rng rng = rng_at(3, RNG_TEST, 0, 1);
    rng_permutation(&rng, p, 101);
    for (int i = 0; i < 101; i++)
        seen[p[i] < 101 ? p[i] : 0]++;
    for (int i = 0; i < 101; i++)
        CHECK(seen[i] == 1);
    for (int i = 0; i < 1000; i++)
        CHECK(rng_below(&rng, 7) < 7);
}

static void arenas(void)
{
    struct arena arena;
    CHECK(arena_open(&arena, 3 * 64, "a test") == MOCO_OK);
    for (int i = 0; i < 3; i++) {
        unsigned char *piece = arena_take(&arena, 1 + (size_t)i);
        CHECK((uintptr_t)piece % ARENA_ALIGN == 0 && piece[0] == 0);
    }
    arena_close(&arena);
    arena_close(&arena);
    CHECK(error_set(MOCO_EARG, "value %d", 3) == MOCO_EARG);
    CHECK(strcmp(error_text(), "value 3") == 0);
}

/* A list of pieces: its size is what opening takes; pointers of any kind, also to nothing. */
static void pieces(void)
{
    float *floats = NULL;
    int64_t *numbers = NULL;
    double *none = NULL, *behind = NULL;
    struct arena arena;
    const struct arena_pieces list = { { { &floats, 5 * sizeof *floats }, { &none, 0 },
                                         { &numbers, 20 * sizeof *numbers }, { NULL, 0 },
                                         { &behind, 8 } } };
    CHECK(arena_pieces_bytes(&list) == 64 + 192);
    CHECK(arena_open_pieces(&arena, &list, "a test") == MOCO_OK);
    CHECK(arena.size == 64 + 192 && arena.used == arena.size);
    CHECK((void *)floats == arena.base && (void *)numbers == arena.base + 64 && !behind);
    CHECK((void *)none == arena.base + 64);
    arena_close(&arena);
}

/* Chi-square of draws against the probabilities; fixed seeds, so it passes or fails for good. */
/* Items stay as the array grows; one that cannot grow stays whole, with a sentence. */
static void growing(void)
{
    size_t *items = NULL, capacity = 0, wrong = 0, moves = 0;
    for (size_t n = 0; n < 5000; n++) {
        size_t before = capacity, *grown = array_grow(items, &capacity, n, sizeof *items, "items");
        CHECK(grown != NULL && capacity > n);
        if (!grown)
            break;
        items = grown;
        items[n] = 3 * n;
        moves += capacity != before;
    }
    for (size_t n = 0; n < 5000 && items; n++)
        wrong += items[n] != 3 * n;
    CHECK_MSG(wrong == 0 && moves < 10, "%zu of 5000 items are wrong, %zu moves", wrong, moves);
    CHECK(array_grow(items, &capacity, capacity - 1, sizeof *items, "items") == items);
    size_t full = capacity;
    CHECK(!array_grow(items, &capacity, capacity, SIZE_MAX / 4, "too many items"));
    CHECK(capacity == full && items[4999] == 3 * 4999 && strstr(error_text(), "too many items"));
    free(items);
}

static void test_poisson(double lambda, uint64_t stream)
{
    enum { N = 200000, KINDS = 2048 };
    static int counts[KINDS];
    struct rng rng = rng_at(5, RNG_TEST, 1, stream);
    double chi = 0.0, expected = 0.0, seen = 0.0;
    int bins = -1;

    memset(counts, 0, sizeof counts);
    for (int i = 0; i < N; i++) {
        double k = rng_poisson(&rng, lambda);
        CHECK_MSG(k >= 0.0 && k < KINDS && k == floor(k), "lambda %g: %g", lambda, k);
        if (k >= 0.0 && k < KINDS)
            counts[(int)k]++;
    }
    for (int k = 0; k < KINDS; k++) {
        expected += N * exp(k * log(lambda) - lambda - lgamma(k + 1.0));
        seen += counts[k];
        if (expected < 30.0 && k < KINDS - 1)
            continue;
        chi += (seen - expected) * (seen - expected) / (expected > 1.0 ? expected : 1.0);
        bins++;
        expected = seen = 0.0;
    }
    CHECK_MSG(chi <= bins + 4.0 * sqrt(2.0 * bins), "lambda %g: chi-square %g of %d", lambda, chi,
              bins);
}

/* Distances by hand; a swap is one step, and the other way round is as far. */
static void test_words(void)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } pairs[] = {
        { "", "", 0 },            { "", "abc", 3 },
        { "abc", "", 3 },         { "seed", "seed", 0 },
        { "epoch", "epochs", 1 }, { "batchsize", "batch-size", 1 },
        { "cuont", "count", 1 },  { "ca", "abc", 3 },
        { "lr", "wd", 2 },        { "kitten", "sitting", 3 },
    };
    char longer[200];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        CHECK_MSG(word_distance(pairs[i].a, pairs[i].b) == pairs[i].distance, "%s %s", pairs[i].a,
                  pairs[i].b);
        CHECK(word_distance(pairs[i].b, pairs[i].a) == pairs[i].distance);
    }
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    CHECK(word_distance(longer, "x") == 198);
    CHECK(word_distance("x", longer) == WORD_MAX - 1);
}

int main(void)
{
    known_answers();
    streams_differ();
    moments();
    permutations();
    const double lambdas[] = { 0.02, 0.7, 4.0, 9.99, 10.0, 13.7, 60.0, 800.0 };
    for (size_t i = 0; i < sizeof lambdas / sizeof *lambdas; i++)
        test_poisson(lambdas[i], i);
    struct rng rng = rng_at(5, RNG_TEST, 2, 0);
    CHECK(rng_poisson(&rng, -1.0) == 0.0 && rng_poisson(&rng, 1e15) == 1e15);
    CHECK(isinf(rng_poisson(&rng, INFINITY)) && isnan(rng_poisson(&rng, NAN)));
    arenas();
    pieces();
    growing();
    test_words();
    return check_summary("base");
}
