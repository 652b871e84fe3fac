/* source.h: where images come from.
 *
 * In: a data argument as typed: a path recognised by what is in it, or `kind:PATH`
 *   cifar10:DIR[:train|:test]  cifar100:DIR[:train|:test]  idx:IMAGES[,LABELS] (.gz too)
 *   folder:DIR[:alpha=drop|keep]  npy:X.npy[,Y.npy][:nhwc][:views]
 *   npz:X.npz[:IMAGES[,LABELS]][:nhwc][:views]
 *   tiff:FILE-OR-DIR[:pages=images|channels|views]
 *   hdf5:FILE[:IMAGES[,LABELS]][:nhwc][:views]
 *   fits:FILE-OR-DIR[:HDU][:pages=images|channels|views]
 *   packed:FILE
 *   synthetic:[n=4000,classes=8,side=32,seed=1,split=train]
 * Out: image i as planes of floats, its label or -1, its name. One file per format fills a
 * `struct source`; adding a format touches that file and the table in source.c. */
#ifndef MOCO_ENGINE_DATA_SOURCE_H
#define MOCO_ENGINE_DATA_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/data/account.h"
#include "include/moco.h"

/* One decoded image. Unsigned integers are scaled to [0, 1] by their type's largest value, signed
 * ones and floats are kept as they are. */
struct image {
    float *pixels; /* (channels, height, width); owned, grows as needed */
    int channels, height, width;
    size_t capacity; /* floats */
    size_t missing;  /* numbers without a value, which are NaN: image_fill() of missing.h */
    int bytes;       /* `pixels` has (height, width, 4) bytes instead: red, green, blue, any; only
                      * where a part was asked for that may have them */
};

/* Makes room for (channels, height, width); keeps nothing of the old content. */
int image_resize(struct image *image, int channels, int height, int width);
void image_close(struct image *image);

/* A rectangle of an image whose sides are 1/divisor of the whole image's, rounded up. */
struct part {
    int divisor;                  /* 1, 2, 4 or 8 */
    int top, left, height, width; /* in pixels at that scale */
    int bytes;                    /* the image may come as bytes, which saves three quarters */
};

/* What an image had beside its pixels: bits. */
enum { TRAIT_ALPHA = 1, TRAIT_ANIMATED = 2 };

enum source_dtype { DTYPE_U8, DTYPE_U16, DTYPE_I16, DTYPE_F16, DTYPE_F32, DTYPE_F64 };

struct source {
    char kind[16];       /* the kind's name in the data argument, "cifar10" */
    char where[1024];    /* what was opened, for sentences */
    char note[512];      /* a sentence on what the format had to choose or left out; "" mostly */
    struct account account; /* what was left out, by reason */
    size_t count;        /* images */
    int views;           /* the images v i to v i + v - 1 are of sample i; 0 means 1 */
    int channels;        /* of every image; 0 when they differ */
    int height, width;   /* of every image; 0 when they differ */
    size_t pixels_max;   /* height * width of the largest where they differ */
    size_t decoder_bytes; /* most memory that decoding an image takes beside its floats */
    int classes;         /* largest label + 1; 0 without labels */
    enum source_dtype dtype;
    int mapped;          /* images are read in a file's pages, which the system takes back */
    size_t decode_bytes; /* a number's bytes that read() holds beside the image; 0 if mapped */
    const int32_t *labels; /* (count), -1 unlabelled; NULL when nothing is labelled; owned */
    const char *const *class_names; /* (classes), or NULL; owned */

    /* Decodes image `index` into *out. Thread-safe. */
    int (*read)(const struct source *source, size_t index, struct image *out);
    /* Optional, both or neither, thread-safe. size: of image `index`, without reading it.
     * read_part: decodes what is needed of a part. On entry *part is in pixels of the whole image,
     * its divisor the largest that will do; afterwards it says what `out` holds, at the scale
     * chosen: the part or more. The same part gives the same pixels. */
    int (*size)(const struct source *source, size_t index, int *height, int *width);
    int (*read_part)(const struct source *source, size_t index, struct image *out,
                     struct part *part);
    /* A name of image `index` (a file's path below the root), or NULL. */
    const char *(*name)(const struct source *source, size_t index);
    /* Bits TRAIT_... of image `index`, or NULL. */
    int (*traits)(const struct source *source, size_t index);
    void (*close)(struct source *source);
    void *state; /* of the format's file */
    char declared[64];   /* what says that numbers are missing, "GDAL_NODATA -9999"; "": nothing.
                          * Such numbers come as NaN and read() counts them in image->missing */
    double max_missing;  /* share of an image that may be NaN or infinite beside those; set it by
                          * missing_allow() */
    struct missing *missing; /* of missing.c; NULL where every number is a value; owned */
    struct source *part[2];  /* of a pair; borrowed from its state */
    int lenient; /* of source_open_lenient() */
};

/* Opens `spec`; on success *out is owned by the caller. */
int source_open(struct source **out, const char *spec);

/* An image of `positive`, another data argument, is the other view of that image of `spec` which
 * has its name but for the ending, or its place (by_index, or where one of both has no names): a
 * source of two images a sample. With "" it is source_open(). */
int source_open_pair(struct source **out, const char *spec, const char *positive, int by_index);

/* The same as source_open() for one who looks at every image: files that would refuse a folder, too
 * many that cannot be read or one unlike those before it, are images whose read() gives the
 * sentence. */
int source_open_lenient(struct source **out, const char *spec);
void source_close(struct source **source);

/* `spec` with `folder` in front of each relative path in it: what it means from elsewhere. where:
 * the folder from which its paths can be looked at now, since what a comma parts depends on the
 * files; "" for the current one. */
int source_rebase(char *out, size_t size, const char *spec, const char *folder, const char *where);

/* Bytes of "KIND:" at the beginning; 0: the kind is told by what is there. */
size_t source_kind_length(const char *spec);

/* The kind that a bare path is taken for, or NULL. */
const char *source_kind_of(const char *path);

/* Label of an image, -1 where there is none. */
static inline int source_label(const struct source *source, size_t index)
{
    return source->labels ? source->labels[index] : -1;
}

/* Samples: images that count as one thing, seen once an epoch. */
static inline size_t source_views(const struct source *source)
{
    return source->views > 1 ? (size_t)source->views : 1;
}
static inline size_t source_samples(const struct source *source)
{
    return source->count / source_views(source);
}

/* Whether a failed read() is the image's own fault, so that the next one may be tried. */
static inline int source_is_bad(int rc)
{
    return rc == MOCO_EIO || rc == MOCO_EFORMAT || rc == MOCO_EUNSUPPORTED ||
           rc == MOCO_EDAMAGED || rc == MOCO_ETRUNCATED || rc == MOCO_ENOTFINITE;
}

/* Whether it is one of the process, which ends what is done whatever else is let pass. */
static inline int source_is_short(int rc)
{
    return rc == MOCO_ENOMEM || rc == MOCO_ELIMIT;
}

/* Memory of one who reads images one after the other: the largest, and what decodes it. */
size_t source_reader_bytes(const struct source *source);

/* mean, std: (channels) over at most `sample` images spread evenly over the set, without those that
 * can not be read and without numbers that are missing. */
int source_statistics(const struct source *source, float *mean, float *std, size_t sample);

/* Formats. `path` is what stands behind the kind's colon. */
int source_open_cifar10(struct source *source, const char *path);
int source_open_cifar100(struct source *source, const char *path);
int source_open_idx(struct source *source, const char *path);
int source_open_npy(struct source *source, const char *path);
int source_open_npz(struct source *source, const char *path);
int source_open_tiff(struct source *source, const char *path); /* only with libtiff */
int source_open_hdf5(struct source *source, const char *path); /* only with libhdf5 */
int source_open_fits(struct source *source, const char *path); /* only with cfitsio */
int source_open_packed(struct source *source, const char *path);
int source_open_folder(struct source *source, const char *path);
int source_open_synthetic(struct source *source, const char *path);

#endif
