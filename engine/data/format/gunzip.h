/* gunzip.h: a file that is compressed as a whole, unpacked into memory. */
#ifndef MOCO_ENGINE_DATA_FORMAT_GUNZIP_H
#define MOCO_ENGINE_DATA_FORMAT_GUNZIP_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

/* *bytes: for free(). At most `most` bytes; more, a truncated and a damaged file get a sentence.
 * start: what the unpacked file has to begin with, else MOCO_EFORMAT with the words `what`. */
int gunzip_file(void **bytes, size_t *size, uint64_t most, const char *start, const char *what,
                const char *path);

/* The first up to `size` bytes of a file, unpacked where it is gzip; -1 where that fails, with
 * errno as *number where the system did. */
int gunzip_head(void *bytes, unsigned size, const char *path, int *number);

/* The sentence for a gzread() of `file` that failed with errno `system`, MOCO_OK without one. */
int gunzip_explain(gzFile file, int system, const char *path);

#endif
