/* mapped.h: a file as read-only memory. */
#ifndef MOCO_ENGINE_DATA_MAPPED_H
#define MOCO_ENGINE_DATA_MAPPED_H

#include <stddef.h>

struct mapped {
    const unsigned char *data;
    size_t size; /* bytes */
};

/* Maps the whole file; an empty one is an error, as is one that can not be read. */
int mapped_open(struct mapped *out, const char *path);
void mapped_close(struct mapped *mapped); /* accepts a zeroed one */

#endif
