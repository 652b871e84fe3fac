/* grow.c: see grow.h. */
#include "engine/base/grow.h"

#include <stdint.h>
#include <stdlib.h>

#include "engine/base/error.h"

enum { FIRST = 256 };

void *array_grow(void *items, size_t *capacity, size_t n, size_t size, const char *what)
{
    size_t more = *capacity ? 2 * *capacity : FIRST, bytes;
    if (n < *capacity)
        return items;
    void *grown = NULL;
    if (__builtin_mul_overflow(more, size, &bytes))
        bytes = SIZE_MAX; /* for the sentence */
    else
        grown = realloc(items, bytes);
    if (grown)
        *capacity = more;
    else
        error_memory(what, bytes);
    return grown;
}
