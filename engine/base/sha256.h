/* sha256.h: SHA-256 (FIPS 180-4) of bytes in memory, as sha256sum prints it. */
#ifndef MOCO_ENGINE_BASE_SHA256_H
#define MOCO_ENGINE_BASE_SHA256_H

#include <stddef.h>

enum { SHA256_TEXT = 65 };

/* out: 64 hexadecimal digits. */
void sha256_text(char out[SHA256_TEXT], const void *data, size_t size);

#endif
