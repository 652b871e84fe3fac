/* hdu.h: FITS files by cfitsio: open, as they are or behind gzip, and what the header of an HDU
 * says of its image.
 *
 * The library shares what it knows of a file between those who opened it: all calls stand between
 * hdu_lock() and hdu_unlock(), which keep the signals that wait meanwhile. */
#ifndef MOCO_ENGINE_DATA_FORMAT_HDU_H
#define MOCO_ENGINE_DATA_FORMAT_HDU_H

#include <fitsio.h>
#include <signal.h>

#include "engine/data/source.h"

void hdu_lock(sigset_t *signals);
void hdu_unlock(const sigset_t *signals);

/* The newest file that was unpacked, kept for the next image of it. */
struct hdu_unpacked {
    char *path; /* owned, as are the bytes */
    void *bytes;
    size_t size;
};

struct hdu_file {
    fitsfile *fits;
    const char *path; /* the caller's */
    uint64_t size;    /* unpacked */
};

int hdu_open(struct hdu_file *out, struct hdu_unpacked *kept, const char *path);
void hdu_close(struct hdu_file *file);
void hdu_forget(struct hdu_unpacked *kept);

/* The sentence for what the library cannot read, or for why the system did not let it. */
int hdu_refuse(const char *path, int status);

/* Whether a failure since hdu_open() is one of the system: errno tells, the library does not. */
int hdu_system_failed(void);

/* What a header says. */
struct hdu_cube {
    int height, width, channels; /* of one image */
    int64_t images;
    int axes, packed;
    int reals;      /* floats as they are: a NaN in them is one */
    double largest; /* of an unsigned type; 0: values are kept */
    enum source_dtype dtype;
};

/* Of the current HDU. channels: the planes of three axes are channels. *shape becomes 1 where the
 * axes are what fails: no image of a kind that is read, though the file may be a sound one. */
int hdu_cube(struct hdu_cube *out, int *shape, const struct hdu_file *file, int channels);

/* Goes to HDU `name`, a number from 0 or an extension's name, which must have an image. */
int hdu_go_to(const struct hdu_file *file, const char *name);

#endif
