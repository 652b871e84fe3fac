/* list.h: the datasets of an HDF5 file by their names, behind links too.
 *
 * In: an open file. Out: each dataset once, under its own name where it has one in this file, else
 * under that of a link. Soft links and links to other files are followed, those by the library's
 * rules: relative to the folder of the file. A group is entered once, so cycles end. */
#ifndef MOCO_ENGINE_DATA_FORMAT_HDF5_LIST_H
#define MOCO_ENGINE_DATA_FORMAT_HDF5_LIST_H

#include "engine/data/format/hdf5/dataset.h"

struct hdf5_entry {
    char *name;           /* a path from the root, without a slash before it; owned */
    unsigned long file;   /* what tells objects apart: the file's number and the place in it */
    haddr_t at;
    int linked;
};

struct hdf5_list {
    struct hdf5_entry *entries; /* (n) datasets, in the order of names */
    size_t n, capacity;
    struct hdf5_entry *groups;  /* (entered) that several links lead to */
    size_t entered, groups_capacity;
    size_t lost;                /* links that lead to nothing */
    char lost_name[HDF5_TEXT], lost_target[HDF5_TEXT]; /* of the first */
    int rc;
};

int hdf5_list_open(struct hdf5_list *out, hid_t file, const char *path);
/* A dataset that was asked for by name, under whatever other name the list has it. */
int hdf5_list_add(struct hdf5_list *list, hid_t file, const char *name);
void hdf5_list_close(struct hdf5_list *list);

/* The sentence for a link that leads to nothing, where `name`, or any one for "", stands behind
 * it; else `rc` as it is. */
int hdf5_list_explain(int rc, const struct hdf5_list *list, const char *name, const char *path);

#endif
