/* grow.h: arrays of which nobody knows beforehand how long they become: room is doubled. */
#ifndef MOCO_ENGINE_BASE_GROW_H
#define MOCO_ENGINE_BASE_GROW_H

#include <stddef.h>

/* Room for one more behind n items of `size` bytes each: `items` as it is, or moved, for which
 * *capacity then tells the items that fit. NULL with a sentence about `what` when memory is short;
 * items is as before then. A first array is NULL with a capacity of 0. */
void *array_grow(void *items, size_t *capacity, size_t n, size_t size, const char *what);

#endif
