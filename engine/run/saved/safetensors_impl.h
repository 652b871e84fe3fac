/* safetensors_impl.h: what the files of the format share; nobody else includes it.
 *
 * safetensors_write.c writes; safetensors.c opens a file and hands out its tensors, which
 * safetensors_read.c finds in the header and safetensors_check.c compares with the data. */
#ifndef MOCO_ENGINE_RUN_SAVED_SAFETENSORS_IMPL_H
#define MOCO_ENGINE_RUN_SAVED_SAFETENSORS_IMPL_H

#include <cjson/cJSON.h>

#include "engine/run/saved/safetensors.h"

enum { PREFIX = 8, DIGITS = 8, ST_TYPES = ST_F8_E4M3 + 1 };

/* Names in the metadata; the sum as it stands in the header's text, and before it is known. */
#define FORMAT_KEY "moco.format"
#define CHECKSUM_KEY "moco.checksum"
#define CHECKSUM_TEXT "\"" CHECKSUM_KEY "\":\""
#define CHECKSUM_ZEROS "00000000"

extern const struct st_type_row {
    const char *name; /* as `dtype` */
    size_t size;
} st_types[ST_TYPES];

struct st_file {
    char *path; /* owned, for sentences */
    const unsigned char *map;
    size_t size, header, data_size; /* header: bytes of JSON with padding */
    cJSON *root;                    /* names and metadata live here */
    cJSON *metadata;                /* or NULL */
    struct st_tensor *tensors;
    size_t count;
};

int safetensors_read_header(struct st_file *f);  /* root, metadata, where the data begin */
int safetensors_read_tensors(struct st_file *f); /* each with type, shape and a place in the data */
int safetensors_check_layout(const struct st_file *f); /* names differ; no overlap, gap or rest */
int safetensors_check_sum(const struct st_file *f);

#endif
