/* replace.h: a file that appears whole or not at all.
 *
 * The bytes go to PATH.part in the same folder; replace_commit() flushes them to the disk and
 * renames, so whoever reads PATH sees the old file or the new one, also after a power cut. */
#ifndef MOCO_ENGINE_BASE_REPLACE_H
#define MOCO_ENGINE_BASE_REPLACE_H

#include <stddef.h>
#include <stdio.h>

struct replace {
    FILE *file;  /* NULL: closed */
    char *path;  /* owned, as is: */
    char *part;  /* where the bytes go meanwhile */
};

int replace_open(struct replace *replace, const char *path);
int replace_write(struct replace *replace, const void *data, size_t bytes);

/* Flushes, renames and closes. On failure the old file stands untouched. */
int replace_commit(struct replace *replace);

/* Drops what was written; does nothing after a commit. */
void replace_abort(struct replace *replace);

#endif
