/* nodata.c: see nodata.h. */
#define _GNU_SOURCE
#include "engine/data/format/nodata.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/format/pack.h"
#include "engine/data/format/raw.h"

/* ---- what is declared ---- */

/* To numbers of this type, as who wrote them did; 0 where it lies outside. */
static int round_to(double *value, enum source_dtype dtype)
{
    unsigned char bytes[sizeof(double)];
    float single = (float)*value;
    if (dtype != DTYPE_F16 && dtype != DTYPE_F32)
        return 1;
    if (dtype == DTYPE_F16) {
        pack_numbers(bytes, &single, 1, dtype);
        raw_floats(&single, bytes, 1, 1, dtype, 0);
    }
    int inside = !isinf(single) || isinf(*value);
    *value = (double)single;
    return inside;
}

void nodata_add(struct nodata *out, double value, enum source_dtype dtype)
{
    if (!round_to(&value, dtype))
        return;
    for (int i = 0; i < out->n; i++)
        if (out->value[i] == value || (isnan(value) && isnan(out->value[i])))
            return;
    if (out->n < NODATA_MOST)
        out->value[out->n++] = value;
}

/* Significant digits of a decimal number. */
static int digits_of(const char *text)
{
    int digits = 0;
    for (; *text && *text != 'e' && *text != 'E'; text++)
        digits += isdigit((unsigned char)*text) && (digits || *text != '0');
    return digits < 1 ? 1 : digits > 17 ? 17 : digits;
}

/* `value` is `largest` in as many digits as the text has; rounded up it may lie outside. */
static int is_short_for(const char *text, double value, double largest)
{
    char printed[40];
    snprintf(printed, sizeof printed, "%.*e", digits_of(text) - 1, copysign(largest, value));
    return strtod(printed, NULL) == value;
}

int nodata_add_text(struct nodata *out, const char *text, enum source_dtype dtype)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || end[strspn(end, " \t\r\n")])
        return 0;
    nodata_add(out, value, dtype);
    if (strpbrk(text, "0123456789")) { /* no word */
        if (is_short_for(text, value, (double)FLT_MAX))
            nodata_add(out, copysign((double)FLT_MAX, value), dtype);
        if (is_short_for(text, value, DBL_MAX))
            nodata_add(out, copysign(DBL_MAX, value), dtype);
    }
    return 1;
}

/* ---- where it is met ---- */

/* The stored number behind the float x. */
static double number_at(const unsigned char *at, float x, enum source_dtype dtype, int big)
{
    unsigned char bytes[sizeof(double)];
    size_t size = raw_size(dtype);
    double value;
    if (dtype == DTYPE_F16 || dtype == DTYPE_F32)
        return (double)x;
    for (size_t i = 0; i < size; i++)
        bytes[i] = at[big ? size - 1 - i : i];
    uint64_t word = raw_get(bytes, size);
    if (dtype == DTYPE_I16)
        return (double)(int16_t)word;
    if (dtype != DTYPE_F64)
        return (double)word;
    memcpy(&value, &word, sizeof value);
    return value;
}

static int is_declared(double x, const struct nodata *nodata)
{
    int met = 0;
    for (int k = 0; k < nodata->n; k++)
        met |= x == nodata->value[k] || (isnan(x) && isnan(nodata->value[k]));
    return met;
}

size_t nodata_mark(float *dst, const unsigned char *src, size_t n, size_t step,
                   enum source_dtype dtype, int big, const struct nodata *nodata)
{
    size_t stride = raw_size(dtype) * step, marked = 0;
    for (size_t i = 0; nodata->n && i < n; i++)
        if (is_declared(number_at(src + i * stride, dst[i], dtype, big), nodata)) {
            dst[i] = NAN;
            marked++;
        }
    return marked;
}

/* ---- in words ---- */

void nodata_name(struct source *source, const char *what, const char *text)
{
    static const char others[] = " and others";
    char name[sizeof source->declared - sizeof others];
    const char *start = text + strspn(text, " \t\r\n");
    snprintf(name, sizeof name, "%s %.*s", what, (int)strcspn(start, " \t\r\n"), start);
    size_t size = strlen(name);
    if (!source->declared[0])
        memcpy(source->declared, name, size + 1);
    int same = !strncmp(source->declared, name, size) &&
               (!source->declared[size] || !strcmp(source->declared + size, others));
    if (!same && !strstr(source->declared, others))
        strcat(source->declared, others);
}
