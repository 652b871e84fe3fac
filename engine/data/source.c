/* source.c: from a data argument to an open source; see source.h.
 *
 * `kind:PATH` goes to the kind's row of the table. A bare path is recognised by what is in it: a
 * directory with data_batch_*.bin or test_batch.bin is cifar10, one with train.bin or test.bin
 * cifar100 (in sizes of its records), any other tiff or fits where it holds such files and no jpg,
 * png and the like, else a folder; a file is told by its first bytes (npy, zip, TIFF, HDF5, FITS,
 * packed; IDX, plain or behind gzip). Kinds that need a library stand in the table without it too,
 * for their sentence. A format sets `close` and `state` as soon as it owns something, so a failed
 * opening is cleaned up here. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/data/format/content.h"
#include "engine/data/format/gunzip.h"
#include "engine/data/format/pack.h"
#include "engine/data/format/raw.h"
#include "engine/data/format/refuse.h"
#include "engine/data/format/tree.h"
#include "engine/data/missing.h"
#include "engine/data/view/augment.h"

struct kind {
    const char *name;
    int (*open)(struct source *source, const char *path); /* NULL: not in this build */
    const char *package; /* Debian's, of the library that it takes */
};

#ifdef MOCO_TIFF
#define OPEN_TIFF source_open_tiff
#else
#define OPEN_TIFF NULL
#endif
#ifdef MOCO_HDF5
#define OPEN_HDF5 source_open_hdf5
#else
#define OPEN_HDF5 NULL
#endif
#ifdef MOCO_FITS
#define OPEN_FITS source_open_fits
#else
#define OPEN_FITS NULL
#endif

static const struct kind kinds[] = {
    { "cifar10", source_open_cifar10, NULL },
    { "cifar100", source_open_cifar100, NULL },
    { "idx", source_open_idx, NULL },
    { "folder", source_open_folder, NULL },
    { "npy", source_open_npy, NULL },
    { "npz", source_open_npz, NULL },
    { "tiff", OPEN_TIFF, "libtiff-dev" },
    { "hdf5", OPEN_HDF5, "libhdf5-dev" },
    { "fits", OPEN_FITS, "libcfitsio-dev" },
    { "packed", source_open_packed, NULL },
    { "synthetic", source_open_synthetic, NULL },
};

#define KINDS "cifar10:DIR[:test], cifar100:DIR[:test], idx:IMAGES[,LABELS], folder:DIR, " \
    "npy:X.npy[,Y.npy], npz:X.npz[:IMAGES[,LABELS]], tiff:PATH, " \
    "hdf5:FILE[:IMAGES[,LABELS]], fits:PATH, packed:FILE, " \
    "synthetic:"

int image_resize(struct image *image, int channels, int height, int width)
{
    size_t need = (size_t)channels * (size_t)height * (size_t)width;
    if (need > image->capacity) {
        float *pixels = malloc(need * sizeof *pixels);
        if (!pixels)
            return error_memory("an image", need * sizeof *pixels);
        free(image->pixels);
        image->pixels = pixels;
        image->capacity = need;
    }
    image->channels = channels;
    image->height = height;
    image->width = width;
    image->bytes = 0;
    image->missing = 0;
    return MOCO_OK;
}

void image_close(struct image *image)
{
    free(image->pixels);
    *image = (struct image){ 0 };
}

/* ---- recognition ---- */

static const struct kind *kind_named(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i].name) == length && !memcmp(kinds[i].name, name, length))
            return &kinds[i];
    return NULL;
}

static int dir_has(const char *dir, const char *name)
{
    char path[RAW_PATH + 32];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* train.bin is a common name: it is CIFAR-100's when its records fit. */
static int has_cifar100(const char *dir)
{
    static const char *const names[] = { "train.bin", "test.bin" };
    char path[RAW_PATH + 32];
    struct stat info;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size % 3074 == 0)
            return 1;
    }
    return 0;
}

static int kind_of_dir(const char **kind, const char *dir)
{
    char name[32];
    for (int i = 1; i <= 9; i++) {
        snprintf(name, sizeof name, "data_batch_%d.bin", i);
        if (dir_has(dir, name))
            break;
        name[0] = '\0';
    }
    *kind = name[0] || dir_has(dir, "test_batch.bin") ? "cifar10"
            : has_cifar100(dir) ? "cifar100" : "folder";
    if (strcmp(*kind, "folder"))
        return MOCO_OK;
    enum tree_kind found;
    int rc = tree_look(&found, dir);
    *kind = found == TREE_TIFF ? "tiff" : found == TREE_FITS ? "fits" : "folder";
    return rc;
}

/* *number: errno where the system, not the file, is to blame that it is not known. */
static const char *kind_of_file(const char *path, int *number)
{
    unsigned char head[9] = { 0 };
    int got = gunzip_head(head, sizeof head, path, number), failed = 0;
    if (got >= 6 && !memcmp(head, "\x93NUMPY", 6))
        return "npy";
    if (got >= 4 && !memcmp(head, "PK\3\4", 4))
        return "npz";
    if (got >= 4 && (!memcmp(head, "II*\0", 4) || !memcmp(head, "MM\0*", 4) ||
                     !memcmp(head, "II+\0", 4) || !memcmp(head, "MM\0+", 4)))
        return "tiff";
    enum content content = content_of_file(path, &failed);
    *number = *number ? *number : failed;
    if (content == CONTENT_HDF5 || content == CONTENT_MATLAB73)
        return "hdf5"; /* MATLAB's and others', behind a block of text, too */
    if (got == 9 && !memcmp(head, "SIMPLE  =", 9))
        return "fits";
    if (got >= PACK_MAGIC_SIZE && !memcmp(head, PACK_MAGIC, PACK_MAGIC_SIZE))
        return "packed";
    if (got >= 4 && head[0] == 0 && head[1] == 0 && head[2] >= 8 && head[2] <= 14 &&
        head[3] >= 1 && head[3] <= 4)
        return "idx";
    return content >= CONTENT_JPEG && content <= CONTENT_WEBP ? "folder" : NULL; /* of one image */
}

/* Behind the path may stand ",LABELS", ":test" or ":nhwc": they are cut until something exists. */
static int recognise(const struct kind **out, const char *spec)
{
    char path[RAW_PATH];
    struct stat info;
    snprintf(path, sizeof path, "%s", spec);
    while (stat(path, &info) != 0) {
        if (error_is_shortage(errno))
            return error_system("opening", path, errno);
        char *comma = strrchr(path, ','), *colon = strrchr(path, ':');
        char *cut = comma > colon ? comma : colon;
        if (!cut)
            return error_set(MOCO_EIO, "%s is no file, directory or kind of data; give a path or "
                             "one of " KINDS, spec);
        *cut = '\0';
    }
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
        return error_set(MOCO_EUNSUPPORTED, "%s is neither a file nor a folder", path);
    int number = 0, rc = S_ISDIR(info.st_mode) ? refuse_known(path) : MOCO_OK;
    if (rc)
        return rc;
    const char *name = NULL;
    if (S_ISDIR(info.st_mode))
        rc = kind_of_dir(&name, path);
    else
        name = kind_of_file(path, &number);
    if (rc)
        return rc;
    if (!name && number)
        return error_system("reading", path, number);
    if (!name && (rc = refuse_known(path)) != MOCO_OK)
        return rc;
    if (!name)
        return error_set(MOCO_EFORMAT, "%s starts neither like an image, .npy, .npz, TIFF, HDF5, "
                         "FITS or a packed file nor like IDX (plain or .gz)", path);
    *out = kind_named(name, strlen(name));
    return MOCO_OK;
}

const char *source_kind_of(const char *path)
{
    const struct kind *kind;
    return recognise(&kind, path) ? NULL : kind->name;
}

size_t source_kind_length(const char *spec)
{
    const char *colon = strchr(spec, ':');
    return colon && kind_named(spec, (size_t)(colon - spec)) ? (size_t)(colon - spec) + 1 : 0;
}

/* ---- opening ---- */

static int parse(const struct kind **kind, const char **path, const char *spec)
{
    const char *colon = strchr(spec, ':');
    *path = spec;
    if (!spec[0])
        return error_set(MOCO_EARG, "no data given; give a path or one of " KINDS);
    if (strlen(spec) >= RAW_PATH)
        return error_set(MOCO_EARG, "the data argument %.60s... is longer than %d bytes", spec,
                         RAW_PATH - 1);
    if (!strcmp(spec, "synthetic"))
        *kind = kind_named(spec, strlen(spec)), *path = "";
    else if (colon && (*kind = kind_named(spec, (size_t)(colon - spec))) != NULL)
        *path = colon + 1;
    else
        return recognise(kind, spec);
    if (!**path && strcmp((*kind)->name, "synthetic"))
        return error_set(MOCO_EARG, "%s names no file: a path belongs behind it", spec);
    return MOCO_OK;
}

/* What a file is that a format could not make sense of, where that is known; its own sentence else.
 * path: with words behind it. */
static int explain(int rc, const char *path)
{
    char file[RAW_PATH], sentence[1024];
    struct stat info;
    if (rc != MOCO_EFORMAT && rc != MOCO_EDAMAGED && rc != MOCO_ETRUNCATED && rc != MOCO_EIO)
        return rc;
    snprintf(sentence, sizeof sentence, "%s", error_text());
    snprintf(file, sizeof file, "%s", path);
    while (stat(file, &info) != 0) {
        char *comma = strrchr(file, ','), *colon = strrchr(file, ':');
        char *cut = comma > colon ? comma : colon;
        if (!cut)
            return error_set(rc, "%s", sentence);
        *cut = '\0';
    }
    int known = refuse_known(file);
    return known ? known : error_set(rc, "%s", sentence);
}

static int open_source(struct source **out, const char *spec, int lenient)
{
    const struct kind *kind = NULL;
    const char *path;
    *out = NULL;
    int rc = parse(&kind, &path, spec);
    if (rc != MOCO_OK)
        return rc;
    if (!kind->open)
        return error_set(MOCO_EUNSUPPORTED, "%s is data of the kind %s, which this moco was built "
                         "without; install the package %s and build moco again", spec, kind->name,
                         kind->package);
    struct source *source = calloc(1, sizeof *source);
    if (!source)
        return error_memory("a data source", sizeof *source);
    snprintf(source->kind, sizeof source->kind, "%s", kind->name);
    snprintf(source->where, sizeof source->where, "%s", path);
    source->lenient = lenient;
    rc = explain(kind->open(source, path), path);
    if (rc == MOCO_OK && source->count == 0)
        rc = error_set(MOCO_EFORMAT, "%s holds no image", spec);
    if (rc == MOCO_OK && source->channels > AUGMENT_CHANNELS_MAX)
        rc = error_set(MOCO_EUNSUPPORTED, "%s: images of %d channels; at most %d are trained on",
                       spec, source->channels, AUGMENT_CHANNELS_MAX);
    if (rc == MOCO_OK)
        rc = missing_guard(source);
    if (rc != MOCO_OK)
        goto fail;
    *out = source;
    return MOCO_OK;
fail:
    source_close(&source);
    return rc;
}

int source_open(struct source **out, const char *spec)
{
    return open_source(out, spec, 0);
}

int source_open_lenient(struct source **out, const char *spec)
{
    return open_source(out, spec, 1);
}

void source_close(struct source **source)
{
    struct source *gone = source ? *source : NULL;
    if (!gone)
        return;
    if (gone->close)
        gone->close(gone);
    free((void *)(uintptr_t)gone->labels);
    free((void *)(uintptr_t)gone->class_names);
    missing_release(gone);
    free(gone);
    *source = NULL;
}

size_t source_reader_bytes(const struct source *source)
{
    size_t pixels = (size_t)source->height * (size_t)source->width;
    size_t number = sizeof(float) + source->decode_bytes;
    if (source->pixels_max > pixels)
        pixels = source->pixels_max;
    return pixels * (size_t)source->channels * number + source->decoder_bytes;
}
