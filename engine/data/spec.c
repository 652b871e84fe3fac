/* spec.c: a data argument as it is written elsewhere; see source.h.
 *
 * Each path in it gets a folder in front: one path behind the kind's colon, or two with a comma
 * between them (npy and idx), and what else stands behind colons and commas stays. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/base/path.h"
#include "engine/data/format/raw.h"
#include "engine/data/source.h"

static int too_long(const char *spec)
{
    return error_set(MOCO_EARG, "the data argument %.60s... is longer than %d bytes with its "
                     "folder in front", spec, RAW_PATH - 1);
}

/* Whether the comma parts two paths: not within a name, and not names of arrays in one file. */
static int parts_paths(const char *kind, const char *path, const char *where)
{
    char seen[RAW_PATH], *comma;
    struct stat info;
    const char *found = kind;
    if (path_join(seen, sizeof seen, where, path) || stat(seen, &info) == 0)
        return 0;
    comma = strrchr(seen, ',');
    if (!comma)
        return 0;
    *comma = '\0';
    if (!kind[0] || !strcmp(kind, "npy"))
        found = source_kind_of(seen);
    return found && (!strcmp(found, "npy") || !strcmp(found, "idx"));
}

static int rebase_path(char *out, size_t size, const char *kind, const char *path,
                       const char *folder, const char *where)
{
    const char *comma = strrchr(path, ',');
    char first[RAW_PATH], second[RAW_PATH];
    if (!comma || !parts_paths(kind, path, where))
        return path_join(out, size, folder, path);
    snprintf(first, sizeof first, "%.*s", (int)(comma - path), path);
    if (path_join(out, size, folder, first) || path_join(second, sizeof second, folder, comma + 1))
        return -1;
    size_t used = strlen(out);
    return (size_t)snprintf(out + used, size - used, ",%s", second) < size - used ? 0 : -1;
}

int source_rebase(char *out, size_t size, const char *spec, const char *folder, const char *where)
{
    char kind[32], path[RAW_PATH];
    size_t named = source_kind_length(spec);
    snprintf(kind, sizeof kind, "%.*s", (int)(named ? named - 1 : 0), spec);
    if (!spec[0] || !strcmp(spec, "synthetic") || !strcmp(kind, "synthetic"))
        return (size_t)snprintf(out, size, "%s", spec) < size ? MOCO_OK : too_long(spec);
    if (strlen(spec) >= sizeof path ||
        rebase_path(path, sizeof path, kind, spec + named, folder, where))
        return too_long(spec);
    if ((size_t)snprintf(out, size, "%.*s%s", (int)named, spec, path) >= size)
        return too_long(spec);
    return MOCO_OK;
}
