/* metadata.h: texts beside the tensors of a safetensors file: counters in decimal, floats with the
 * digits that give them back, and what describes the encoder. */
#ifndef MOCO_ENGINE_RUN_SAVED_METADATA_H
#define MOCO_ENGINE_RUN_SAVED_METADATA_H

#include <stdint.h>

#include "engine/net/encoder.h"
#include "engine/run/saved/safetensors.h"

enum { META_SIZE = 4100, META_NUMBERS = 16 };

struct meta {
    struct st_meta rows[32];
    size_t count;
    char numbers[META_NUMBERS][32]; /* texts of numbers in the rows */
    size_t used;
    char mean[META_SIZE], std[META_SIZE];
};

/* Keys and texts are borrowed. */
void meta_text(struct meta *meta, const char *key, const char *value);
void meta_whole(struct meta *meta, const char *key, uint64_t value);
void meta_real(struct meta *meta, const char *key, double value);

/* What weights_info() reads, in both kinds of file; mean and std have been filled in, or are ""
 * where nobody knows them. recipe NULL: others trained the encoder, side is not known. */
void meta_encoder(struct meta *meta, const struct net *net, const char *recipe);

/* MOCO_EFORMAT where the file has no such number. */
int meta_get_whole(uint64_t *out, const struct st_file *file, const char *key);
int meta_get_real(double *out, const struct st_file *file, const char *key);

/* out: (channels) from comma-separated text; one number stands for all, none leaves `out`. */
int meta_get_channels(float *out, const struct st_file *file, const char *key, int channels);
void meta_channels_text(char *out, size_t size, const float *values, int channels);

/* A setting in a recipe (JSON) as text, "" when it has none. */
void recipe_text(char *out, size_t size, const char *recipe, const char *name);

#endif
