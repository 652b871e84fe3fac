/* finite.c: see finite.h. */
#include "engine/eval/finite.h"

#include "engine/base/error.h"

/* Nothing but zero is left of a finite number times zero. */
static int is_finite(const float *row, size_t D)
{
    float sum = 0.0f;
    for (size_t i = 0; i < D; i++)
        sum += row[i] * 0.0f;
    return sum == 0.0f;
}

int finite_check(const float *rows, const float *inv_norm, size_t n, size_t D,
                 const struct finite_from *from)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = from->first + i;
        if ((from->bad && from->bad->at[at]) ||
            ((!inv_norm || inv_norm[i] > 0.0f) && is_finite(rows + i * D, D)))
            continue;
        return finite_refuse(from->index ? from->index[at] : at,
                             from->source ? from->source->where : NULL);
    }
    return MOCO_OK;
}

int finite_refuse(size_t image, const char *where)
{
    return error_set(MOCO_EDIVERGED, "the features of image %zu%s%s are not finite: the weights "
                     "are damaged or too large, or the image's pixels are", image,
                     where ? " of " : "", where ? where : "");
}
