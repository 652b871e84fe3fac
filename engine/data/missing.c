/* missing.c: see missing.h.
 *
 * A byte an image says what its first read met. So each image is counted once, and parts of an
 * image are read as such only when the whole is known to have every value: whether an image can be
 * read must not depend on the part that a view asks for. */
#define _GNU_SOURCE
#include "engine/data/missing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { UNSEEN, WHOLE, GAPS, REFUSED };

struct missing {
    int (*read)(const struct source *source, size_t index, struct image *out);
    int (*read_part)(const struct source *source, size_t index, struct image *out,
                     struct part *part);
    unsigned char *seen;          /* (count); written by several threads, as are the counts */
    struct missing_counts counts;
};

/* ---- one image ---- */

static int is_finite(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7f800000) != 0x7f800000;
}

static size_t count_gaps(const float *x, size_t n)
{
    size_t finite = 0;
    for (size_t i = 0; i < n; i++)
        finite += (size_t)is_finite(x[i]);
    return n - finite;
}

static void add(uint64_t *to, uint64_t n)
{
    __atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

static void note(const struct source *source, size_t index, int what, uint64_t numbers,
                 uint64_t declared, uint64_t found)
{
    struct missing *m = source->missing;
    struct missing_counts *counts = &m->counts;
    if (__atomic_exchange_n(&m->seen[index], (unsigned char)what, __ATOMIC_RELAXED) != UNSEEN ||
        what == REFUSED)
        return;
    add(&counts->images, 1);
    add(&counts->numbers, numbers);
    add(&counts->declared, declared);
    add(&counts->found, found);
    add(&counts->images_with, what == GAPS);
}

/* "x.npy: image 7" */
static void name_image(char *out, size_t size, const struct source *source, size_t index)
{
    const char *name = source->name ? source->name(source, index) : NULL;
    if (name)
        snprintf(out, size, "%.500s: %.500s", source->where, name);
    else
        snprintf(out, size, "%.500s: image %zu", source->where, index);
}

static int refuse_found(const struct source *source, size_t index, size_t found, size_t n)
{
    char name[1100], share[32];
    name_image(name, sizeof name, source, index);
    for (int digits = 2; digits < 9; digits++) { /* few, and not below the share */
        double unit = pow(10, digits), up = ceil((double)found / (double)n * unit) / unit;
        snprintf(share, sizeof share, "%.*g", digits, up);
        if (up <= 1.1 * (double)found / (double)n || digits == 8)
            break;
    }
    return error_set(MOCO_ENOTFINITE, "%s: NaN or infinite in %zu of %zu numbers, which nothing "
                     "declares missing; --max-missing %s would fill up to that share of an image "
                     "with the mean of its channel", name, found, n, share);
}

static int refuse_empty(const struct source *source, size_t index, size_t gaps, size_t n,
                        double most)
{
    char name[1100];
    name_image(name, sizeof name, source, index);
    return error_set(MOCO_EFORMAT, "%s: no value in %zu of %zu numbers (%s), more than %.4g %% of "
                     "the image, so it counts as unreadable", name, gaps, n,
                     source->declared[0] ? source->declared : "NaN or infinite", 100 * most);
}

/* One kind of NaN for all, so that equal images have equal bytes. */
static void mark(struct image *image, size_t n)
{
    for (size_t i = 0; i < n; i++)
        image->pixels[i] = is_finite(image->pixels[i]) ? image->pixels[i] : NAN;
}

static int judge(const struct source *source, size_t index, struct image *image)
{
    size_t n = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
    size_t gaps = count_gaps(image->pixels, n), found = gaps - image->missing;
    double most = source->max_missing > MISSING_MOST ? source->max_missing : MISSING_MOST;
    int rc = MOCO_OK;
    if ((double)found > source->max_missing * (double)n)
        rc = refuse_found(source, index, found, n);
    else if ((double)gaps > most * (double)n)
        rc = refuse_empty(source, index, gaps, n, most);
    note(source, index, rc ? REFUSED : gaps ? GAPS : WHOLE, n, gaps - found, found);
    if (!rc && gaps)
        mark(image, n);
    image->missing = gaps;
    return rc;
}

/* ---- the guard ---- */

static int read_image(const struct source *source, size_t index, struct image *out)
{
    int rc = source->missing->read(source, index, out);
    return rc ? rc : judge(source, index, out);
}

static int read_part(const struct source *source, size_t index, struct image *out,
                     struct part *part)
{
    const struct missing *m = source->missing;
    if (__atomic_load_n(&m->seen[index], __ATOMIC_RELAXED) == WHOLE)
        return m->read_part(source, index, out, part);
    int rc = read_image(source, index, out);
    if (!rc)
        *part = (struct part){ .divisor = 1, .height = out->height, .width = out->width };
    return rc;
}

int missing_guard(struct source *source)
{
    if (source->dtype < DTYPE_F16 && !source->declared[0])
        return MOCO_OK;
    struct missing *m = source->missing = calloc(1, sizeof *m);
    if (m)
        m->seen = calloc(source->count + 1, 1);
    if (!m || !m->seen)
        return error_memory("marks of images", source->count);
    m->read = source->read;
    m->read_part = source->read_part;
    source->read = read_image;
    if (m->read_part)
        source->read_part = read_part;
    return MOCO_OK;
}

void missing_release(struct source *source)
{
    if (source->missing)
        free(source->missing->seen);
    free(source->missing);
    source->missing = NULL;
}

void missing_allow(struct source *source, double share)
{
    source->max_missing = share;
    for (int i = 0; i < 2; i++)
        if (source->part[i])
            missing_allow(source->part[i], share);
}

/* ---- what was met ---- */

struct missing_counts missing_count(const struct source *source)
{
    struct missing_counts all = { 0 };
    if (source->missing)
        all = source->missing->counts;
    for (int i = 0; i < 2 && source->part[i]; i++) {
        struct missing_counts part = missing_count(source->part[i]);
        all.images += part.images;
        all.numbers += part.numbers;
        all.declared += part.declared;
        all.found += part.found;
        all.images_with += part.images_with;
    }
    return all;
}

static void describe(char *out, size_t size, const struct source *source)
{
    const struct missing_counts *c = &source->missing->counts;
    char looked[64] = "";
    size_t used = 0;
    double percent = 100.0 / (double)(c->numbers ? c->numbers : 1);
    if (c->images < source->count)
        snprintf(looked, sizeof looked, " (of %zu in all)", source->count);
    if (c->declared)
        used = (size_t)snprintf(out, size, "%.4g %% of the numbers of %s:%.120s are declared "
                                "missing (%s)", percent * (double)c->declared, source->kind,
                                source->where, source->declared);
    if (c->found)
        used += (size_t)snprintf(out + used, size - used, "%s%.4g %% of the numbers of %s:%.120s "
                                 "are NaN or infinite, which --max-missing %g allows",
                                 used ? ", and " : "", percent * (double)c->found, source->kind,
                                 source->where, source->max_missing);
    if (used)
        snprintf(out + used, size - used, ", in %llu of %llu images%s; they count as the mean of "
                 "their channel", (unsigned long long)c->images_with,
                 (unsigned long long)c->images, looked);
}

void missing_text(char *out, const struct source *source)
{
    size_t used = 0;
    out[0] = '\0';
    if (source->missing)
        describe(out, MISSING_TEXT, source);
    for (int i = 0; i < 2 && source->part[i]; i++) {
        char part[MISSING_TEXT / 2 - 2] = "";
        if (source->part[i]->missing)
            describe(part, sizeof part, source->part[i]);
        if (part[0])
            used += (size_t)snprintf(out + used, MISSING_TEXT - used, "%s%s", used ? "; " : "",
                                     part);
    }
}

void image_fill(struct image *image, const float *mean)
{
    size_t plane = (size_t)image->height * (size_t)image->width;
    for (int c = 0; c < image->channels && image->missing; c++) {
        float *x = image->pixels + (size_t)c * plane;
        for (size_t i = 0; i < plane; i++)
            x[i] = isnan(x[i]) ? mean[c] : x[i];
    }
    image->missing = 0;
}
