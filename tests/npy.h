/* npy.h: reads NumPy's .npy files for the tests.
 *
 * Versions 1 to 3, little-endian, C order; f4, f8, i4 and i8. Anything else is refused: a test must
 * not compare what it has misread. All numbers are kept as they are in the file. */
#ifndef MOCO_TESTS_NPY_H
#define MOCO_TESTS_NPY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NPY_RANK_MAX = 6 };

struct npy {
    char kind;          /* 'f' or 'i' */
    size_t item;        /* bytes of one number */
    int rank;
    size_t shape[NPY_RANK_MAX];
    size_t count;       /* numbers */
    void *data;         /* freed by npy_close() */
};

static inline void npy_close(struct npy *npy)
{
    free(npy->data);
    memset(npy, 0, sizeof *npy);
}

/* "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 16), }" */
static inline int npy_header(struct npy *npy, const char *header)
{
    const char *descr = strstr(header, "'descr': '<"), *shape = strstr(header, "'shape': (");

    if (!descr || !shape || !strstr(header, "'fortran_order': False"))
        return -1;
    npy->kind = descr[11];
    npy->item = (size_t)(descr[12] - '0');
    if ((npy->kind != 'f' && npy->kind != 'i') || (npy->item != 4 && npy->item != 8))
        return -1;
    npy->count = 1;
    for (const char *at = shape + 10; *at && *at != ')';) {
        char *end;
        size_t n = strtoull(at, &end, 10);
        if (end == at || npy->rank == NPY_RANK_MAX)
            return -1;
        npy->shape[npy->rank++] = n;
        npy->count *= n;
        for (at = end; *at == ',' || *at == ' ';)
            at++;
    }
    return 0;
}

static inline int npy_read_file(struct npy *npy, FILE *file)
{
    unsigned char head[12];
    char *text;
    int err;

    if (fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY", 6))
        return -1;
    size_t length = head[8] | (size_t)head[9] << 8;
    if (head[6] > 1) {
        if (fread(head + 10, 1, 2, file) != 2)
            return -1;
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    text = length < 65536 ? calloc(1, length + 1) : NULL;
    if (!text)
        return -1;
    err = fread(text, 1, length, file) == length ? npy_header(npy, text) : -1;
    free(text);
    if (err)
        return -1;
    npy->data = malloc(npy->count * npy->item + 1);
    if (!npy->data || fread(npy->data, npy->item, npy->count, file) != npy->count)
        return -1;
    return fgetc(file) == EOF ? 0 : -1;
}

/* 0, or -1 when there is no such file or it is not one of the kinds above; then *npy is empty. */
static inline int npy_read(struct npy *npy, const char *path)
{
    FILE *file = fopen(path, "rb");
    int err;

    memset(npy, 0, sizeof *npy);
    if (!file)
        return -1;
    err = npy_read_file(npy, file);
    fclose(file);
    if (err)
        npy_close(npy);
    return err;
}

#endif
