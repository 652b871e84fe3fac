/* size.h: sums and products of sizes that stay at the largest one and do not begin again at 0. */
#ifndef MOCO_ENGINE_BASE_SIZE_H
#define MOCO_ENGINE_BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

static inline size_t size_add(size_t a, size_t b)
{
    size_t sum;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

static inline size_t size_mul(size_t a, size_t b)
{
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

static inline size_t size_sum(const size_t *sizes, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum = size_add(sum, sizes[i]);
    return sum;
}

#endif
