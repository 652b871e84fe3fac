/* source_fits.c: FITS images and cubes, read by cfitsio.
 *
 * PATH[:HDU][:pages=images|channels|views]: a file, or a folder of .fits, .fit, .fts and .fz files
 * found and labelled as tree.h says. HDU is a number from 0, the primary one, or an extension's
 * name; unless given, it is the first with an image of two axes or more. Of three axes,
 * pages=images makes each plane an image, pages=channels makes the planes channels of one; unless
 * said, planes of a single file are images and those of files in a folder are channels. Four axes
 * are images of channels. pages=views, for a folder, makes the images of a file one sample. Axes of
 * length 1 at the end do not count. A file of a folder that can not be read is an image whose every
 * read fails.
 *
 * BITPIX 8, 16, 32, 64, -32 and -64, plain or packed in tiles, with BSCALE and BZERO. What is
 * unsigned so (BITPIX 8, and 16 or 32 with the usual BZERO) is scaled to [0, 1]; all else is the
 * physical value. Pixels without a value, NaN or BLANK, are declared missing (missing.h). Rows are
 * in the order of the file, the lowest first. A lock goes round the library, which shares what it
 * knows of a file between those who opened it. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fitsio.h>

#include "engine/base/error.h"
#include "engine/data/format/files.h"

/* Packing in tiles may shrink a constant tile of 2^20 numbers to a few bytes; 4096 times in all is
 * more than any image that means something. */
enum { AXES_MAX = 9, RATIO_MAX = 4096, IMAGES_MAX = 1 << 26 };

struct fits {
    struct files files; /* first: files.c finds it here; the place of an image is its first plane */
    char hdu[FLEN_VALUE];
};

/* What the header says. */
struct cube {
    int height, width, channels; /* of one image */
    int64_t images;
    int packed;
    double largest; /* of an unsigned type; 0: values are kept */
    enum source_dtype dtype;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int refuse(const char *path, int status)
{
    char text[FLEN_ERRMSG] = "";
    if (!fits_read_errmsg(text) || !text[0])
        fits_get_errstatus(status, text);
    fits_clear_errmsg();
    return error_set(MOCO_EDAMAGED, "%s: not a readable FITS file (%s); it is truncated or damaged",
                     path, text);
}

/* ---- headers ---- */

/* The library would unpack a file that is compressed as a whole into memory, without a limit. */
static int check_start(const char *path)
{
    char head[9] = { 0 };
    int rc = raw_check_file(path);
    if (rc != MOCO_OK)
        return rc;
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(MOCO_EIO, "opening %s: %s", path, strerror(errno));
    size_t got = fread(head, 1, sizeof head, file);
    fclose(file);
    if (got == sizeof head && !memcmp(head, "SIMPLE  =", sizeof head))
        return MOCO_OK;
    if (got > 2 && !memcmp(head, "\37\213", 2))
        return error_set(MOCO_EUNSUPPORTED, "%s is compressed as a whole; gunzip it (fpack's tiles "
                         "are read)", path);
    return error_set(MOCO_EFORMAT, "%s does not start like a FITS file", path);
}

static int open_file(fitsfile **out, const char *path)
{
    int status = 0, rc = check_start(path);
    *out = NULL;
    if (rc != MOCO_OK)
        return rc;
    if (strlen(path) >= FLEN_FILENAME)
        return error_set(MOCO_EIO, "the path %.60s... is too long for FITS", path);
    return fits_open_diskfile(out, path, READONLY, &status) ? refuse(path, status) : MOCO_OK;
}

static void close_file(fitsfile *file)
{
    int status = 0;
    if (file)
        fits_close_file(file, &status);
    fits_clear_errmsg();
}

/* The first HDU whose image has two axes or more. */
static int find_image(fitsfile *file, const char *path)
{
    int status = 0, type = 0, axes = 0;
    for (int hdu = 1; !fits_movabs_hdu(file, hdu, &type, &status); hdu++)
        if (type == IMAGE_HDU && !fits_get_img_dim(file, &axes, &status) && axes >= 2)
            return MOCO_OK;
    if (status != END_OF_FILE)
        return refuse(path, status);
    fits_clear_errmsg();
    return error_set(MOCO_EFORMAT, "%s holds no image of two axes or more", path);
}

static int go_to_image(fitsfile *file, const char *hdu, const char *path)
{
    int status = 0, type = IMAGE_HDU;
    char *end = NULL;
    if (!hdu[0])
        return find_image(file, path);
    long number = strtol(hdu, &end, 10);
    if (*end)
        fits_movnam_hdu(file, ANY_HDU, (char *)(uintptr_t)hdu, 0, &status);
    else if (number < 0 || number > 1 << 20)
        status = BAD_HDU_NUM;
    else
        fits_movabs_hdu(file, (int)number + 1, NULL, &status);
    fits_get_hdu_type(file, &type, &status);
    fits_clear_errmsg();
    if (!status && (type == IMAGE_HDU || fits_is_compressed_image(file, &status)))
        return MOCO_OK;
    return error_set(MOCO_EFORMAT, "%s has no HDU %s with an image", path, hdu);
}

static int take_type(struct cube *out, fitsfile *file, const char *path)
{
    static const struct {
        int type;
        double largest;
        enum source_dtype dtype;
    } rows[] = {
        { BYTE_IMG, 255, DTYPE_U8 },    { USHORT_IMG, 65535, DTYPE_U16 },
        { SHORT_IMG, 0, DTYPE_I16 },    { ULONG_IMG, 4294967295.0, DTYPE_F32 },
        { DOUBLE_IMG, 0, DTYPE_F64 },
    };
    int status = 0, type = 0;
    if (fits_get_img_equivtype(file, &type, &status))
        return refuse(path, status);
    out->dtype = DTYPE_F32; /* 32-bit integers and scaled ones too */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == type) {
            out->largest = rows[i].largest;
            out->dtype = rows[i].dtype;
        }
    return MOCO_OK;
}

/* The numbers of a packed tile, which the library takes memory for. */
static int check_tiles(fitsfile *file, int axes, const char *path)
{
    uint64_t numbers = 1;
    for (int i = 1; i <= axes; i++) {
        char key[FLEN_KEYWORD];
        LONGLONG side = 1;
        int status = 0;
        snprintf(key, sizeof key, "ZTILE%d", i);
        if (fits_read_key(file, TLONGLONG, key, &side, NULL, &status) == KEY_NO_EXIST)
            side = 1;
        else if (status)
            return refuse(path, status);
        if (side < 1 || __builtin_mul_overflow(numbers, (uint64_t)side, &numbers) ||
            numbers > RAW_NUMBERS_MAX)
            return error_set(MOCO_EFORMAT, "%s: a tile of more than %d numbers", path,
                             RAW_NUMBERS_MAX);
    }
    fits_clear_errmsg();
    return MOCO_OK;
}

static int check_size(const struct cube *cube, fitsfile *file, int bits, const char *path)
{
    uint64_t size = raw_file_size(path), bytes;
    uint64_t image = (uint64_t)cube->channels * (uint64_t)cube->height * (uint64_t)cube->width;
    LONGLONG start = 0;
    int status = 0;
    fits_get_hduaddrll(file, NULL, &start, NULL, &status);
    if (status || start < 0)
        return refuse(path, status);
    bytes = image * (uint64_t)(abs(bits) / 8); /* at most 2^31 */
    if (__builtin_mul_overflow(bytes, (uint64_t)cube->images, &bytes) ||
        (cube->packed ? bytes / RATIO_MAX > size
                      : (uint64_t)start > size || bytes > size - (uint64_t)start))
        return error_set(MOCO_EFORMAT, "%s: the header promises %lld images of %d x %d x %d, more "
                         "than a file of %llu bytes can hold; it is truncated or damaged", path,
                         (long long)cube->images, cube->channels, cube->height, cube->width,
                         (unsigned long long)size);
    if (cube->images > IMAGES_MAX)
        return error_set(MOCO_EFORMAT, "%s: more than %d images", path, IMAGES_MAX);
    return MOCO_OK;
}

static int take_axes(struct cube *out, const LONGLONG *size, int axes, int channels,
                     const char *path)
{
    while (axes > 2 && size[axes - 1] == 1)
        axes--;
    if (axes < 2 || axes > 4)
        return error_set(MOCO_EFORMAT, "%s: an image of %d axes; 2, 3 (planes) or 4 (images of "
                         "planes) are read", path, axes);
    for (int i = 0; i < axes; i++)
        if (size[i] < 1 || size[i] > RAW_NUMBERS_MAX)
            return error_set(MOCO_EFORMAT, "%s: NAXIS%d is %lld; 1 to %d are read", path, i + 1,
                             (long long)size[i], RAW_NUMBERS_MAX);
    int64_t depth = axes > 2 ? size[2] : 1;
    out->width = (int)size[0];
    out->height = (int)size[1];
    out->channels = axes == 4 || channels ? (int)depth : 1;
    out->images = axes == 4 ? size[3] : channels ? 1 : depth;
    int64_t plane = size[0] * size[1];
    if (plane > RAW_NUMBERS_MAX / out->channels)
        return error_set(MOCO_EFORMAT, "%s: an image of %d x %d x %d numbers; up to %d are read",
                         path, out->channels, out->height, out->width, RAW_NUMBERS_MAX);
    return MOCO_OK;
}

/* Goes to the image's HDU. */
static int read_header(struct cube *out, fitsfile *file, const struct fits *state,
                       const char *path)
{
    LONGLONG size[AXES_MAX] = { 0 };
    int bits = 0, axes = 0, status = 0;
    *out = (struct cube){ .images = 0 };
    int rc = go_to_image(file, state->hdu, path);
    if (rc != MOCO_OK)
        return rc;
    if (fits_get_img_paramll(file, AXES_MAX, &bits, &axes, size, &status))
        return refuse(path, status);
    if (axes > AXES_MAX)
        return error_set(MOCO_EFORMAT, "%s: an image of %d axes", path, axes);
    out->packed = fits_is_compressed_image(file, &status);
    rc = take_axes(out, size, axes, state->files.channels, path);
    if (rc == MOCO_OK)
        rc = check_size(out, file, bits, path);
    if (rc == MOCO_OK && out->packed)
        rc = check_tiles(file, axes, path);
    return rc == MOCO_OK ? take_type(out, file, path) : rc;
}

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

static int read_numbers(struct image *out, fitsfile *file, const struct cube *cube, size_t plane,
                        const char *path)
{
    size_t image = (size_t)cube->height * (size_t)cube->width;
    size_t n = image * (size_t)cube->channels;
    double none = NAN, *numbers = malloc(n * sizeof *numbers);
    int status = 0, some = 0, rc;
    if (!numbers)
        return error_memory("an image of FITS", n * sizeof *numbers);
    fits_read_img(file, TDOUBLE, (LONGLONG)(plane * image + 1), (LONGLONG)n, &none, numbers, &some,
                  &status);
    rc = status ? refuse(path, status)
                : image_resize(out, cube->channels, cube->height, cube->width);
    if (rc == MOCO_OK)
        out->missing = to_floats(out->pixels, numbers, n, cube->largest);
    free(numbers);
    return rc;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    char path[PATH_MAX];
    struct cube cube;
    size_t plane;
    fitsfile *file = NULL;
    int rc = files_find(path, &plane, source, index);
    if (rc != MOCO_OK)
        return rc;
    pthread_mutex_lock(&lock);
    rc = open_file(&file, path);
    if (rc == MOCO_OK)
        rc = read_header(&cube, file, source->state, path);
    if (rc == MOCO_OK && (cube.channels != source->channels ||
                          (int64_t)plane / cube.channels >= cube.images))
        rc = error_set(MOCO_EFORMAT, "%s is not what it was when the data was opened", path);
    if (rc == MOCO_OK)
        rc = read_numbers(out, file, &cube, plane, path);
    close_file(file);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* ---- opening ---- */

static int scan_file(struct source *source, size_t index, const char *path)
{
    struct cube cube;
    fitsfile *file = NULL;
    pthread_mutex_lock(&lock);
    int rc = open_file(&file, path);
    if (rc == MOCO_OK)
        rc = read_header(&cube, file, source->state, path);
    close_file(file);
    pthread_mutex_unlock(&lock);
    for (int64_t i = 0; rc == MOCO_OK && i < cube.images; i++)
        rc = files_add(source, index, (size_t)(i * cube.channels), cube.channels, cube.height,
                       cube.width, cube.dtype, path);
    return rc;
}

static void close_fits(struct source *source)
{
    struct fits *state = source->state;
    files_close(&state->files);
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
