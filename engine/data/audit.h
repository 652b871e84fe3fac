/* audit.h: everything that is wrong with a data set, or may be.
 *
 * In: a source, best of source_open_lenient(); every image is read once. Out: counts, statistics
 * and findings. An odd size is one that
 *   - nine in ten images do not have, where they have one size; else one
 *   - whose shorter side is less than a quarter of the median or more than four times as long, or
 *   - whose longer side is more than three times its shorter one.
 * Pixels are compared by 128 bits of hash of the numbers that reading gives; a grey image and the
 * same one in three equal channels have the same. */
#ifndef MOCO_ENGINE_DATA_AUDIT_H
#define MOCO_ENGINE_DATA_AUDIT_H

#include "engine/data/source.h"

/* In the order of the findings. */
enum audit_kind {
    AUDIT_UNREADABLE, /* no image of a kind that is read, or not to be opened */
    AUDIT_TRUNCATED,  /* ends too early */
    AUDIT_DAMAGED,    /* contradicts itself: checksum, code, size */
    AUDIT_NOT_FINITE, /* NaN or infinite values */
    AUDIT_CONSTANT,   /* each channel has one value */
    AUDIT_DUPLICATE,  /* same pixels as an image before it */
    AUDIT_RELABELLED, /* such a duplicate of another label */
    AUDIT_ODD_SIZE,
    AUDIT_ANIMATED,
    AUDIT_UNLABELLED, /* no label where others have one */
    AUDIT_EMPTY_CLASS, /* a class without an image; `image` is the class */
    AUDIT_KINDS,
};

struct finding {
    enum audit_kind kind;
    size_t image, other; /* other: of duplicates, the first with these pixels */
    char *sentence;      /* of the first three kinds, else NULL; owned */
};

struct audit_image {
    uint64_t hash[2];
    size_t index;
    int height, width; /* 0: not read */
    int rc;            /* of reading */
    unsigned char constant, infinite;
    char *sentence; /* moves on to a finding */
};

struct audit {
    const struct source *source; /* borrowed */
    struct audit_image *images;  /* (source->count) */
    struct finding *findings;    /* (found) */
    size_t found, capacity;
    size_t seen[AUDIT_KINDS];
    size_t read, alpha;          /* images that were read; that had an alpha channel */
    int smallest[2], median[2], largest[2]; /* height, width: by area; sides by themselves */
    size_t *class_counts;        /* (source->classes) */
    double *mean, *std, *low, *high; /* (channels) of all finite images; NaN without one */
};

/* May be NULL; one call at a time. */
typedef void audit_progress(void *user, size_t done, size_t count);

/* On failure there is nothing to close. */
int audit_open(struct audit *out, const struct source *source, audit_progress *progress,
               void *user);
void audit_close(struct audit *audit);

/* An image of one set whose pixels an image of another has. */
struct leak {
    size_t test, train;
};

/* *out: (*count), by `test`, for free(). */
int audit_leaks(struct leak **out, size_t *count, const struct audit *train,
                const struct audit *test);

/* 1 if class `label` of `test` has an image there and none in `train`. map: (test's classes) what
 * they are in train's numbering, of classes_add(); NULL: the same. */
int audit_untrained(const struct audit *train, const struct audit *test, const int32_t *map,
                    int label);

/* The first label whose class has two names, -1 if there is none: numbers then mean two things. */
int audit_names_differ(const struct source *a, const struct source *b);

/* ---- between the files of the audit ---- */

/* audit_read.c: fills `images` and the statistics. */
int audit_read(struct audit *out, audit_progress *progress, void *user);

/* audit_size.c: the three sizes, and findings of odd ones. */
int audit_sizes(struct audit *audit);

/* Adds a finding. */
int audit_find(struct audit *audit, enum audit_kind kind, size_t image, size_t other,
               char *sentence);

#endif
