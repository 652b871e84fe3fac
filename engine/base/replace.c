/* replace.c: temporary, flush, rename; see replace.h.
 *
 * The folder is flushed too: without that the rename itself could be lost. A folder that can not
 * be opened for that (some file systems) is no failure: the file is whole either way. */
#include "engine/base/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"

static void forget(struct replace *replace)
{
    free(replace->path);
    free(replace->part);
    memset(replace, 0, sizeof *replace);
}

int replace_open(struct replace *replace, const char *path)
{
    size_t size = strlen(path) + sizeof ".part";
    replace->file = NULL;
    replace->path = malloc(size);
    replace->part = malloc(size);
    if (!replace->path || !replace->part) {
        forget(replace);
        return error_memory("a file name", size);
    }
    snprintf(replace->path, size, "%s", path);
    snprintf(replace->part, size, "%s.part", path);
    replace->file = fopen(replace->part, "wb");
    if (!replace->file) {
        int rc = error_set(MOCO_EIO, "%s can not be written: %s", replace->part, strerror(errno));
        forget(replace);
        return rc;
    }
    return MOCO_OK;
}

int replace_write(struct replace *replace, const void *data, size_t bytes)
{
    if (bytes && fwrite(data, 1, bytes, replace->file) != bytes)
        return error_set(MOCO_EIO, "writing %s: %s; the old file is kept", replace->part,
                         strerror(errno));
    return MOCO_OK;
}

static void flush_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 1;
    if (length >= sizeof folder)
        return;
    memcpy(folder, slash ? path : ".", length);
    folder[length] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

int replace_commit(struct replace *replace)
{
    int bad = fflush(replace->file) != 0 || fsync(fileno(replace->file)) != 0;
    int number = errno;
    if (!bad && ferror(replace->file)) /* of an earlier write; only the stream remembers it */
        bad = 1, number = EIO;
    bad |= fclose(replace->file) != 0;
    replace->file = NULL;
    if (!bad && rename(replace->part, replace->path)) {
        bad = 1;
        number = errno;
    }
    if (bad) {
        int rc = error_set(MOCO_EIO, "writing %s: %s; the old file is kept", replace->path,
                           strerror(number));
        replace_abort(replace);
        return rc;
    }
    flush_folder(replace->path);
    forget(replace);
    return MOCO_OK;
}

void replace_abort(struct replace *replace)
{
    if (replace->file)
        fclose(replace->file);
    if (replace->part)
        unlink(replace->part);
    forget(replace);
}
