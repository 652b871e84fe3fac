/* list.c: see list.h. */
#define _GNU_SOURCE
#include "engine/data/format/hdf5/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/data/format/raw.h"

enum { ARRAYS_MAX = 1 << 20, DEPTH_MAX = 32 };

struct walk {
    struct hdf5_list *list;
    const char *below; /* the group's name, "" for the root */
    int linked, depth; /* linked: a link led here */
    const char *path;
};

/* ---- what is kept ---- */

static int keep(struct hdf5_entry **entries, size_t *n, size_t *capacity, char *name,
                const H5O_info_t *info, int linked)
{
    struct hdf5_entry *grown = array_grow(*entries, capacity, *n, sizeof *grown,
                                          "names of datasets");
    if (!grown)
        return MOCO_ENOMEM;
    *entries = grown;
    grown[(*n)++] = (struct hdf5_entry){ name, info->fileno, info->addr, linked };
    return MOCO_OK;
}

/* Where a link leads, in words. */
static void target_of(char *out, hid_t group, const char *name, const H5L_info_t *link)
{
    char value[HDF5_TEXT] = "";
    const char *file = "", *object = "";
    snprintf(out, HDF5_TEXT, "nothing");
    if (link->u.val_size > sizeof value ||
        H5Lget_val(group, name, value, sizeof value, H5P_DEFAULT) < 0)
        return;
    value[sizeof value - 1] = '\0';
    if (link->type == H5L_TYPE_SOFT)
        snprintf(out, HDF5_TEXT, "%s", value);
    else if (link->type == H5L_TYPE_EXTERNAL &&
             H5Lunpack_elink_val(value, link->u.val_size, NULL, &file, &object) >= 0)
        snprintf(out, HDF5_TEXT, "%.100s of the file %.120s", object, file);
}

static void keep_lost(struct hdf5_list *list, const char *full, hid_t group, const char *name,
                      const H5L_info_t *link)
{
    if (list->lost++)
        return;
    snprintf(list->lost_name, sizeof list->lost_name, "%s", full);
    target_of(list->lost_target, group, name, link);
}

/* ---- the walk ---- */

static int walk_group(hid_t group, const struct walk *walk);

/* A group that several links lead to is entered once. */
static int enter(hid_t parent, const char *name, char *full, const H5O_info_t *info,
                 const struct walk *walk)
{
    struct hdf5_list *list = walk->list;
    int several = walk->linked || info->rc > 1;
    for (size_t i = 0; several && i < list->entered; i++)
        if (list->groups[i].at == info->addr && list->groups[i].file == info->fileno)
            return MOCO_OK;
    if (several && keep(&list->groups, &list->entered, &list->groups_capacity, NULL, info, 0))
        return MOCO_ENOMEM;
    if (walk->depth == DEPTH_MAX)
        return error_set(MOCO_EFORMAT, "%s: the group %.100s lies more than %d groups deep",
                         walk->path, full, DEPTH_MAX);
    hid_t group = H5Gopen2(parent, name, H5P_DEFAULT);
    if (group < 0)
        return hdf5_refuse(walk->path, full);
    struct walk inner = { list, full, walk->linked, walk->depth + 1, walk->path };
    int rc = walk_group(group, &inner);
    H5Gclose(group);
    return rc;
}

/* `full` is kept or freed. */
static int meet(hid_t group, const char *name, char *full, const H5L_info_t *link,
                const struct walk *walk)
{
    struct hdf5_list *list = walk->list;
    struct walk here = *walk;
    H5O_info_t info;
    int rc = MOCO_OK, kept = 0;
    here.linked |= link->type != H5L_TYPE_HARD;
    if (H5Oget_info_by_name2(group, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0) {
        if (link->type == H5L_TYPE_HARD)
            rc = hdf5_refuse(walk->path, full);
        else
            keep_lost(list, full, group, name, link);
    } else if (info.type == H5O_TYPE_GROUP) {
        rc = enter(group, name, full, &info, &here);
    } else if (info.type == H5O_TYPE_DATASET) {
        rc = list->n == ARRAYS_MAX
                 ? error_set(MOCO_EFORMAT, "%s holds more than %d datasets", walk->path, ARRAYS_MAX)
                 : keep(&list->entries, &list->n, &list->capacity, full, &info, here.linked);
        kept = rc == MOCO_OK;
    }
    if (!kept)
        free(full);
    return rc;
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *link, void *user)
{
    const struct walk *walk = user;
    struct hdf5_list *list = walk->list;
    char *full = NULL;
    /* MATLAB keeps what cells hold, and its objects, in groups of its own. */
    if (!walk->below[0] && (!strcmp(name, "#refs#") || !strcmp(name, "#subsystem#")))
        return 0;
    if (asprintf(&full, "%s%s%s", walk->below, walk->below[0] ? "/" : "", name) < 0)
        list->rc = error_memory("names of datasets", strlen(name));
    else
        list->rc = meet(group, name, full, link, walk);
    return list->rc != MOCO_OK;
}

static int walk_group(hid_t group, const struct walk *walk)
{
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit, (void *)(uintptr_t)walk) < 0)
        return hdf5_refuse(walk->path, "the list of datasets");
    return walk->list->rc;
}

/* ---- once each ---- */

static int by_place(const void *a, const void *b)
{
    const struct hdf5_entry *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (x->linked != y->linked)
        return x->linked - y->linked;
    size_t left = strlen(x->name), right = strlen(y->name); /* the shortest name is the plainest */
    return left != right ? (left < right ? -1 : 1) : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct hdf5_entry *)a)->name, ((const struct hdf5_entry *)b)->name);
}

static void drop_doubles(struct hdf5_list *list)
{
    size_t kept = 0;
    if (!list->n)
        return;
    qsort(list->entries, list->n, sizeof *list->entries, by_place);
    for (size_t i = 0; i < list->n; i++) {
        const struct hdf5_entry *last = kept ? &list->entries[kept - 1] : NULL;
        if (last && last->file == list->entries[i].file && last->at == list->entries[i].at)
            free(list->entries[i].name);
        else
            list->entries[kept++] = list->entries[i];
    }
    list->n = kept;
    qsort(list->entries, list->n, sizeof *list->entries, by_name);
}

int hdf5_list_open(struct hdf5_list *out, hid_t file, const char *path)
{
    *out = (struct hdf5_list){ .n = 0 };
    struct walk walk = { out, "", 0, 0, path };
    H5O_info_t info;
    hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
    int rc = root < 0 || H5Oget_info2(root, &info, H5O_INFO_BASIC) < 0
                 ? hdf5_refuse(path, "the list of datasets")
                 : keep(&out->groups, &out->entered, &out->groups_capacity, NULL, &info, 0);
    if (rc == MOCO_OK)
        rc = walk_group(root, &walk);
    if (root >= 0)
        H5Gclose(root);
    drop_doubles(out);
    return rc;
}

int hdf5_list_add(struct hdf5_list *list, hid_t file, const char *name)
{
    H5O_info_t info;
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->entries[i].name, name))
            return MOCO_OK;
    if (!name[0] || H5Oget_info_by_name2(file, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0 ||
        info.type != H5O_TYPE_DATASET)
        return MOCO_OK;
    char *copy = strdup(name);
    int rc = copy ? keep(&list->entries, &list->n, &list->capacity, copy, &info, 1)
                  : error_memory("the name of a dataset", strlen(name));
    if (rc != MOCO_OK)
        free(copy);
    return rc;
}

void hdf5_list_close(struct hdf5_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->entries[i].name);
    free(list->entries);
    free(list->groups);
}

int hdf5_list_explain(int rc, const struct hdf5_list *list, const char *name, const char *path)
{
    size_t length = strlen(list->lost_name);
    int behind = !name[0] || (!strncmp(name, list->lost_name, length) &&
                              (!name[length] || name[length] == '/' || name[length] == ','));
    if (!list->lost || !behind)
        return rc;
    return error_set(MOCO_EFORMAT, "%s: %s leads to %s, which is not there or cannot be read%s",
                     path, list->lost_name, list->lost_target,
                     list->lost > 1 ? "; so do other links" : "");
}
