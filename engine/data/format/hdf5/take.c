/* take.c: which datasets of a file are images, and which are their labels; see state.h. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/choose.h"
#include "engine/data/format/hdf5/labels.h"
#include "engine/data/format/hdf5/one.h"
#include "engine/data/format/hdf5/state.h"

enum { CACHE_MIN = 1 << 20, CACHE_MAX = 1 << 26 };

/* ---- images of one dataset ---- */

static int take_images(struct source *source, const struct hdf5_shape *shape, const char *path)
{
    struct hdf5 *state = source->state;
    struct raw_axes axes = state->numbers.axes;
    size_t size[HDF5_DIMS_MAX + 1];
    state->rank = shape->rank;
    memcpy(state->size, shape->size, sizeof state->size);
    int rank = hdf5_sizes(size, &state->numbers, shape, 0);
    axes.nhwc &= !shape->matlab; /* they are in order */
    return raw_take_shape(source, size, rank, &axes, path);
}

/* Opens it again with a cache for its chunks. */
static int open_cached(struct hdf5 *state, const char *name, hsize_t chunk, const char *path)
{
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    size_t cache = (size_t)(4 * chunk);
    cache = cache < CACHE_MIN ? CACHE_MIN : cache > CACHE_MAX ? CACHE_MAX : cache;
    H5Dclose(state->dataset);
    if (access >= 0 && chunk)
        H5Pset_chunk_cache(access, 521, cache, 0.75);
    state->dataset = H5Dopen2(state->file, name, access >= 0 ? access : H5P_DEFAULT);
    if (access >= 0)
        H5Pclose(access);
    return state->dataset >= 0 ? MOCO_OK : hdf5_refuse(path, name);
}

static int open_images(struct source *source, const char *name, const char *path)
{
    struct hdf5 *state = source->state;
    struct hdf5_shape shape = { .rank = 0 };
    hsize_t chunk;
    state->dataset = H5Dopen2(state->file, name, H5P_DEFAULT);
    if (state->dataset < 0 || !hdf5_describe(&shape, state->dataset))
        return hdf5_refuse(path, name);
    int rc = hdf5_take_type(&state->numbers, &source->dtype, &shape, path);
    if (rc == MOCO_OK)
        rc = take_images(source, &shape, path);
    if (rc == MOCO_OK)
        rc = hdf5_check_layout(&chunk, state->dataset, &shape, path);
    if (rc == MOCO_OK)
        rc = hdf5_check_size(state->dataset, chunk, raw_bytes(source), path);
    if (rc != MOCO_OK)
        return rc;
    hdf5_nodata_take(&state->numbers.nodata, source, state->dataset, state->numbers.dtype);
    return open_cached(state, name, chunk, path);
}

/* ---- what a file holds ---- */

/* What was found in a file, and what was asked for. */
struct found {
    struct hdf5_list list;
    struct hdf5_shape *shapes; /* (list.n) */
    struct candidate *all;     /* (list.n) */
    unsigned char *taken;      /* (list.n) */
    const char *names, *path;
};

static void to_candidate(struct candidate *out, const struct hdf5_shape *shape, const char *name,
                         const struct hdf5_numbers *numbers)
{
    struct hdf5_numbers here = *numbers;
    here.matlab = shape->matlab;
    *out = (struct candidate){ .name = name, .why = shape->why };
    if (!shape->rank || shape->why)
        return;
    out->rank = shape->rank;
    out->numbers = 1;
    out->column = hdf5_is_column(&out->count, shape);
    if (!out->column)
        out->count = (size_t)shape->size[hdf5_axis(&here, shape->rank, 0)];
}

/* What was asked for by name may have another name in the list. */
static int add_named(struct found *out, hid_t file)
{
    char images[RAW_PATH];
    snprintf(images, sizeof images, "%s", out->names);
    char *comma = strchr(images, ',');
    if (comma)
        *comma = '\0';
    int rc = hdf5_list_add(&out->list, file, images);
    return rc == MOCO_OK && comma ? hdf5_list_add(&out->list, file, comma + 1) : rc;
}

static int look(struct found *out, const struct hdf5 *state)
{
    int rc = hdf5_list_open(&out->list, state->file, out->path);
    if (rc == MOCO_OK)
        rc = add_named(out, state->file);
    size_t n = out->list.n;
    if (rc != MOCO_OK)
        return rc;
    out->shapes = calloc(n + 1, sizeof *out->shapes);
    out->all = calloc(n + 1, sizeof *out->all);
    out->taken = calloc(n + 1, 1);
    if (!out->shapes || !out->all || !out->taken)
        return error_memory("the datasets of a file", n * sizeof *out->shapes);
    for (size_t i = 0; i < n; i++) {
        hdf5_describe_named(&out->shapes[i], state->file, out->list.entries[i].name);
        to_candidate(&out->all[i], &out->shapes[i], out->list.entries[i].name, &state->numbers);
    }
    return MOCO_OK;
}

/* Floats that nobody named are labels only where they are whole. */
static int take_labels(struct source *source, size_t *labels, const struct found *found)
{
    const struct hdf5 *state = source->state;
    int floats = 0;
    if (*labels == found->list.n)
        return MOCO_OK;
    int rc = hdf5_labels(source, &floats, state->file, found->all[*labels].name, found->path);
    if (rc == MOCO_EFORMAT && floats && !choose_named_labels(found->names)) {
        choose_no_labels(source, found->all[*labels].name);
        *labels = found->list.n;
        rc = MOCO_OK;
    }
    return rc;
}

/* ---- a dataset each ---- */

/* What is beside the images that are taken. */
static void account_each(struct source *source, const struct found *found, const char *group,
                         size_t labels)
{
    size_t others = 0, unlike = 0;
    for (size_t i = 0; i < found->list.n; i++) {
        const char *name = found->list.entries[i].name;
        size_t length = group ? strlen(group) : 0;
        if (found->taken[i] || i == labels || (length && strncmp(name, group, length) != 0))
            continue;
        if (found->shapes[i].rank == 2 || found->shapes[i].rank == 3)
            unlike++;
        else
            others++;
    }
    account_leave(&source->account, unlike, "datasets of another shape or type");
    account_leave(&source->account, others, "datasets that are no images");
}

static void note_each(struct source *source, const struct found *found, size_t labels)
{
    size_t used = strlen(source->note);
    const char *from = source->class_names ? "labels are its groups" : "without labels";
    int given = labels < found->list.n;
    snprintf(source->note + used, sizeof source->note - used,
             "%s%.200s: each of %zu datasets is an image, %s%.80s", used ? "; " : "", found->path,
             source->count, given ? "labels, in the order of names, from " : from,
             given ? found->all[labels].name : "");
}

/* Each dataset of a group, or of the file where `group` is NULL, is an image. *done is 0 where the
 * file is not of this kind. */
static int open_each(struct source *source, int *done, struct found *found, const char *group)
{
    struct hdf5 *state = source->state;
    size_t n = found->list.n, labels = n;
    size_t count = hdf5_each_take(found->taken, &found->list, found->shapes, group,
                                  &state->numbers);
    int rc = MOCO_OK;
    *done = count > 0;
    if (count && state->numbers.axes.views)
        return error_set(MOCO_EARG, "%s: each dataset is an image; :views needs one dataset with a "
                         "dimension of images that show the same", found->path);
    for (size_t i = 0; count && rc == MOCO_OK && i < n; i++)
        if (found->taken[i])
            rc = hdf5_one_add(source, state->file, found->all[i].name, &state->numbers);
    if (count && rc == MOCO_OK)
        rc = hdf5_each_open(&state->each, source, found->taken, &found->list);
    if (!count || rc != MOCO_OK)
        return rc;
    if (choose_named_labels(found->names))
        rc = choose_array(&labels, found->all, n, strchr(found->names, ',') + 1, found->path);
    else if (!source->labels)
        labels = choose_labels(found->all, n, "", count);
    if (rc == MOCO_OK)
        rc = take_labels(source, &labels, found);
    account_each(source, found, group, labels);
    note_each(source, found, labels);
    return rc;
}

/* ---- opening ---- */

static int open_arrays(struct source *source, struct found *found)
{
    size_t images, labels, n = found->list.n;
    int done = 0;
    int rc = choose_arrays(&images, &labels, found->all, n, found->names, found->path);
    if (rc != MOCO_OK && !found->names[0]) {
        char sentence[512];
        snprintf(sentence, sizeof sentence, "%s", error_text());
        int each = open_each(source, &done, found, NULL);
        if (done)
            return each;
        size_t able = hdf5_each_take(found->taken, &found->list, found->shapes, "",
                                     &((struct hdf5 *)source->state)->numbers);
        error_set(rc, "%s%s", sentence, able > 1 ? "; where each of them is one image, name their "
                                                   "group, / for all, and say :nhwc where "
                                                   "channels are last" : "");
    }
    if (rc != MOCO_OK)
        return hdf5_list_explain(rc, &found->list, found->names, found->path);
    rc = open_images(source, found->all[images].name, found->path);
    if (rc == MOCO_OK)
        rc = take_labels(source, &labels, found);
    if (rc == MOCO_OK)
        choose_note(source, found->all, n, images, labels, found->names, found->path);
    return rc;
}

/* The name before the comma, where it is that of a group; 0 where it is none. */
static int names_group(char *group, const struct hdf5 *state, const char *names)
{
    H5O_info_t info;
    snprintf(group, RAW_PATH, "%s", names);
    group[strcspn(group, ",")] = '\0';
    for (size_t length = strlen(group); length > 1 && group[length - 1] == '/'; length--)
        group[length - 1] = '\0';
    if (!group[0] || H5Oget_info_by_name2(state->file, group, &info, H5O_INFO_BASIC,
                                          H5P_DEFAULT) < 0 || info.type != H5O_TYPE_GROUP)
        return 0;
    if (group[0] == '/')
        memmove(group, group + 1, strlen(group));
    return 1;
}

static int open_found(struct source *source, struct found *found)
{
    char group[RAW_PATH];
    int done = 0, of_group = names_group(group, source->state, found->names);
    found->names += !of_group && found->names[0] == '/';
    int rc = look(found, source->state);
    account_leave(&source->account, found->list.lost, "links that lead to nothing");
    if (rc == MOCO_OK && of_group) {
        rc = open_each(source, &done, found, group);
        if (!done && rc == MOCO_OK)
            rc = error_set(MOCO_EFORMAT, "%s: the group %s holds no dataset of 2 or 3 dimensions "
                           "that is an image", found->path, found->names);
    } else if (rc == MOCO_OK) {
        rc = open_arrays(source, found);
    }
    return rc;
}

int hdf5_take(struct source *source, const char *names, const char *path)
{
    struct found found = { .names = names, .path = path };
    int rc = open_found(source, &found);
    hdf5_list_close(&found.list);
    free(found.shapes);
    free(found.all);
    free(found.taken);
    return rc;
}
