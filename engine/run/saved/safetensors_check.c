/* safetensors_check.c: do tensors fill the data, is the file as it was written? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/run/saved/safetensors_impl.h"

static int by_place(const void *a, const void *b)
{
    const struct st_tensor *x = *(const struct st_tensor *const *)a;
    const struct st_tensor *y = *(const struct st_tensor *const *)b;
    const unsigned char *p = x->data, *q = y->data;
    if (p != q)
        return p < q ? -1 : 1;
    size_t m = safetensors_bytes(x), n = safetensors_bytes(y); /* empty ones stand first */
    return m < n ? -1 : m > n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct st_tensor *const *)a)->name,
                  (*(const struct st_tensor *const *)b)->name);
}

static int check_names(const struct st_file *f, const struct st_tensor **sorted)
{
    qsort(sorted, f->count, sizeof *sorted, by_name);
    for (size_t i = 1; i < f->count; i++)
        if (!strcmp(sorted[i]->name, sorted[i - 1]->name))
            return error_set(MOCO_EFORMAT, "%s: tensor %s stands twice in the header", f->path,
                             sorted[i]->name);
    return MOCO_OK;
}

/* The tensors must fill the data part without overlap, gap or rest. */
static int check_places(const struct st_file *f, const struct st_tensor **sorted)
{
    const unsigned char *at = f->map + PREFIX + f->header, *start = at;
    qsort(sorted, f->count, sizeof *sorted, by_place);
    for (size_t i = 0; i < f->count; i++) {
        if (sorted[i]->data != at)
            return error_set(MOCO_EFORMAT, "%s: tensor %s does not follow the one before it: there "
                             "is %s at byte %zu of the data", f->path, sorted[i]->name,
                             (const unsigned char *)sorted[i]->data < at ? "an overlap" : "a gap",
                             (size_t)(at - start));
        at += safetensors_bytes(sorted[i]);
    }
    if ((size_t)(at - start) != f->data_size)
        return error_set(MOCO_EFORMAT, "%s: the tensors end at byte %zu of the data, the file at "
                         "%zu", f->path, (size_t)(at - start), f->data_size);
    return MOCO_OK;
}

int safetensors_check_layout(const struct st_file *f)
{
    const struct st_tensor **sorted = malloc((f->count + 1) * sizeof *sorted);
    if (!sorted)
        return error_memory("a list of tensors", f->count * sizeof *sorted);
    for (size_t i = 0; i < f->count; i++)
        sorted[i] = &f->tensors[i];
    int rc = check_names(f, sorted);
    if (!rc)
        rc = check_places(f, sorted);
    free(sorted);
    return rc;
}

/* Where the checksum's digits stand in the file; 0 when they do not. */
static size_t checksum_place(const struct st_file *f)
{
    size_t length = strlen(CHECKSUM_TEXT), end = PREFIX + f->header;
    for (size_t at = PREFIX; at + length + DIGITS <= end; at++)
        if (f->map[at] == '"' && !memcmp(f->map + at, CHECKSUM_TEXT, length))
            return at + length;
    return 0;
}

int safetensors_check_sum(const struct st_file *f)
{
    const char *sum = safetensors_meta(f, CHECKSUM_KEY);
    if (!sum && !safetensors_meta(f, FORMAT_KEY))
        return MOCO_OK; /* a file of others */
    size_t at = checksum_place(f);
    if (!sum || strlen(sum) != DIGITS || !at)
        return error_set(MOCO_EFORMAT, "%s is damaged: its checksum is missing", f->path);
    uLong crc = crc32_z(0, f->map, at);
    crc = crc32_z(crc, (const unsigned char *)CHECKSUM_ZEROS, DIGITS);
    crc = crc32_z(crc, f->map + at + DIGITS, f->size - at - DIGITS);
    char digits[DIGITS + 1];
    snprintf(digits, sizeof digits, "%08x", (unsigned)crc);
    if (strcmp(digits, sum))
        return error_set(MOCO_EFORMAT, "%s is damaged: its checksum is %s, its content gives %s; "
                         "use an older copy", f->path, sum, digits);
    return MOCO_OK;
}
