/* tiff.h: what the tests of TIFF share: files in any form that libtiff writes, with numbers that
 * follow from their place. One file a subject. */
#ifndef MOCO_TESTS_TIFF_TIFF_H
#define MOCO_TESTS_TIFF_TIFF_H

#define CHECK_SHARED
#include "tests/files.h" /* before other headers: it wants _GNU_SOURCE */

#include <stdint.h>
#include <tiffio.h>

struct form {
    const char *mode; /* "wl", "wb8" */
    enum source_dtype dtype;
    int samples, height, width;
    int separate, tile; /* tile: side, 0 strips */
    int compression;
};

/* One channel of 16 bits, 5 x 6. */
extern const struct form grey;

/* (samples, h, w) of a page whose channels are numbered from `from`, as a source must give them. */
void wanted(float *out, const struct form *form, int from);

void set_fields(TIFF *tif, const struct form *form);
void write_page(TIFF *tif, const struct form *form, int from);

/* `pages` pages, whose channels are numbered on. */
void write_tiff(const char *name, const struct form *form, int pages);

/* One a file. */
void test_forms(void);
void test_pages(void);
void test_stack(void);
void test_views(void);
void test_folder(void);
void test_nodata(void);
void test_refusals(void);
void test_damage(void);
void test_real(const char *data);

#endif
