/* sheet.h: a sheet of small pictures with lines of text below them, written as a PNG.
 *
 * A grid of rows and columns of cells; each has a square for a picture and LINES lines of text. */
#ifndef MOCO_ENGINE_CLI_SHEET_SHEET_H
#define MOCO_ENGINE_CLI_SHEET_SHEET_H

#include "engine/data/source.h"

#include <stddef.h>

struct sheet {
    unsigned char *pixels; /* (height, width, 3); owned */
    int width, height, cell; /* cell: side of a picture's square */
};

/* How values become brightness: (x - low) * scale, by shown channel; and which are shown. */
struct tone {
    int channel[3]; /* as red, green and blue */
    float low[3], scale[3];
};

/* Which channels are shown as red, green and blue: of more than four, three far apart, the last as
 * red, as in a spectrum. */
void sheet_channels(int shown[3], int channels);

/* Of an image: its values as they are, or each shown channel from its 1st to its 99th percentile.
 * Data of 8 bits are shown as they are, others stretched. shown: which channels, NULL: those
 * of sheet_channels(). */
int sheet_tone(struct tone *tone, const struct image *image, const int shown[3], int stretch);

int sheet_open(struct sheet *sheet, int rows, int columns, int cell);
void sheet_close(struct sheet *sheet);

/* (channels, height, width) in the square of a cell, in proportion: pixels are repeated where it
 * grows and averaged where it shrinks. Of fewer than three channels the mean is shown in grey. */
void sheet_picture(struct sheet *sheet, int row, int column, const float *x, int channels,
                   int height, int width, const struct tone *tone);

/* Words, a new line where one does not fit; what is too long for the cell is cut. */
void sheet_text(struct sheet *sheet, int row, int column, const char *text);

int sheet_write(const struct sheet *sheet, const char *path);

#endif
