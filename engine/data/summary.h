/* summary.h: what a source gives and what it left out, in numbers and in one sentence. */
#ifndef MOCO_ENGINE_DATA_SUMMARY_H
#define MOCO_ENGINE_DATA_SUMMARY_H

#include "engine/data/source.h"

struct summary {
    size_t images, samples; /* samples have several images each where they are fewer */
    int classes, channels;
    struct account account;
};

void summary_of(struct summary *out, const struct source *source);

/* "12,480 images, 7 classes, 3 channels; left out: 212 .gif, 3 empty files", behind "WHERE: " where
 * there are several sets; where may be NULL. */
void summary_text(char *out, size_t size, const struct summary *summary, const char *where);

#endif
