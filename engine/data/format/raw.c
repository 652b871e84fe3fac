/* raw.c: files in memory, numbers to floats, labels; see raw.h.
 *
 * Numbers are taken apart bytewise, so neither alignment nor the machine's byte order matters;
 * compilers turn the common case into plain loads. */
#define _GNU_SOURCE
#include "engine/data/format/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/again.h"
#include "engine/base/error.h"
#include "engine/base/half.h"

int raw_check_file(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return error_system("opening", path, errno);
    return S_ISREG(info.st_mode) ? MOCO_OK : error_set(MOCO_EIO, "opening %s: it is no file", path);
}

uint64_t raw_file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

int mapping_open(struct mapping *mapping, const char *path)
{
    struct stat info;
    void *bytes = NULL;
    *mapping = (struct mapping){ 0 };
    int fd = open_again(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0 || fstat(fd, &info) != 0)
        goto fail;
    if (!S_ISREG(info.st_mode)) {
        errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
        goto fail;
    }
    if (info.st_size > 0)
        bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        goto fail;
    close(fd);
    *mapping = (struct mapping){ bytes, (size_t)info.st_size };
    return MOCO_OK;
fail:;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    return error_system("opening", path, saved);
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->bytes)
        munmap((void *)(uintptr_t)mapping->bytes, mapping->size);
    *mapping = (struct mapping){ 0 };
}

size_t raw_size(enum source_dtype dtype)
{
    static const unsigned char sizes[] = {
        [DTYPE_U8] = 1,  [DTYPE_U16] = 2, [DTYPE_I16] = 2,
        [DTYPE_F16] = 2, [DTYPE_F32] = 4, [DTYPE_F64] = 8,
    };
    return sizes[dtype];
}

static inline uint64_t bits(const unsigned char *src, int size, int big)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++)
        value |= (uint64_t)src[big ? size - 1 - i : i] << (8 * i);
    return value;
}

static float single(uint64_t low)
{
    uint32_t word = (uint32_t)low;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static float twice(uint64_t word)
{
    double value;
    memcpy(&value, &word, sizeof value);
    return (float)value;
}

/* Numbers side by side of the usual types, in loops that compilers make vectors of. */
static int plain_floats(float *restrict dst, const unsigned char *restrict src, size_t n,
                        enum source_dtype dtype)
{
    if (dtype == DTYPE_U8)
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)src[i] / 255.0f;
    else if (dtype == DTYPE_U16)
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)(src[2 * i] | src[2 * i + 1] << 8) / 65535.0f;
    else if (dtype == DTYPE_F32 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        memcpy(dst, src, n * sizeof *dst);
    else
        return 0;
    return 1;
}

void raw_floats(float *dst, const unsigned char *src, size_t n, size_t step,
                enum source_dtype dtype, int big)
{
    size_t size = raw_size(dtype), stride = size * step;
    if (step == 1 && !big && plain_floats(dst, src, n, dtype))
        return;
    for (size_t i = 0; i < n; i++, src += stride) {
        switch (dtype) {
        case DTYPE_U8:
            dst[i] = (float)*src / 255.0f;
            break;
        case DTYPE_U16:
            dst[i] = (float)bits(src, 2, big) / 65535.0f;
            break;
        case DTYPE_I16:
            dst[i] = (float)(int16_t)bits(src, 2, big);
            break;
        case DTYPE_F16:
            dst[i] = half_widened(bits(src, 2, big));
            break;
        case DTYPE_F32:
            dst[i] = single(bits(src, 4, big));
            break;
        case DTYPE_F64:
            dst[i] = twice(bits(src, 8, big));
            break;
        }
    }
}

size_t raw_bytes(const struct source *source)
{
    size_t image, all;
    if (source->channels <= 0 || source->height <= 0 || source->width <= 0)
        return 0;
    if (__builtin_mul_overflow((size_t)source->channels, (size_t)source->height, &image) ||
        __builtin_mul_overflow(image, (size_t)source->width, &image) || image > RAW_NUMBERS_MAX)
        return 0;
    if (__builtin_mul_overflow(image * raw_size(source->dtype), source->count, &all))
        return 0;
    return all;
}

int raw_take_names(struct source *source, char *const *names, size_t n)
{
    size_t bytes = n * sizeof(char *);
    for (size_t i = 0; i < n; i++)
        bytes += strlen(names[i]) + 1;
    char **block = malloc(bytes);
    if (!block)
        return error_memory("names of classes", bytes);
    char *text = (char *)(block + n);
    for (size_t i = 0; i < n; i++) {
        block[i] = text;
        text = stpcpy(text, names[i]) + 1;
    }
    source->class_names = (const char *const *)block;
    return MOCO_OK;
}

int raw_cut_suffix(char *path, const char *suffix)
{
    size_t length = strlen(path), tail = strlen(suffix);
    if (length < tail || strcmp(path + length - tail, suffix) != 0)
        return 0;
    path[length - tail] = '\0';
    return 1;
}

void raw_cut_axes(char *path, struct raw_axes *axes)
{
    for (int cut = 1; cut;) {
        int nhwc = raw_cut_suffix(path, ":nhwc"), views = raw_cut_suffix(path, ":views");
        axes->nhwc |= nhwc;
        axes->views |= views;
        cut = nhwc || views;
    }
}

/* Two equal ones are rows and columns mostly, and few channels stand beside many of both. */
void raw_note_order(struct source *source, const size_t *size, int nhwc, const char *path)
{
    int last = (size[0] == size[1] && size[1] != size[2] && size[0] > 1) ||
               (size[2] <= 4 && size[0] > 4 && size[1] > 4);
    int first = (size[1] == size[2] && size[0] != size[1] && size[1] > 1) ||
                (size[0] <= 4 && size[1] > 4 && size[2] > 4);
    if (nhwc ? last || !first : first || !last)
        return;
    snprintf(source->note, sizeof source->note,
             "%.200s: images of %zu x %zu x %zu are taken as %s; where channels are %s :nhwc "
             "behind the path", path, size[0], size[1], size[2],
             nhwc ? "rows x columns x channels" : "channels x rows x columns",
             nhwc ? "first, leave out" : "last, put");
}

int raw_take_shape(struct source *source, const size_t *size, int rank,
                   const struct raw_axes *axes, const char *path)
{
    int T = axes->views != 0, image = rank - 1 - T; /* sizes of an image */
    if (image != 3 && (image != 2 || axes->nhwc))
        return error_set(MOCO_EFORMAT, "%s: %d dimensions; images are (N, H, W), (N, C, H, W) or, "
                         "with :nhwc, (N, H, W, C); with :views a dimension of images that show "
                         "the same stands behind N", path, rank);
    for (int i = 1; i < rank; i++)
        if (size[i] == 0 || size[i] > RAW_NUMBERS_MAX)
            return error_set(MOCO_EFORMAT, "%s: size %zu of dimension %d is not that of an image",
                             path, size[i], i);
    const size_t *sizes = size + 1 + T; /* C, H, W */
    int rows = image == 3 && !axes->nhwc ? 1 : 0;
    source->views = T ? (int)size[1] : 1;
    source->height = (int)sizes[rows];
    source->width = (int)sizes[rows + 1];
    source->channels = image == 2 ? 1 : (int)sizes[axes->nhwc ? 2 : 0];
    if (__builtin_mul_overflow(size[0], (size_t)source->views, &source->count) ||
        (raw_bytes(source) == 0 && source->count > 0))
        return error_set(MOCO_EFORMAT, "%s: images of %d x %d x %d are too large", path,
                         source->channels, source->height, source->width);
    if (image == 3)
        raw_note_order(source, sizes, axes->nhwc, path);
    return MOCO_OK;
}

int raw_split(char *first, char *second, const char *path)
{
    struct stat info;
    if (snprintf(first, RAW_PATH, "%s", path) >= RAW_PATH)
        return error_set(MOCO_EARG, "the path %.60s... is longer than %d bytes", path,
                         RAW_PATH - 1);
    second[0] = '\0';
    char *comma = strrchr(first, ',');
    if (comma && stat(first, &info) != 0) {
        strcpy(second, comma + 1);
        *comma = '\0';
    }
    return MOCO_OK;
}

void raw_split_colon(char *first, char *second, const char *path)
{
    struct stat info;
    snprintf(first, RAW_PATH, "%s", path);
    second[0] = '\0';
    for (char *colon; stat(first, &info) != 0 && (colon = strrchr(first, ':')) != NULL;) {
        *colon = '\0';
        snprintf(second, RAW_PATH, "%s", path + (colon - first) + 1);
    }
    if (second[0] && stat(first, &info) != 0) {
        snprintf(first, RAW_PATH, "%s", path);
        second[0] = '\0';
    }
}

/* Images of u8 and u16 go together, for both end up in [0, 1]; others only with their like. */
static int merge_dtype(struct source *source, enum source_dtype dtype, const char *path)
{
    static const char *const names[] = { "u8", "u16", "i16", "f16", "f32", "f64" };
    if (source->dtype == dtype)
        return MOCO_OK;
    if (source->dtype > DTYPE_U16 || dtype > DTYPE_U16)
        return error_set(MOCO_EARG, "%s holds %s where files before it hold %s; only u8 and u16 "
                         "go together", path, names[dtype], names[source->dtype]);
    source->dtype = DTYPE_U16;
    return MOCO_OK;
}

int raw_add_image(struct source *source, int channels, int height, int width,
                  enum source_dtype dtype, const char *path)
{
    size_t pixels = (size_t)width * (size_t)height;
    int first = source->channels == 0;
    if (!first && channels != source->channels)
        return error_set(MOCO_EARG, "%s: an image of %d channels where those before it have %d; "
                         "all must have the same", path, channels, source->channels);
    if (pixels > RAW_NUMBERS_MAX / (size_t)channels)
        return error_set(MOCO_EFORMAT, "%s: an image of %d x %d x %d numbers; up to %d are read",
                         path, channels, height, width, RAW_NUMBERS_MAX);
    source->dtype = first ? dtype : source->dtype;
    int rc = merge_dtype(source, dtype, path);
    if (rc != MOCO_OK)
        return rc;
    source->channels = channels;
    source->pixels_max = pixels > source->pixels_max ? pixels : source->pixels_max;
    source->width = first || source->width == width ? width : 0;
    source->height = first || source->height == height ? height : 0;
    source->count++;
    return MOCO_OK;
}

int raw_keep_bad(struct source *source, struct raw_bad *bad, int code)
{
    int kept = source_is_bad(code) || (source->lenient && code == MOCO_EARG);
    if (kept && bad->count++ == 0)
        snprintf(bad->first, sizeof bad->first, "%s", error_text());
    source->count += (size_t)kept;
    return kept;
}

int raw_check_bad(struct source *source, const struct raw_bad *bad, size_t files)
{
    size_t used = strlen(source->note);
    if (source->lenient)
        return MOCO_OK;
    if (2 * bad->count >= files && bad->count)
        return error_set(MOCO_EFORMAT, "%s", bad->first);
    if (bad->count)
        snprintf(source->note + used, sizeof source->note - used,
                 "%s%.200s: %zu of %zu files can not be read, the first: %s", used ? "; " : "",
                 source->where, bad->count, files, bad->first);
    return MOCO_OK;
}

int raw_names_file(struct source *source, const char *dir, const char *file, size_t classes)
{
    char path[RAW_PATH + 32], lines[RAW_NAMES_MAX][64], *names[RAW_NAMES_MAX];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *stream = fopen(path, "r");
    if (!stream)
        return errno == ENOENT ? MOCO_OK : error_system("opening", path, errno);
    while (n < classes && fgets(lines[n], sizeof lines[n], stream)) {
        lines[n][strcspn(lines[n], "\r\n")] = '\0';
        names[n] = lines[n];
        n += lines[n][0] != '\0';
    }
    int failed = ferror(stream) ? errno : 0;
    fclose(stream);
    if (failed)
        return error_system("reading", path, failed);
    return n == classes ? raw_take_names(source, names, n) : MOCO_OK;
}
