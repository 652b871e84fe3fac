/* safetensors.c: opening a file, and what it hands out; see safetensors.h.
 *
 * Layout: u64 header length, JSON header {"__metadata__": {text: text}, name: {"dtype", "shape",
 * "data_offsets": [begin, end]}}, data. The header is padded with spaces to a multiple of 8.
 * `moco.checksum` is the CRC-32 of the whole file with its own eight digits as zeros. Files of ours
 * carry `moco.format` too, so that damage to the checksum's name does not switch the check off.
 * A foreign file's tensors may lie unaligned: readers copy with memcpy(). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/run/saved/safetensors_impl.h"

const struct st_type_row st_types[] = {
    [ST_F32] = { "F32", 4 }, [ST_F64] = { "F64", 8 }, [ST_I64] = { "I64", 8 },
    [ST_U8] = { "U8", 1 },   [ST_I32] = { "I32", 4 }, [ST_F16] = { "F16", 2 },
    [ST_BF16] = { "BF16", 2 }, [ST_BOOL] = { "BOOL", 1 }, [ST_I8] = { "I8", 1 },
    [ST_I16] = { "I16", 2 }, [ST_U16] = { "U16", 2 }, [ST_U32] = { "U32", 4 },
    [ST_U64] = { "U64", 8 }, [ST_F8_E5M2] = { "F8_E5M2", 1 }, [ST_F8_E4M3] = { "F8_E4M3", 1 },
};

size_t st_type_size(enum st_type type)
{
    return st_types[type].size;
}

const char *st_type_name(enum st_type type)
{
    return st_types[type].name;
}

size_t safetensors_bytes(const struct st_tensor *t)
{
    size_t bytes = st_types[t->type].size;
    for (int i = 0; i < t->rank; i++)
        bytes *= t->shape[i];
    return bytes;
}

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
        rc = safetensors_read_header(f);
    if (!rc)
        rc = safetensors_read_tensors(f);
    if (!rc)
        rc = safetensors_check_layout(f);
    if (!rc)
        rc = safetensors_check_sum(f);
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

void safetensors_sum(char out[ST_SUM], const struct st_file *file)
{
    memcpy(out, ST_SUM_PREFIX, sizeof ST_SUM_PREFIX);
    sha256_text(out + sizeof ST_SUM_PREFIX - 1, file->map, file->size);
}

const char *safetensors_path(const struct st_file *file)
{
    return file->path;
}
