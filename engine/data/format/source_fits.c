/* source_fits.c: FITS images and cubes, read by cfitsio.
 *
 * PATH[:HDU][:pages=images|channels|views]: a file, or a folder of .fits, .fit, .fts and .fz files,
 * also with .gz behind, found and labelled as tree.h says. HDU is a number from 0, the primary one,
 * or an extension's name; unless given, all HDUs are taken whose image has the axes and the type of
 * numbers of the first that has two axes or more, and the account says what the others are. Of
 * three axes, pages=images makes each plane an image, pages=channels makes the planes channels of
 * one; unless said, planes of a single file are images and those of files in a folder are channels.
 * Four axes are images of channels. pages=views, for a folder, makes the images of a file one
 * sample. Axes of length 1 at the end do not count. A file of a folder that can not be read is an
 * image whose every read fails.
 *
 * BITPIX 8, 16, 32, 64, -32 and -64, plain or packed in tiles, with BSCALE and BZERO. What is
 * unsigned so (BITPIX 8, and 16 or 32 with the usual BZERO) is scaled to [0, 1]; all else is the
 * physical value. Pixels without a value, NaN or BLANK, are declared missing (missing.h). Rows are
 * in the order of the file, the lowest first. A file behind gzip is unpacked into memory for each
 * image, but for those of the file before. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/data/format/files.h"
#include "engine/data/format/hdu.h"

/* The planes from `first` on, counted over all files, are those of an HDU. */
struct run {
    uint32_t first, hdu; /* hdu: from 1 */
};

struct fits {
    struct files files; /* first: files.c finds it here; the place of an image is its first plane */
    char hdu[FLEN_VALUE];
    struct run *runs; /* (n), ascending; owned */
    size_t n, capacity;
    uint64_t planes; /* of all of them */
    struct hdu_unpacked kept;
};

/* ---- numbers ---- */

/* Returns how many have no value; they are NaN. */
static size_t to_floats(float *dst, const double *src, size_t n, double largest)
{
    size_t missing = 0;
    for (size_t i = 0; i < n; i++) {
        double value = src[i];
        missing += isnan(value) != 0;
        if (largest > 65535) /* no float holds it */
            dst[i] = (float)(value / largest);
        else
            dst[i] = largest > 0 ? (float)value / (float)largest : (float)value;
    }
    return missing;
}

static int read_numbers(struct image *out, const struct hdu_file *file,
                        const struct hdu_cube *cube, size_t plane)
{
    size_t image = (size_t)cube->height * (size_t)cube->width;
    size_t n = image * (size_t)cube->channels;
    double none = NAN, *numbers = malloc(n * sizeof *numbers);
    int status = 0, some = 0, rc;
    if (!numbers)
        return error_memory("an image of FITS", n * sizeof *numbers);
    /* Where the library looks for NaN it takes infinite numbers for such. */
    fits_read_img(file->fits, TDOUBLE, (LONGLONG)(plane * image + 1), (LONGLONG)n,
                  cube->reals ? NULL : &none, numbers, &some, &status);
    rc = status ? hdu_refuse(file->path, status)
                : image_resize(out, cube->channels, cube->height, cube->width);
    if (rc == MOCO_OK)
        out->missing = to_floats(out->pixels, numbers, n, cube->largest);
    free(numbers);
    return rc;
}

/* The HDU that has plane `place` of all. */
static const struct run *run_of(const struct fits *state, size_t place)
{
    size_t low = 0, high = state->n - 1;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (state->runs[middle].first > place)
            high = middle - 1;
        else
            low = middle;
    }
    return &state->runs[low];
}

/* plane: of the HDU. */
static int read_plane(struct image *out, const struct source *source, const struct hdu_file *file,
                      uint32_t hdu, size_t plane)
{
    const struct fits *state = source->state;
    struct hdu_cube cube;
    int status = 0, shape;
    if (fits_movabs_hdu(file->fits, (int)hdu, NULL, &status))
        return hdu_refuse(file->path, status);
    int rc = hdu_cube(&cube, &shape, file, state->files.channels);
    if (rc == MOCO_OK && (cube.channels != source->channels ||
                          (int64_t)plane / cube.channels >= cube.images))
        rc = error_set(MOCO_EFORMAT, "%s is not what it was when the data was opened", file->path);
    return rc == MOCO_OK ? read_numbers(out, file, &cube, plane) : rc;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    char path[PATH_MAX];
    struct fits *state = source->state;
    struct hdu_file file;
    sigset_t signals;
    size_t place;
    int rc = files_find(path, &place, source, index);
    if (rc != MOCO_OK)
        return rc;
    const struct run *run = run_of(state, place);
    hdu_lock(&signals);
    rc = hdu_open(&file, &state->kept, path);
    if (rc == MOCO_OK)
        rc = read_plane(out, source, &file, run->hdu, place - run->first);
    hdu_close(&file);
    hdu_unlock(&signals);
    return rc;
}

/* ---- opening ---- */

/* A file whose HDUs are being looked at. */
struct scan {
    struct source *source;
    struct fits *state;
    size_t index;
    struct hdu_file file;
    struct hdu_cube first; /* what the others have to be like */
    size_t taken;
    int refused; /* why none was taken */
    char names[120]; /* of those that were */
};

/* Images of the current HDU. */
static int add_images(struct scan *scan, const struct hdu_cube *cube)
{
    struct fits *state = scan->state;
    uint64_t planes = (uint64_t)cube->images * (uint64_t)cube->channels;
    int number = 0, rc = MOCO_OK;
    struct run *runs = array_grow(state->runs, &state->capacity, state->n, sizeof *runs,
                                  "the places of HDUs");
    if (!runs)
        return MOCO_ENOMEM;
    state->runs = runs;
    if (state->planes + planes >= files_no_place)
        return error_set(MOCO_EFORMAT, "%s: more than %u planes in all", scan->file.path,
                         files_no_place);
    runs[state->n++] = (struct run){ (uint32_t)state->planes,
                                     (uint32_t)fits_get_hdu_num(scan->file.fits, &number) };
    for (int64_t i = 0; rc == MOCO_OK && i < cube->images; i++)
        rc = files_add(scan->source, scan->index,
                       (size_t)state->planes + (size_t)(i * cube->channels), cube->channels,
                       cube->height, cube->width, cube->dtype, scan->file.path);
    state->planes += planes;
    scan->taken++;
    return rc;
}

static void add_name(struct scan *scan)
{
    char name[FLEN_VALUE] = "";
    int status = 0, number = 0;
    size_t used = strlen(scan->names);
    if (fits_read_key(scan->file.fits, TSTRING, "EXTNAME", name, NULL, &status) || !name[0])
        snprintf(name, sizeof name, "%d", fits_get_hdu_num(scan->file.fits, &number) - 1);
    fits_clear_errmsg();
    snprintf(scan->names + used, sizeof scan->names - used, "%s%.20s", used ? ", " : "", name);
}

static int is_like(const struct hdu_cube *a, const struct hdu_cube *b)
{
    return a->axes == b->axes && a->channels == b->channels && a->height == b->height &&
           a->width == b->width;
}

/* The current HDU where none was named. */
static int scan_hdu(struct scan *scan, int type)
{
    struct account *account = &scan->source->account;
    struct hdu_cube cube;
    int axes = 0, status = 0, shape = 0;
    if (type == IMAGE_HDU && fits_get_img_dim(scan->file.fits, &axes, &status))
        return hdu_refuse(scan->file.path, status);
    account_leave(account, type != IMAGE_HDU, "HDUs that are tables");
    account_leave(account, axes == 1, "HDUs of one axis");
    if (axes < 2)
        return MOCO_OK;
    int rc = hdu_cube(&cube, &shape, &scan->file, scan->state->files.channels);
    scan->refused = rc;
    account_leave(account, rc != MOCO_OK && shape, "HDUs of too many or too long axes");
    if (rc != MOCO_OK)
        return shape ? MOCO_OK : rc;
    if (scan->taken && !is_like(&cube, &scan->first)) {
        account_leave(account, 1, "HDUs of another size than the first");
    } else if (scan->taken && cube.dtype != scan->first.dtype) {
        account_leave(account, 1, "HDUs of another type of numbers than the first");
    } else {
        scan->first = scan->taken ? scan->first : cube;
        add_name(scan);
        rc = add_images(scan, &cube);
    }
    return rc;
}

/* Once a set: which HDUs count as images. */
static void note_hdus(struct source *source, const struct scan *scan)
{
    size_t used = strlen(source->note);
    if (scan->taken > 1 && !strstr(source->note, " HDUs are images"))
        snprintf(source->note + used, sizeof source->note - used,
                 "%s%.200s: %zu HDUs are images, as they are of one size: %s; fits:PATH:HDU takes "
                 "one of them", used ? "; " : "", scan->file.path, scan->taken, scan->names);
}

static int scan_all(struct scan *scan)
{
    int status = 0, type = 0, rc = MOCO_OK;
    for (int hdu = 1; rc == MOCO_OK && !fits_movabs_hdu(scan->file.fits, hdu, &type, &status);
         hdu++)
        rc = scan_hdu(scan, type);
    if (rc != MOCO_OK)
        return rc;
    if (status != END_OF_FILE || hdu_system_failed())
        return hdu_refuse(scan->file.path, status);
    fits_clear_errmsg();
    note_hdus(scan->source, scan);
    if (scan->taken)
        return MOCO_OK;
    return scan->refused ? scan->refused
                         : error_set(MOCO_EFORMAT, "%s holds no image of two axes or more",
                                     scan->file.path);
}

static int scan_named(struct scan *scan)
{
    struct hdu_cube cube;
    int shape, rc = hdu_go_to(&scan->file, scan->state->hdu);
    if (rc == MOCO_OK)
        rc = hdu_cube(&cube, &shape, &scan->file, scan->state->files.channels);
    return rc == MOCO_OK ? add_images(scan, &cube) : rc;
}

static int scan_file(struct source *source, size_t index, const char *path)
{
    struct fits *state = source->state;
    struct scan scan = { .source = source, .state = state, .index = index };
    sigset_t signals;
    hdu_lock(&signals);
    int rc = hdu_open(&scan.file, &state->kept, path);
    if (rc == MOCO_OK)
        rc = state->hdu[0] ? scan_named(&scan) : scan_all(&scan);
    hdu_close(&scan.file);
    if (state->kept.size > source->decoder_bytes)
        source->decoder_bytes = state->kept.size;
    hdu_unlock(&signals);
    return rc;
}

static void close_fits(struct source *source)
{
    struct fits *state = source->state;
    files_close(&state->files);
    hdu_forget(&state->kept);
    free(state->runs);
    free(state);
}

int source_open_fits(struct source *source, const char *path)
{
    char hdu[RAW_PATH];
    struct fits *state = source->state = calloc(1, sizeof *state);
    if (!state)
        return error_memory("FITS", sizeof *state);
    source->close = close_fits;
    source->read = read_image;
    source->name = files_name;
    source->decode_bytes = sizeof(double);
    strcpy(source->declared, "NaN or BLANK in FITS");
    int rc = files_take_path(&state->files, hdu, path, "a FITS file");
    if (rc == MOCO_OK && strlen(hdu) >= sizeof state->hdu)
        rc = error_set(MOCO_EARG, "the name of an HDU, %.20s..., is too long", hdu);
    if (rc != MOCO_OK)
        return rc;
    strcpy(state->hdu, hdu);
    return files_scan(source, TREE_FITS, scan_file);
}
