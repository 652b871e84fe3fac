/* source_tiff.c: TIFF files of any number of channels, read by libtiff.
 *
 * PATH[:pages=images|channels|views]: a file, or a folder of .tif and .tiff files found and
 * labelled as tree.h says. pages=images makes each page an image, pages=channels makes each file
 * one image whose channels are those of all pages one after the other; unless said, pages of a
 * single file are images and those of files in a folder are channels. pages=views, for a folder,
 * makes each page an image and the pages of a file one sample. Thumbnails and masks (by their
 * subfile type) and what lies below a page (SubIFDs) are no pages, which the account says. Planes
 * that one directory stands for are pages (tiff_stack.h).
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
#include "engine/data/format/tiff_stack.h"

enum { PAGES_MAX = 1 << 20 };

struct page {
    uint64_t offset; /* of its directory in the file */
    uint32_t file;
    uint32_t declared; /* 0, or 1 + the place of what it declares missing */
    uint32_t plane;    /* behind the directory's own, where planes have none (tiff_stack.h) */
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

/* Channels from `done` on. */
static int read_page(struct image *out, int done, struct tiff_file *file,
                     const struct tiff_layout *l, const struct page *page,
                     const struct tiffs *state)
{
    float *planes = out->pixels + (size_t)done * (size_t)l->width * (size_t)l->height;
    const struct nodata *nodata = page->declared ? &state->nodata.at[page->declared - 1] : NULL;
    if (!page->plane)
        return tiff_read(planes, &out->missing, file, l, nodata);
    if (!tiff_stack_possible(file->tif, l))
        return changed(file->path);
    return tiff_stack_read(planes, &out->missing, file->tif, l, page->plane, nodata, file->path);
}

/* Page `first`, or all of its file. */
static int read_pages(const struct source *source, size_t first, struct image *out,
                      struct tiff_file *file)
{
    const struct tiffs *state = source->state;
    const char *path = file->path;
    int done = 0;
    size_t end = state->files.channels ? state->n : first + 1;
    for (size_t p = first; p < end && state->pages[p].file == state->pages[first].file; p++) {
        struct tiff_layout l;
        if (!TIFFSetSubDirectory(file->tif, state->pages[p].offset))
            return tiff_refuse(file);
        int rc = tiff_layout(&l, file->tif, path);
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
        rc = read_page(out, done, file, &l, &state->pages[p], state);
        if (rc != MOCO_OK)
            return rc;
        done += l.samples;
    }
    return done == source->channels ? MOCO_OK : changed(path);
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    char path[PATH_MAX];
    struct tiff_file file;
    size_t first;
    int rc = files_find(path, &first, source, index);
    if (rc == MOCO_OK)
        rc = tiff_open(&file, path);
    return rc == MOCO_OK ? tiff_close(&file, read_pages(source, first, out, &file)) : rc;
}

/* ---- opening ---- */

/* A file whose pages are being found. */
struct scan {
    struct source *source;
    struct tiffs *state;
    TIFF *tif;
    size_t file, start; /* start: its first page */
    const char *path;
    struct tiff_layout first; /* of its pages */
    int64_t channels;
    uint64_t promised; /* pages, by the words of the first one */
};

static int add_page(struct scan *scan, uint32_t plane, uint32_t declared)
{
    struct tiffs *state = scan->state;
    if (state->n == PAGES_MAX)
        return error_set(MOCO_EFORMAT, "%s: more than %d pages in all", scan->path, PAGES_MAX);
    struct page *pages = array_grow(state->pages, &state->capacity, state->n, sizeof *pages,
                                    "the places of pages");
    if (!pages)
        return MOCO_ENOMEM;
    state->pages = pages;
    state->pages[state->n++] = (struct page){ TIFFCurrentDirOffset(scan->tif),
                                              (uint32_t)scan->file, declared, plane };
    return MOCO_OK;
}

/* An image of the pages from `page` on. */
static int add_image(const struct scan *scan, const struct tiff_layout *l, int channels,
                     size_t page)
{
    return files_add(scan->source, scan->file, page, channels, l->height, l->width, l->dtype,
                     scan->path);
}

static int same_size(const struct tiff_layout *a, const struct tiff_layout *b, const char *path)
{
    if (a->width == b->width && a->height == b->height && a->dtype == b->dtype)
        return MOCO_OK;
    return error_set(MOCO_EFORMAT, "%s: pages differ in size or type of numbers, so they are no "
                     "channels of one image; say pages=images", path);
}

/* The planes of the current directory; several where it is the only one and stands for a stack. */
static int count_planes(uint64_t *planes, struct scan *scan, const struct tiff_layout *l)
{
    *planes = 1;
    if (scan->state->n > scan->start)
        return MOCO_OK;
    scan->promised = tiff_stack_promised(scan->tif, l);
    if (scan->promised == 1 || !TIFFLastDirectory(scan->tif) || !tiff_stack_possible(scan->tif, l))
        return MOCO_OK;
    *planes = scan->promised;
    return tiff_stack_check(scan->tif, l, *planes, scan->path);
}

/* The pages of the current directory. */
static int scan_page(struct scan *scan)
{
    struct tiffs *state = scan->state;
    struct tiff_layout l;
    uint32_t declared = 0;
    uint64_t planes = 1;
    int rc = tiff_layout(&l, scan->tif, scan->path);
    if (rc == MOCO_OK)
        rc = tiff_declared(&declared, &state->nodata, scan->source, scan->tif, l.dtype,
                           state->n > scan->start ? state->pages[scan->start].declared : 0,
                           scan->path);
    if (rc == MOCO_OK)
        rc = count_planes(&planes, scan, &l);
    for (uint32_t p = 0; rc == MOCO_OK && p < planes; p++) {
        rc = add_page(scan, p, declared);
        if (rc == MOCO_OK && !state->files.channels)
            rc = add_image(scan, &l, l.samples, state->n - 1);
        else if (rc == MOCO_OK && scan->channels)
            rc = same_size(&scan->first, &l, scan->path);
        scan->first = scan->channels ? scan->first : l;
        scan->channels += l.samples;
    }
    return rc;
}

/* What directories hold beside pages, and what a page has below it. */
static int left_out(const struct scan *scan)
{
    uint32_t type = 0;
    uint16_t below = 0;
    void *offsets = NULL;
    TIFFGetField(scan->tif, TIFFTAG_SUBFILETYPE, &type);
    if (TIFFGetField(scan->tif, TIFFTAG_SUBIFD, &below, &offsets))
        account_leave(&scan->source->account, below, "images below pages (SubIFDs)");
    account_leave(&scan->source->account, (type & FILETYPE_MASK) != 0, "masks");
    account_leave(&scan->source->account,
                  !(type & FILETYPE_MASK) && (type & FILETYPE_REDUCEDIMAGE),
                  "pages of reduced resolution");
    return (type & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) != 0;
}

/* The pages of an open file, from the first directory on. */
static int scan_pages(struct scan *scan, struct tiff_file *file)
{
    size_t directories = 0;
    for (; file->text[0] = '\0', TIFFReadDirectory(scan->tif); directories++) {
        int rc = left_out(scan) ? MOCO_OK : scan_page(scan);
        if (rc != MOCO_OK)
            return rc;
    }
    if (file->text[0] || file->number)
        return tiff_refuse(file);
    if (!scan->channels)
        return error_set(MOCO_EFORMAT, directories ? "%s holds only masks and pages of reduced "
                         "resolution" : "%s holds no page; it is truncated or damaged", scan->path);
    if (scan->channels > RAW_NUMBERS_MAX)
        return error_set(MOCO_EFORMAT, "%s: the pages have too many channels", scan->path);
    size_t pages = scan->state->n - scan->start;
    if (scan->promised > pages)
        account_leave(&scan->source->account, scan->promised - pages,
                      "planes that a description promises and no file has");
    return scan->state->files.channels
               ? add_image(scan, &scan->first, (int)scan->channels, scan->start)
               : MOCO_OK;
}

static int scan_file(struct source *source, size_t file, const char *path)
{
    struct tiff_file open;
    struct tiffs *state = source->state;
    struct scan scan = { .source = source, .state = state, .file = file, .start = state->n,
                         .path = path };
    int rc = tiff_open(&open, path);
    scan.tif = open.tif;
    return rc == MOCO_OK ? tiff_close(&open, scan_pages(&scan, &open)) : rc;
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
