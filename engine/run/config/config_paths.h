/* config_paths.h: between a path as it is typed and the same in a file of settings; part of
 * config_file.c. */
#ifndef MOCO_ENGINE_RUN_CONFIG_CONFIG_PATHS_H
#define MOCO_ENGINE_RUN_CONFIG_CONFIG_PATHS_H

#include "engine/run/config/config.h"

enum { PATHS_SIZE = 4200 };

struct paths {
    int known;                /* 0: all stay as they are */
    char folder[PATHS_SIZE];  /* goes in front of relative ones */
    char where[PATHS_SIZE];   /* from where they can be looked at now */
};

/* For writing into `file`, whose folder is there. Returns `known`: the current folder may be
 * gone. */
int paths_to_file(struct paths *paths, const char *file);

/* For reading from it. */
int paths_from_file(struct paths *paths, const char *file);

int paths_data(char *out, size_t size, const struct paths *paths, const char *spec);

/* The value of a setting; row NULL: of none. Values that are no path stay. */
int paths_setting(char *out, size_t size, const struct paths *paths, const struct setting *row,
                  const char *value);

#endif
