/* content.h: what a file is, by its first bytes.
 *
 * In: the start of a file, CONTENT_HEAD bytes where it has them. Out: the kind, whatever its name
 * ends in. Kinds that are read and kinds that only get a sentence are told apart by the caller. */
#ifndef MOCO_ENGINE_DATA_FORMAT_CONTENT_H
#define MOCO_ENGINE_DATA_FORMAT_CONTENT_H

#include <stddef.h>

enum { CONTENT_HEAD = 1024 }; /* bytes that tell all kinds apart; HDF5 behind 512 of MATLAB */

enum content {
    CONTENT_UNKNOWN,
    CONTENT_EMPTY, /* no byte */
    /* images of one file each */
    CONTENT_JPEG, CONTENT_PNG, CONTENT_BMP, CONTENT_PNM, CONTENT_GIF, CONTENT_WEBP,
    /* containers that are read */
    CONTENT_TIFF, CONTENT_FITS, CONTENT_HDF5, CONTENT_MATLAB73, CONTENT_NPY, CONTENT_PACKED,
    /* zip is read where it is NumPy's; gzip where it holds IDX or FITS */
    CONTENT_ZIP, CONTENT_GZIP,
    /* known, never read */
    CONTENT_TAR, CONTENT_BZIP2, CONTENT_XZ, CONTENT_ZSTD, CONTENT_7Z, CONTENT_RAR,
    CONTENT_PARQUET, CONTENT_ARROW, CONTENT_DICOM, CONTENT_NIFTI, CONTENT_PICKLE,
    CONTENT_MATLAB5, CONTENT_AVIF, CONTENT_HEIF, CONTENT_JXL, CONTENT_JP2, CONTENT_PDF,
    CONTENT_PSD, CONTENT_EXR, CONTENT_SVG, CONTENT_ICO, CONTENT_VIDEO, CONTENT_TFRECORD,
    CONTENT_LMDB, CONTENT_SQLITE, CONTENT_SAFETENSORS,
    CONTENT_KINDS,
};

enum content content_of(const unsigned char *head, size_t size);

/* Of the file `path`, opened and read; CONTENT_UNKNOWN where that fails, with errno as *number (0:
 * it did not). number may be NULL. */
enum content content_of_file(const char *path, int *number);

/* "a JPEG", "a zip archive": for sentences; "nothing that moco knows" of CONTENT_UNKNOWN. */
const char *content_name(enum content content);

#endif
