/* safetensors.h: named tensors in one file (8 bytes of header length, JSON header, data).
 *
 * Files open in Python's `safetensors`. What we write carries `moco.checksum` in its metadata: a
 * CRC-32 over header (the sum itself as zeros) and data, so a truncated or altered file is refused
 * with a sentence; files of others have none and are read without. Writing goes to a temporary in
 * the same folder, is flushed to the disk, and renamed. */
#ifndef MOCO_ENGINE_RUN_SAVED_SAFETENSORS_H
#define MOCO_ENGINE_RUN_SAVED_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

enum st_type {
    ST_F32, ST_F64, ST_I64, ST_U8, ST_I32, ST_F16, ST_BF16,
    /* known, so that a file that has them beside its weights opens: */
    ST_BOOL, ST_I8, ST_I16, ST_U16, ST_U32, ST_U64, ST_F8_E5M2, ST_F8_E4M3,
};

struct st_tensor {
    const char *name;
    enum st_type type;
    int rank;
    size_t shape[4];
    const void *data; /* borrowed; little-endian, C order */
};

struct st_meta {
    const char *key, *value; /* borrowed */
};

/* Writes the file; the tensors' order is kept. */
int safetensors_write(const char *path, const struct st_tensor *tensors, size_t count,
                      const struct st_meta *meta, size_t meta_count);

struct st_file; /* opaque: a file mapped into memory */

/* Opens and checks: sizes, offsets, overlap, types, checksum. */
int safetensors_open(struct st_file **out, const char *path);
void safetensors_close(struct st_file **file);

size_t safetensors_count(const struct st_file *file);
const struct st_tensor *safetensors_at(const struct st_file *file, size_t i);
/* NULL when there is none of that name. */
const struct st_tensor *safetensors_find(const struct st_file *file, const char *name);
const char *safetensors_meta(const struct st_file *file, const char *key);
/* "sha256:" and the digits of all bytes of the file, as sha256sum prints them. */
#define ST_SUM_PREFIX "sha256:"
enum { ST_SUM = sizeof ST_SUM_PREFIX + 64 };
void safetensors_sum(char out[ST_SUM], const struct st_file *file);

const char *safetensors_path(const struct st_file *file); /* as it was opened */
size_t st_type_size(enum st_type type); /* bytes of one element */
const char *st_type_name(enum st_type type);
size_t safetensors_bytes(const struct st_tensor *t);

#endif
