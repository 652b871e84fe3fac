/* source_tiff.c: TIFF files of any number of channels, read by libtiff.
 *
 * PATH[:pages=images|channels|views]: a file, or a folder of .tif and .tiff files found and
 * labelled as tree.h says. pages=images makes each page an image, pages=channels makes each file
 * one image whose channels are those of all pages one after the other; unless said, pages of a
 * single file are images and those of files in a folder are channels. pages=views, for a folder,
 * makes each page an image and the pages of a file one sample. Thumbnails and masks (by their
 * subfile type) are no pages.
 *
 * All samples of a pixel are channels, alpha too; u8, u16, i16, f16, f32 and f64, of either byte
 * order, in strips or tiles, interleaved or in planes, by whatever compression libtiff was built
 * with. Numbers are taken as they are stored, so 16 bits stay 16 bits and WhiteIsZero is not turned
 * round; rows in the order of the file. Palettes and subsampled colours are refused; JPEG's YCbCr
 * becomes the RGB that it was made of. Files are opened once for the places of their pages, then
 * again for every read, so threads share nothing. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/data/format/files.h"
#include "engine/data/format/tiff_page.h"

enum { PAGES_MAX = 1 << 20 };

struct page {
    uint64_t offset; /* of its directory in the file */
    uint32_t file;
    uint32_t declared; /* 0, or 1 + the place of what it declares missing */
};

struct tiffs {
    struct files files; /* first: files.c finds it here; the place of an image is its first page */
    struct page *pages; /* (n) */
    size_t n, capacity;
    struct tiff_nodata nodata;
};

/* ---- images ---- */

static int changed(const char *path)
{
    return error_set(MOCO_EFORMAT, "%s is not what it was when the data was opened", path);
}

/* Page `first`, or all of its file. */
static int read_pages(const struct source *source, size_t first, struct image *out, TIFF *tif,
                      const char *text, const char *path)
{
    const struct tiffs *state = source->state;
    int done = 0;
    size_t end = state->files.channels ? state->n : first + 1;
    for (size_t p = first; p < end && state->pages[p].file == state->pages[first].file; p++) {
        struct tiff_layout l;
        if (!TIFFSetSubDirectory(tif, state->pages[p].offset))
            return tiff_refuse(path, text);
        int rc = tiff_layout(&l, tif, path);
        if (rc != MOCO_OK)
            return rc;
        if (l.samples > source->channels - done)
            return changed(path);
        if (done == 0 && (uint64_t)l.width * (uint64_t)l.height * (uint64_t)source->channels >
                         RAW_NUMBERS_MAX)
            return changed(path);
        if (done == 0 && (rc = image_resize(out, source->channels, l.height, l.width)) != MOCO_OK)
            return rc;
        if (l.width != out->width || l.height != out->height)
            return changed(path);
        size_t plane = (size_t)l.width * (size_t)l.height;
        uint32_t declared = state->pages[p].declared;
        rc = tiff_read(out->pixels + (size_t)done * plane, &out->missing, tif, &l,
                       declared ? &state->nodata.at[declared - 1] : NULL, text, path);
        if (rc != MOCO_OK)
            return rc;
        done += l.samples;
    }
    return done == source->channels ? MOCO_OK : changed(path);
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    char path[PATH_MAX], text[TIFF_TEXT];
    size_t first;
    TIFF *tif;
    int rc = files_find(path, &first, source, index);
    if (rc == MOCO_OK)
        rc = tiff_open(&tif, text, path);
    if (rc != MOCO_OK)
        return rc;
    rc = read_pages(source, first, out, tif, text, path);
    TIFFClose(tif);
    return rc;
}

/* ---- opening ---- */

static int add_page(struct tiffs *state, uint64_t offset, size_t file, uint32_t declared)
{
    struct page *pages = array_grow(state->pages, &state->capacity, state->n, sizeof *pages,
                                    "the places of pages");
    if (!pages)
        return MOCO_ENOMEM;
    state->pages = pages;
    state->pages[state->n++] = (struct page){ offset, (uint32_t)file, declared };
    return MOCO_OK;
}

/* An image of the pages from `page` on. */
static int add_image(struct source *source, const struct tiff_layout *l, int channels, size_t file,
                     size_t page, const char *path)
{
    return files_add(source, file, page, channels, l->height, l->width, l->dtype, path);
}

static int same_size(const struct tiff_layout *a, const struct tiff_layout *b, const char *path)
{
    if (a->width == b->width && a->height == b->height && a->dtype == b->dtype)
        return MOCO_OK;
    return error_set(MOCO_EFORMAT, "%s: pages differ in size or type of numbers, so they are no "
                     "channels of one image; say pages=images", path);
}

/* The pages of an open file, from the first directory on. */
static int scan_pages(struct source *source, TIFF *tif, char *text, size_t file, const char *path)
{
    struct tiffs *state = source->state;
    struct tiff_layout l, first = { 0 };
    int64_t channels = 0;
    int as_channels = state->files.channels;
    size_t start = state->n;
    while (text[0] = '\0', TIFFReadDirectory(tif)) {
        uint32_t type = 0, declared = 0;
        TIFFGetField(tif, TIFFTAG_SUBFILETYPE, &type);
        if (type & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK))
            continue;
        if (state->n == PAGES_MAX)
            return error_set(MOCO_EFORMAT, "%s: more than %d pages in all", path, PAGES_MAX);
        int rc = tiff_layout(&l, tif, path);
        if (rc == MOCO_OK)
            rc = tiff_declared(&declared, &state->nodata, source, tif, l.dtype,
                               state->n > start ? state->pages[start].declared : 0, path);
        if (rc == MOCO_OK)
            rc = add_page(state, TIFFCurrentDirOffset(tif), file, declared);
        if (rc == MOCO_OK && !as_channels)
            rc = add_image(source, &l, l.samples, file, state->n - 1, path);
        else if (rc == MOCO_OK && channels)
            rc = same_size(&first, &l, path);
        if (rc != MOCO_OK)
            return rc;
        first = channels ? first : l;
        channels += l.samples;
    }
    if (text[0])
        return tiff_refuse(path, text);
    if (!channels)
        return error_set(MOCO_EFORMAT, "%s holds no page; it is truncated or damaged", path);
    if (channels > RAW_NUMBERS_MAX)
        return error_set(MOCO_EFORMAT, "%s: the pages have too many channels", path);
    return as_channels ? add_image(source, &first, (int)channels, file, start, path) : MOCO_OK;
}

static int scan_file(struct source *source, size_t file, const char *path)
{
    char text[TIFF_TEXT];
    TIFF *tif;
    int rc = tiff_open(&tif, text, path);
    if (rc != MOCO_OK)
        return rc;
    rc = scan_pages(source, tif, text, file, path);
    TIFFClose(tif);
    return rc;
}

static void close_tiff(struct source *source)
{
    struct tiffs *state = source->state;
    files_close(&state->files);
    free(state->pages);
    free(state->nodata.at);
    free(state);
}

int source_open_tiff(struct source *source, const char *path)
{
    char words[RAW_PATH];
    struct tiffs *state = source->state = calloc(1, sizeof *state);
    if (!state)
        return error_memory("TIFF", sizeof *state);
    source->close = close_tiff;
    source->read = read_image;
    source->name = files_name;
    int rc = files_take_path(&state->files, words, path, "a TIFF");
    if (rc == MOCO_OK && words[0])
        rc = files_refuse_words(path, "a TIFF", words);
    if (rc == MOCO_OK)
        rc = files_scan(source, TREE_TIFF, scan_file);
    source->decode_bytes = 2 * raw_size(source->dtype); /* a strip, packed and unpacked */
    return rc;
}
