/* digest.h: whether the files of a data set are those of before, without reading them: sums over
 * names, classes and labels, over sizes, and over the times at which they were written. They stand
 * in config.json and not in checkpoint or weights: a copy of the data has other times, and equal
 * runs on both give equal files. */
#ifndef MOCO_ENGINE_DATA_DIGEST_H
#define MOCO_ENGINE_DATA_DIGEST_H

#include "engine/data/source.h"

struct digest {
    char names[17], classes[17], sizes[17], times[17]; /* hexadecimal; "" where it is not known */
};

void digest_files(struct digest *out, const struct source *source);

/* What differs, in words, or NULL. */
const char *digest_difference(const struct digest *then, const struct digest *now);

#endif
