/* raw_labels.c: numbers that are labels; see raw.h. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/data/format/raw.h"

void raw_take_labels(struct source *source, int32_t *labels)
{
    int32_t largest = -1;
    for (size_t i = 0; i < source->count; i++)
        largest = labels[i] > largest ? labels[i] : largest;
    source->classes = largest + 1;
    if (largest >= 0)
        source->labels = labels;
    else
        free(labels);
}

int raw_check_label(int64_t label, size_t index, const char *path)
{
    if (label >= -1 && label <= RAW_LABEL_MAX)
        return MOCO_OK;
    return error_set(MOCO_EFORMAT,
                     "%s: label %zu is %lld; labels go from 0 to %d, with -1 for none", path,
                     index, (long long)label, RAW_LABEL_MAX);
}

int raw_whole_label(int64_t *label, double value, size_t index, const char *path)
{
    *label = -1;
    if (!(fabs(value) < 9e15) || floor(value) != value)
        return error_set(MOCO_EFORMAT, "%s: label %zu is %g; labels are whole numbers from 0 to "
                         "%d, with -1 for none", path, index, value, RAW_LABEL_MAX);
    *label = (int64_t)value;
    return raw_check_label(*label, index, path);
}
