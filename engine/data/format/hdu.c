/* hdu.c: see hdu.h. Sizes come from the file, so it must be able to hold what they promise before
 * memory is taken. */
#define _GNU_SOURCE
#include "engine/data/format/hdu.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/content.h"
#include "engine/data/format/gunzip.h"
#include "engine/data/format/raw.h"

/* Packing in tiles may shrink a constant tile of 2^20 numbers to a few bytes; 4096 times in all is
 * more than any image that means something. */
enum { AXES_MAX = 9, RATIO_MAX = 4096, IMAGES_MAX = 1 << 26 };
#define UNPACKED_MAX ((uint64_t)1 << 32)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The library takes a read that a signal interrupts for damage, so signals wait, but for those that
 * the thread itself raises. */
void hdu_lock(sigset_t *signals)
{
    static const int own[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT };
    sigset_t others;
    pthread_mutex_lock(&lock);
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&others, own[i]);
    pthread_sigmask(SIG_BLOCK, &others, signals);
}

void hdu_unlock(const sigset_t *signals)
{
    pthread_sigmask(SIG_SETMASK, signals, NULL);
    pthread_mutex_unlock(&lock);
}

int hdu_system_failed(void)
{
    return errno == EIO || error_is_shortage(errno);
}

int hdu_refuse(const char *path, int status)
{
    char text[FLEN_ERRMSG] = "";
    int memory = status == MEMORY_ALLOCATION || status == ARRAY_TOO_BIG; /* for its own tables */
    int number = memory ? ENOMEM : hdu_system_failed() ? errno : 0;
    if (number) {
        fits_clear_errmsg();
        return error_system("reading", path, number);
    }
    if (!fits_read_errmsg(text) || !text[0])
        fits_get_errstatus(status, text);
    fits_clear_errmsg();
    return error_set(MOCO_EDAMAGED, "%s: not a readable FITS file (%s); it is truncated or damaged",
                     path, text);
}

/* ---- files ---- */

void hdu_forget(struct hdu_unpacked *kept)
{
    free(kept->path);
    free(kept->bytes);
    *kept = (struct hdu_unpacked){ .path = NULL };
}

/* The library would unpack such a file by itself, but without a limit and for every image. */
static int unpack(struct hdu_unpacked *kept, const char *path)
{
    if (kept->path && !strcmp(kept->path, path))
        return MOCO_OK;
    hdu_forget(kept);
    int rc = gunzip_file(&kept->bytes, &kept->size, UNPACKED_MAX, "SIMPLE  =", "a FITS file", path);
    if (rc != MOCO_OK)
        return rc;
    kept->path = strdup(path);
    return kept->path ? MOCO_OK : error_memory("a path", strlen(path));
}

int hdu_open(struct hdu_file *out, struct hdu_unpacked *kept, const char *path)
{
    int status = 0, number = 0, rc = raw_check_file(path);
    *out = (struct hdu_file){ .path = path, .size = raw_file_size(path) };
    if (rc != MOCO_OK)
        return rc;
    enum content content = content_of_file(path, &number);
    if (number)
        return error_system("opening", path, number);
    if (content != CONTENT_FITS && content != CONTENT_GZIP)
        return error_set(MOCO_EFORMAT, "%s does not start like a FITS file", path);
    if (strlen(path) >= FLEN_FILENAME)
        return error_set(MOCO_EIO, "the path %.60s... is too long for FITS", path);
    errno = 0; /* hdu_system_failed() asks it from here on */
    if (content == CONTENT_FITS)
        return fits_open_diskfile(&out->fits, path, READONLY, &status) ? hdu_refuse(path, status)
                                                                       : MOCO_OK;
    rc = unpack(kept, path);
    if (rc != MOCO_OK)
        return rc;
    out->size = kept->size;
    errno = 0;
    fits_open_memfile(&out->fits, "unpacked.fits", READONLY, &kept->bytes, &kept->size, 0, NULL,
                      &status);
    return status ? hdu_refuse(path, status) : MOCO_OK;
}

void hdu_close(struct hdu_file *file)
{
    int status = 0;
    if (file->fits)
        fits_close_file(file->fits, &status);
    fits_clear_errmsg();
}

/* ---- headers ---- */

int hdu_go_to(const struct hdu_file *file, const char *name)
{
    int status = 0, type = IMAGE_HDU;
    char *end = NULL;
    long number = strtol(name, &end, 10);
    if (*end)
        fits_movnam_hdu(file->fits, ANY_HDU, (char *)(uintptr_t)name, 0, &status);
    else if (number < 0 || number > 1 << 20)
        status = BAD_HDU_NUM;
    else
        fits_movabs_hdu(file->fits, (int)number + 1, NULL, &status);
    fits_get_hdu_type(file->fits, &type, &status);
    if (status && hdu_system_failed())
        return hdu_refuse(file->path, status);
    fits_clear_errmsg();
    if (!status && (type == IMAGE_HDU || fits_is_compressed_image(file->fits, &status)))
        return MOCO_OK;
    return error_set(MOCO_EFORMAT, "%s has no HDU %s with an image", file->path, name);
}

static int take_type(struct hdu_cube *out, const struct hdu_file *file)
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
    if (fits_get_img_equivtype(file->fits, &type, &status))
        return hdu_refuse(file->path, status);
    out->dtype = DTYPE_F32; /* 32-bit integers and scaled ones too */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == type) {
            out->largest = rows[i].largest;
            out->dtype = rows[i].dtype;
        }
    return MOCO_OK;
}

/* The numbers of a packed tile, which the library takes memory for. */
static int check_tiles(const struct hdu_file *file, int axes)
{
    uint64_t numbers = 1;
    for (int i = 1; i <= axes; i++) {
        char key[FLEN_KEYWORD];
        LONGLONG side = 1;
        int status = 0;
        snprintf(key, sizeof key, "ZTILE%d", i);
        if (fits_read_key(file->fits, TLONGLONG, key, &side, NULL, &status) == KEY_NO_EXIST)
            side = 1;
        else if (status)
            return hdu_refuse(file->path, status);
        if (side < 1 || __builtin_mul_overflow(numbers, (uint64_t)side, &numbers) ||
            numbers > RAW_NUMBERS_MAX)
            return error_set(MOCO_EFORMAT, "%s: a tile of more than %d numbers", file->path,
                             RAW_NUMBERS_MAX);
    }
    fits_clear_errmsg();
    return MOCO_OK;
}

static int check_size(const struct hdu_cube *cube, const struct hdu_file *file, int bits)
{
    uint64_t size = file->size, bytes;
    uint64_t image = (uint64_t)cube->channels * (uint64_t)cube->height * (uint64_t)cube->width;
    LONGLONG start = 0;
    int status = 0;
    fits_get_hduaddrll(file->fits, NULL, &start, NULL, &status);
    if (status || start < 0)
        return hdu_refuse(file->path, status);
    bytes = image * (uint64_t)(abs(bits) / 8); /* at most 2^31 */
    if (__builtin_mul_overflow(bytes, (uint64_t)cube->images, &bytes) ||
        (cube->packed ? bytes / RATIO_MAX > size
                      : (uint64_t)start > size || bytes > size - (uint64_t)start))
        return error_set(MOCO_EFORMAT, "%s: the header promises %lld images of %d x %d x %d, more "
                         "than a file of %llu bytes can hold; it is truncated or damaged",
                         file->path, (long long)cube->images, cube->channels, cube->height,
                         cube->width, (unsigned long long)size);
    if (cube->images > IMAGES_MAX)
        return error_set(MOCO_EFORMAT, "%s: more than %d images", file->path, IMAGES_MAX);
    return MOCO_OK;
}

static int take_axes(struct hdu_cube *out, const LONGLONG *size, int axes, int channels,
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
    out->axes = axes;
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

int hdu_cube(struct hdu_cube *out, int *shape, const struct hdu_file *file, int channels)
{
    LONGLONG size[AXES_MAX] = { 0 };
    int bits = 0, axes = 0, status = 0, rc;
    *out = (struct hdu_cube){ .images = 0 };
    *shape = 0;
    if (fits_get_img_paramll(file->fits, AXES_MAX, &bits, &axes, size, &status))
        return hdu_refuse(file->path, status);
    if (axes > AXES_MAX)
        rc = error_set(MOCO_EFORMAT, "%s: an image of %d axes", file->path, axes);
    else
        rc = take_axes(out, size, axes, channels, file->path);
    *shape = rc != MOCO_OK;
    out->packed = fits_is_compressed_image(file->fits, &status);
    if (status)
        return hdu_refuse(file->path, status);
    out->reals = bits < 0 && !out->packed;
    if (rc == MOCO_OK)
        rc = check_size(out, file, bits);
    if (rc == MOCO_OK && out->packed)
        rc = check_tiles(file, axes);
    return rc == MOCO_OK ? take_type(out, file) : rc;
}
