/* bank.c: see bank.h. A step reads and writes the rows of its batch and reads those that were
 * drawn, so it takes as long on a bank of a million rows as on one of a thousand, but for the
 * caches. */
#include "engine/contrast/bank.h"

#include <math.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/contrast/rows.h"

int bank_open(struct bank *bank, size_t n, size_t D, uint64_t seed)
{
    *bank = (struct bank){ .n = n, .D = D };
    if (n < 2 || D == 0)
        return error_set(MOCO_EARG, "a memory bank of %zu images and %zu columns: it needs at "
                         "least 2 and 1", n, D);
    if (D > SIZE_MAX / sizeof(float) / n)
        return error_memory("the memory bank", SIZE_MAX);
    int err = arena_open(&bank->arena, bank_bytes(n, D), "the memory bank");
    if (err)
        return err;
    bank->rows = arena_take(&bank->arena, n * D * sizeof *bank->rows);
    rows_random_unit(bank->rows, n, D, seed);
    return MOCO_OK;
}

void bank_close(struct bank *bank)
{
    arena_close(&bank->arena);
    *bank = (struct bank){ 0 };
}

static void blend_row(float *row, const float *v, size_t D, float blend)
{
    double square = 0.0, scale;

    for (size_t d = 0; d < D; d++) {
        row[d] = blend * row[d] + (1.0f - blend) * v[d];
        square += (double)row[d] * (double)row[d];
    }
    scale = 1.0 / fmax(sqrt(square), 1e-12);
    for (size_t d = 0; d < D; d++)
        row[d] = (float)((double)row[d] * scale);
}

void bank_update(struct bank *bank, const float *v, const int64_t *ids, size_t count, float blend)
{
    for (size_t i = 0; i < count; i++)
        blend_row(bank->rows + (size_t)ids[i] * bank->D, v + i * bank->D, bank->D, blend);
}

void bank_draw(int64_t *out, size_t M, size_t n, int64_t own, uint64_t seed, uint64_t step,
               uint64_t sample)
{
    struct rng rng = rng_at(seed, RNG_SAMPLE, sample, step);

    for (size_t j = 0; j < M; j++) {
        int64_t row = (int64_t)rng_below(&rng, (uint64_t)n - 1);
        out[j] = row + (row >= own);
    }
}
