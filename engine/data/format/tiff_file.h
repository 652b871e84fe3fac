/* tiff_file.h: an open TIFF file: libtiff, its first message, and what the system had against it.
 * */
#ifndef MOCO_ENGINE_DATA_FORMAT_TIFF_FILE_H
#define MOCO_ENGINE_DATA_FORMAT_TIFF_FILE_H

#include <tiffio.h>

enum { TIFF_TEXT = 200 };

/* Stays where it is while it is open: libtiff knows its address. */
struct tiff_file {
    TIFF *tif;
    int fd;
    const char *path;
    char text[TIFF_TEXT]; /* the first message since it was cleared */
    int number;           /* errno of a read that failed, or of what this process lacked */
};

/* Opens without reading a directory. A file that shrinks meanwhile ends in a sentence. */
int tiff_open(struct tiff_file *out, const char *path);

/* Closes it behind what ended with `rc`. Returns that, or, whatever libtiff made of it, the
 * sentence for memory or files that this process lacked meanwhile and for reads that failed. */
int tiff_close(struct tiff_file *file, int rc);

/* The sentence for a file that libtiff cannot read, with its message or the system's. */
int tiff_refuse(const struct tiff_file *file);

#endif
