/* sheet.h: a sheet of small pictures with lines of text below them, written as a PNG.
 *
 * A grid of rows and columns of cells; each has a square for a picture and LINES lines of text. */
#ifndef MOCO_ENGINE_CLI_SHEET_H
#define MOCO_ENGINE_CLI_SHEET_H

#include <stddef.h>

struct sheet {
    unsigned char *pixels; /* (height, width, 3); owned */
    int width, height, cell; /* cell: side of a picture's square */
};

/* How values become brightness: (x - low) * scale, by shown channel. */
struct tone {
    float low[3], scale[3];
};

/* Of an image (channels, plane): as it is, or each channel from its 1st to its 99th percentile.
 * Data of 8 bits are shown as they are, others stretched. */
int sheet_tone(struct tone *tone, const float *x, int channels, size_t plane, int stretch);

int sheet_open(struct sheet *sheet, int rows, int columns, int cell);
void sheet_close(struct sheet *sheet);

/* (channels, height, width) in the square of a cell, in proportion: pixels are repeated where it
 * grows and averaged where it shrinks. The first three channels are red, green and blue; of fewer,
 * the mean is shown in grey. */
void sheet_picture(struct sheet *sheet, int row, int column, const float *x, int channels,
                   int height, int width, const struct tone *tone);

/* Words, a new line where one does not fit; what is too long for the cell is cut. */
void sheet_text(struct sheet *sheet, int row, int column, const char *text);

int sheet_write(const struct sheet *sheet, const char *path);

#endif
