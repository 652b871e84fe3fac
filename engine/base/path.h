/* path.h: paths that are to mean the same from another folder. */
#ifndef MOCO_ENGINE_BASE_PATH_H
#define MOCO_ENGINE_BASE_PATH_H

#include <stddef.h>

/* `path` as seen from where `folder` is seen: "run" and "../x.npy" give "x.npy", unless run is a
 * link. Absolute paths stay. 0, or -1 where it does not fit. */
int path_join(char *out, size_t size, const char *folder, const char *path);

/* The folder that a file's path names: "" for one without a slash. */
int path_folder(char *out, size_t size, const char *path);

/* What leads from one folder to another, both there: "..", "" to itself. */
int path_between(char *out, size_t size, const char *from, const char *to);

#endif
