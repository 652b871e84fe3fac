/* tensors.h: a list of (name, type, shape, memory) that serves both directions: saving writes it,
 * loading checks the whole file against it before the first byte is copied, so a refused file
 * changes nothing. */
#ifndef MOCO_ENGINE_RUN_SAVED_TENSORS_H
#define MOCO_ENGINE_RUN_SAVED_TENSORS_H

#include "engine/net/encoder.h"
#include "engine/run/saved/foreign.h"
#include "engine/run/saved/safetensors.h"

enum { TENSOR_NAME_SIZE = FOREIGN_NAME };

struct tensor_item {
    char name[TENSOR_NAME_SIZE];
    enum st_type type;
    int rank;
    size_t shape[4];
    void *data; /* borrowed */
};

struct tensor_list {
    struct tensor_item *items; /* owned */
    size_t count, capacity;
};

/* Room for `capacity` items; tensors_close() also takes a zeroed list. */
int tensors_open(struct tensor_list *list, size_t capacity);
void tensors_close(struct tensor_list *list);

/* Which tensors of an encoder: parameters from `first` to before `last` (floats), and whether
 * statistics. */
struct tensor_parts {
    size_t first, last;
    int stats;
};

/* All; and what torchvision's network has: no predictor, no layer of the method. */
struct tensor_parts tensors_of_encoder(const struct net *net);
struct tensor_parts tensors_of_network(const struct net *net);

/* The items get names of prefix + the tensor's name. */
void tensors_add(struct tensor_list *list, const char *prefix, const struct net *net,
                 struct encoder *encoder, struct tensor_parts parts);

int tensors_write(const struct tensor_list *list, const char *path, const struct st_meta *meta,
                  size_t meta_count);

/* A state of ours: every item must have its tensor of its type, every tensor its item, and what
 * is called q. or k. must be finite. */
int tensors_read(const struct tensor_list *list, const struct st_file *file);

/* Weights, of whoever: floats of 16 and 64 bits become floats, counters may be missing. All that is
 * missing, of another shape, or too many in the encoder's stem and stages is named in one
 * sentence that ends with `what` is needed; so is a number that is not finite. */
int tensors_read_weights(const struct tensor_list *list, const struct st_file *file,
                         const struct foreign_encoder *encoder, const char *what);

/* "(64, 3, 7, 7)" */
void tensors_shape(char *out, size_t size, int rank, const size_t *shape);
const struct tensor_item *tensors_find(const struct tensor_list *list, const char *name);

#endif
