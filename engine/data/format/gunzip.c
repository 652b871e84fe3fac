/* gunzip.c: see gunzip.h. Room grows with what was unpacked; the sizes that such a file states are
 * not to be believed. */
#include "engine/data/format/gunzip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/error.h"

enum { FIRST = 1 << 16, PIECE = 1 << 28 };

int gunzip_explain(gzFile file, int system, const char *path)
{
    int number = Z_OK;
    const char *text = gzerror(file, &number);
    if (number == Z_OK)
        return MOCO_OK;
    if (number == Z_MEM_ERROR)
        return error_memory(path, FIRST);
    if (number == Z_ERRNO)
        return error_system("reading", path, system);
    if (number == Z_BUF_ERROR)
        return error_set(MOCO_ETRUNCATED, "%s: the gzip file ends early; it is truncated", path);
    return error_set(MOCO_EDAMAGED, "%s: the gzip file is damaged (%s)", path, text);
}

/* Room for more, twice as much each time. */
static int grow(unsigned char **bytes, size_t *room, uint64_t most, const char *path)
{
    size_t wanted = *room ? 2 * *room : FIRST;
    wanted = wanted > most + 1 ? (size_t)most + 1 : wanted; /* one more shows that there is more */
    unsigned char *grown = realloc(*bytes, wanted);
    if (!grown)
        return error_memory(path, wanted);
    *bytes = grown;
    *room = wanted;
    return MOCO_OK;
}

static int check(const unsigned char *bytes, size_t size, uint64_t most, const char *start,
                 const char *what, const char *path)
{
    if (size > most)
        return error_set(MOCO_EUNSUPPORTED, "%s unpacks to more than %llu GiB; gunzip it", path,
                         (unsigned long long)(most >> 30));
    if (size < strlen(start) || memcmp(bytes, start, strlen(start)) != 0)
        return error_set(MOCO_EFORMAT, "%s, unpacked, does not start like %s", path, what);
    return MOCO_OK;
}

/* *number: errno of a read that failed; the library can not go on behind one that a signal
 * interrupted. */
static int unpack(unsigned char **out, size_t *used, uint64_t most, const char *path, int *number)
{
    size_t room = 0;
    int rc = MOCO_OK, got = 1;
    *out = NULL;
    *used = 0;
    errno = 0;
    gzFile file = gzopen(path, "rb");
    *number = errno;
    if (!file)
        return errno ? error_system("opening", path, errno) : error_memory(path, FIRST);
    while (rc == MOCO_OK && got > 0 && *used <= most) {
        rc = *used == room ? grow(out, &room, most, path) : MOCO_OK;
        size_t want = room - *used < PIECE ? room - *used : PIECE;
        got = rc == MOCO_OK ? gzread(file, *out + *used, (unsigned)want) : 0;
        *number = got < 0 ? errno : 0;
        *used += got > 0 ? (size_t)got : 0;
    }
    if (rc == MOCO_OK)
        rc = gunzip_explain(file, *number, path);
    gzclose(file);
    return rc;
}

int gunzip_file(void **bytes, size_t *size, uint64_t most, const char *start, const char *what,
                const char *path)
{
    unsigned char *out;
    size_t used;
    int number, rc;
    *bytes = NULL;
    *size = 0;
    while ((rc = unpack(&out, &used, most, path, &number)) == MOCO_EIO && number == EINTR)
        free(out);
    if (rc == MOCO_OK)
        rc = check(out, used, most, start, what, path);
    if (rc != MOCO_OK) {
        free(out);
        return rc;
    }
    *bytes = out;
    *size = used;
    return MOCO_OK;
}

int gunzip_head(void *bytes, unsigned size, const char *path, int *number)
{
    int got;
    do {
        errno = 0;
        gzFile file = gzopen(path, "rb");
        got = file ? gzread(file, bytes, size) : -1;
        *number = got < 0 ? errno : 0;
        if (file)
            gzclose(file);
    } while (*number == EINTR);
    return got;
}
