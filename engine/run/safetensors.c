/* safetensors.c: writing and checked reading of named tensors; see safetensors.h.
 *
 * Layout: u64 header length, JSON header {"__metadata__": {text: text}, name: {"dtype", "shape",
 * "data_offsets": [begin, end]}}, data. The header is padded with spaces to a multiple of 8.
 * `moco.checksum` is the CRC-32 of the whole file with its own eight digits as zeros. Files of ours
 * carry `moco.format` too, so that damage to the checksum's name does not switch the check off.
 * A foreign file's tensors may lie unaligned: readers copy with memcpy(). */
#include "engine/run/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/base/replace.h"

enum { PREFIX = 8, DIGITS = 8, HEADER_MAX = 100 << 20, RANK_MAX = 4 };

static const char checksum_key[] = "moco.checksum", format_key[] = "moco.format";
static const char checksum_text[] = "\"moco.checksum\":\"", zeros[] = "00000000";

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [ST_F32] = { "F32", 4 }, [ST_F64] = { "F64", 8 }, [ST_I64] = { "I64", 8 },
    [ST_U8] = { "U8", 1 },   [ST_I32] = { "I32", 4 }, [ST_F16] = { "F16", 2 },
    [ST_BF16] = { "BF16", 2 },
};

enum { TYPES = sizeof types / sizeof *types };

size_t st_type_size(enum st_type type)
{
    return types[type].size;
}

static size_t tensor_bytes(const struct st_tensor *t)
{
    size_t bytes = types[t->type].size;
    for (int i = 0; i < t->rank; i++)
        bytes *= t->shape[i];
    return bytes;
}

/* ---- writing ---- */

static int add_tensor(cJSON *root, const struct st_tensor *t, size_t begin)
{
    cJSON *item = cJSON_AddObjectToObject(root, t->name);
    cJSON *dtype = cJSON_AddStringToObject(item, "dtype", types[t->type].name);
    cJSON *shape = cJSON_AddArrayToObject(item, "shape");
    int ok = item && dtype && shape;
    for (int i = 0; i < t->rank && ok; i++)
        ok = cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->shape[i]));
    cJSON *offsets = cJSON_AddArrayToObject(item, "data_offsets");
    return ok && offsets && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + tensor_bytes(t))));
}

static int add_metadata(cJSON *root, const struct st_meta *meta, size_t count)
{
    cJSON *object = cJSON_AddObjectToObject(root, "__metadata__");
    int ok = object != NULL;
    for (size_t i = 0; i < count && ok; i++)
        ok = cJSON_AddStringToObject(object, meta[i].key, meta[i].value) != NULL;
    return ok && cJSON_AddStringToObject(object, format_key, "1") &&
           cJSON_AddStringToObject(object, checksum_key, zeros);
}

/* The header's text with the checksum as zeros; free() it. NULL: no memory. */
static char *header_text(const struct st_tensor *tensors, size_t count, const struct st_meta *meta,
                         size_t meta_count)
{
    char *text = NULL;
    size_t offset = 0;
    cJSON *root = cJSON_CreateObject();
    int ok = root && add_metadata(root, meta, meta_count);
    for (size_t i = 0; i < count && ok; i++) {
        ok = add_tensor(root, &tensors[i], offset);
        offset += tensor_bytes(&tensors[i]);
    }
    if (ok)
        text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

/* Length, header and padding as they stand in the file. */
static unsigned char *head_bytes(const char *text, size_t *size)
{
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    unsigned char *head = malloc(PREFIX + padded);
    if (!head)
        return NULL;
    for (int i = 0; i < PREFIX; i++)
        head[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    memcpy(head + PREFIX, text, length);
    memset(head + PREFIX + length, ' ', padded - length);
    *size = PREFIX + padded;
    return head;
}

/* Puts the checksum over head and data into the head. */
static void sign(unsigned char *head, size_t size, const char *text,
                 const struct st_tensor *tensors, size_t count)
{
    char digits[DIGITS + 1];
    size_t at = PREFIX + (size_t)(strstr(text, checksum_text) - text) + strlen(checksum_text);
    uLong crc = crc32_z(0, head, size);
    for (size_t i = 0; i < count; i++)
        if (tensor_bytes(&tensors[i]))
            crc = crc32_z(crc, tensors[i].data, tensor_bytes(&tensors[i]));
    snprintf(digits, sizeof digits, "%08x", (unsigned)crc);
    memcpy(head + at, digits, DIGITS);
}

int safetensors_write(const char *path, const struct st_tensor *tensors, size_t count,
                      const struct st_meta *meta, size_t meta_count)
{
    struct replace file;
    size_t size = 0;
    char *text = header_text(tensors, count, meta, meta_count);
    unsigned char *head = text ? head_bytes(text, &size) : NULL;
    int rc = head ? MOCO_OK : error_memory("a file header", count * 128);
    if (rc)
        goto fail;
    sign(head, size, text, tensors, count);
    rc = replace_open(&file, path);
    if (rc)
        goto fail;
    rc = replace_write(&file, head, size);
    for (size_t i = 0; i < count && !rc; i++)
        rc = replace_write(&file, tensors[i].data, tensor_bytes(&tensors[i]));
    if (rc)
        replace_abort(&file);
    else
        rc = replace_commit(&file);
fail:
    free(head);
    free(text);
    return rc;
}

/* ---- reading ---- */

struct st_file {
    char *path; /* owned, for sentences */
    const unsigned char *map;
    size_t size, header, data_size; /* header: bytes of JSON with padding */
    cJSON *root;                    /* names and metadata live here */
    cJSON *metadata;                /* or NULL */
    struct st_tensor *tensors;
    size_t count;
};

static int map_file(struct st_file *f)
{
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC), rc = MOCO_OK;
    if (fd < 0)
        return error_set(MOCO_EIO, "%s can not be read: %s", f->path, strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        rc = error_set(MOCO_EIO, "%s is not a file", f->path);
    } else if (st.st_size < PREFIX) {
        rc = error_set(MOCO_EFORMAT, "%s has %lld bytes: too short for a safetensors file",
                       f->path, (long long)st.st_size);
    } else {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            rc = error_set(MOCO_EIO, "%s can not be mapped: %s", f->path, strerror(errno));
        else
            f->map = map, f->size = (size_t)st.st_size;
    }
    close(fd);
    return rc;
}

static int parse_header(struct st_file *f)
{
    uint64_t length = 0;
    const char *text = (const char *)f->map + PREFIX, *end = NULL;
    for (int i = 0; i < PREFIX; i++)
        length |= (uint64_t)f->map[i] << (8 * i);
    if (length > f->size - PREFIX)
        return error_set(MOCO_EFORMAT, "%s is cut short or no safetensors file: its header claims "
                         "%llu bytes, the file has %zu", f->path, (unsigned long long)length,
                         f->size);
    if (length > HEADER_MAX)
        return error_set(MOCO_EFORMAT, "%s: a header of %llu bytes is above the limit of 100 MiB",
                         f->path, (unsigned long long)length);
    f->header = (size_t)length;
    f->data_size = f->size - PREFIX - f->header;
    f->root = cJSON_ParseWithLengthOpts(text, f->header, &end, 0);
    while (f->root && end < text + f->header && (*end == ' ' || *end == '\0'))
        end++;
    if (!f->root || !cJSON_IsObject(f->root) || end != text + f->header)
        return error_set(MOCO_EFORMAT, "%s: the header is no JSON object (byte %zu)", f->path,
                         end ? (size_t)(end - text) + PREFIX : (size_t)PREFIX);
    f->metadata = cJSON_GetObjectItemCaseSensitive(f->root, "__metadata__");
    return MOCO_OK;
}

static int check_metadata(const struct st_file *f)
{
    const cJSON *item;
    if (f->metadata && !cJSON_IsObject(f->metadata))
        return error_set(MOCO_EFORMAT, "%s: __metadata__ is no JSON object", f->path);
    cJSON_ArrayForEach(item, f->metadata)
        if (!cJSON_IsString(item))
            return error_set(MOCO_EFORMAT, "%s: metadata %s is no text", f->path, item->string);
    return MOCO_OK;
}

/* A whole number from 0 that a double holds exactly. */
static int whole(const cJSON *item, size_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 0x1p53 ||
        item->valuedouble != (double)(uint64_t)item->valuedouble)
        return 0;
    *out = (size_t)item->valuedouble;
    return 1;
}

static int read_type(const struct st_file *f, struct st_tensor *t, const cJSON *item)
{
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    if (!cJSON_IsString(dtype))
        return error_set(MOCO_EFORMAT, "%s: tensor %s has no dtype", f->path, t->name);
    for (int i = 0; i < TYPES; i++)
        if (!strcmp(dtype->valuestring, types[i].name)) {
            t->type = (enum st_type)i;
            return MOCO_OK;
        }
    return error_set(MOCO_EFORMAT, "%s: tensor %s has dtype %.32s, which is not known: F32, F64, "
                     "F16, BF16, I64, I32 and U8 are", f->path, t->name, dtype->valuestring);
}

static int read_shape(const struct st_file *f, struct st_tensor *t, const cJSON *item,
                      size_t *bytes)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape"), *dim;
    if (!cJSON_IsArray(shape))
        return error_set(MOCO_EFORMAT, "%s: tensor %s has no shape", f->path, t->name);
    *bytes = types[t->type].size;
    cJSON_ArrayForEach(dim, shape) {
        if (t->rank == RANK_MAX)
            return error_set(MOCO_EFORMAT, "%s: tensor %s has more than %d dimensions", f->path,
                             t->name, (int)RANK_MAX);
        if (!whole(dim, &t->shape[t->rank]) ||
            __builtin_mul_overflow(*bytes, t->shape[t->rank], bytes))
            return error_set(MOCO_EFORMAT, "%s: tensor %s has an impossible size in dimension %d",
                             f->path, t->name, t->rank);
        t->rank++;
    }
    return MOCO_OK;
}

static int read_offsets(const struct st_file *f, struct st_tensor *t, const cJSON *item,
                        size_t bytes)
{
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    size_t begin, end;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !whole(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !whole(cJSON_GetArrayItem(offsets, 1), &end))
        return error_set(MOCO_EFORMAT, "%s: tensor %s has no two data_offsets", f->path, t->name);
    if (begin > end || end > f->data_size)
        return error_set(MOCO_EFORMAT, "%s: tensor %s lies at bytes %zu to %zu of %zu: the file is "
                         "cut short or damaged", f->path, t->name, begin, end, f->data_size);
    if (end - begin != bytes)
        return error_set(MOCO_EFORMAT, "%s: tensor %s has %zu bytes, its shape asks for %zu",
                         f->path, t->name, end - begin, bytes);
    t->data = f->map + PREFIX + f->header + begin;
    return MOCO_OK;
}

static int read_tensors(struct st_file *f)
{
    const cJSON *item;
    f->tensors = calloc((size_t)cJSON_GetArraySize(f->root) + 1, sizeof *f->tensors);
    if (!f->tensors)
        return error_memory("a list of tensors", sizeof *f->tensors);
    cJSON_ArrayForEach(item, f->root) {
        struct st_tensor *t = &f->tensors[f->count];
        size_t bytes = 0;
        if (item == f->metadata)
            continue;
        t->name = item->string;
        int rc = read_type(f, t, item);
        if (!rc)
            rc = read_shape(f, t, item, &bytes);
        if (!rc)
            rc = read_offsets(f, t, item, bytes);
        if (rc)
            return rc;
        f->count++;
    }
    return MOCO_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct st_tensor *x = *(const struct st_tensor *const *)a;
    const struct st_tensor *y = *(const struct st_tensor *const *)b;
    const unsigned char *p = x->data, *q = y->data;
    if (p != q)
        return p < q ? -1 : 1;
    size_t m = tensor_bytes(x), n = tensor_bytes(y); /* empty ones stand first */
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
        at += tensor_bytes(sorted[i]);
    }
    if ((size_t)(at - start) != f->data_size)
        return error_set(MOCO_EFORMAT, "%s: the tensors end at byte %zu of the data, the file at "
                         "%zu", f->path, (size_t)(at - start), f->data_size);
    return MOCO_OK;
}

static int check_layout(const struct st_file *f)
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
    size_t length = strlen(checksum_text), end = PREFIX + f->header;
    for (size_t at = PREFIX; at + length + DIGITS <= end; at++)
        if (f->map[at] == '"' && !memcmp(f->map + at, checksum_text, length))
            return at + length;
    return 0;
}

static int check_sum(const struct st_file *f)
{
    const char *sum = safetensors_meta(f, checksum_key);
    if (!sum && !safetensors_meta(f, format_key))
        return MOCO_OK; /* a file of others */
    size_t at = checksum_place(f);
    if (!sum || strlen(sum) != DIGITS || !at)
        return error_set(MOCO_EFORMAT, "%s is damaged: its checksum is missing", f->path);
    uLong crc = crc32_z(0, f->map, at);
    crc = crc32_z(crc, (const unsigned char *)zeros, DIGITS);
    crc = crc32_z(crc, f->map + at + DIGITS, f->size - at - DIGITS);
    char digits[DIGITS + 1];
    snprintf(digits, sizeof digits, "%08x", (unsigned)crc);
    if (strcmp(digits, sum))
        return error_set(MOCO_EFORMAT, "%s is damaged: its checksum is %s, its content gives %s; "
                         "use an older copy", f->path, sum, digits);
    return MOCO_OK;
}

int safetensors_open(struct st_file **out, const char *path)
{
    struct st_file *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f || !(f->path = strdup(path))) {
        free(f);
        return error_memory("a file", sizeof *f);
    }
    int rc = map_file(f);
    if (!rc)
        rc = parse_header(f);
    if (!rc)
        rc = check_metadata(f);
    if (!rc)
        rc = read_tensors(f);
    if (!rc)
        rc = check_layout(f);
    if (!rc)
        rc = check_sum(f);
    if (rc)
        safetensors_close(&f);
    *out = f;
    return rc;
}

void safetensors_close(struct st_file **file)
{
    struct st_file *f = *file;
    if (!f)
        return;
    if (f->map)
        munmap((void *)(uintptr_t)f->map, f->size);
    cJSON_Delete(f->root);
    free(f->tensors);
    free(f->path);
    free(f);
    *file = NULL;
}

size_t safetensors_count(const struct st_file *file)
{
    return file->count;
}

const struct st_tensor *safetensors_at(const struct st_file *file, size_t i)
{
    return &file->tensors[i];
}

const struct st_tensor *safetensors_find(const struct st_file *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (!strcmp(file->tensors[i].name, name))
            return &file->tensors[i];
    return NULL;
}

const char *safetensors_meta(const struct st_file *file, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file->metadata, key));
}

const char *safetensors_path(const struct st_file *file)
{
    return file->path;
}
