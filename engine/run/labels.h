/* labels.h: the labels that training may see. */
#ifndef MOCO_ENGINE_RUN_LABELS_H
#define MOCO_ENGINE_RUN_LABELS_H

#include "engine/data/source.h"

/* *out: (source->count) classes, -1 for images without one and for those that are hidden: of each
 * class a share `fraction`, rounded up, stays visible, chosen by the seed. NULL when the data have
 * no labels. The caller frees it. */
int labels_choose(int32_t **out, const struct source *source, double fraction, uint64_t seed);

/* *out: (*n) samples whose first image has a label in `labels`, in order. The caller frees it. */
int labels_list(int64_t **out, size_t *n, const struct source *source, const int32_t *labels);

#endif
