/* grey.c: see grey.h. */
#include "engine/data/grey.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

int grey_expands(int channels, int wanted)
{
    return (channels == 1 && wanted == 3) || (channels == 2 && wanted == 4);
}

int grey_expand(struct image *image, int wanted)
{
    size_t n = (size_t)image->height * (size_t)image->width, from = (size_t)image->channels;
    if (!grey_expands(image->channels, wanted))
        return MOCO_OK;
    float *grey = malloc(from * n * sizeof *grey);
    if (!grey)
        return error_memory("a grey image", from * n * sizeof *grey);
    memcpy(grey, image->pixels, from * n * sizeof *grey);
    size_t missing = image->missing;
    int rc = image_resize(image, wanted, image->height, image->width);
    for (size_t c = 0; c < (size_t)wanted && !rc; c++)
        memcpy(image->pixels + c * n, grey + (c == 3 ? n : 0), n * sizeof *grey);
    image->missing = missing * (from == 1 ? 3 : 1);
    free(grey);
    return rc;
}
