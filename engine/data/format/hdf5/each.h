/* each.h: a file in which each dataset is one image.
 *
 * In: the datasets of a file, and a group that was named, or "". Out: which of them are images, in
 * natural order (2 before 10), and their classes. Of a named group ("/" is the root) all datasets
 * below it of two or three dimensions are taken that have the type and the number of channels of
 * most. Without a name four or more are taken, since fewer may as well be sets of images, that are
 * at least half of all: those of the most frequent shape, or of any size where they have up to four
 * channels. Classes are the groups below the one that all have in common, unless each has one image
 * only. */
#ifndef MOCO_ENGINE_DATA_FORMAT_HDF5_EACH_H
#define MOCO_ENGINE_DATA_FORMAT_HDF5_EACH_H

#include "engine/data/format/hdf5/list.h"
#include "engine/data/format/hdf5/numbers.h"

struct hdf5_each {
    char **names; /* (n), in the order of images; owned */
    size_t n;
};

/* shapes: (list->n). With `group` NULL nothing was named. *taken: (list->n), 1 for images; 0 of
 * them where the file is not of this kind. */
size_t hdf5_each_take(unsigned char *taken, const struct hdf5_list *list,
                      const struct hdf5_shape *shapes, const char *group,
                      const struct hdf5_numbers *numbers);

/* Names and, from groups, labels and class names of the source, which has `n` images. */
int hdf5_each_open(struct hdf5_each *out, struct source *source, const unsigned char *taken,
                   const struct hdf5_list *list);
void hdf5_each_close(struct hdf5_each *each);

#endif
