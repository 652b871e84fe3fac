/* pair_names.c: pairs by name; see pair_names.h. */
#define _GNU_SOURCE
#include "engine/data/format/pair_names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/error.h"

/* One image by the stem of its name, `length` bytes of it. */
struct entry {
    const char *name;
    size_t length, index;
    size_t turn; /* which image of its file it is */
};

/* Bytes in front of the ending, that of "a.fits.gz" being ".fits.gz". */
static size_t stem_length(const char *name)
{
    const char *slash = strrchr(name, '/'), *file = slash ? slash + 1 : name;
    size_t length = strlen(name);
    if (length > 3 && !strcasecmp(name + length - 3, ".gz"))
        length -= 3;
    const char *dot = memrchr(file, '.', length - (size_t)(file - name));
    return dot && dot > file ? (size_t)(dot - name) : length;
}

static int by_stem(const struct entry *x, const struct entry *y)
{
    size_t n = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->name, y->name, n);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = by_stem(x, y);
    if (!order)
        order = strcmp(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* *out: (source->count) in the order of stems, for free(). */
static int list(struct entry **out, const struct source *source)
{
    struct entry *entries = malloc((source->count + 1) * sizeof *entries);
    *out = entries;
    if (!entries)
        return error_memory("names of images", source->count * sizeof *entries);
    for (size_t i = 0; i < source->count; i++) {
        const char *name = source->name(source, i);
        entries[i] = (struct entry){name ? name : "", stem_length(name ? name : ""), i, 0};
    }
    qsort(entries, source->count, sizeof *entries, by_name);
    for (size_t i = 1; i < source->count; i++) {
        struct entry *e = &entries[i];
        if (by_stem(e - 1, e))
            continue;
        if (strcmp(e[-1].name, e->name))
            return error_set(MOCO_EARG, "%.300s has %.200s and %.200s: pairs go by name without "
                                        "the ending, and these are one; --positive-by index pairs "
                                        "images in their order", source->where, e[-1].name,
                             e->name);
        e->turn = e[-1].turn + 1;
    }
    return MOCO_OK;
}

static int compare(const struct entry *x, const struct entry *y)
{
    int order = by_stem(x, y);
    return order ? order : (x->turn > y->turn) - (x->turn < y->turn);
}

static void leave(struct pair_names *out, int side, size_t index)
{
    if (!out->alone[side]++ || index < out->first[side])
        out->first[side] = index;
}

/* partner: (a->count) image of b, or b->count for none. */
static void join(struct pair_names *out, size_t *partner, const struct entry *x, size_t n,
                 const struct entry *y, size_t m)
{
    size_t i = 0, j = 0;
    while (i < n || j < m) {
        int order = i == n ? 1 : j == m ? -1 : compare(&x[i], &y[j]);
        if (order < 0) {
            partner[x[i].index] = m;
            leave(out, 0, x[i++].index);
        } else if (order > 0) {
            leave(out, 1, y[j++].index);
        } else {
            partner[x[i++].index] = y[j++].index;
        }
    }
}

static int none(const struct source *a, const struct source *b)
{
    return error_set(MOCO_EARG, "no image of %.300s has a partner of its name in %.300s (%.150s "
                                "and %.150s are the first); --positive-by index pairs them in "
                                "order",
                     a->where, b->where, a->name(a, 0), b->name(b, 0));
}

int pair_names(struct pair_names *out, const struct source *a, const struct source *b)
{
    struct entry *x = NULL, *y = NULL;
    size_t *partner = malloc((a->count + 1) * sizeof *partner);
    *out = (struct pair_names){.count = 0};
    out->index[0] = malloc((a->count + 1) * sizeof *partner);
    out->index[1] = malloc((a->count + 1) * sizeof *partner);
    int rc = partner && out->index[0] && out->index[1]
                 ? MOCO_OK : error_memory("pairs of images", 3 * a->count * sizeof *partner);
    if (!rc)
        rc = list(&x, a);
    if (!rc)
        rc = list(&y, b);
    if (!rc)
        join(out, partner, x, a->count, y, b->count);
    for (size_t i = 0; i < a->count && !rc; i++) {
        if (partner[i] == b->count)
            continue;
        out->index[0][out->count] = i;
        out->index[1][out->count++] = partner[i];
    }
    if (!rc && !out->count)
        rc = none(a, b);
    free(partner);
    free(x);
    free(y);
    return rc;
}

void pair_names_close(struct pair_names *pairs)
{
    free(pairs->index[0]);
    free(pairs->index[1]);
    *pairs = (struct pair_names){.count = 0};
}
