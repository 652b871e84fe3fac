/* replace.h: a file that appears whole or not at all.
 *
 * The bytes go to a file of its own name in the same folder (temporary.h); replace_commit() flushes
 * them to the disk and renames, so whoever reads PATH sees the old file or the new one, also after
 * a power cut. Two writers of one path do not meet: both end well, and the file of the later one
 * stands. A path that is a link keeps being one, and the file that it points to is replaced. */
#ifndef MOCO_ENGINE_BASE_REPLACE_H
#define MOCO_ENGINE_BASE_REPLACE_H

#include <stddef.h>
#include <stdio.h>

/* Signals are retried and short writes completed below the stream. */
struct replace {
    FILE *file;                 /* NULL: closed */
    struct replace_part *part;  /* owned; NULL: in its place, or dropped */
};

int replace_open(struct replace *replace, const char *path);
int replace_write(struct replace *replace, const void *data, size_t bytes);

/* Back to the beginning of the file, whose bytes the next ones replace. */
int replace_rewind(struct replace *replace);

/* Flushes, renames and closes. On failure the old file stands untouched. */
int replace_commit(struct replace *replace);

/* The same for two files that belong together: both or neither, and at no time, whatever ends the
 * process, does a new one stand beside an old one. `guide` describes `file` and may be missing for
 * a moment. */
int replace_commit_both(struct replace *file, struct replace *guide);

/* Drops what was written; does nothing after a commit. */
void replace_abort(struct replace *replace);

#endif
