/* safetensors_write.c: the header's text, its checksum, and the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/base/replace.h"
#include "engine/run/saved/safetensors_impl.h"

static int add_tensor(cJSON *root, const struct st_tensor *t, size_t begin)
{
    cJSON *item = cJSON_AddObjectToObject(root, t->name);
    cJSON *dtype = cJSON_AddStringToObject(item, "dtype", st_types[t->type].name);
    cJSON *shape = cJSON_AddArrayToObject(item, "shape");
    int ok = item && dtype && shape;
    for (int i = 0; i < t->rank && ok; i++)
        ok = cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->shape[i]));
    cJSON *offsets = cJSON_AddArrayToObject(item, "data_offsets");
    size_t end = begin + safetensors_bytes(t);
    return ok && offsets && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end));
}

static int add_metadata(cJSON *root, const struct st_meta *meta, size_t count)
{
    cJSON *object = cJSON_AddObjectToObject(root, "__metadata__");
    int ok = object != NULL;
    for (size_t i = 0; i < count && ok; i++)
        ok = cJSON_AddStringToObject(object, meta[i].key, meta[i].value) != NULL;
    return ok && cJSON_AddStringToObject(object, FORMAT_KEY, "1") &&
           cJSON_AddStringToObject(object, CHECKSUM_KEY, CHECKSUM_ZEROS);
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
        offset += safetensors_bytes(&tensors[i]);
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
    size_t at = PREFIX + (size_t)(strstr(text, CHECKSUM_TEXT) - text) + strlen(CHECKSUM_TEXT);
    uLong crc = crc32_z(0, head, size);
    for (size_t i = 0; i < count; i++)
        if (safetensors_bytes(&tensors[i]))
            crc = crc32_z(crc, tensors[i].data, safetensors_bytes(&tensors[i]));
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
        rc = replace_write(&file, tensors[i].data, safetensors_bytes(&tensors[i]));
    if (rc)
        replace_abort(&file);
    else
        rc = replace_commit(&file);
fail:
    free(head);
    free(text);
    return rc;
}
