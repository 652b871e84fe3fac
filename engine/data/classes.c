/* classes.c: one numbering of classes; see classes.h. */
#include "engine/data/classes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"

enum { NUMBER_DIGITS = 9 };

/* ---- names ---- */

static int append(struct classes *classes, const char *name)
{
    char *copy = strdup(name);
    char **names = copy ? array_grow(classes->names, &classes->capacity, (size_t)classes->count,
                                     sizeof *names, "names of classes") : NULL;
    if (!names) {
        free(copy);
        return copy ? MOCO_ENOMEM : error_memory("the name of a class", strlen(name) + 1);
    }
    classes->names = names;
    names[classes->count++] = copy;
    return MOCO_OK;
}

/* The name of class c of a source, or its number. */
static const char *name_of(char text[16], const struct source *source, int c)
{
    if (source->class_names)
        return source->class_names[c];
    snprintf(text, 16, "%d", c);
    return text;
}

int classes_open(struct classes *out, const struct source *reference)
{
    char text[16];
    int rc = MOCO_OK;
    *out = (struct classes){.named = reference->class_names != NULL};
    snprintf(out->where, sizeof out->where, "%.199s", reference->where);
    for (int c = 0; c < reference->classes && !rc; c++)
        rc = append(out, name_of(text, reference, c));
    out->own = out->count;
    return rc;
}

void classes_close(struct classes *classes)
{
    for (int c = 0; c < classes->count; c++)
        free(classes->names[c]);
    free(classes->names);
    *classes = (struct classes){0};
}

/* ---- looking up ---- */

struct place {
    const char *name;
    int class;
};

/* The value of a name that is a whole number, else -1. */
static int value_of(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    return digits && !name[digits] && digits <= NUMBER_DIGITS ? atoi(name) : -1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct place *)a)->name, ((const struct place *)b)->name);
}

static int by_value(const void *a, const void *b)
{
    int x = value_of(((const struct place *)a)->name);
    int y = value_of(((const struct place *)b)->name);
    return (x > y) - (x < y);
}

typedef int compare_places(const void *, const void *);

/* n names in order, for free(); NULL is a shortage of memory. */
static struct place *sort(const char *const *names, int n, compare_places *compare)
{
    struct place *sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    if (!sorted) {
        (void)error_memory("names of classes in order", (size_t)n * sizeof *sorted);
        return NULL;
    }
    for (int c = 0; c < n; c++)
        sorted[c] = (struct place){names[c], c};
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    return sorted;
}

static int find(const struct place *sorted, int n, const char *name, compare_places *compare)
{
    const struct place key = {name, 0};
    const struct place *found = n ? bsearch(&key, sorted, (size_t)n, sizeof key, compare) : NULL;
    return found ? found->class : -1;
}

/* *numbers: whether all names are whole numbers, each another one, and stand for themselves. */
static int are_numbers(int *numbers, const char *const *names, int n)
{
    *numbers = n > 0;
    for (int c = 0; c < n && *numbers; c++)
        *numbers = value_of(names[c]) >= 0;
    if (!*numbers)
        return MOCO_OK;
    struct place *sorted = sort(names, n, by_value);
    if (!sorted)
        return MOCO_ENOMEM;
    for (int c = 1; c < n; c++)
        *numbers &= by_value(&sorted[c - 1], &sorted[c]) != 0;
    free(sorted);
    return MOCO_OK;
}

/* ---- adding ---- */

/* "cat, dog, bird and 4 more" */
static void list(char *out, size_t size, const char *const *names, int n)
{
    enum { NAMED = 5 };
    size_t used = 0;
    for (int c = 0; c < n && c < NAMED && used < size; c++)
        used += (size_t)snprintf(out + used, size - used, "%s%.60s", c ? ", " : "", names[c]);
    if (n > NAMED && used < size)
        snprintf(out + used, size - used, " and %d more", n - NAMED);
}

static int share_none(const struct classes *classes, const struct source *source)
{
    char here[400], there[400];
    list(here, sizeof here, source->class_names, source->classes);
    list(there, sizeof there, (const char *const *)classes->names, classes->own);
    return error_set(MOCO_EARG, "no class is in both sets: %s has %s, %.200s has %s; classes are "
                                "aligned by name", classes->where, there, source->where, here);
}

/* Classes that are in the numbering by what `compare` compares; the others become new ones. */
static int add_alike(int32_t *map, struct classes *classes, const struct source *source,
                     compare_places *compare)
{
    char text[16];
    int known = classes->count, shared = 0, rc = MOCO_OK;
    struct place *sorted = sort((const char *const *)classes->names, known, compare);
    if (!sorted)
        return MOCO_ENOMEM;
    for (int c = 0; c < source->classes; c++) {
        map[c] = find(sorted, known, name_of(text, source, c), compare);
        shared += map[c] >= 0;
    }
    free(sorted);
    if (!shared && classes->own && compare == by_name)
        return share_none(classes, source);
    for (int c = 0; c < source->classes && !rc; c++)
        if (map[c] < 0) {
            map[c] = classes->count;
            rc = append(classes, name_of(text, source, c));
        }
    return rc;
}

/* Words on one side, numbers on the other: by order, which is told. */
static int add_in_order(int32_t *map, struct classes *classes, const struct source *source)
{
    char text[16];
    int rc = MOCO_OK;
    snprintf(classes->note, sizeof classes->note,
             "labels of %.200s are numbers and classes of %.200s have names: 0 is taken for %.60s, "
             "and so on in the order of the names",
             classes->named ? source->where : classes->where,
             classes->named ? classes->where : source->where,
             classes->named ? classes->names[0] : source->class_names[0]);
    for (int c = 0; c < source->classes && !rc; c++) {
        map[c] = c;
        if (c >= classes->count)
            rc = append(classes, name_of(text, source, c));
    }
    return rc;
}

int classes_add(int32_t **map, struct classes *classes, const struct source *source)
{
    const char *const *names = source->class_names;
    *map = NULL;
    if (!source->classes)
        return MOCO_OK;
    *map = malloc((size_t)source->classes * sizeof **map);
    if (!*map)
        return error_memory("numbers of classes", (size_t)source->classes * sizeof **map);
    if (names && classes->named)
        return add_alike(*map, classes, source, by_name);
    int numbers = !classes->own || (!names && !classes->named), rc = MOCO_OK;
    if (!numbers)
        rc = names ? are_numbers(&numbers, names, source->classes)
                   : are_numbers(&numbers, (const char *const *)classes->names, classes->own);
    if (rc || numbers)
        return rc ? rc : add_alike(*map, classes, source, by_value);
    return add_in_order(*map, classes, source);
}
