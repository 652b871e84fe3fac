/* choose.c: which arrays are images and labels; see choose.h. */
#define _GNU_SOURCE
#include "engine/data/format/choose.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/raw.h"

enum { NAME_MAX_BYTES = 256 };

static size_t find(const struct candidate *all, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (all[i].rank && !strcmp(all[i].name, name))
            return i;
    return n;
}

/* The names of all arrays that can be images, for a sentence. */
static void list_names(char *out, size_t size, const struct candidate *all, size_t n, int rank)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && used + 1 < size; i++)
        if (all[i].rank >= rank)
            used += (size_t)snprintf(out + used, size - used, "%s%.60s", used ? ", " : "",
                                     all[i].name);
}

static int find_images(size_t *out, const struct candidate *all, size_t n, const char *where)
{
    static const char *const usual[] = { "x", "X", "images", "image", "data", "arr_0", "x_train",
                                         "X_train", "train_images", "train_x", "train_X",
                                         "train_data", "train/images", "train/x" };
    char names[300];
    size_t able = 0;
    *out = n;
    for (size_t i = 0; i < n; i++)
        if (all[i].rank >= 3)
            able++, *out = i;
    if (able == 1)
        return MOCO_OK;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        size_t hit = find(all, n, usual[i]);
        if (hit < n && all[hit].rank >= 3) {
            *out = hit;
            return MOCO_OK;
        }
    }
    list_names(names, sizeof names, all, n, able ? 3 : 1);
    for (size_t i = 0; i < n && !able; i++)
        if (all[i].why)
            return error_set(MOCO_EFORMAT, "%s holds no array of 3 or 4 dimensions%s%s; %.80s: "
                             "%s", where, names[0] ? ", only " : "", names, all[i].name,
                             all[i].why);
    if (able)
        return error_set(MOCO_EARG, "%s: which of %s are the images? Name one behind a colon",
                         where, names);
    return error_set(MOCO_EFORMAT, "%s holds no array of 3 or 4 dimensions%s%s", where,
                     names[0] ? ", only " : "", names);
}

/* out = name with `from` where it stands as a word of its own replaced; 1 if it does. */
static int renamed(char *out, const char *name, const char *from, const char *to)
{
    size_t length = strlen(from);
    const char *slash = strrchr(name, '/');
    for (const char *at = slash ? slash + 1 : name; (at = strstr(at, from)) != NULL; at++) {
        int begins = at == name || at[-1] == '_' || at[-1] == '/';
        if (begins && (at[length] == '_' || at[length] == '\0')) {
            snprintf(out, NAME_MAX_BYTES, "%.*s%s%s", (int)(at - name), name, to, at + length);
            return 1;
        }
    }
    return 0;
}

static int fits(const struct candidate *labels, size_t count)
{
    return labels->column && labels->numbers && labels->count == count;
}

/* Whatever the images are called: the array that is called so with y for x, or labels. */
size_t choose_labels(const struct candidate *all, size_t n, const char *images, size_t count)
{
    static const char *const pairs[][2] = {
        { "x", "y" },           { "X", "y" },          { "X", "Y" },
        { "images", "labels" }, { "image", "label" },  { "images", "label" },
        { "data", "labels" },   { "data", "label" },   { "data", "target" },
        { "arr_0", "arr_1" },
    };
    static const char *const usual[] = { "y", "Y", "labels", "label", "targets", "target" };
    char name[NAME_MAX_BYTES];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t hit = renamed(name, images, pairs[i][0], pairs[i][1]) ? find(all, n, name)
                                                                              : n;
        if (hit < n && fits(&all[hit], count))
            return hit;
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        size_t hit = find(all, n, usual[i]);
        if (hit < n && fits(&all[hit], count))
            return hit;
    }
    return n;
}

int choose_array(size_t *out, const struct candidate *all, size_t n, const char *name,
                 const char *where)
{
    char names[300];
    *out = find(all, n, name);
    if (*out < n)
        return MOCO_OK;
    for (size_t i = 0; i < n; i++)
        if (all[i].why && !strcmp(all[i].name, name))
            return error_set(MOCO_EUNSUPPORTED, "%s: %.100s: %s", where, name, all[i].why);
    list_names(names, sizeof names, all, n, 1);
    return error_set(MOCO_EARG, "%s holds no array %.100s that can be read; it has %s", where, name,
                     names[0] ? names : "none");
}

int choose_arrays(size_t *images, size_t *labels, const struct candidate *all, size_t n,
                  const char *names, const char *where)
{
    char first[RAW_PATH];
    snprintf(first, sizeof first, "%s", names);
    char *comma = strchr(first, ',');
    if (comma)
        *comma = '\0';
    int rc = first[0] ? choose_array(images, all, n, first, where)
                      : find_images(images, all, n, where);
    *labels = n;
    if (rc != MOCO_OK)
        return rc;
    if (comma && comma[1])
        return choose_array(labels, all, n, comma + 1, where);
    *labels = choose_labels(all, n, all[*images].name, all[*images].count);
    return MOCO_OK;
}

int choose_named_labels(const char *names)
{
    const char *comma = strchr(names, ',');
    return comma && comma[1];
}

void choose_no_labels(struct source *source, const char *name)
{
    size_t used = strlen(source->note);
    snprintf(source->note + used, sizeof source->note - used,
             "%s%.80s is not taken for labels (%.200s)", used ? "; " : "", name, error_text());
}

void choose_note(struct source *source, const struct candidate *all, size_t n, size_t images,
                 size_t labels, const char *names, const char *where)
{
    if (names[0] && (choose_named_labels(names) || labels == n))
        return;
    size_t used = strlen(source->note);
    snprintf(source->note + used, sizeof source->note - used,
             "%s%.200s: images are taken from %.80s, %s%.80s", used ? "; " : "", where,
             all[images].name, labels < n ? "labels from " : "without labels",
             labels < n ? all[labels].name : "");
}
