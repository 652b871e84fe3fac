/* real.c: some cells of three channels, written as files of 16 bits and compared with the .npy. */
#include "tests/tiff/tiff.h"

enum { FILES = 50, SIDE = 40, PLANE = SIDE * SIDE };

/* x: (3, SIDE, SIDE) */
static void write_cell(const char *name, const float *x)
{
    const struct form form = { "w", DTYPE_U16, 3, SIDE, SIDE, 0, 0, COMPRESSION_LZW };
    uint16_t numbers[3 * PLANE];
    for (int p = 0; p < 3 * PLANE; p++)
        numbers[p / PLANE + p % PLANE * 3] = (uint16_t)lrintf(x[p] * 65535.0f);
    TIFF *tif = TIFFOpen(at(name), "w");
    set_fields(tif, &form);
    TIFFSetField(tif, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
    for (uint32_t y = 0; y < SIDE; y++)
        CHECK(TIFFWriteScanline(tif, numbers + y * SIDE * 3, y, 0) == 1);
    TIFFClose(tif);
}

static void compare_cells(const struct source *cells)
{
    struct image image = { 0 };
    mkdir(at("cells"), 0777);
    for (size_t i = 0; i < FILES; i++) {
        char name[40];
        snprintf(name, sizeof name, "cells/%03zu.tif", i);
        CHECK(cells->read(cells, i, &image) == MOCO_OK);
        write_cell(name, image.pixels);
    }
    struct source *tiffs = must_open(at("cells"));
    CHECK(tiffs && tiffs->count == FILES && tiffs->channels == 3 && tiffs->dtype == DTYPE_U16);
    for (size_t i = 0; tiffs && i < FILES; i++) {
        CHECK(cells->read(cells, i, &image) == MOCO_OK);
        same_pixels(tiffs, i, image.pixels, 3, SIDE, SIDE);
    }
    image_close(&image);
    source_close(&tiffs);
}

void test_real(const char *data)
{
    char path[1200];
    struct source *cells = NULL;
    snprintf(path, sizeof path, "npy:%s/cellcycle/x.npy", data);
    if (source_open(&cells, path) != MOCO_OK) {
        printf("left out: %s\n", error_text());
        return;
    }
    int known = cells->channels == 3 && cells->height == SIDE && cells->width == SIDE;
    CHECK_MSG(known, "%s: %d x %d x %d", path, cells->channels, cells->height, cells->width);
    if (known)
        compare_cells(cells);
    source_close(&cells);
}
