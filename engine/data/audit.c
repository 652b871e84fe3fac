/* audit.c: what is found in a set, and between two; see audit.h. */
#include "engine/data/audit.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"

/* ---- findings ---- */

int audit_find(struct audit *audit, enum audit_kind kind, size_t image, size_t other,
               char *sentence)
{
    struct finding *findings = array_grow(audit->findings, &audit->capacity, audit->found,
                                          sizeof *findings, "findings");
    if (!findings)
        return MOCO_ENOMEM;
    audit->findings = findings;
    audit->findings[audit->found++] = (struct finding){ kind, image, other, sentence };
    audit->seen[kind]++;
    return MOCO_OK;
}

static enum audit_kind kind_of(int rc)
{
    return rc == MOCO_ETRUNCATED ? AUDIT_TRUNCATED
           : rc == MOCO_EDAMAGED ? AUDIT_DAMAGED : AUDIT_UNREADABLE;
}

static int find_simple(struct audit *audit)
{
    const struct source *source = audit->source;
    int rc = MOCO_OK;
    for (size_t i = 0; rc == MOCO_OK && i < source->count; i++) {
        struct audit_image *image = &audit->images[i];
        int traits = source->traits ? source->traits(source, i) : 0;
        int label = source_label(source, i);
        if (image->rc != MOCO_OK) {
            rc = audit_find(audit, kind_of(image->rc), i, i, image->sentence);
            image->sentence = rc == MOCO_OK ? NULL : image->sentence;
        } else if (image->infinite) {
            rc = audit_find(audit, AUDIT_NOT_FINITE, i, i, NULL);
        } else if (image->constant) {
            rc = audit_find(audit, AUDIT_CONSTANT, i, i, NULL);
        }
        if (rc == MOCO_OK && (traits & TRAIT_ANIMATED))
            rc = audit_find(audit, AUDIT_ANIMATED, i, i, NULL);
        if (rc == MOCO_OK && source->labels && label < 0)
            rc = audit_find(audit, AUDIT_UNLABELLED, i, i, NULL);
        if (label >= 0)
            audit->class_counts[label]++;
        audit->read += image->rc == MOCO_OK;
        audit->alpha += (traits & TRAIT_ALPHA) != 0;
    }
    for (int c = 0; rc == MOCO_OK && c < source->classes; c++)
        if (audit->class_counts[c] == 0)
            rc = audit_find(audit, AUDIT_EMPTY_CLASS, (size_t)c, (size_t)c, NULL);
    return rc;
}

/* By pixels, then in the order of the set; what was not read is last. */
static int by_pixels(const void *a, const void *b)
{
    const struct audit_image *x = *(const struct audit_image *const *)a;
    const struct audit_image *y = *(const struct audit_image *const *)b;
    for (int i = 0; i < 2; i++)
        if (x->hash[i] != y->hash[i])
            return x->hash[i] < y->hash[i] ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int same_pixels(const struct audit_image *a, const struct audit_image *b)
{
    return !memcmp(a->hash, b->hash, sizeof a->hash);
}

/* *out: the images that were read, by pixels, for free(). */
static int sort_images(const struct audit_image ***out, size_t *n, const struct audit *audit)
{
    size_t count = audit->source->count;
    const struct audit_image **sorted = malloc(count * sizeof *sorted);
    *out = sorted;
    *n = 0;
    if (!sorted)
        return error_memory("images in order", count * sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        if (audit->images[i].rc == MOCO_OK)
            sorted[(*n)++] = &audit->images[i];
    qsort(sorted, *n, sizeof *sorted, by_pixels);
    return MOCO_OK;
}

static int find_duplicates(struct audit *audit)
{
    const struct audit_image **sorted;
    size_t n;
    int rc = sort_images(&sorted, &n, audit);
    for (size_t i = 1, first = 0; rc == MOCO_OK && i < n; i++) {
        if (!same_pixels(sorted[i], sorted[first])) {
            first = i;
            continue;
        }
        size_t image = sorted[i]->index, other = sorted[first]->index;
        rc = audit_find(audit, AUDIT_DUPLICATE, image, other, NULL);
        if (rc == MOCO_OK &&
            source_label(audit->source, image) != source_label(audit->source, other))
            rc = audit_find(audit, AUDIT_RELABELLED, image, other, NULL);
    }
    free(sorted);
    return rc;
}

/* ---- the whole ---- */

static int by_kind(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return (x->image > y->image) - (x->image < y->image);
}

static int allocate(struct audit *out)
{
    size_t channels = (size_t)out->source->channels, classes = (size_t)out->source->classes;
    out->images = calloc(out->source->count, sizeof *out->images);
    out->class_counts = calloc(classes + 1, sizeof *out->class_counts);
    out->mean = calloc(4 * channels, sizeof *out->mean);
    if (!out->images || !out->class_counts || !out->mean)
        return error_memory("an audit of the data", out->source->count * sizeof *out->images);
    out->std = out->mean + channels;
    out->low = out->std + channels;
    out->high = out->low + channels;
    return MOCO_OK;
}

int audit_open(struct audit *out, const struct source *source, audit_progress *progress,
               void *user)
{
    *out = (struct audit){ .source = source };
    int rc = source->channels > 0 ? allocate(out)
                                  : error_set(MOCO_EFORMAT, "%s: images have no channels",
                                              source->where);
    if (rc == MOCO_OK)
        rc = audit_read(out, progress, user);
    if (rc == MOCO_OK)
        rc = find_simple(out);
    if (rc == MOCO_OK)
        rc = find_duplicates(out);
    if (rc == MOCO_OK)
        rc = audit_sizes(out);
    if (rc == MOCO_OK && out->found)
        qsort(out->findings, out->found, sizeof *out->findings, by_kind);
    if (rc != MOCO_OK)
        audit_close(out);
    return rc;
}

void audit_close(struct audit *audit)
{
    for (size_t i = 0; audit->images && i < audit->source->count; i++)
        free(audit->images[i].sentence);
    for (size_t i = 0; i < audit->found; i++)
        free(audit->findings[i].sentence);
    free(audit->images);
    free(audit->findings);
    free(audit->class_counts);
    free(audit->mean);
    *audit = (struct audit){ 0 };
}

/* ---- two sets ---- */

static int by_test(const void *a, const void *b)
{
    const struct leak *x = a, *y = b;
    return (x->test > y->test) - (x->test < y->test);
}

int audit_leaks(struct leak **out, size_t *count, const struct audit *train,
                const struct audit *test)
{
    const struct audit_image **left = NULL, **right = NULL;
    size_t n = 0, m = 0;
    *count = 0;
    *out = malloc((test->source->count + 1) * sizeof **out);
    int rc = *out ? sort_images(&left, &n, train)
                  : error_memory("images in both sets", test->source->count * sizeof **out);
    if (rc == MOCO_OK)
        rc = sort_images(&right, &m, test);
    for (size_t i = 0, j = 0; rc == MOCO_OK && i < n && j < m;) {
        int order = memcmp(left[i]->hash, right[j]->hash, sizeof left[i]->hash);
        if (order == 0)
            (*out)[(*count)++] = (struct leak){ right[j++]->index, left[i]->index };
        else if (left[i]->hash[0] != right[j]->hash[0])
            *(left[i]->hash[0] < right[j]->hash[0] ? &i : &j) += 1;
        else
            *(left[i]->hash[1] < right[j]->hash[1] ? &i : &j) += 1;
    }
    free(left);
    free(right);
    if (rc != MOCO_OK) {
        free(*out);
        *out = NULL;
    } else if (*count) {
        qsort(*out, *count, sizeof **out, by_test);
    }
    return rc;
}

int audit_untrained(const struct audit *train, const struct audit *test, const int32_t *map,
                    int label)
{
    int there = map ? map[label] : label;
    return test->class_counts[label] > 0 &&
           (there >= train->source->classes || train->class_counts[there] == 0);
}

int audit_names_differ(const struct source *a, const struct source *b)
{
    int classes = a->classes < b->classes ? a->classes : b->classes;
    for (int c = 0; a->class_names && b->class_names && c < classes; c++)
        if (strcmp(a->class_names[c], b->class_names[c]) != 0)
            return c;
    return -1;
}
