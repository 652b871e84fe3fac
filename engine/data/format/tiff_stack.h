/* tiff_stack.h: planes that have no directory of their own.
 *
 * Beyond 4 GiB ImageJ writes one directory, says "images=N" in its description and lays the planes
 * one behind the other in the file's byte order. So does MetaMorph in all its stacks, whose number
 * of planes is the count of a tag, and tifffile where it was told to. A hyperstack's planes are in
 * the order of its directories. */
#ifndef MOCO_ENGINE_DATA_FORMAT_TIFF_STACK_H
#define MOCO_ENGINE_DATA_FORMAT_TIFF_STACK_H

#include "engine/data/format/tiff_page.h"

/* Planes that the current directory speaks of; 1 without such words. */
uint64_t tiff_stack_promised(TIFF *tif, const struct tiff_layout *l);

/* Whether they can lie behind this one: numbers neither packed nor in places of their own. */
int tiff_stack_possible(TIFF *tif, const struct tiff_layout *l);

/* All of them lie in the file, or MOCO_ETRUNCATED. */
int tiff_stack_check(TIFF *tif, const struct tiff_layout *l, uint64_t planes, const char *path);

/* The same as tiff_read() of plane `plane`, which may be 0. */
int tiff_stack_read(float *planes, size_t *missing, TIFF *tif, const struct tiff_layout *l,
                    uint32_t plane, const struct nodata *nodata, const char *path);

#endif
