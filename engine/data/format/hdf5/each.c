/* each.c: see each.h. */
#define _GNU_SOURCE
#include "engine/data/format/hdf5/each.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { FEWEST = 4, COLOURS_MAX = 4, CHANNELS_MAX = 64, KINDS_MAX = 64 };

/* ---- which ---- */

static int is_below(const char *name, const char *group)
{
    size_t length = strlen(group);
    return !length || (!strncmp(name, group, length) && name[length] == '/');
}

static int may_be(const struct hdf5_shape *s)
{
    return !s->why && (s->rank == 2 || s->rank == 3) &&
           (s->class == H5T_INTEGER || s->class == H5T_FLOAT);
}

static size_t channels_of(const struct hdf5_shape *s, const struct hdf5_numbers *numbers)
{
    if (s->rank == 2)
        return 1;
    return (size_t)s->size[numbers->axes.nhwc && !s->matlab ? 2 : 0];
}

/* Of one set: the same numbers and channels, and where `sizes` is set the same sizes. */
static int alike(const struct hdf5_shape *a, const struct hdf5_shape *b, int sizes,
                 const struct hdf5_numbers *numbers)
{
    if (a->rank != b->rank || a->class != b->class || a->bytes != b->bytes ||
        a->is_signed != b->is_signed || a->matlab != b->matlab)
        return 0;
    return sizes ? !memcmp(a->size, b->size, (size_t)a->rank * sizeof *a->size)
                 : channels_of(a, numbers) == channels_of(b, numbers);
}

/* The kind that most are of, among the first KINDS_MAX that are met. */
static size_t most_frequent(const struct hdf5_shape **out, const unsigned char *able,
                            const struct hdf5_shape *shapes, size_t n, int sizes,
                            const struct hdf5_numbers *numbers)
{
    const struct hdf5_shape *kinds[KINDS_MAX];
    size_t counts[KINDS_MAX] = { 0 }, met = 0, best = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        if (!able[i])
            continue;
        while (k < met && !alike(&shapes[i], kinds[k], sizes, numbers))
            k++;
        if (k == KINDS_MAX)
            continue; /* so many shapes are no set of equal ones */
        if (k == met)
            kinds[met++] = &shapes[i];
        counts[k]++;
    }
    for (size_t k = 0; k < met; k++)
        best = counts[k] > counts[best] ? k : best;
    *out = met ? kinds[best] : NULL;
    return met ? counts[best] : 0;
}

/* Where nothing was named: sizes may differ only where few channels make clear what is meant, and
 * what is left must not be the better part. */
static size_t guess(const struct hdf5_shape **kind, int *sizes, const unsigned char *able,
                    const struct hdf5_shape *shapes, size_t n, const struct hdf5_numbers *numbers)
{
    size_t all = 0, count = most_frequent(kind, able, shapes, n, 0, numbers);
    for (size_t i = 0; i < n; i++)
        all += able[i];
    *sizes = !count || (*kind)->rank < 3 || channels_of(*kind, numbers) > COLOURS_MAX;
    if (*sizes)
        count = most_frequent(kind, able, shapes, n, 1, numbers);
    return count >= FEWEST && 2 * count >= all && channels_of(*kind, numbers) <= CHANNELS_MAX
               ? count
               : 0;
}

size_t hdf5_each_take(unsigned char *taken, const struct hdf5_list *list,
                      const struct hdf5_shape *shapes, const char *group,
                      const struct hdf5_numbers *numbers)
{
    const struct hdf5_shape *kind = NULL;
    size_t n = list->n, count;
    int sizes = 0;
    for (size_t i = 0; i < n; i++)
        taken[i] = may_be(&shapes[i]) && (!group || is_below(list->entries[i].name, group));
    if (group)
        count = most_frequent(&kind, taken, shapes, n, 0, numbers);
    else
        count = guess(&kind, &sizes, taken, shapes, n, numbers);
    for (size_t i = 0; i < n; i++)
        taken[i] = taken[i] && count && alike(&shapes[i], kind, sizes, numbers);
    return count;
}

/* ---- their order and classes ---- */

/* Bytes of the longest beginning of whole groups that all names have, with its slash. */
static size_t common(char *const *names, size_t n)
{
    const char *slash = strrchr(names[0], '/');
    size_t length = slash ? (size_t)(slash - names[0]) + 1 : 0;
    for (size_t i = 1; i < n && length; i++)
        while (length && strncmp(names[i], names[0], length) != 0)
            for (length--; length && names[0][length - 1] != '/';)
                length--;
    return length;
}

/* Bytes of the group's name behind `start`, 0 without one. */
static size_t class_length(const char *name, size_t start)
{
    const char *slash = strchr(name + start, '/');
    return slash ? (size_t)(slash - name) - start : 0;
}

struct order {
    const char *name;
    size_t start, length; /* of the class */
};

static int compare(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    size_t shorter = x->length < y->length ? x->length : y->length;
    int difference = memcmp(x->name + x->start, y->name + y->start, shorter);
    if (!difference && x->length != y->length)
        difference = x->length < y->length ? -1 : 1;
    if (!difference)
        difference = strverscmp(x->name, y->name);
    return difference;
}

static int same_class(const struct order *a, const struct order *b)
{
    return a->length == b->length && !memcmp(a->name + a->start, b->name + b->start, a->length);
}

/* labels: (n); *classes: how many. */
static int label(int32_t *labels, char **classes, size_t *n_classes, const struct order *all,
                 size_t n)
{
    *n_classes = 0;
    for (size_t i = 0; i < n; i++) {
        int next = all[i].length && (!i || !same_class(&all[i], &all[i - 1]));
        if (next && (classes[*n_classes] = strndup(all[i].name + all[i].start, all[i].length)))
            ++*n_classes;
        else if (next)
            return error_memory("the name of a class", all[i].length);
        labels[i] = all[i].length ? (int32_t)*n_classes - 1 : -1;
    }
    return MOCO_OK;
}

static int take_classes(struct source *source, const struct order *all, size_t n)
{
    int32_t *labels = malloc(n * sizeof *labels + 1);
    char **classes = malloc(n * sizeof *classes + 1);
    size_t count = 0;
    int rc = labels && classes ? label(labels, classes, &count, all, n)
                               : error_memory("labels", n * sizeof *labels);
    int meant = rc == MOCO_OK && count > 0 && count < n;
    if (meant)
        rc = raw_take_names(source, classes, count);
    for (size_t i = 0; i < count; i++)
        free(classes[i]);
    free(classes);
    if (meant && rc == MOCO_OK)
        raw_take_labels(source, labels);
    else
        free(labels);
    return rc;
}

int hdf5_each_open(struct hdf5_each *out, struct source *source, const unsigned char *taken,
                   const struct hdf5_list *list)
{
    struct order *all = malloc(source->count * sizeof *all + 1);
    size_t n = 0;
    *out = (struct hdf5_each){ calloc(source->count + 1, sizeof *out->names), 0 };
    if (!all || !out->names) {
        free(all);
        return error_memory("the names of images", source->count * sizeof *all);
    }
    for (size_t i = 0; i < list->n; i++)
        if (taken[i] && !(out->names[out->n++] = strdup(list->entries[i].name))) {
            free(all);
            return error_memory("the name of an image", strlen(list->entries[i].name));
        }
    size_t start = common(out->names, out->n);
    for (; n < out->n; n++)
        all[n] = (struct order){ out->names[n], start, class_length(out->names[n], start) };
    qsort(all, n, sizeof *all, compare);
    for (size_t i = 0; i < n; i++)
        out->names[i] = (char *)(uintptr_t)all[i].name;
    int rc = take_classes(source, all, n);
    free(all);
    return rc;
}

void hdf5_each_close(struct hdf5_each *each)
{
    for (size_t i = 0; i < each->n; i++)
        free(each->names[i]);
    free(each->names);
}
