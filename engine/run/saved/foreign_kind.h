/* foreign_kind.h: what a file holds that is no encoder of ours: other formats of weights, other
 * networks. Each gets a true sentence, and where it can be converted, how. */
#ifndef MOCO_ENGINE_RUN_SAVED_FOREIGN_KIND_H
#define MOCO_ENGINE_RUN_SAVED_FOREIGN_KIND_H

#include <stddef.h>

#include "engine/run/saved/safetensors.h"

/* MOCO_EFORMAT: the file at `path`, of these bytes, is none of safetensors. MOCO_OK: it may be. */
int foreign_check_format(const char *path, const unsigned char *bytes, size_t size);

/* MOCO_EFORMAT: a safetensors file without a ResNet of which all names are known. */
int foreign_refuse(const struct st_file *file);

#endif
