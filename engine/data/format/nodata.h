/* nodata.h: a number that a file declares to mean "no value here".
 *
 * In: the text of a tag or the number of an attribute. Out: NaN in the place of each number that is
 * equal to it. Numbers are compared as they are stored, before they are scaled; what is declared is
 * rounded to their type first, and what the type does not hold is met nowhere. */
#ifndef MOCO_ENGINE_DATA_FORMAT_NODATA_H
#define MOCO_ENGINE_DATA_FORMAT_NODATA_H

#include "engine/data/source.h"

enum { NODATA_MOST = 4 };

struct nodata {
    double value[NODATA_MOST]; /* (n); NaN means every NaN */
    int n;                     /* 0: nothing is declared */
};

/* Adds what a text says of numbers of `dtype`: a number in any spelling, nan and inf too, with
 * spaces around it. 0 where it is none. The largest float is meant also where a few digits of it
 * are written (-3.40282e+38). */
int nodata_add_text(struct nodata *out, const char *text, enum source_dtype dtype);

void nodata_add(struct nodata *out, double value, enum source_dtype dtype);

/* dst: (n) floats that raw_floats() made with the same arguments. Returns how many became NaN. */
size_t nodata_mark(float *dst, const unsigned char *src, size_t n, size_t step,
                   enum source_dtype dtype, int big, const struct nodata *nodata);

/* source->declared becomes "WHAT TEXT", and says so where another one came before. */
void nodata_name(struct source *source, const char *what, const char *text);

#endif
