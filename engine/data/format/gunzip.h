/* gunzip.h: a file that is compressed as a whole, unpacked into memory. */
#ifndef MOCO_ENGINE_DATA_FORMAT_GUNZIP_H
#define MOCO_ENGINE_DATA_FORMAT_GUNZIP_H

#include <stddef.h>
#include <stdint.h>

/* *bytes: for free(). At most `most` bytes; more, a truncated and a damaged file get a sentence.
 * start: what the unpacked file has to begin with, else MOCO_EFORMAT with the words `what`. */
int gunzip_file(void **bytes, size_t *size, uint64_t most, const char *start, const char *what,
                const char *path);

#endif
