/* source_pair.c: two sources as one, whose samples have two images each.
 *
 * Image 2 i is an image of the first and image 2 i + 1 its partner of the second: another season,
 * plane, stain or instrument. Partners have the same name but for the ending, where both sources
 * have names and nobody asks for their order. Labels and class names are the first's. Both are read
 * as they are, so sizes, formats and types of numbers may differ; grey images beside colours are
 * expanded, and other numbers of channels may not differ. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/pair_names.h"
#include "engine/data/format/raw.h"
#include "engine/data/grey.h"

struct pair {
    struct source *part[2];
    struct pair_names names; /* without indices where images go by their order */
};

static const struct source *part_of(const struct source *source, size_t index)
{
    const struct pair *pair = source->state;
    return pair->part[index % 2];
}

/* Of image `index` in its own source. */
static size_t place_of(const struct source *source, size_t index)
{
    const struct pair *pair = source->state;
    const size_t *places = pair->names.index[index % 2];
    return places ? places[index / 2] : index / 2;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    const struct source *part = part_of(source, index);
    int rc = part->read(part, place_of(source, index), out);
    return rc ? rc : grey_expand(out, source->channels);
}

static int size_of(const struct source *source, size_t index, int *height, int *width)
{
    const struct source *part = part_of(source, index);
    return part->size(part, place_of(source, index), height, width);
}

static int read_part(const struct source *source, size_t index, struct image *out,
                     struct part *area)
{
    const struct source *part = part_of(source, index);
    int rc = part->read_part(part, place_of(source, index), out, area);
    return rc ? rc : grey_expand(out, source->channels);
}

static const char *name_of(const struct source *source, size_t index)
{
    const struct source *part = part_of(source, index);
    return part->name ? part->name(part, place_of(source, index)) : NULL;
}

static void close_pair(struct source *source)
{
    struct pair *pair = source->state;
    source_close(&pair->part[0]);
    source_close(&pair->part[1]);
    pair_names_close(&pair->names);
    free(pair);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t pixels_of(const struct source *source)
{
    return larger(source->pixels_max, (size_t)source->height * (size_t)source->width);
}

static int check(const struct source *a, const struct source *b)
{
    if (a->channels != b->channels && !grey_expands(a->channels, b->channels) &&
        !grey_expands(b->channels, a->channels))
        return error_set(MOCO_EARG, "images of %s have %d channels, those of %s %d: one encoder "
                         "takes both", a->where, a->channels, b->where, b->channels);
    if (a->views > 1 || b->views > 1)
        return error_set(MOCO_EARG, "%s has several images a sample already; give --positive or "
                         ":views", a->views > 1 ? a->where : b->where);
    return MOCO_OK;
}

/* Fills pair->names, or leaves it empty where order decides. */
static int match(struct pair *pair, int by_index)
{
    const struct source *a = pair->part[0], *b = pair->part[1];
    if (!by_index && a->name && b->name && a->count && b->count && a->name(a, 0) && b->name(b, 0))
        return pair_names(&pair->names, a, b);
    pair->names.count = a->count;
    if (a->count == b->count)
        return MOCO_OK;
    return error_set(MOCO_EARG, "%s has %zu images and %s, whose image i is the positive of "
                     "image i, has %zu: both need the same number", a->where, a->count,
                     b->where, b->count);
}

static void add_account(struct source *out, const struct account *account)
{
    for (size_t i = 0; i < account->n; i++)
        account_leave(&out->account, account->rows[i].count, "%s", account->rows[i].what);
    for (size_t i = 0; i < account->gone_count && i < ACCOUNT_GONE; i++)
        account_class_gone(&out->account, account->gone[i]);
}

/* What has no partner is left out and told, by the first of each side. */
static void note_alone(struct source *out, const struct pair *pair)
{
    size_t used = strlen(out->note);
    for (int side = 0; side < 2 && used < sizeof out->note; side++) {
        const struct source *part = pair->part[side];
        if (part->channels != out->channels)
            used += (size_t)snprintf(out->note + used, sizeof out->note - used, "%s%.100s is grey: "
                                     "it is taken as three equal channels", used ? "; " : "",
                                     part->where);
        if (!pair->names.alone[side] || used >= sizeof out->note)
            continue;
        account_leave(&out->account, pair->names.alone[side], "images without a partner");
        used += (size_t)snprintf(out->note + used, sizeof out->note - used,
                                 "%sof %.100s %zu of %zu images are left out, without a partner "
                                 "(the first: %.60s)", used ? "; " : "", part->where,
                                 pair->names.alone[side], part->count,
                                 part->name(part, pair->names.first[side]));
    }
}

static void merge(struct source *out, const struct pair *pair)
{
    const struct source *a = pair->part[0], *b = pair->part[1];
    memcpy(out->kind, a->kind, sizeof out->kind);
    snprintf(out->where, sizeof out->where, "%.500s with %.500s", a->where, b->where);
    snprintf(out->note, sizeof out->note, "%.250s%s%.250s", a->note,
             a->note[0] && b->note[0] ? "; " : "", b->note);
    out->count = 2 * pair->names.count;
    out->views = 2;
    out->channels = a->channels > b->channels ? a->channels : b->channels;
    out->height = a->height == b->height ? a->height : 0;
    out->width = a->width == b->width ? a->width : 0;
    out->pixels_max = larger(pixels_of(a), pixels_of(b));
    out->decoder_bytes = larger(a->decoder_bytes, b->decoder_bytes);
    out->decode_bytes = larger(a->decode_bytes, b->decode_bytes);
    out->dtype = a->dtype;
    out->read = read_image;
    out->name = a->name || b->name ? name_of : NULL;
    if (a->read_part && b->read_part) {
        out->size = size_of;
        out->read_part = read_part;
    }
    add_account(out, &a->account);
    add_account(out, &b->account);
    note_alone(out, pair);
}

static int take_labels(struct source *out, const struct source *a)
{
    if (!a->labels)
        return MOCO_OK;
    int32_t *labels = malloc(out->count * sizeof *labels);
    if (!labels)
        return error_memory("labels", out->count * sizeof *labels);
    for (size_t i = 0; i < out->count; i++)
        labels[i] = a->labels[place_of(out, i & ~(size_t)1)];
    raw_take_labels(out, labels);
    if (!a->class_names)
        return MOCO_OK;
    return raw_take_names(out, (char *const *)(uintptr_t)a->class_names, (size_t)a->classes);
}

int source_open_pair(struct source **out, const char *spec, const char *positive, int by_index)
{
    if (!positive[0])
        return source_open(out, spec);
    struct source *source = calloc(1, sizeof *source);
    struct pair *pair = calloc(1, sizeof *pair);
    *out = NULL;
    if (!source || !pair) {
        free(source), free(pair);
        return error_memory("a pair of sources", sizeof *source);
    }
    source->state = pair;
    source->close = close_pair;
    int rc = source_open(&pair->part[0], spec);
    if (rc == MOCO_OK)
        rc = source_open(&pair->part[1], positive);
    if (rc == MOCO_OK)
        rc = check(pair->part[0], pair->part[1]);
    if (rc == MOCO_OK)
        rc = match(pair, by_index);
    if (rc == MOCO_OK) {
        merge(source, pair);
        memcpy(source->part, pair->part, sizeof source->part);
        rc = take_labels(source, pair->part[0]);
    }
    if (rc == MOCO_OK)
        *out = source;
    else
        source_close(&source);
    return rc;
}
