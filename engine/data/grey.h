/* grey.h: grey images for who takes colours. */
#ifndef MOCO_ENGINE_DATA_GREY_H
#define MOCO_ENGINE_DATA_GREY_H

#include "engine/data/source.h"

/* Whether images of so many channels are taken by what wants others: 1 for 3, and with alpha 2 for
 * 4. */
int grey_expands(int channels, int wanted);

/* Makes a grey image three equal channels, with its alpha behind them, where grey_expands(); any
 * other stays as it is. */
int grey_expand(struct image *image, int wanted);

#endif
