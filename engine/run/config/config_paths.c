/* config_paths.c: paths in a file of settings: relative ones start at the file's folder, from
 * wherever moco is called. In the process they are as typed, from the current folder. */
#include "engine/run/config/config_paths.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/base/path.h"
#include "engine/data/source.h"

int paths_to_file(struct paths *paths, const char *file)
{
    char folder[PATHS_SIZE];
    *paths = (struct paths){.known = 0};
    paths->known = !path_folder(folder, sizeof folder, file) &&
                   !path_between(paths->folder, sizeof paths->folder, folder, "");
    return paths->known;
}

int paths_from_file(struct paths *paths, const char *file)
{
    *paths = (struct paths){.known = 0};
    if (path_folder(paths->folder, sizeof paths->folder, file))
        return error_set(MOCO_EARG, "the path %.60s... is too long", file);
    snprintf(paths->where, sizeof paths->where, "%s", paths->folder);
    paths->known = 1;
    return MOCO_OK;
}

int paths_data(char *out, size_t size, const struct paths *paths, const char *spec)
{
    if (paths->known)
        return source_rebase(out, size, spec, paths->folder, paths->where);
    if ((size_t)snprintf(out, size, "%s", spec) < size)
        return MOCO_OK;
    return error_set(MOCO_EARG, "the data argument %.60s... is too long", spec);
}

int paths_setting(char *out, size_t size, const struct paths *paths, const struct setting *row,
                  const char *value)
{
    int is_path = row && row->what && strcmp(row->name, "config") && value[0];
    if (is_path && !strcmp(row->what, "DATA"))
        return paths_data(out, size, paths, value);
    int bad = is_path && paths->known
                  ? path_join(out, size, paths->folder, value)
                  : (size_t)snprintf(out, size, "%s", value) >= size;
    return bad ? error_set(MOCO_EARG, "%s %.60s... is too long a path with its folder in front",
                           row ? row->name : "the value", value) : MOCO_OK;
}
